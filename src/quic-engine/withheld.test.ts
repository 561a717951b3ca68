import { describe, expect, it } from "vitest";
import { Withheld } from "./withheld.ts";

describe("what QUIC holds back for a peer, as far as it can be told", () => {
  it("is what came and no stream gave, less what the packets around may take", () => {
    const total = { octets: 0 };
    const withheld = new Withheld(total);
    withheld.received(1000);
    expect(withheld.octets).toBe(1000);
    withheld.given(800);
    expect(withheld.octets).toBe(156);
    withheld.sent();
    expect(withheld.octets).toBe(28);
    withheld.sent();
    expect(withheld.octets).toBe(0);
    // Nothing is saved up for later.
    withheld.given(1_000_000);
    withheld.received(500);
    expect([withheld.octets, total.octets]).toEqual([500, 500]);
  });

  it("has a head of each datagram left out, and no more of those that were full of bytes", () => {
    const withheld = new Withheld({ octets: 0 });
    for (let n = 0; n < 3; n++) withheld.received(1200);
    withheld.given(3 * (1200 - 44));
    expect(withheld.octets).toBe(0);
    // 88 octets behind gaps beside as much as fits.
    for (let n = 0; n < 3; n++) withheld.received(1200);
    withheld.given(3 * (1200 - 44 - 88));
    expect(withheld.octets).toBe(3 * 88);
    // Datagrams of before pay for nothing.
    withheld.received(10);
    withheld.given(0);
    withheld.received(1200);
    withheld.given(1000);
    expect(withheld.octets).toBe(3 * 88 + 10 + 200 - 44);
  });

  it("fades by a tenth a second", () => {
    const withheld = new Withheld({ octets: 0 });
    withheld.received(1000);
    for (let second = 0; second < 7; second++) withheld.fade();
    expect(Math.round(withheld.octets)).toBe(478);
  });

  it("adds up over all connections, and ends with its own", () => {
    const total = { octets: 0 };
    const [one, other] = [new Withheld(total), new Withheld(total)];
    one.received(100);
    other.received(50);
    one.given(8);
    expect(total.octets).toBe(141);
    one.clear();
    expect([one.octets, total.octets]).toEqual([0, 50]);
  });
});
