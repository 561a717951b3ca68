import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Denied } from "./api.ts";
import { Counters } from "./counters.ts";
import { Decisions, type NewDecision } from "./decisions.ts";
import { EventHub } from "./event-hub.ts";

const P = parseNodeName("p@h");
const Q = parseNodeName("q@h");

const refusal = (over: Partial<NewDecision> = {}): NewDecision => ({
  outcome: "deny-default",
  rule: null,
  nearestMiss: null,
  alias: "p",
  peer: P,
  key: null,
  verb: "send",
  target: "s",
  generation: 1,
  mode: "enforce",
  ...over,
});

function make(maxKept = 1_000) {
  const clock = new VirtualClock();
  const events = new EventHub((error) => {
    throw error;
  });
  const counters = new Counters();
  const random = new SeededRandom(1);
  const decisions = new Decisions({
    clock,
    random,
    events,
    counters,
    audit: undefined,
    maxKept,
    maxToldPerKind: 10,
    recordsGrants: false,
  });
  const told: Denied[] = [];
  const listen = () => events.on("denied", (denied) => told.push(denied));
  return { clock, decisions, counters, told, listen };
}

describe("decisions", () => {
  it("are found by the id that the peer hears, in either case", () => {
    const { decisions, clock } = make();
    const id = decisions.record(refusal({ rule: "r", outcome: "deny-rule" }));
    expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{12}$/);
    expect(decisions.why(id)).toEqual({ ...refusal({ rule: "r", outcome: "deny-rule" }), id, atMs: clock.wallMs() });
    expect(decisions.why(id.toLowerCase())?.id).toBe(id);
    expect(decisions.why("UNKNOWN")).toBeUndefined();
  });

  it("are kept up to a bound; the oldest is forgotten", () => {
    const { decisions } = make(3);
    const ids = [1, 2, 3, 4].map(() => decisions.record(refusal()));
    expect(ids.map((id) => decisions.why(id) !== undefined)).toEqual([false, true, true, true]);
  });

  it("are told singly ten times a minute for each kind, then as one with the count and the last id", () => {
    const { decisions, clock, told, listen } = make();
    listen();
    const ids = Array.from({ length: 25 }, () => decisions.record(refusal()));
    expect(told.map(({ decision, count }) => [decision, count])).toEqual(ids.slice(0, 10).map((id) => [id, 1]));
    const other = decisions.record(refusal({ verb: "call" }));
    const another = decisions.record(refusal({ peer: Q }));
    expect(told.slice(10).map(({ decision }) => decision)).toEqual([other, another]);
    clock.advance(60_000);
    expect(told.slice(12)).toEqual([
      expect.objectContaining({ decision: ids[24], count: 15, peer: P, verb: "send", target: "s" }),
    ]);
    decisions.record(refusal());
    expect(told).toHaveLength(14);
  });

  it("of three peers that flood do not silence a fourth", () => {
    const { decisions, told, listen } = make();
    listen();
    for (let i = 0; i < 9_000; i++) {
      const peer = parseNodeName(`p${i % 3}@h`);
      decisions.record(refusal({ peer, outcome: "deny-rule", rule: `r${i % 100}` }));
    }
    for (let i = 0; i < 12; i++) decisions.record(refusal({ peer: Q, outcome: "deny-rule", rule: "r1" }));
    expect(told.filter(({ peer }) => peer === Q)).toHaveLength(10);
  });

  it("are summed up although later ones of other kinds have filled the log", () => {
    const { decisions, clock, told, listen } = make(20);
    listen();
    const quiet = Array.from({ length: 12 }, () => decisions.record(refusal({ peer: Q })));
    for (let i = 0; i < 100; i++) decisions.record(refusal());
    clock.advance(60_000);
    expect(told.filter(({ count }) => count > 1).map(({ peer, count, decision }) => [peer, count, decision])).toEqual([
      [Q, 2, quiet[11]],
      [P, 90, expect.any(String)],
    ]);
  });

  it("are counted whether or not anybody listens, and told to the end when the node stops", () => {
    const { decisions, counters, told, listen } = make();
    for (let i = 0; i < 20; i++) decisions.record(refusal());
    listen();
    for (let i = 0; i < 12; i++) decisions.record(refusal());
    decisions.record(refusal({ outcome: "allow", mode: "audit" }));
    expect(counters.snapshot()).toMatchObject({ denied: 32, audited: 1 });
    decisions.stop();
    expect(told.reduce((sum, { count }) => sum + count, 0)).toBe(13);
  });
});
