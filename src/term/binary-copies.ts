/** Binaries of at least this many bytes are handed out as views of the message; smaller ones are copied. */
export const VIEW_FROM_BYTES = 4096;

/** Small copies share slabs of this size, so that the copy a process keeps pins no more than this. */
const SLAB_BYTES = 8192;
/** Up to here a loop beats `set`, which needs a view of the source first. */
const LOOP_BYTES = 40;

const EMPTY: Buffer = Buffer.alloc(0);

/** Hands out copies of small pieces, many from one slab. One for each decoder. */
export class BinaryCopies {
  #slab: Buffer = EMPTY;
  #memory: ArrayBufferLike = EMPTY.buffer;
  #used = 0;

  /** `source[start, end)` as bytes of the receiver's own; the bounds are the caller's to check. */
  copy(source: Buffer, start: number, end: number): Buffer {
    const size = end - start;
    if (size === 0) return EMPTY;
    let at = this.#used;
    if (at + size > this.#slab.length) {
      if (size > SLAB_BYTES / 2) return Buffer.from(source.subarray(start, end));
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#memory = this.#slab.buffer;
      at = 0;
    }
    this.#used = at + size;
    const slab = this.#slab;
    if (size <= LOOP_BYTES) for (let i = 0; i < size; i++) slab[at + i] = source[start + i] as number;
    else slab.set(source.subarray(start, end), at);
    return Buffer.from(this.#memory, at, size);
  }
}
