const LINE_BREAK = 0x0a;

const FIRST_BYTES = 4096;

/** Collects lines that are no records, as the bytes they were, up to a bound. */
export class PieceBuffer {
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #lines = 0;
  #overflowed = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get lines(): number {
    return this.#lines;
  }

  /** Undefined when there was more than fits. */
  get bytes(): Buffer | undefined {
    return this.#overflowed ? undefined : this.#bytes.subarray(0, this.#length);
  }

  /** @param line as latin1, without its line break */
  add(line: string): void {
    const needed = this.#length + line.length + (this.#lines > 0 ? 1 : 0);
    this.#lines++;
    if (needed > this.#maxBytes) this.#overflowed = true;
    if (this.#overflowed) return;
    this.#reserve(needed);
    if (this.#lines > 1) this.#bytes[this.#length++] = LINE_BREAK;
    this.#length += this.#bytes.write(line, this.#length, "latin1");
  }

  clear(): void {
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    this.#lines = 0;
    this.#overflowed = false;
  }

  #reserve(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const size = Math.min(this.#maxBytes, Math.max(FIRST_BYTES, needed, this.#bytes.length * 2));
    const grown = Buffer.alloc(size);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
