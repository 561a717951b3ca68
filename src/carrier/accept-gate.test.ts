import { describe, expect, it } from "vitest";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { AcceptGate, type AcceptGateLimits } from "./accept-gate.ts";

function setUp(limits: AcceptGateLimits = {}, isKnown: (address: string) => boolean = () => false) {
  const clock = new VirtualClock();
  const gate = new AcceptGate({ clock, random: new SeededRandom(1), isKnown }, limits);
  const dropped: string[] = [];
  const admit = (address: string) => gate.admit(address, () => dropped.push(address));
  return { clock, gate, dropped, admit };
}
const spread = (i: number): string => `10.${i >> 8}.${i & 255}.1`;

describe("AcceptGate", () => {
  it.each([
    ["IPv4 addresses of one /24", (i: number) => `192.0.2.${i}`, "192.0.3.1"],
    ["IPv4 addresses on a dual-stack socket", (i: number) => `::ffff:192.0.2.${i}`, "192.0.3.1"],
    ["IPv6 addresses of one /56", (i: number) => `2001:db8:0:${i.toString(16)}::${i}`, "2001:db8:0:100::1"],
    ["link-local addresses with a zone", (i: number) => `fe80::${i}%eth0`, "fe80:0:0:100::1%eth0"],
  ])("holds at most sixteen half-open connections from %s", (_what, address, other) => {
    const { admit, gate } = setUp();
    for (let i = 0; i < 16; i++) expect(admit(address(i))).toBeDefined();
    expect(admit(address(16))).toBeUndefined();
    expect(gate.counters.refusedSource).toBe(1);
    expect(admit(other)).toBeDefined();
  });

  it("counts IPv4 written either way as one source", () => {
    const { admit } = setUp({ maxHalfOpenPerSource: 1 });
    expect(admit("192.0.2.1")).toBeDefined();
    expect(admit("::ffff:192.0.2.9")).toBeUndefined();
  });

  it("allows 64 per loopback address and counts each loopback address for itself", () => {
    for (const [address, other] of [
      ["127.0.0.2", "127.0.0.1"],
      ["::1", "127.0.0.1"],
      ["::ffff:127.0.0.2", "::ffff:127.0.0.3"],
    ] as const) {
      const { admit } = setUp();
      for (let i = 0; i < 64; i++) expect(admit(address)).toBeDefined();
      expect(admit(address)).toBeUndefined();
      expect(admit(other)).toBeDefined();
    }
  });

  it("gives a place back once, however often it is released", () => {
    const { admit, gate } = setUp({ maxHalfOpenPerSource: 2 });
    const first = admit("192.0.2.1");
    admit("192.0.2.2");
    first?.release();
    first?.release();
    expect(gate.size).toBe(1);
    expect(admit("192.0.2.3")).toBeDefined();
    expect(admit("192.0.2.4")).toBeUndefined();
  });

  it("drops one of the oldest for a newcomer when the places are full", () => {
    const { admit, gate, dropped, clock } = setUp({ maxHalfOpen: 100 });
    for (let i = 0; i < 75; i++) admit(spread(i));
    expect(dropped).toEqual([]);
    clock.advance(1000);
    for (let i = 75; i < 95; i++) expect(admit(spread(i))).toBeDefined();
    expect(gate.size).toBe(75);
    expect(dropped).toHaveLength(20);
    expect(new Set(dropped).size).toBe(20);
    const indexes = dropped.map((address) => Number(address.split(".")[2]));
    expect(Math.max(...indexes)).toBeLessThan(75);
    // Drawn at random among the oldest, not simply in their order.
    expect(indexes).not.toEqual([...indexes].sort((a, b) => a - b));
  });

  it("never drops a connection younger than the minimum age, and refuses the newcomer instead", () => {
    const { admit, gate, dropped, clock } = setUp({ maxHalfOpen: 4, minAgeMs: 250 });
    for (let i = 0; i < 3; i++) admit(spread(i));
    clock.advance(249);
    expect(admit(spread(3))).toBeUndefined();
    expect(gate.counters.refusedFull).toBe(1);
    clock.advance(1);
    expect(admit(spread(4))).toBeDefined();
    expect(dropped).toHaveLength(1);
  });

  it("keeps a quarter of the places for addresses of known peers", () => {
    const { admit, gate, dropped } = setUp({ maxHalfOpen: 100 }, (address) => address.startsWith("172."));
    for (let i = 0; i < 200; i++) admit(spread(i));
    expect(gate.size).toBe(75);
    for (let i = 0; i < 25; i++) expect(admit(`172.16.${i}.1`)).toBeDefined();
    expect(gate.size).toBe(100);
    expect(dropped).toEqual([]);
  });

  it("lets a known peer displace an unknown one when all is full, and never the other way round", () => {
    const { admit, dropped, clock } = setUp({ maxHalfOpen: 8 }, (address) => address.startsWith("172."));
    for (let i = 0; i < 6; i++) admit(spread(i));
    for (let i = 0; i < 2; i++) admit(`172.16.${i}.1`);
    clock.advance(1000);
    for (let i = 2; i < 8; i++) expect(admit(`172.16.${i}.1`)).toBeDefined();
    expect(dropped).toHaveLength(6);
    expect(dropped.every((address) => address.startsWith("10."))).toBe(true);
    clock.advance(1000);
    expect(admit(spread(99))).toBeUndefined();
    expect(admit("172.16.50.1")).toBeDefined();
    expect(dropped.at(-1)?.startsWith("172.")).toBe(true);
  });

  it("stays within its cap and forgets every source under a storm", () => {
    const { admit, gate, clock } = setUp({ maxHalfOpen: 64 });
    const random = new SeededRandom(7);
    const held: ReturnType<typeof admit>[] = [];
    for (let i = 0; i < 5000; i++) {
      held.push(admit(spread(random.below(500))));
      if (random.below(3) === 0) held[random.below(held.length)]?.release();
      clock.advance(random.below(20));
      expect(gate.size).toBeLessThanOrEqual(48);
    }
    for (const place of held) place?.release();
    expect(gate.size).toBe(0);
    // Every source count is back at zero, so each source has all its places again.
    for (let i = 0; i < 16; i++) expect(admit("10.0.7.1")).toBeDefined();
  });
});
