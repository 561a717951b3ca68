import type { MonotonicMs } from "../base/clock.ts";
import type { Rate } from "../policy/bounds.ts";

/**
 * So many tokens per so much time, and that many at once. Pure: time is an argument. An amount above what is there takes
 * nothing; one above the whole bucket is let through when it is full, or it never could.
 */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: MonotonicMs) {
    this.#rate = rate;
    this.#tokens = rate.count;
    this.#at = now;
  }

  /** True when everything used has come back by `now`. */
  isFull(now: MonotonicMs): boolean {
    return this.#filled(now) >= this.#rate.count;
  }

  /** True when `amount` can be taken at `now`; nothing is taken. */
  has(amount: number, now: MonotonicMs): boolean {
    const tokens = this.#filled(now);
    return tokens >= amount || (amount > this.#rate.count && tokens >= this.#rate.count);
  }

  /** Takes `amount` if it is there. */
  take(amount: number, now: MonotonicMs): boolean {
    const tokens = this.#filled(now);
    this.#tokens = tokens;
    this.#at = Math.max(this.#at, now);
    if (tokens < amount && !(amount > this.#rate.count && tokens >= this.#rate.count)) return false;
    this.#tokens = tokens - amount;
    return true;
  }

  #filled(now: MonotonicMs): number {
    const passed = Math.max(0, now - this.#at);
    return Math.min(this.#rate.count, this.#tokens + (passed * this.#rate.count) / this.#rate.perMs);
  }
}
