import { describe, expect, it } from "vitest";
import { RealRandom } from "./real-random.ts";

describe("RealRandom", () => {
  it("gives the length asked for, below and above the pool", () => {
    const random = new RealRandom();
    for (const length of [0, 1, 16, 511, 512, 513, 4096, 10_000]) expect(random.bytes(length)).toHaveLength(length);
  });

  it("never repeats a value across many refills of its pool", () => {
    const random = new RealRandom();
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) seen.add(random.bytes(12).toString("hex"));
    expect(seen.size).toBe(2000);
    // Zeroed pool bytes handed out a second time would show up as a run of zeros.
    expect(seen.has("00".repeat(12))).toBe(false);
  });

  it("hands out memory of its own", () => {
    const random = new RealRandom();
    const first = random.bytes(16);
    const copy = Buffer.from(first);
    for (let i = 0; i < 600; i++) random.bytes(16);
    expect(first.equals(copy)).toBe(true);
    expect(first.buffer.byteLength).toBe(16);
  });

  it("gives integers over the whole unsigned 32-bit range", () => {
    const random = new RealRandom();
    let low = false;
    let high = false;
    for (let i = 0; i < 3000; i++) {
      const value = random.uint32();
      expect(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff).toBe(true);
      low ||= value < 0x1000_0000;
      high ||= value > 0xf000_0000;
    }
    expect(low && high).toBe(true);
  });
});
