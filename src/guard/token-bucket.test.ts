import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { TokenBucket } from "./token-bucket.ts";

const at = (ms: number) => ms as MonotonicMs;

describe("a token bucket", () => {
  it("gives its whole count at once, and then what time brings back", () => {
    const bucket = new TokenBucket({ count: 3, perMs: 300 }, at(0));
    expect([0, 0, 0, 0].map((ms) => bucket.take(1, at(ms)))).toEqual([true, true, true, false]);
    expect([99, 100, 100, 199, 200].map((ms) => bucket.take(1, at(ms)))).toEqual([false, true, false, false, true]);
  });

  it("takes nothing by looking", () => {
    const bucket = new TokenBucket({ count: 1, perMs: 1_000 }, at(0));
    expect([bucket.has(1, at(0)), bucket.has(1, at(0)), bucket.take(1, at(0)), bucket.has(1, at(0))]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it("lets an amount above the whole bucket through when it is full, and is empty for longer then", () => {
    const bucket = new TokenBucket({ count: 10, perMs: 1_000 }, at(0));
    expect([bucket.has(25, at(0)), bucket.take(25, at(0))]).toEqual([true, true]);
    expect([bucket.take(1, at(1_500)), bucket.take(1, at(1_600))]).toEqual([false, true]);
    expect(bucket.take(25, at(2_000))).toBe(false);
  });

  it("is full again only when all has come back, and never holds more", () => {
    const bucket = new TokenBucket({ count: 2, perMs: 1_000 }, at(0));
    expect(bucket.isFull(at(0))).toBe(true);
    bucket.take(1, at(0));
    expect([bucket.isFull(at(499)), bucket.isFull(at(500))]).toEqual([false, true]);
    expect([1, 2, 3].map(() => bucket.take(1, at(1_000_000)))).toEqual([true, true, false]);
  });

  it("is not filled by a clock that steps back", () => {
    const bucket = new TokenBucket({ count: 1, perMs: 1_000 }, at(5_000));
    bucket.take(1, at(5_000));
    expect([bucket.take(1, at(0)), bucket.take(1, at(5_999)), bucket.take(1, at(6_000))]).toEqual([false, false, true]);
  });

  it("never gives more than its count and what time brought back", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 1, max: 10 })), { maxLength: 80 }),
        (count, perMs, steps) => {
          const bucket = new TokenBucket({ count, perMs }, at(0));
          let now = 0;
          let given = 0;
          for (const [wait, amount] of steps) {
            now += wait;
            if (bucket.take(Math.min(amount, count), at(now))) given += Math.min(amount, count);
            expect(given).toBeLessThanOrEqual(count + (now * count) / perMs + 1e-6);
          }
        },
      ),
    );
  });
});
