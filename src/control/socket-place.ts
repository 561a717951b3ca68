import { SallyportError, systemCode } from "../base/errors.ts";
import type { FileFacts, StoreFiles } from "../base/store-files.ts";
import { MAX_SOCKET_PATH_BYTES } from "../carrier/unix-socket.ts";
import { quotePath } from "../identity/key-layout.ts";

/** Disk access of the control socket. */
export interface SocketFiles extends StoreFiles {
  /** Sets the permission bits of what a path leads to. @throws the system's error. */
  setMode(path: string, mode: number): void;
}

export const SOCKET_DIRECTORY_MODE = 0o700;
export const SOCKET_MODE = 0o600;

/** The folder part of a path, for absolute paths. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/**
 * Checks the directory of a control socket. Nobody can ask a Unix socket who is at its other end, so owner and mode of
 * the directory are the whole check (rulings M1): it belongs to this process's user (or root), nobody else may even
 * look into it, and nobody else could put another in its place.
 * @throws {SallyportError} ERR_DENIED CONTROL_DIRECTORY, ERR_CONFIG CONTROL_PATH
 */
export function checkSocketDirectory(files: StoreFiles, path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw badPath(`${quotePath(path)} has ${bytes} bytes, and a socket's path at most ${MAX_SOCKET_PATH_BYTES}`);
  }
  const directory = folderOf(path);
  const facts = factsOf(files, directory);
  if (facts?.kind !== "directory") throw badPath(`${quotePath(directory)} is no directory`);
  const found: string[] = [];
  if (facts.foreign) found.push("it belongs to another user");
  if ((facts.mode & 0o077) !== 0) found.push(`it has mode 0${facts.mode.toString(8)}, others may enter it`);
  if (exposed(files, directory)) found.push("others may replace it or a directory above it");
  if (found.length === 0) return;
  throw new SallyportError(
    "ERR_DENIED",
    "CONTROL_DIRECTORY",
    `the control socket may not lie in ${quotePath(directory)}: ${found.join("; ")}`,
    { advice: "chown it to this user and chmod 700 it, choose another with --control, or do without: --no-control" },
  );
}

/** Facts about a path; undefined when there is nothing. @throws {SallyportError} ERR_CONFIG CONTROL_PATH */
export function factsOf(files: StoreFiles, path: string): FileFacts | undefined {
  try {
    return files.facts(path);
  } catch (cause) {
    throw badPath(`cannot look at ${quotePath(path)} (${systemCode(cause)})`, cause);
  }
}

/** A path where no control socket can be. */
export function badPath(what: string, cause?: unknown): SallyportError {
  return new SallyportError("ERR_CONFIG", "CONTROL_PATH", what, {
    advice: "choose a short path in a directory of this user's own with --control, or do without: --no-control",
    ...(cause === undefined ? {} : { cause }),
  });
}

function exposed(files: StoreFiles, path: string): boolean {
  try {
    return files.exposed(path);
  } catch (cause) {
    throw badPath(`cannot look at ${quotePath(path)} (${systemCode(cause)})`, cause);
  }
}
