import { describe, expect, it } from "vitest";
import { seedRows } from "./seed-rows.ts";

describe("seedRows", () => {
  it("says of each seed how it stands, and what keeps it away", () => {
    const seed = { name: "b@h", from: "seeds", attempts: 0, lastReason: null, nextDialInMs: null };
    const rows = seedRows([
      { ...seed, state: "joined", lastReason: "PEER_LEFT" },
      { ...seed, state: "waiting", attempts: 4, lastReason: "KEY_MISMATCH", nextDialInMs: 31_001 },
      { ...seed, state: "dialling", from: "peer exchange" },
      7,
    ]);
    expect(rows).toEqual([
      ["seed", "b@h: joined"],
      ["seed", "b@h: waiting, 4 failed, KEY_MISMATCH, next in 32 s"],
      ["seed", "b@h: dialling, from peer exchange"],
      ["seed", "?"],
    ]);
  });

  it("has no row for a node without seeds, or of an older version", () => {
    expect([seedRows([]), seedRows(undefined)]).toEqual([[], []]);
  });
});
