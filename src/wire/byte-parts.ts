/** A view at least this long is kept by reference; shorter ones are copied together. In bytes. */
const KEEP_BYTES = 1024;

/** A view whose memory is more than this many times larger is copied, so that it does not pin the rest. */
const MAX_PINNED_RATIO = 4;

/** Largest block into which short views are copied, in bytes. */
const MAX_BLOCK_BYTES = 64 * 1024;

/**
 * Bytes that arrive in pieces and are wanted in one piece. Long pieces are kept by reference, short ones are copied into
 * blocks that grow with what is already there, so neither the number of objects nor the memory can be driven far beyond
 * the bytes present, however small the pieces are. The pieces must not change afterwards.
 */
export class ByteParts {
  #parts: Buffer[] = [];
  /** Last block of copied bytes, not yet in `#parts`. */
  #block: Buffer | undefined;
  #blockLength = 0;
  #bytes = 0;

  /** Bytes collected so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds `buffer[start..end)`. */
  add(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    const block = this.#block;
    if (block !== undefined && block.length - this.#blockLength >= length) {
      buffer.copy(block, this.#blockLength, start, end);
      this.#blockLength += length;
    } else if (length < KEEP_BYTES) {
      this.#closeBlock();
      const fresh = Buffer.allocUnsafeSlow(Math.min(MAX_BLOCK_BYTES, Math.max(KEEP_BYTES, this.#bytes)));
      buffer.copy(fresh, 0, start, end);
      this.#block = fresh;
      this.#blockLength = length;
    } else {
      this.#closeBlock();
      this.#parts.push(
        buffer.buffer.byteLength > length * MAX_PINNED_RATIO
          ? copyOf(buffer, start, end)
          : start === 0 && end === buffer.length
            ? buffer
            : buffer.subarray(start, end),
      );
    }
    this.#bytes += length;
  }

  /** Everything collected plus `buffer[start..end)`, in one new buffer of the caller's; the collection is empty again. */
  joinWith(buffer: Buffer, start: number, end: number): Buffer {
    const joined = Buffer.allocUnsafeSlow(this.#bytes + (end - start));
    let at = 0;
    for (const part of this.#parts) {
      joined.set(part, at);
      at += part.length;
    }
    if (this.#block !== undefined) {
      this.#block.copy(joined, at, 0, this.#blockLength);
      at += this.#blockLength;
    }
    buffer.copy(joined, at, start, end);
    this.clear();
    return joined;
  }

  /** Lets go of everything. */
  clear(): void {
    this.#parts = [];
    this.#block = undefined;
    this.#blockLength = 0;
    this.#bytes = 0;
  }

  #closeBlock(): void {
    if (this.#block === undefined) return;
    this.#parts.push(this.#block.subarray(0, this.#blockLength));
    this.#block = undefined;
    this.#blockLength = 0;
  }
}

function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  buffer.copy(copy, 0, start, end);
  return copy;
}
