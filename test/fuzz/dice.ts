import { SeededRandom } from "../../src/testkit/seeded-random.ts";

/** Repeatable randomness of one fuzz case: the seed of the run and the number of the case give all of it. */
export class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number, index: number) {
    this.#random = new SeededRandom(Math.imul(seed | 0, 0x9e37_79b1) ^ Math.imul(index | 0, 0x85eb_ca6b));
    this.next();
  }

  /** 32 random bits, unsigned. */
  next(): number {
    return this.#random.uint32();
  }

  /** 0 to `bound - 1`. */
  below(bound: number): number {
    return bound <= 1 ? 0 : this.next() % bound;
  }

  /** True once in `n` throws. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Dice that depend on the bytes alone, so that a crash file replays exactly. */
export function diceOf(bytes: Uint8Array): Dice {
  let hash = 0x811c_9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return new Dice(hash, bytes.length);
}
