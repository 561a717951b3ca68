import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { decodeTerm } from "../term/decode.ts";
import { ExportFun, type Pid, type Reference, type Term, tuple } from "../term/types.ts";
import { pairTraffic } from "../testkit/gateway-pair.ts";
import { a, aliasTag, COMMANDER, cPid, cRef, genCall, WORKER, wPid, wRef } from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { Observation } from "./observation.ts";
import { PeerFilter } from "./peer-filter.ts";
import type { Decide } from "./profile.ts";
import type { Outgoing, Verdict } from "./verdict.ts";

/** A process of the outside node, which is `c@h`, and one of the inside node, `w@h`. */
const C = cPid(100);
const W = wPid(50);
const NOW = 1_000 as MonotonicMs;
const YES: Decide = () => ({ allowed: true });
const NO: Decide = () => ({ allowed: false, id: "ID7", rule: "none" });
const DENIED = tuple(a("sallyport_denied"), Buffer.from("ID7"));

function world(outside: Decide, inside: Decide, more: Partial<FilterOptions> = {}) {
  const filter = new PeerFilter(
    {
      outside: { commander: COMMANDER, worker: WORKER, decide: outside, ...more },
      inside: { commander: WORKER, worker: COMMANDER, decide: inside, ...more },
    },
    NOW,
  );
  const wire = pairTraffic<Verdict>({ judge: (from, ...message) => filter.from(from, ...message) });
  return { filter, wire, paths: filter.paths };
}

function said(out: Outgoing | undefined): Term {
  if (out === undefined) throw new Error("nothing is sent");
  return decodeTerm(Buffer.concat([Buffer.from([131]), out.buffer.subarray(out.start, out.end)]));
}

const passes = ({ forward }: Verdict): boolean => forward !== undefined;
const monitor = (from: Pid, target: Pid | string, ref: Reference): Control => ({ kind: "monitor", from, target, ref });
const link = (from: Pid, to: Pid): Control => ({ kind: "link", from, to });
const unlink = (from: Pid, to: Pid, id: bigint): Control => ({ kind: "unlink-id", id, from, to });
const acknowledged = (from: Pid, to: Pid, id: bigint): Control => ({ kind: "unlink-id-ack", id, from, to });
const exit = (from: Pid, to: Pid): Control => ({ kind: "exit", from, to, reason: "payload" });
const spawn = (from: Pid, ref: Reference, options = ["monitor"]): Control => ({
  ...{ kind: "spawn-request", ref, from, groupLeader: from, module: "m", function: "f", arity: 0 },
  options: options.map(a),
});

/** Rows that have to end, of both sides. */
function rows({ paths }: ReturnType<typeof world>): number[] {
  return [paths.outside, paths.inside].map(
    ({ monitors, links, spawns, children, workerMonitors, calls }) =>
      monitors.size + links.size + spawns.size + children.size + workerMonitors.size + calls.size,
  );
}

