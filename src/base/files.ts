/** Only the owner may look into directories and read secrets. */
export const DIRECTORY_MODE = 0o700;
export const SECRET_MODE = 0o600;
export const PUBLIC_MODE = 0o644;

/** Disk access, as an injected part. All paths are local paths chosen by the operator, never by a peer. */
export interface Files {
  /** Whole file. @throws the system's error (ENOENT, EACCES, ...). */
  read(path: string): Buffer;
  /** Whole file as UTF-8 text. */
  readText(path: string): string;
  exists(path: string): boolean;
  /** Permission bits of the file a path leads to. */
  mode(path: string): number;
  /** Makes a directory and its parents; `mode` applies to those it makes. */
  makeDirectory(path: string, mode: number): void;
  /** Writes atomically: exclusive temporary file, mode, write, fsync, rename, fsync of the directory. */
  writeAtomic(path: string, data: Uint8Array | string, mode: number): void;
  /** Like writeAtomic, but fails with EEXIST when the path exists. */
  writeNew(path: string, data: Uint8Array | string, mode: number): void;
}
