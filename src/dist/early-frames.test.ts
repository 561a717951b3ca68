import { describe, expect, it } from "vitest";
import { EarlyFrames, MAX_UNASKED_BYTES } from "./early-frames.ts";

describe("EarlyFrames", () => {
  it("keeps what comes byte by byte on many lanes in few pieces, each lane's in its order", () => {
    const early = new EarlyFrames();
    for (let n = 0; n < 40_000; n++) early.add(4 * (n & 3), Buffer.alloc(65_536, n >> 2).subarray(0, 1), false);
    const lanes = new Map<number, Buffer[]>();
    let pieces = 0;
    for (const [channel, chunk] of early.take()) {
      pieces++;
      lanes.set(channel, [...(lanes.get(channel) ?? []), chunk]);
    }
    expect(pieces).toBeLessThan(80);
    const wanted = Buffer.from(Array.from({ length: 10_000 }, (_, n) => n & 255));
    for (const channel of [0, 4, 8, 12]) {
      expect(Buffer.concat(lanes.get(channel) ?? []).equals(wanted)).toBe(true);
    }
    expect([early.isEmpty, [...early.take()]]).toEqual([true, []]);
  });

  it("ends the connection above its bound", () => {
    const early = new EarlyFrames();
    early.add(4, Buffer.alloc(MAX_UNASKED_BYTES), false);
    expect(() => early.add(8, Buffer.alloc(1), false)).toThrow(expect.objectContaining({ reason: "EARLY_BYTES" }));
  });
});