describe("equals", () => {
  it("are answered by who may do nothing itself", () => {
    const w = world(YES, NO);
    w.wire.c(monitor(C, "srv", cRef(1)));
    w.wire.c({ kind: "reg-send", from: C, name: "srv" }, genCall(C, aliasTag(cRef(1)), 1));
    const answer: Control = { kind: "alias-send", from: W, alias: cRef(1) };
    expect(passes(w.wire.w(answer, tuple(aliasTag(cRef(1)), 2)))).toBe(true);
    expect(passes(w.wire.w(answer, tuple(aliasTag(cRef(1)), 2)))).toBe(false);
    w.wire.c({ kind: "demonitor", from: C, target: "srv", ref: cRef(1) });
    w.wire.c(spawn(C, cRef(2)), []);
    expect(passes(w.wire.w({ kind: "spawn-reply", ref: cRef(2), to: C, flags: 2, result: W }))).toBe(true);
    expect(passes(w.wire.w({ kind: "send", from: W, to: C }, tuple(W, 1)))).toBe(true);
    const down: Control = { kind: "monitor-exit", target: W, to: C, ref: cRef(2), reason: "payload" };
    expect(passes(w.wire.w(down, a("normal")))).toBe(true);
    expect(rows(w)).toEqual([0, 0]);
  });

  it("are judged by their own rules for what they begin, and told no", () => {
    const { wire, filter } = world(YES, NO);
    expect(wire.w(spawn(W, wRef(1)), []).answer?.control).toMatchObject({ kind: "spawn-reply", result: "eperm" });
    expect(said(wire.w(link(W, C)).answer)).toEqual(DENIED);
    expect(said(wire.w(monitor(W, "srv", wRef(1))).answer)).toEqual(DENIED);
    const silent: [Control, Term][] = [
      [{ kind: "reg-send", from: W, name: "srv" }, 1],
      [{ kind: "send", from: W, to: C }, 1],
      [{ kind: "exit2", from: W, to: C, reason: "payload" }, a("kill")],
      [{ kind: "group-leader", leader: W, to: C }, undefined],
    ];
    for (const [control, payload] of silent) expect(wire.w(control, payload)).toEqual({});
    const events = filter.takeEvents();
    expect(events).toHaveLength(7);
    expect(events.every((event) => event.kind === "denied" && event.by === "commander" && event.id === "ID7")).toBe(
      true,
    );
    expect([...filter.denied]).toEqual([["commander:policy", 7]]);
  });

  it("begin what their rules allow, each of them", () => {
    const { wire } = world(YES, YES);
    for (const [from, to, send] of [
      [C, W, (control: Control, payload?: Term) => wire.c(control, payload)],
      [W, C, (control: Control, payload?: Term) => wire.w(control, payload)],
    ] as const) {
      expect(passes(send(link(from, to)))).toBe(true);
      expect(passes(send({ kind: "reg-send", from, name: "srv" }, tuple(a("$gen_cast"), 1)))).toBe(true);
      expect(passes(send({ kind: "exit2", from, to, reason: "payload" }, a("kill")))).toBe(true);
    }
  });

  it("may not forge, whoever they are", () => {
    const { wire } = world(YES, YES);
    expect(wire.w({ kind: "send", from: C, to: C }, 1).close).toMatchObject({ reason: "FORGED_IDENTIFIER" });
    expect(wire.c({ kind: "send", from: W, to: W }, 1).close).toMatchObject({ reason: "FORGED_IDENTIFIER" });
  });

  it("count their atoms apart", () => {
    const { wire, filter } = world(YES, YES);
    wire.c({ kind: "send", from: C, to: W }, [a("one"), a("two")]);
    expect([filter.atoms("outside"), filter.atoms("inside")]).toEqual([2, 0]);
    wire.c(monitor(C, "srv", cRef(1)));
    wire.c({ kind: "reg-send", from: C, name: "srv" }, genCall(C, aliasTag(cRef(1)), 1));
    const before = filter.atoms("outside");
    wire.w({ kind: "alias-send", from: W, alias: cRef(1) }, tuple(aliasTag(cRef(1)), [a("three"), a("four")]));
    expect([filter.atoms("outside"), filter.atoms("inside")]).toEqual([before, 4]);
  });
});

describe("links of equals", () => {
  it("made by both at once are one, and an exit ends it for both", () => {
    const w = world(YES, YES);
    expect([passes(w.wire.c(link(C, W))), passes(w.wire.w(link(W, C)))]).toEqual([true, true]);
    expect(rows(w)).toEqual([1, 1]);
    expect(passes(w.wire.w(exit(W, C), a("normal")))).toBe(true);
    expect(rows(w)).toEqual([0, 0]);
    expect(w.wire.c(exit(C, W), a("normal"))).toEqual({});
  });

  it("ended by the one that did not make them", () => {
    const w = world(YES, NO);
    w.wire.c(link(C, W));
    expect(passes(w.wire.w(exit(W, C), a("normal")))).toBe(true);
    w.wire.c(link(C, W));
    expect(passes(w.wire.w(unlink(W, C, 7n)))).toBe(true);
    expect(passes(w.wire.c(acknowledged(C, W, 7n)))).toBe(true);
    expect(rows(w)).toEqual([0, 0]);
  });

  it("unlinked by both at once, with acknowledgements that cross", () => {
    const w = world(YES, YES);
    w.wire.c(link(C, W));
    w.wire.w(link(W, C));
    expect([passes(w.wire.c(unlink(C, W, 1n))), passes(w.wire.w(unlink(W, C, 2n)))]).toEqual([true, true]);
    expect([passes(w.wire.c(acknowledged(C, W, 2n))), passes(w.wire.w(acknowledged(W, C, 1n)))]).toEqual([true, true]);
    expect(rows(w)).toEqual([0, 0]);
    expect(w.filter.takeEvents()).toEqual([]);
  });

  it("unlinked by one while the other ends: nobody waits for ever", () => {
    const w = world(YES, YES);
    w.wire.c(link(C, W));
    w.wire.w(link(W, C));
    w.wire.c(unlink(C, W, 1n));
    w.wire.w(exit(W, C), a("normal"));
    expect(passes(w.wire.w(acknowledged(W, C, 1n)))).toBe(true);
    expect(rows(w)).toEqual([0, 0]);
  });

  it("take an acknowledgement that nobody waits for as what crossed, without a word", () => {
    const { wire, filter } = world(YES, NO);
    expect(wire.w(acknowledged(W, C, 3n))).toEqual({});
    expect(filter.takeEvents()).toEqual([]);
  });
});

