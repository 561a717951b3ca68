/** A file that is read in pieces. */
export interface ReadFile {
  /** Fills `into` from byte `position` on; how many bytes there were, 0 at the end. @throws the system's error */
  read(into: Uint8Array, position: number): number;
  /** Bytes in it now. */
  size(): number;
  /** Idempotent. */
  close(): void;
}

/** Opens files for reading in pieces, as an injected part. */
export interface ReadFiles {
  /** Takes nothing but a regular file; follows links. What is open stays readable when its name is gone. @throws the system's error */
  openRead(path: string): ReadFile;
}
