import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCode } from "../base/errors.ts";
import { PUBLIC_MODE } from "../base/files.ts";
import type { SharedFiles, SharedRead } from "../base/shared-files.ts";

/** Without O_NONBLOCK, opening a pipe would wait for somebody who writes into it. */
const READ_ANYTHING = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const CREATE_EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** The disk, through the platform's thread pool. */
export class RealSharedFiles implements SharedFiles {
  async read(path: string, maxBytes: number): Promise<SharedRead> {
    let file: FileHandle;
    try {
      file = await open(path, READ_ANYTHING);
    } catch (error) {
      const code = systemCode(error);
      if (code === "ELOOP" || code === "ENXIO" || code === "EISDIR") return "not-a-file";
      if (code !== "ENOENT") throw error;
      return (await isDirectory(dirname(path))) ? "no-file" : "no-directory";
    }
    try {
      // Asked of the open file: what stands at the path may be another one by now.
      if (!(await file.stat()).isFile()) return "not-a-file";
      return await readAtMost(file, maxBytes);
    } finally {
      await file.close();
    }
  }

  async write(path: string, text: string): Promise<void> {
    const temporary = join(dirname(path), `.tmp-${randomBytes(12).toString("hex")}`);
    try {
      const file = await open(temporary, CREATE_EXCLUSIVE, PUBLIC_MODE);
      try {
        // The process's umask narrows the mode given to open; this sets it exactly.
        await file.chmod(PUBLIC_MODE);
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await unlink(path);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function readAtMost(file: FileHandle, maxBytes: number): Promise<SharedRead> {
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  return "too-large";
}
