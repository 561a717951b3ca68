import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { AppendFile } from "../base/append-files.ts";
import { systemCode } from "../base/errors.ts";

const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK, O_CREAT, O_EXCL } = constants;

/** A pipe in the place of a file must not make anybody wait. */
const APPEND = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;

/** A file of the local disk that only grows. Appends go where the end is, whoever else writes. */
export class RealAppendFile implements AppendFile {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** See `AppendFiles.openAppend`. */
  static open(path: string, mode: number): { readonly file: RealAppendFile; readonly isNew: boolean } {
    const created = openNew(path, mode);
    const descriptor = created ?? openSync(path, APPEND);
    if (!fstatSync(descriptor).isFile()) {
      closeSync(descriptor);
      throw Object.assign(new Error(`${path} is no regular file`), { code: "EINVAL" });
    }
    return { file: new RealAppendFile(descriptor), isNew: created !== undefined };
  }

  append(data: string): void {
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
  }

  size(): number | undefined {
    const { nlink, size } = fstatSync(this.#descriptor);
    return nlink === 0 ? undefined : size;
  }

  sync(): void {
    fsyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Undefined when there is something already. */
function openNew(path: string, mode: number): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, APPEND | O_CREAT | O_EXCL, mode);
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") return undefined;
    throw cause;
  }
  // The process's umask narrows the mode given to open; this sets it exactly.
  fchmodSync(descriptor, mode);
  return descriptor;
}
