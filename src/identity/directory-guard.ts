import { SallyportError } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { FIRST_USE_DIRECTORY, quotePath, REVOKED_DIRECTORY, TRUSTED_DIRECTORY } from "./key-layout.ts";

/**
 * Tells a directory that is gone from one that is empty. To a reader of files the two are the same; but a key volume that
 * is not mounted must not read as "nothing is trusted, and nothing revoked".
 */
export class DirectoryGuard {
  readonly #files: StoreFiles;
  readonly #paths: readonly string[];
  readonly #seen = new Set<string>();

  /** @param directory the key directory, without a slash at its end */
  constructor(files: StoreFiles, directory: string) {
    this.#files = files;
    const inside = [TRUSTED_DIRECTORY, FIRST_USE_DIRECTORY, REVOKED_DIRECTORY];
    this.#paths = [directory, ...inside.map((name) => `${directory}/${name}`)];
  }

  /** To be called before each reading. @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE when one has vanished */
  check(): void {
    for (const path of this.#paths) {
      if (this.#isThere(path)) this.#seen.add(path);
      else if (this.#seen.has(path)) throw vanished(path);
    }
  }

  /**
   * What is wrong with who may change the directories inside, one line each: who may write there decides whom this node
   * trusts. The key directory itself is judged with the key.
   */
  exposures(): readonly string[] {
    return this.#paths.slice(1).flatMap((path) => {
      const facts = this.#files.facts(path);
      if (facts === undefined) return [];
      const found: string[] = [];
      if ((facts.mode & 0o022) !== 0 && (facts.mode & 0o1000) === 0) {
        found.push(`mode 0${facts.mode.toString(8)}, others than its owner may change whom this node trusts`);
      }
      if (facts.foreign) found.push("owned by another user");
      return found.length === 0 ? [] : [`${quotePath(path)}: ${found.join("; ")}`];
    });
  }

  #isThere(path: string): boolean {
    try {
      return this.#files.facts(path)?.kind === "directory";
    } catch {
      return false;
    }
  }
}

function vanished(path: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "TRUST_UNREADABLE", `the directory ${quotePath(path)} is gone`, {
    stage: "identity",
    advice: "put it back, empty if need be; until then what was read before stays in force",
  });
}
