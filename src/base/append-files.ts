/** A file that only grows. */
export interface AppendFile {
  /** Writes all of `data` at the end. @throws the system's error; a part may have been written then. */
  append(data: string): void;
  /** Bytes in the file, also those of other writers; undefined when it has been removed. */
  size(): number | undefined;
  /** Makes what was written survive a power cut. @throws the system's error */
  sync(): void;
  close(): void;
}

/** Opens files that only grow, as an injected part. */
export interface AppendFiles {
  /**
   * Opens a file for appending; makes it with `mode` when it is not there. Never follows a link, and takes nothing but a
   * regular file. @throws the system's error
   */
  openAppend(path: string, mode: number): AppendFile;
}
