import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { Pid, tuple } from "../term/types.ts";
import { pairFacts, pairTraffic } from "../testkit/gateway-pair.ts";
import { a, COMMANDER, cPid, cRef, WORKER, wPid, wRef } from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { GuardedPair, type Judging } from "./guarded-pair.ts";
import type { Side } from "./message-filter.ts";
import { Observation } from "./observation.ts";
import type { Decide } from "./profile.ts";
import { RuleCounts } from "./rule-counts.ts";
import type { FilterEvent } from "./verdict.ts";

const C = cPid(100);
const W = wPid(50);
const NOW = 1_000 as MonotonicMs;
const YES: Decide = () => ({ allowed: true });
const NO: Decide = () => ({ allowed: false, id: "ID7", rule: "none" });

const byOutside = (decide: Decide): FilterOptions => ({ commander: COMMANDER, worker: WORKER, decide });
const byInside = (decide: Decide): FilterOptions => ({ commander: WORKER, worker: COMMANDER, decide });

function world(judging: Judging, observation?: Observation) {
  const told: [Side, FilterEvent][] = [];
  const over: GuardedPair[] = [];
  const rules = new RuleCounts();
  const tell = (event: FilterEvent, from: Side) => void told.push([from, event]);
  const ended = (one: GuardedPair) => void over.push(one);
  const pair = new GuardedPair({ facts: pairFacts(), judging, rules, observation, tell, ended }, NOW);
  return { pair, wire: pairTraffic(pair), told, over, rules };
}

const send = (from: Pid, to: Pid): Control => ({ kind: "send", from, to });

describe("the filter of a pair in which one commands", () => {
  it.each<[Side, Judging]>([
    ["outside", { kind: "commander", commander: "outside", options: byOutside(YES) }],
    ["inside", { kind: "commander", commander: "inside", options: byInside(YES) }],
  ])("judges the %s as the commander, the other as the worker, and counts what goes on", (side, judging) => {
    const { pair, wire, told } = world(judging);
    expect(wire.c(send(C, W), 1).forward === undefined).toBe(side === "inside");
    expect(wire.w(send(W, C), 1).forward === undefined).toBe(side === "outside");
    expect(told).toMatchObject([[side === "outside" ? "inside" : "outside", { by: "worker", why: "unasked" }]]);
    const { forwarded, denied } = pair.report();
    expect(forwarded).toEqual(side === "outside" ? { outside: 1, inside: 0 } : { outside: 0, inside: 1 });
    expect(denied).toEqual({ "worker:unasked": 1 });
  });

  it("reports the tables by their limits, and the rules", () => {
    const { pair, wire, rules } = world({
      kind: "commander",
      commander: "outside",
      options: { ...byOutside(YES), limits: { maxMonitors: 5 } },
    });
    wire.c({ kind: "monitor", from: C, target: "srv", ref: cRef(1) });
    wire.c({ kind: "link", from: C, to: W });
    rules.allowed("r");
    const report = pair.report();
    expect(report.tables["maxMonitors"]).toEqual({ size: 1, limit: 5 });
    expect(report.tables["maxLinks"]?.size).toBe(1);
    expect(Object.keys(report.tables).sort()).toEqual([
      "maxCalls",
      "maxChildren",
      "maxExpectedAnswers",
      "maxLeaders",
      "maxLinks",
      "maxMonitors",
      "maxPrinting",
      "maxRevealed",
      "maxSpawns",
      "maxWorkerMonitors",
    ]);
    expect([report.rules, report.isObserved]).toEqual([{ r: { allowed: 1, denied: 0 } }, false]);
  });

  it("ends the pair for what a node does wrong, and says so once when it is over", () => {
    const { pair, wire, over } = world({ kind: "commander", commander: "outside", options: byOutside(YES) });
    expect(wire.w(send(C, C), 1).close).toMatchObject({ reason: "FORGED_IDENTIFIER" });
    expect(wire.c(send(new Pid("c@h", 1, 0, 8), W), 1).close).toMatchObject({ reason: "FORGED_IDENTIFIER" });
    pair.ended();
    expect(over).toEqual([pair]);
  });

  it("gives back what was under way when it is over", () => {
    let left = 0;
    const decide: Decide = () => ({ allowed: true, leave: () => void left++ });
    const { pair, wire } = world({ kind: "commander", commander: "outside", options: byOutside(decide) });
    wire.c(
      {
        ...{ kind: "spawn-request", ref: cRef(1), from: C, groupLeader: C, module: "m", function: "f", arity: 0 },
        options: [a("monitor")],
      } as Control,
      [],
    );
    expect(left).toBe(0);
    pair.ended();
    expect(left).toBe(1);
  });
});

describe("the filter of a pair of equals", () => {
  const peers = (outside: Decide, inside: Decide, observation?: Observation): Judging => {
    const more = observation === undefined ? {} : { observation };
    return {
      kind: "peers",
      options: { outside: { ...byOutside(outside), ...more }, inside: { ...byInside(inside), ...more } },
    };
  };

  it("judges each by what the other lets it do, and tells from whom", () => {
    const { wire, told, pair } = world(peers(YES, NO));
    expect(wire.c(send(C, W), tuple(a("x"), 1)).forward).toBeDefined();
    expect(wire.w(send(W, C), tuple(a("x"), 1)).forward).toBeUndefined();
    expect(told).toMatchObject([["inside", { by: "commander", why: "policy", id: "ID7", rule: "none" }]]);
    expect(pair.report().forwarded).toEqual({ outside: 1, inside: 0 });
  });

  it("reports the tables of both", () => {
    const { wire, pair } = world(peers(YES, YES));
    wire.c({ kind: "monitor", from: C, target: "srv", ref: cRef(1) });
    for (const n of [1, 2]) wire.w({ kind: "monitor", from: W, target: "srv", ref: wRef(n) });
    const { tables } = pair.report();
    expect([tables["outside.maxMonitors"]?.size, tables["inside.maxMonitors"]?.size]).toEqual([1, 2]);
  });

  it("says whether it is observed", () => {
    const observation = new Observation(2_000 as MonotonicMs, NOW);
    const { wire, pair } = world(peers(YES, NO, observation), observation);
    expect(pair.report().isObserved).toBe(true);
    wire.now = 2_000 as MonotonicMs;
    wire.c(send(C, W), 1);
    expect(pair.report().isObserved).toBe(false);
  });
});
