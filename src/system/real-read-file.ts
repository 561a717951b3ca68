import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { ReadFile } from "../base/read-files.ts";

/** A pipe in the place of a file must not make anybody wait. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK;

/** A file of the local disk, read in pieces. */
export class RealReadFile implements ReadFile {
  #descriptor: number | undefined;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** See `ReadFiles.openRead`. */
  static open(path: string): RealReadFile {
    const descriptor = openSync(path, READ);
    if (fstatSync(descriptor).isFile()) return new RealReadFile(descriptor);
    closeSync(descriptor);
    throw Object.assign(new Error(`${path} is no regular file`), { code: "EINVAL" });
  }

  read(into: Uint8Array, position: number): number {
    return this.#descriptor === undefined ? 0 : readSync(this.#descriptor, into, 0, into.length, position);
  }

  size(): number {
    return this.#descriptor === undefined ? 0 : fstatSync(this.#descriptor).size;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
