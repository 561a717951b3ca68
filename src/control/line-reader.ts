/**
 * Cuts bytes into lines. Holds at most one unfinished line; a longer one ends the reading for good.
 */
export class LineReader {
  readonly #maxBytes: number;
  readonly #line: (line: Buffer) => void;
  #parts: Buffer[] = [];
  #waiting = 0;
  #stopped = false;

  /** @param maxBytes longest line with its line break @param line gets each line without it */
  constructor(maxBytes: number, line: (line: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#line = line;
  }

  /** Octets of the unfinished line. */
  get waiting(): number {
    return this.#waiting;
  }

  /** No more lines are wanted. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
    this.#waiting = 0;
  }

  /** Takes bytes; false when a line is longer than allowed: nothing is read after that. */
  push(chunk: Buffer): boolean {
    let start = 0;
    while (!this.#stopped) {
      const end = chunk.indexOf(0x0a, start);
      const bytes = (end < 0 ? chunk.length : end + 1) - start;
      if (this.#waiting + bytes > this.#maxBytes) {
        this.stop();
        return false;
      }
      if (end < 0) {
        // A copy: a view of one octet would hold the whole chunk it came in.
        if (bytes > 0) this.#parts.push(Buffer.from(chunk.subarray(start)));
        this.#waiting += bytes;
        return true;
      }
      const line = this.#parts.length === 0 ? chunk.subarray(start, end) : this.#joined(chunk.subarray(start, end));
      start = end + 1;
      if (line.length > 0) this.#line(line);
    }
    return true;
  }

  #joined(last: Buffer): Buffer {
    const line = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#waiting = 0;
    return line;
  }
}
