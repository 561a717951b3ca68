import type { MonotonicMs } from "../base/clock.ts";
import { TokenBucket } from "../guard/token-bucket.ts";
import type { GatewayLimits } from "./limits.ts";

/** What processes that the commander spawned may tell their parents, all of a session together (rulings S9). */
export class ChildBudget {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;

  constructor({ childMessagesPerSecond, childBytesPerSecond }: GatewayLimits, now: MonotonicMs) {
    this.#messages = new TokenBucket({ count: childMessagesPerSecond, perMs: 1_000 }, now);
    this.#bytes = new TokenBucket({ count: childBytesPerSecond, perMs: 1_000 }, now);
  }

  /** Uses it for one message of `size` bytes. Gives the limit that has run out, and then nothing is used. */
  take(size: number, now: MonotonicMs): keyof GatewayLimits | undefined {
    if (!this.#messages.has(1, now)) return "childMessagesPerSecond";
    if (!this.#bytes.has(size, now)) return "childBytesPerSecond";
    this.#messages.take(1, now);
    this.#bytes.take(size, now);
    return undefined;
  }
}
