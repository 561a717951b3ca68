/** What became of reading a file that others may write: its bytes, or why there are none. */
export type SharedRead = Buffer | "no-file" | "no-directory" | "not-a-file" | "too-large";

/**
 * A directory on a disk that machines share: slow, gone at times, and written by others. Nothing here blocks the process; the
 * caller has the deadline. The paths are the operator's; what is read is anybody's.
 */
export interface SharedFiles {
  /**
   * The whole of a regular file of at most `maxBytes`. Follows no symbolic link at the end of the path, and never waits for a
   * pipe or device that stands there. @throws the system's error otherwise.
   */
  read(path: string, maxBytes: number): Promise<SharedRead>;
  /** Writes a file for all to read; a reader sees the old one or the whole new one. @throws the system's error. */
  write(path: string, text: string): Promise<void>;
  /** Removes a file. Nothing there is no error. @throws the system's error otherwise. */
  remove(path: string): Promise<void>;
}
