import { resolve } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { FileReading, VariableFile } from "./expand-variables.ts";

/** Largest file of a `${file:PATH}`, bytes. */
export const MAX_VARIABLE_FILE_BYTES: number = 64 * 1024;

/** What is asked of the disk: no other kind of file than a regular one is opened, since a pipe would wait for a writer. */
export type VariableFiles = Pick<StoreFiles, "facts" | "read">;

/** Files behind `${file:PATH}` that others than their owner may read, by path. What is written so is mostly a secret. */
export class ExposedFiles {
  readonly #modes = new Map<string, number>();

  note(path: string, mode: number): void {
    this.#modes.set(path, mode);
  }

  /**
   * Tells of them: warnings, or in profile strict the first as an error.
   * @throws {SallyportError} ERR_CONFIG VARIABLE_FILE_EXPOSED
   */
  settle(profile: "standard" | "strict", warnings: { readonly reason: string; readonly message: string }[]): void {
    for (const [path, mode] of this.#modes) {
      const shown = mode.toString(8).padStart(4, "0");
      const message = `${path}, used by \${file:...}, has mode ${shown}: other users can read it; run chmod 600 on it`;
      if (profile === "strict") {
        throw new SallyportError("ERR_CONFIG", "VARIABLE_FILE_EXPOSED", message, {
          advice: "make the file readable by its owner only (chmod 600), or use profile standard",
        });
      }
      warnings.push({ reason: "VARIABLE_FILE_EXPOSED", message });
    }
    this.#modes.clear();
  }
}

/** Bits that let group or others at a file. */
const GROUP_AND_OTHERS = 0o077;

/**
 * Reads the files of `${file:PATH}`; relative paths start at `directory`. One line break at the end is dropped. `exposed` hears
 * of those that others may read; links are followed, as secret mounts need.
 */
export function variableFilesIn(directory: string, files: VariableFiles, exposed?: ExposedFiles): VariableFile {
  return (path) => readVariableFile(resolve(directory, path), files, exposed);
}

function readVariableFile(path: string, files: VariableFiles, exposed: ExposedFiles | undefined): FileReading {
  let bytes: Buffer;
  try {
    const facts = files.facts(path);
    if (facts === undefined) return { ok: false, what: "does not exist" };
    if (facts.kind !== "file") return { ok: false, what: "is no regular file" };
    if (facts.bytes > MAX_VARIABLE_FILE_BYTES) return tooLarge(facts.bytes);
    if ((facts.mode & GROUP_AND_OTHERS) !== 0) exposed?.note(path, facts.mode);
    bytes = files.read(path);
  } catch (cause) {
    return { ok: false, what: `cannot be read (${systemCode(cause)})` };
  }
  if (bytes.length > MAX_VARIABLE_FILE_BYTES) return tooLarge(bytes.length);
  const text = bytes.toString("utf8").replace(/\r?\n$/, "");
  if (text === "") return { ok: false, what: "is empty" };
  if (text.includes("\0") || text.includes("\ufffd")) return { ok: false, what: "holds no text in UTF-8" };
  return { ok: true, text };
}

function tooLarge(bytes: number): FileReading {
  return { ok: false, what: `has ${bytes} bytes, more than ${MAX_VARIABLE_FILE_BYTES}` };
}
