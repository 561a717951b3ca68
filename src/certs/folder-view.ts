import type { Clock } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { quotePath } from "../identity/key-layout.ts";
import { certStem, MAX_FOLDER_CERTIFICATES, MAX_FOLDER_FILE_BYTES } from "./layout.ts";

/** What certificates are made and kept with. */
export interface CertsWorld {
  readonly files: StoreFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Pick<IdentityCrypto, "sha256">;
}

/** Texts of a folder by file name, as one change finds them: what was read once stays the same. */
export interface FolderTexts {
  /** Names of the files of nodes' certificates, without suffix, sorted. */
  readonly stems: readonly string[];
  /** Undefined when there is no such file. @throws {SallyportError} ERR_CONFIG CERT_FILE_UNREADABLE */
  read(file: string): string | undefined;
}

/** A folder of certificates as it is on disk. */
export class FolderView implements FolderTexts {
  /** Without a slash at its end. */
  readonly directory: string;
  readonly stems: readonly string[];
  readonly #files: StoreFiles;
  readonly #read = new Map<string, string | undefined>();

  /** @throws {SallyportError} ERR_CONFIG CERT_FILE_UNREADABLE, ERR_LIMIT CERTS_TOO_MANY */
  constructor(files: StoreFiles, directory: string) {
    this.#files = files;
    this.directory = directory;
    this.stems = this.#list();
  }

  read(file: string): string | undefined {
    if (!this.#read.has(file)) this.#read.set(file, readFile(this.#files, `${this.directory}/${file}`));
    return this.#read.get(file);
  }

  /** Whether everything that was read is still so. @throws {SallyportError} ERR_CONFIG CERT_FILE_UNREADABLE */
  isCurrent(): boolean {
    if (this.#list().join("\n") !== this.stems.join("\n")) return false;
    return [...this.#read].every(([file, text]) => readFile(this.#files, `${this.directory}/${file}`) === text);
  }

  #list(): readonly string[] {
    let names: readonly string[];
    try {
      names = this.#files.list(this.directory);
    } catch (cause) {
      throw unreadable(this.directory, cause);
    }
    const stems = names.map(certStem).filter((stem) => stem !== undefined);
    if (stems.length <= MAX_FOLDER_CERTIFICATES) return stems;
    throw new SallyportError(
      "ERR_LIMIT",
      "CERTS_TOO_MANY",
      `${quotePath(this.directory)} has ${stems.length} certificate files, more than ${MAX_FOLDER_CERTIFICATES}`,
      { stage: "tls", advice: "use one folder for each CA, or move the certificates of nodes that are gone away" },
    );
  }
}

/** The texts of a folder as they would be after a change. */
export function changedTexts(
  before: FolderTexts,
  changes: readonly { readonly file: string; readonly text: string | undefined }[],
): FolderTexts {
  const texts = new Map(changes.map(({ file, text }) => [file, text]));
  const stems = new Set(before.stems);
  for (const { file, text } of changes) {
    const stem = certStem(file);
    if (stem === undefined) continue;
    if (text === undefined) stems.delete(stem);
    else stems.add(stem);
  }
  return { stems: [...stems].sort(), read: (file) => (texts.has(file) ? texts.get(file) : before.read(file)) };
}

/** The text of a file; undefined when there is none. @throws {SallyportError} ERR_CONFIG CERT_FILE_UNREADABLE */
export function readFile(files: StoreFiles, path: string): string | undefined {
  try {
    const facts = files.facts(path);
    if (facts === undefined) return undefined;
    if (facts.kind === "file" && facts.bytes <= MAX_FOLDER_FILE_BYTES) return files.readText(path);
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return undefined;
    throw unreadable(path, cause);
  }
  throw unreadable(path, undefined);
}

function unreadable(path: string, cause: unknown): SallyportError {
  const why = cause === undefined ? "it is no file, or too large" : systemCode(cause);
  return new SallyportError("ERR_CONFIG", "CERT_FILE_UNREADABLE", `${quotePath(path)} cannot be read (${why})`, {
    stage: "tls",
    advice: "let this user read the file; it must be a regular file",
    cause,
  });
}
