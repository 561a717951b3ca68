import type { ByteCollector } from "../base/byte-parts.ts";

/** Room that is made at first, in bytes. */
const FIRST_BYTES = 4096;

/** Larger memory is not kept for the next bytes. */
const MAX_KEPT_BYTES = 256 * 1024;

/**
 * Bytes that arrive in pieces, copied one behind the other into memory that is used again and again: what was joined is valid
 * only until the next byte is added. Nothing of the pieces is kept, so they may be given back at once. The memory is at most twice
 * the bytes present, but for what is kept for the next ones.
 */
export class ReusedBytes implements ByteCollector {
  #buffer: Buffer | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(buffer: Buffer, start: number, end: number): void {
    if (end <= start) return;
    const into = this.#roomFor(end - start);
    buffer.copy(into, this.#bytes, start, end);
    this.#bytes += end - start;
  }

  head(count: number): Buffer | undefined {
    return this.#buffer === undefined || this.#bytes < count ? undefined : this.#buffer.subarray(0, this.#bytes);
  }

  moveTo(target: ByteCollector, from: number): void {
    if (this.#buffer !== undefined) target.add(this.#buffer, from, this.#bytes);
    this.clear();
  }

  joinWith(buffer: Buffer, start: number, end: number): Buffer {
    this.add(buffer, start, end);
    const joined = this.#buffer ?? NOTHING;
    this.clear();
    return joined;
  }

  clear(): void {
    this.#bytes = 0;
    if (this.#buffer !== undefined && this.#buffer.length > MAX_KEPT_BYTES) this.#buffer = undefined;
  }

  trim(): void {
    if (this.#bytes === 0) this.#buffer = undefined;
  }

  #roomFor(more: number): Buffer {
    const need = this.#bytes + more;
    const old = this.#buffer;
    if (old !== undefined && old.length >= need) return old;
    let size = FIRST_BYTES;
    while (size < need) size *= 2;
    const grown = Buffer.allocUnsafeSlow(size);
    old?.copy(grown, 0, 0, this.#bytes);
    this.#buffer = grown;
    return grown;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
