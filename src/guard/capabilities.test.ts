import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { PeerFacts } from "../policy/decision.ts";
import { Reference } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { Capabilities, type Capability, type CapabilityVerb, type Holder, isHeld } from "./capabilities.ts";

const at = (ms: number) => ms as MonotonicMs;
const P = parseNodeName("p@h");

const factsOf = (over: Partial<PeerFacts> = {}): PeerFacts => ({
  name: P,
  assurance: "cookie",
  protocol: "otp",
  fingerprints: [],
  publicKeys: [],
  spki: undefined,
  source: undefined,
  ...over,
});
const KEYED = factsOf({ fingerprints: ["SHA256:new", "SHA256:old"], assurance: "pinned", protocol: "native" });

interface Target {
  readonly label: string;
}
let serial = 0;

function capabilityOf(
  target: Target,
  over: { holder?: Holder; verbs?: CapabilityVerb[]; uses?: number; expiresAt?: number } = {},
): Capability<Target> {
  serial++;
  return {
    id: `id${serial}`,
    target,
    holder: over.holder ?? { name: P, assurance: "cookie" },
    verbs: new Set(over.verbs ?? ["send"]),
    alias: new Reference("n@h", 33, [serial, 2, 3]),
    usesLeft: over.uses ?? Number.POSITIVE_INFINITY,
    expiresAt: over.expiresAt === undefined ? undefined : at(over.expiresAt),
    funs: false,
    foreign: false,
  };
}

describe("a capability", () => {
  it("is held by a key, also one that followed it by succession, whatever the name", () => {
    const byKey = { holder: { key: "SHA256:old" } };
    expect(isHeld(byKey, KEYED)).toBe(true);
    expect(isHeld(byKey, { ...KEYED, name: parseNodeName("other@h") })).toBe(true);
    expect(isHeld({ holder: { key: "SHA256:third" } }, KEYED)).toBe(false);
    expect(isHeld(byKey, factsOf())).toBe(false);
  });

  it("is held by a name only without a key, and only as surely known as it was then", () => {
    const byName = { holder: { name: P, assurance: "ca" as const } };
    expect(isHeld(byName, factsOf({ assurance: "ca" }))).toBe(true);
    expect(isHeld(byName, factsOf({ assurance: "cookie" }))).toBe(false);
    expect(isHeld(byName, factsOf({ assurance: "ca", name: parseNodeName("q@h") }))).toBe(false);
    expect(isHeld(byName, KEYED)).toBe(false);
  });
});

