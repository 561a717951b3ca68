import { describe, expect, it } from "vitest";
import { addMs, type MonotonicMs } from "../base/clock.ts";
import { destinationKey } from "./packet-head.ts";
import { RetryTokens } from "./retry-token.ts";
import { SourceRate } from "./source-rate.ts";

const at = (ms: number): MonotonicMs => addMs(1_000_000 as MonotonicMs, ms);

describe("the rate of a source", () => {
  it("is a burst and what grows back, per network", () => {
    const rate = new SourceRate(10, 2);
    expect([rate.admit("1.2.3.4", at(0)), rate.admit("1.2.3.99", at(0)), rate.admit("::ffff:1.2.3.5", at(0))]).toEqual([
      true,
      true,
      false,
    ]);
    expect(rate.admit("1.2.4.4", at(0))).toBe(true);
    expect([rate.admit("1.2.3.4", at(100)), rate.admit("1.2.3.4", at(100))]).toEqual([true, false]);
  });

  it("counts an IPv6 /56 as one, however it is written", () => {
    const rate = new SourceRate(0, 1);
    expect(rate.admit("2001:db8:0:100::1", at(0))).toBe(true);
    expect(rate.admit("2001:0db8:0000:01ff:1:2:3:4", at(0))).toBe(false);
    expect(rate.admit("2001:db8:0:200::1", at(0))).toBe(true);
  });

  it("remembers a bounded number of sources", () => {
    const rate = new SourceRate(0, 1);
    rate.admit("1.1.1.1", at(0));
    for (let n = 0; n < 4096; n++) rate.admit(`10.${n >> 8}.${n & 255}.1`, at(0));
    expect(rate.admit("1.1.1.1", at(0))).toBe(true);
  });
});

describe("a retry token", () => {
  const tokens = new RetryTokens(Buffer.alloc(32, 1));
  const id = Buffer.from("0102030405060708", "hex");
  const token = tokens.issue("1.2.3.4", 5, id, at(0));

  it("gives the original id back to who got it", () => {
    expect(tokens.open("1.2.3.4", 5, token, at(9000))?.equals(id)).toBe(true);
  });

  it("is of no use from elsewhere, later, changed or made up", () => {
    const changed = Buffer.from(token);
    changed[changed.length - 1] = 0;
    expect(tokens.open("1.2.3.5", 5, token, at(0))).toBeUndefined();
    expect(tokens.open("1.2.3.4", 6, token, at(0))).toBeUndefined();
    expect(tokens.open("1.2.3.4", 5, token, at(10_001))).toBeUndefined();
    expect(tokens.open("1.2.3.4", 5, changed, at(0))).toBeUndefined();
    expect(tokens.open("1.2.3.4", 5, token.subarray(0, 37), at(0))).toBeUndefined();
    expect(new RetryTokens(Buffer.alloc(32, 2)).open("1.2.3.4", 5, token, at(0))).toBeUndefined();
  });
});

describe("the connection id of a datagram", () => {
  it("is read from both forms of header, and is not there in what is too short", () => {
    expect(destinationKey(Buffer.concat([Buffer.from([0x40]), Buffer.alloc(16, 65)]))).toBe("A".repeat(16));
    expect(destinationKey(Buffer.from("c00000000102414200", "hex"))).toBe("AB");
    for (const hex of ["", "40", "c0", "c0000000010241", `c00000000115${"41".repeat(21)}`]) {
      expect(destinationKey(Buffer.from(hex, "hex"))).toBeUndefined();
    }
  });
});
