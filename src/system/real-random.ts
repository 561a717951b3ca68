import { randomBytes, randomFillSync } from "node:crypto";
import type { Random } from "../base/random.ts";

/** Octets drawn from the system at once. */
const POOL_BYTES = 4096;

/** Requests above this size go to the system directly instead of emptying the pool. */
const MAX_POOLED_BYTES = 512;

/**
 * The system's randomness, drawn 4 KiB at a time because one draw costs far more than a copy. Bytes handed out are
 * zeroed in the pool, so what was given away cannot be read back from here.
 */
export class RealRandom implements Random {
  readonly #pool: Buffer = Buffer.alloc(POOL_BYTES);
  #next: number = POOL_BYTES;

  bytes(length: number): Buffer {
    if (length > MAX_POOLED_BYTES) return randomBytes(length);
    const start = this.#take(length);
    const out = Buffer.allocUnsafeSlow(length);
    this.#pool.copy(out, 0, start, start + length);
    this.#pool.fill(0, start, start + length);
    return out;
  }

  uint32(): number {
    const start = this.#take(4);
    const pool = this.#pool;
    const value = pool.readUInt32BE(start);
    // Byte by byte: `fill` costs as much as everything else here.
    pool[start] = 0;
    pool[start + 1] = 0;
    pool[start + 2] = 0;
    pool[start + 3] = 0;
    return value;
  }

  #take(length: number): number {
    if (this.#next + length > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const start = this.#next;
    this.#next = start + length;
    return start;
  }
}