describe("the capabilities of a node", () => {
  it("are found by target, holder and verb, and by alias in all its parts", () => {
    const all = new Capabilities<Target>(10);
    const target = { label: "t" };
    const sending = capabilityOf(target);
    const calling = capabilityOf(target, { verbs: ["call"] });
    all.add(sending, at(0));
    all.add(calling, at(0));
    expect(all.find(target, factsOf(), "send", at(0))).toBe(sending);
    expect(all.find(target, factsOf(), "call", at(0))).toBe(calling);
    expect(all.find(target, factsOf(), "monitor", at(0))).toBe(calling);
    expect(all.find(target, factsOf(), "exit", at(0))).toBeUndefined();
    expect(all.find({ label: "t" }, factsOf(), "send", at(0))).toBeUndefined();
    expect(all.find(target, KEYED, "send", at(0))).toBeUndefined();
    expect([all.isGranted(target, factsOf(), at(0)), all.isGranted(target, KEYED, at(0))]).toEqual([true, false]);
    const { words } = sending.alias;
    expect(all.byAlias(new Reference("n@h", 33, words), at(0))).toBe(sending);
    for (const other of [
      new Reference("m@h", 33, words),
      new Reference("n@h", 34, words),
      new Reference("n@h", 33, [...words, 0]),
      new Reference("n@h", 33, words.slice(1)),
    ])
      expect(all.byAlias(other, at(0))).toBeUndefined();
  });

  it("end with their uses, and not before", () => {
    const all = new Capabilities<Target>(10);
    const twice = capabilityOf({ label: "t" }, { uses: 2 });
    all.add(twice, at(0));
    all.use(twice);
    expect(all.byAlias(twice.alias, at(0))).toBe(twice);
    all.use(twice);
    expect([all.size, all.byAlias(twice.alias, at(0))]).toEqual([0, undefined]);
  });

  it("end with their time, found by whatever way", () => {
    const all = new Capabilities<Target>(10);
    const target = { label: "t" };
    const short = capabilityOf(target, { expiresAt: 100 });
    all.add(short, at(0));
    expect(all.find(target, factsOf(), "send", at(99))).toBe(short);
    expect(all.find(target, factsOf(), "send", at(100))).toBeUndefined();
    expect([all.byAlias(short.alias, at(100)), all.isGranted(target, factsOf(), at(100))]).toEqual([undefined, false]);
    all.add(capabilityOf(target, { expiresAt: 100 }), at(0));
    expect([all.list(at(99)).length, all.list(at(100)).length, all.size]).toEqual([1, 0, 0]);
  });

  it("are removed when they are met after their time, so that none is met twice", () => {
    const all = new Capabilities<Target>(100);
    const target = { label: "t" };
    for (let i = 0; i < 20; i++) all.add(capabilityOf(target, { expiresAt: 100 }), at(0));
    const standing = capabilityOf(target);
    all.add(standing, at(0));
    expect(all.find(target, factsOf(), "send", at(100))).toBe(standing);
    expect(all.size).toBe(1);
    const aliased = capabilityOf(target, { expiresAt: 100 });
    all.add(aliased, at(0));
    all.byAlias(aliased.alias, at(100));
    expect(all.size).toBe(1);
  });

  it("are found among those of other holders and verbs without a look at these", () => {
    const all = new Capabilities<Target>(10);
    const target = { label: "t" };
    let looks = 0;
    const counted = (over: Parameters<typeof capabilityOf>[1]) => {
      const capability = { ...capabilityOf(target, over) };
      Object.defineProperty(capability, "expiresAt", { get: () => void looks++ });
      all.add(capability, at(0));
      return capability;
    };
    counted({ holder: { key: "SHA256:third" } });
    counted({ verbs: ["exit"] });
    counted({ holder: { name: P, assurance: "ca" } });
    const wanted = counted({ verbs: ["link"] });
    looks = 0;
    expect(all.find(target, factsOf(), "link", at(0))).toBe(wanted);
    expect(looks).toBe(1);
  });

  it("tell when the next one expires, and which was used for the last time", () => {
    const all = new Capabilities<Target>(20);
    expect(all.nextExpiry()).toBeUndefined();
    const once = capabilityOf({ label: "t" }, { uses: 1 });
    for (const one of [
      once,
      capabilityOf({ label: "u" }, { expiresAt: 90 }),
      capabilityOf({ label: "v" }, { expiresAt: 80 }),
    ])
      all.add(one, at(0));
    expect(all.nextExpiry()).toBe(80);
    all.expire(at(80));
    expect(all.nextExpiry()).toBe(90);
    const spent: string[] = [];
    all.watch(({ id }) => spent.push(id));
    all.use(once);
    expect(spent).toEqual([once.id]);
  });

  it("leave room for others: one holder has a quarter, until some of its own end", () => {
    const all = new Capabilities<Target>(8);
    const target = { label: "t" };
    const mine = [capabilityOf(target), capabilityOf(target, { expiresAt: 100 })];
    for (const one of mine) all.add(one, at(0));
    expect(failureOf(() => all.add(capabilityOf(target), at(99)))).toBe("ERR_LIMIT GRANT_LIMIT");
    all.add(capabilityOf(target, { holder: { key: "SHA256:third" } }), at(99));
    all.add(capabilityOf(target), at(100));
    all.revoke(mine[0]?.id ?? "");
    all.add(capabilityOf(target), at(100));
    expect(all.size).toBe(3);
  });

  it("end with the process, and one by one when they are revoked", () => {
    const all = new Capabilities<Target>(10);
    const target = { label: "t" };
    const [one, two] = [capabilityOf(target), capabilityOf(target)];
    const other = capabilityOf({ label: "other" });
    for (const capability of [one, two, other]) all.add(capability, at(0));
    expect([all.revoke(one.id), all.revoke(one.id)]).toEqual([true, false]);
    expect(all.find(target, factsOf(), "send", at(0))).toBe(two);
    all.targetDied(target);
    expect([all.size, all.byAlias(two.alias, at(0)), all.byAlias(other.alias, at(0))]).toEqual([1, undefined, other]);
  });

  it("are bounded: a new one is refused, what has expired makes room, nothing else is evicted", () => {
    const all = new Capabilities<Target>(2);
    const first = capabilityOf({ label: "a" }, { holder: { key: "SHA256:third" } });
    all.add(first, at(0));
    all.add(capabilityOf({ label: "b" }, { expiresAt: 100 }), at(0));
    expect(failureOf(() => all.add(capabilityOf({ label: "c" }), at(99)))).toBe("ERR_LIMIT GRANT_LIMIT");
    all.add(capabilityOf({ label: "c" }), at(100));
    expect(failureOf(() => all.add(capabilityOf({ label: "d" }), at(1e9)))).toBe("ERR_LIMIT GRANT_LIMIT");
    expect(all.byAlias(first.alias, at(1e9))).toBe(first);
  });
});
