import { resolve } from "node:path";
import { systemCode } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { FileReading, VariableFile } from "./expand-variables.ts";

/** Largest file of a `${file:PATH}`, bytes. */
export const MAX_VARIABLE_FILE_BYTES: number = 64 * 1024;

/** What is asked of the disk: no other kind of file than a regular one is opened, since a pipe would wait for a writer. */
export type VariableFiles = Pick<StoreFiles, "facts" | "read">;

/** Reads the files of `${file:PATH}`; relative paths start at `directory`. One line break at the end is dropped. */
export function variableFilesIn(directory: string, files: VariableFiles): VariableFile {
  return (path) => readVariableFile(resolve(directory, path), files);
}

function readVariableFile(path: string, files: VariableFiles): FileReading {
  let bytes: Buffer;
  try {
    const facts = files.facts(path);
    if (facts === undefined) return { ok: false, what: "does not exist" };
    if (facts.kind !== "file") return { ok: false, what: "is no regular file" };
    if (facts.bytes > MAX_VARIABLE_FILE_BYTES) return tooLarge(facts.bytes);
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
