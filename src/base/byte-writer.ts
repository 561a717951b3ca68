const INITIAL_BYTES = 4096;

/** Largest number of octets a writer keeps between flushes; a larger buffer is given back to the collector. */
const MAX_KEPT_BYTES = 256 * 1024;

/** Largest number of octets `take` copies instead of giving its buffer away. */
const MAX_COPIED_BYTES = 16 * 1024;

/**
 * Growing output buffer with a cursor. Hot paths write `buffer[length++]` through the small methods; a place can be
 * reserved and patched later. `take()` hands the bytes over and the writer starts afresh.
 */
export class ByteWriter {
  buffer: Buffer;
  length = 0;

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** Makes room for `count` more bytes. */
  ensure(count: number): void {
    const need = this.length + count;
    if (need <= this.buffer.length) return;
    let size = this.buffer.length * 2;
    while (size < need) size *= 2;
    const grown = Buffer.allocUnsafeSlow(size);
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  u8(value: number): void {
    this.ensure(1);
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    this.ensure(2);
    const b = this.buffer;
    b[this.length++] = value >>> 8;
    b[this.length++] = value;
  }

  u32(value: number): void {
    this.ensure(4);
    const b = this.buffer;
    b[this.length++] = value >>> 24;
    b[this.length++] = value >>> 16;
    b[this.length++] = value >>> 8;
    b[this.length++] = value;
  }

  u64(value: bigint): void {
    this.u32(Number((value >> 32n) & 0xffff_ffffn));
    this.u32(Number(value & 0xffff_ffffn));
  }

  /** Writes an IEEE 754 double, big-endian. */
  f64(value: number): void {
    this.ensure(8);
    this.buffer.writeDoubleBE(value, this.length);
    this.length += 8;
  }

  bytes(source: Uint8Array, start: number = 0, end: number = source.length): void {
    const count = end - start;
    this.ensure(count);
    if (count < 48) {
      const b = this.buffer;
      let at = this.length;
      for (let i = start; i < end; i++) b[at++] = source[i] as number;
      this.length = at;
      return;
    }
    this.buffer.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.length);
    this.length += count;
  }

  /** Overwrites four bytes at `at`, which must have been written already. */
  patchU32(at: number, value: number): void {
    const b = this.buffer;
    b[at] = value >>> 24;
    b[at + 1] = value >>> 16;
    b[at + 2] = value >>> 8;
    b[at + 3] = value;
  }

  /** True when `take` copies the written bytes, because they are few, and the writer keeps its buffer. */
  get copiesOnTake(): boolean {
    return this.length <= MAX_COPIED_BYTES && this.buffer.length <= MAX_KEPT_BYTES;
  }

  /**
   * The written bytes, which the caller owns from now on: a copy when they are few, else the buffer itself.
   * @param next what the writer goes on with when it gives its buffer away; default: a new one of the same size
   */
  take(next?: Buffer): Buffer {
    // A new buffer for each small flush would cost far more, in memory to collect, than copying the few bytes.
    if (this.copiesOnTake) return this.takeCopy();
    const out = this.buffer.subarray(0, this.length);
    this.buffer = next ?? Buffer.allocUnsafeSlow(Math.min(Math.max(this.buffer.length, INITIAL_BYTES), MAX_KEPT_BYTES));
    this.length = 0;
    return out;
  }

  /** Gives back a buffer that grew, when nothing is written in it; the next bytes start a small one. */
  trim(): void {
    if (this.length === 0 && this.buffer.length > INITIAL_BYTES) this.buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  /** A copy of the written bytes; the writer keeps its buffer and starts at zero. */
  takeCopy(): Buffer {
    const out = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return out;
  }

  reset(): void {
    this.length = 0;
  }
}