describe("printing among equals", () => {
  const request = (ref: Reference): Term => tuple(a("io_request"), W, ref, tuple(a("put_chars"), a("unicode"), [65]));
  const answer = (ref: Reference): Term => tuple(a("io_reply"), ref, a("ok"));

  it("is answered without a rule, once, to who asked", () => {
    const outsideSpawnsOnly: Decide = ({ verb }) =>
      verb === "spawn" ? { allowed: true } : { allowed: false, id: "I", rule: "r" };
    const { wire } = world(outsideSpawnsOnly, NO);
    expect(passes(wire.w({ kind: "send", from: W, to: C }, request(wRef(1))))).toBe(false);
    wire.c(spawn(C, cRef(1), []), []);
    expect(passes(wire.w({ kind: "send", from: W, to: C }, request(wRef(1))))).toBe(true);
    expect(passes(wire.c({ kind: "send", from: C, to: wPid(51) }, answer(wRef(1))))).toBe(false);
    expect(passes(wire.c({ kind: "send", from: C, to: W }, answer(wRef(2))))).toBe(false);
    expect(passes(wire.c({ kind: "send", from: C, to: W }, answer(wRef(1))))).toBe(true);
    expect(passes(wire.c({ kind: "send", from: C, to: W }, answer(wRef(1))))).toBe(false);
  });

  it("cannot be answered by who was not asked: a forged answer needs a rule", () => {
    const { wire } = world(YES, NO);
    wire.c({ kind: "send", from: C, to: W }, tuple(a("io_request"), C, cRef(4), a("getopts")));
    expect(passes(wire.w({ kind: "send", from: W, to: C }, answer(cRef(5))))).toBe(false);
    expect(passes(wire.w({ kind: "send", from: W, to: C }, answer(cRef(4))))).toBe(true);
  });
});

describe("equals that are observed", () => {
  it("have funs and requests let through that would not pass, and told; no longer when it is over", () => {
    const observation = new Observation(2_000 as MonotonicMs, NOW);
    const { wire, filter } = world(observation.observe(NO), observation.observe(NO), { observation });
    const fun = new ExportFun("m", "f", 1);
    wire.c(monitor(C, "srv", cRef(1)));
    wire.c({ kind: "reg-send", from: C, name: "srv" }, genCall(C, aliasTag(cRef(1)), 1));
    filter.takeEvents();
    expect(passes(wire.w({ kind: "alias-send", from: W, alias: cRef(1) }, tuple(aliasTag(cRef(1)), fun)))).toBe(true);
    expect(passes(wire.w(spawn(W, wRef(1)), []))).toBe(true);
    expect(filter.takeEvents().map((event) => event.kind === "denied" && [event.why, event.observed])).toEqual([
      ["fun", true],
      ["policy", true],
    ]);
    wire.now = 2_000 as MonotonicMs;
    expect(passes(wire.w(spawn(W, wRef(2)), []))).toBe(false);
    expect(filter.takeEvents()).toMatchObject([{ why: "policy", observed: false }]);
  });
});
