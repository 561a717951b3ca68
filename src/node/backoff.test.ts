import { describe, expect, it } from "vitest";
import { failureOf } from "../testkit/failure.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { aroundMs, backoffMs, checkedReconnect, DEFAULT_RECONNECT } from "./backoff.ts";

/** Always the largest or the smallest number. */
const fixed = (value: number) => ({ uint32: () => value, bytes: (length: number) => Buffer.alloc(length) });
const MOST = fixed(0xffff_ffff);
const LEAST = fixed(0);

describe("backoffMs", () => {
  it("gives the vectors of a seed", () => {
    const random = new SeededRandom(42);
    const waits = Array.from({ length: 10 }, (_, failures) => backoffMs(failures, DEFAULT_RECONNECT, random));
    expect(waits).toEqual([65, 34, 151, 2827, 1692, 9867, 461, 26048, 34240, 32473]);
  });

  it("doubles its ceiling from minMs to maxMs, and stays there", () => {
    const ceilings = Array.from({ length: 10 }, (_, failures) => backoffMs(failures, DEFAULT_RECONNECT, MOST));
    expect(ceilings).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    for (const failures of [100, 5_000, Number.POSITIVE_INFINITY]) {
      expect(backoffMs(failures, DEFAULT_RECONNECT, MOST)).toBe(60_000);
      expect(backoffMs(failures, { minMs: 1, maxMs: 0x7fff_ffff }, MOST)).toBe(0x7fff_ffff);
    }
  });

  it("is never nothing, and never above its ceiling", () => {
    expect(backoffMs(0, { minMs: 1, maxMs: 1 }, LEAST)).toBe(1);
    expect(backoffMs(0, { minMs: 1, maxMs: 1 }, MOST)).toBe(1);
    expect(backoffMs(9, DEFAULT_RECONNECT, LEAST)).toBe(1);
  });
});

describe("aroundMs", () => {
  it("is within a quarter", () => {
    expect([aroundMs(60_000, LEAST), aroundMs(60_000, MOST)]).toEqual([45_000, 75_000]);
  });
});

describe("checkedReconnect", () => {
  it("fills in what is missing, so that one value alone is never a contradiction", () => {
    expect(checkedReconnect()).toEqual({ minMs: 500, maxMs: 60_000 });
    expect(checkedReconnect({ maxMs: 100 })).toEqual({ minMs: 100, maxMs: 100 });
    expect(checkedReconnect({ minMs: 90_000 })).toEqual({ minMs: 90_000, maxMs: 90_000 });
  });

  it.each([
    { minMs: 0 },
    { minMs: -1 },
    { minMs: 1.5 },
    { minMs: Number.NaN },
    { maxMs: Number.POSITIVE_INFINITY },
    { maxMs: 0x8000_0000 },
    { minMs: 2, maxMs: 1 },
  ])("refuses %j", (given) => {
    expect(failureOf(() => checkedReconnect(given))).toBe("ERR_CONFIG RECONNECT_INVALID");
  });
});
