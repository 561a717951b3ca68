import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { AppendFile, AppendFiles } from "../base/append-files.ts";
import { systemCode } from "../base/errors.ts";
import type { ReadFile, ReadFiles } from "../base/read-files.ts";
import type { FileFacts, StoreFiles } from "../base/store-files.ts";
import { RealAppendFile } from "./real-append-file.ts";
import { RealReadFile } from "./real-read-file.ts";

const CREATE_EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Permission bits, with set-user-id, set-group-id and sticky. */
const MODE_BITS = 0o7777;

const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;

/** What link() says on file systems without hard links. */
const NO_HARD_LINKS: readonly string[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/**
 * The local disk. Reads follow symbolic links, because read-only secret mounts are made of them; writes never do: a
 * link standing at the target path is replaced, not followed.
 */
export class RealFiles implements StoreFiles, AppendFiles, ReadFiles {
  read(path: string): Buffer {
    return readFileSync(path);
  }

  readText(path: string): string {
    return readFileSync(path, "utf8");
  }

  exists(path: string): boolean {
    return existsSync(path);
  }

  mode(path: string): number {
    return statSync(path).mode & MODE_BITS;
  }

  makeDirectory(path: string, mode: number): void {
    mkdirSync(path, { recursive: true, mode });
  }

  writeAtomic(path: string, data: Uint8Array | string, mode: number): void {
    const temporary = temporaryBeside(path);
    try {
      writeDurably(temporary, data, mode);
      renameSync(temporary, path);
    } catch (cause) {
      removeQuietly(temporary);
      throw cause;
    }
    syncDirectory(dirname(path));
  }

  writeNew(path: string, data: Uint8Array | string, mode: number): void {
    const temporary = temporaryBeside(path);
    try {
      writeDurably(temporary, data, mode);
      // A link fails with EEXIST when the name is taken, and shows the file only when it is complete.
      linkSync(temporary, path);
    } catch (cause) {
      if (!NO_HARD_LINKS.includes(systemCode(cause))) throw cause;
      writeDurably(path, data, mode);
    } finally {
      removeQuietly(temporary);
    }
    syncDirectory(dirname(path));
  }

  facts(path: string): FileFacts | undefined {
    const entry = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (entry === undefined) return undefined;
    const target = entry.isSymbolicLink() ? statSync(path, { bigint: true }) : entry;
    const owner = Number(target.uid);
    return {
      kind: target.isFile() ? "file" : target.isDirectory() ? "directory" : "other",
      bytes: Number(target.size),
      mode: Number(target.mode) & MODE_BITS,
      changedMs: Number(target.ctimeMs),
      stamp: `${target.dev}:${target.ino}:${target.size}:${target.mtimeNs}:${target.ctimeNs}`,
      link: entry.isSymbolicLink(),
      foreign: owner !== 0 && owner !== (process.getuid?.() ?? owner),
    };
  }

  list(path: string): readonly string[] {
    try {
      return readdirSync(path).sort();
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") return [];
      throw cause;
    }
  }

  remove(path: string): void {
    try {
      unlinkSync(path);
    } catch (cause) {
      if (systemCode(cause) !== "ENOENT") throw cause;
      return;
    }
    syncDirectory(dirname(path));
  }

  openAppend(path: string, mode: number): AppendFile {
    const { file, isNew } = RealAppendFile.open(path, mode);
    if (isNew) syncDirectory(dirname(path));
    return file;
  }

  openRead(path: string): ReadFile {
    return RealReadFile.open(path);
  }

  /** Sets the permission bits of what a path leads to. */
  setMode(path: string, mode: number): void {
    chmodSync(path, mode);
  }

  exposed(path: string): boolean {
    let at = realpathSync(path);
    if ((statSync(at).mode & WRITABLE_BY_OTHERS) !== 0) return true;
    for (let above = dirname(at); above !== at; above = dirname(at)) {
      const { mode } = statSync(above);
      if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) return true;
      at = above;
    }
    return false;
  }
}

/** The name does not grow with the target's, so a target name of the longest allowed size still works. */
function temporaryBeside(path: string): string {
  return join(dirname(path), `.tmp-${randomBytes(12).toString("hex")}`);
}

function writeDurably(path: string, data: Uint8Array | string, mode: number): void {
  const file = openSync(path, CREATE_EXCLUSIVE, mode);
  let complete = false;
  try {
    // The process's umask narrows the mode given to open; this sets it exactly.
    fchmodSync(file, mode);
    writeFileSync(file, data);
    fsyncSync(file);
    complete = true;
  } finally {
    closeSync(file);
    if (!complete) removeQuietly(path);
  }
}

/** Makes the new name itself survive a power cut. */
function syncDirectory(path: string): void {
  const directory = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(directory);
  } catch (cause) {
    // Some network file systems refuse to sync a directory; there is nothing better to do on them.
    if (systemCode(cause) !== "EINVAL") throw cause;
  } finally {
    closeSync(directory);
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was renamed or never made.
  }
}
