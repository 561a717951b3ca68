import type { Random } from "../base/random.ts";

/**
 * Repeatable numbers for tests: the same seed gives the same sequence (splitmix32). Whoever knows the seed knows every
 * value, so this must never be given to a node that meets real peers.
 */
export class SeededRandom implements Random {
  #state: number;

  /** @param seed Unsigned 32-bit integer; print it in a failing test. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  bytes(length: number): Buffer {
    const out = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.uint32();
      for (let i = 0; i < 4 && at + i < length; i++) out[at + i] = word >>> (24 - i * 8);
    }
    return out;
  }

  uint32(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** A number from 0 to `bound - 1`. */
  below(bound: number): number {
    return this.uint32() % bound;
  }
}
