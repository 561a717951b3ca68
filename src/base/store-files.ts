import type { Files } from "./files.ts";

/** What the file system says about what a path leads to. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "other";
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** When its content or its inode last changed, Unix milliseconds by the file system's clock. */
  readonly changedMs: number;
  /** Differs when the path leads to another file, or to one changed since (within the grain of the system's clock). */
  readonly stamp: string;
  /** Whether the path itself is a symbolic link. */
  readonly link: boolean;
  /** Whether it belongs to somebody who is neither this process's user nor root. */
  readonly foreign: boolean;
}

/** Disk access of the stores of keys: `Files`, and what a directory of many small files needs. */
export interface StoreFiles extends Files {
  /** Facts about what the path leads to; undefined when there is nothing. @throws the system's error otherwise. */
  facts(path: string): FileFacts | undefined;
  /** Names in a directory, sorted; empty when it does not exist. @throws the system's error otherwise. */
  list(path: string): readonly string[];
  /** Removes a file (a link, not what it leads to) and makes that survive a power cut. Nothing there is no error. */
  remove(path: string): void;
  /**
   * Whether somebody other than its owner and group could change or replace the file a path leads to: others may write
   * the file, or a directory above it that is not sticky.
   */
  exposed(path: string): boolean;
}
