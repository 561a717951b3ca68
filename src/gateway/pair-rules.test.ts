import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { Budgets } from "../guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import type { NewDecision } from "../node/decisions.ts";
import { PolicyKeeper } from "../node/policy-keeper.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PolicyDocument, RuleEntry } from "../policy/document.ts";
import { decodeTerm } from "../term/decode.ts";
import { type Term, tuple } from "../term/types.ts";
import { pairFacts, pairPolicy, pairTraffic } from "../testkit/gateway-pair.ts";
import { a, aliasTag, cPid, cRef, type GatewayTraffic, genCall, wPid, wRef } from "../testkit/gateway-traffic.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import type { GuardedPair } from "./guarded-pair.ts";
import type { Side } from "./message-filter.ts";
import type { PairFilterOption } from "./options.ts";
import { type MessageEvent, PairRules } from "./pair-rules.ts";
import { readRules } from "./read-rules.ts";
import type { Outgoing, Verdict } from "./verdict.ts";

const C = cPid(100);
const W = wPid(50);

/** The rules of a pair option on a clock of their own, with what they record and tell. */
class PairWorld {
  readonly clock: VirtualClock = new VirtualClock();
  readonly recorded: NewDecision[] = [];
  readonly told: MessageEvent[] = [];
  readonly policies: Readonly<Partial<Record<Side, PolicyKeeper>>>;
  readonly rules: PairRules;

  constructor(option: PairFilterOption = {}) {
    const policies: Partial<Record<Side, PolicyKeeper>> = {};
    for (const side of ["outside", "inside"] as const) {
      const document = option.policies?.[side];
      if (document === undefined || typeof document === "string" || "file" in document) continue;
      const name = parseNodeName(document.node);
      policies[side] = new PolicyKeeper({ name, clock: this.clock, policy: compilePolicy(document) });
    }
    this.policies = policies;
    this.rules = new PairRules({
      settings: this.read(option),
      policies,
      clock: this.clock,
      guardLimits: DEFAULT_GUARD_LIMITS,
      budgets: new Budgets(DEFAULT_GUARD_LIMITS.maxBudgets),
      record: (made) => `ID${this.recorded.push(made)}`,
      tell: (event) => void this.told.push(event),
    });
  }

  read(option: PairFilterOption) {
    return readRules("w@h", option, this.clock.wallMs());
  }

  /** A session that comes up: `c` sends from the outside, `w` from the inside. */
  session(dialledBy: Side = "outside"): { readonly pair: GuardedPair; readonly wire: GatewayTraffic<Verdict> } {
    const known = new Set(this.rules.live);
    this.rules.filterFor(pairFacts(dialledBy));
    const pair = [...this.rules.live].find((one) => !known.has(one)) as GuardedPair;
    return { pair, wire: pairTraffic(pair) };
  }
}

/** The payload of what is sent, as a term. */
function said(out: Outgoing | undefined): Term {
  if (out === undefined) throw new Error("nothing is sent");
  return decodeTerm(Buffer.concat([Buffer.from([131]), out.buffer.subarray(out.start, out.end)]));
}

const execute = (n: number, from = C, ref = cRef(n)): Control => ({
  kind: "spawn-request",
  ref,
  from,
  groupLeader: from,
  module: "erpc",
  function: "execute_call",
  arity: 4,
  options: [a("monitor")],
});
const byWorker = (n: number): Control => execute(n, W, wRef(n));
const run = (fn = "node", ref: Term = cRef(99)): Term => [ref, a("erlang"), a(fn), []];
const named = (name: string, from = C): Control => ({ kind: "reg-send", from, name });
const passes = (verdict: Verdict): boolean => verdict.forward !== undefined;

describe("rules of a pair without any option", () => {
  it("let the outside node command, and the inside node only answer", () => {
    const world = new PairWorld();
    const { pair, wire } = world.session();
    expect(passes(wire.c(execute(1), run()))).toBe(true);
    expect(wire.w(byWorker(1), run("node", wRef(9))).answer?.control).toMatchObject({ result: "noconnection" });
    expect(world.told).toMatchObject([
      { kind: "denied", from: "inside", by: "worker", outside: "c@h", inside: "w@h", observed: false },
    ]);
    expect(Object.keys(pair.report().tables)).toContain("maxCalls");
  });

  it("record what is refused, and by which option", () => {
    const world = new PairWorld();
    const { wire, pair } = world.session();
    wire.c({ kind: "monitor", from: C, target: "init", ref: cRef(1) });
    const refused = wire.c(named("init"), genCall(C, aliasTag(cRef(1)), 1));
    expect(said(refused.answer)).toEqual(tuple(a("sallyport_denied"), Buffer.from("ID1")));
    expect(world.recorded).toEqual([
      {
        node: "w@h",
        alias: null,
        peer: "c@h",
        key: null,
        generation: 0,
        outcome: "deny-rule",
        rule: "granted",
        nearestMiss: null,
        mode: "enforce",
        verb: "call",
        target: "init",
      },
    ]);
    expect(world.told).toMatchObject([{ from: "outside", by: "commander", why: "policy", rule: "granted", id: "ID1" }]);
    expect(pair.report().rules).toEqual({ granted: { allowed: 0, denied: 1 } });
  });

  it("name what was meant: a name, a function, or only that it was a process; escaped", () => {
    const world = new PairWorld({ allow: { calls: [], functions: [] } });
    const { wire } = world.session();
    wire.c(named("x\ny"), 1);
    wire.c({ kind: "send", from: C, to: W }, 1);
    wire.c(execute(1), run());
    expect(world.recorded.map(({ target }) => target)).toEqual(["x\\x0ay", "process", "erlang:node/0"]);
  });

  it("count what rules refuse, not what the worker makes up", () => {
    const { wire, pair } = new PairWorld().session();
    for (const n of [1, 2, 3]) wire.w(named(`junk${n}`, W), tuple(a(`junk${n}`), 1));
    wire.c(named("init"), 1);
    expect(pair.report().rules).toEqual({ granted: { allowed: 0, denied: 1 } });
    expect(pair.report().denied).toEqual({ "worker:operation": 3, "commander:policy": 1 });
  });

  it("forget a pair that is over", () => {
    const world = new PairWorld();
    const [one, two] = [world.session().pair, world.session().pair];
    expect([...world.rules.live]).toEqual([one, two]);
    one.ended();
    expect([...world.rules.live]).toEqual([two]);
  });

  it("tell each operation that passes, when they are asked to", () => {
    const world = new PairWorld({ tellsCommands: true });
    const { wire } = world.session();
    wire.c(execute(1), run());
    wire.c({ kind: "link", from: C, to: W });
    wire.c(named("auth"), 1);
    expect(
      world.told.map((event) =>
        event.kind === "command" ? `${event.from} ${event.verb} ${event.target}` : event.kind,
      ),
    ).toEqual(["outside rpc erlang:node/0", "outside link process", "denied"]);
  });
});

describe("rules of a pair in which the inside node commands", () => {
  it("let it command and the outside node only answer", () => {
    const { wire } = new PairWorld({ commander: "inside" }).session("inside");
    expect(passes(wire.w(byWorker(1), run("node", wRef(9))))).toBe(true);
    expect(wire.c(execute(1), run()).answer?.control).toMatchObject({ kind: "spawn-reply", result: "noconnection" });
  });
});

describe("rules of a pair with policies", () => {
  const node: RuleEntry = { id: "node", from: "other", allow: "rpc", to: "erlang:node/0" };

  it("let a commander do what the policy of its worker says", () => {
    const world = new PairWorld({ policies: { inside: pairPolicy("inside", [node]) } });
    const { wire, pair } = world.session();
    expect(passes(wire.c(execute(1), run()))).toBe(true);
    expect(wire.c(execute(2), run("nodes")).answer?.control).toMatchObject({ result: "eperm" });
    expect(wire.w(byWorker(1), run("node", wRef(9))).answer?.control).toMatchObject({ result: "noconnection" });
    expect(world.recorded).toMatchObject([
      { alias: "other", generation: 1, outcome: "deny-default", verb: "rpc", target: "erlang:nodes/0" },
    ]);
    expect(pair.report().rules).toEqual({
      node: { allowed: 1, denied: 0 },
      "deny-default": { allowed: 0, denied: 1 },
    });
  });

  it("let equals do what each other's policy says, and ask whether the other is there", () => {
    const policies = { inside: pairPolicy("inside", [node]), outside: pairPolicy("outside", []) };
    const { wire, pair } = new PairWorld({ profile: "peer", policies }).session();
    expect(passes(wire.c(execute(1), run()))).toBe(true);
    expect(wire.w(byWorker(1), run("node", wRef(9))).answer?.control).toMatchObject({ result: "eperm" });
    expect(passes(wire.w({ kind: "monitor", from: W, target: "net_kernel", ref: wRef(2) }))).toBe(true);
    expect(Object.keys(pair.report().tables)).toEqual(expect.arrayContaining(["outside.maxCalls", "inside.maxCalls"]));
  });

  it("let an equal without rules not even ask", () => {
    const { wire } = new PairWorld({ profile: "peer", policies: { inside: pairPolicy("inside", [node]) } }).session();
    expect(passes(wire.c(execute(1), run()))).toBe(true);
    expect(passes(wire.w({ kind: "monitor", from: W, target: "net_kernel", ref: wRef(2) }))).toBe(false);
  });

  it("let nobody up whom a policy does not let connect, and record it", () => {
    const stranger = pairPolicy("inside", [node], { assurance: "ca" });
    const world = new PairWorld({ policies: { inside: stranger } });
    expect(() => world.rules.filterFor(pairFacts())).toThrow(expect.objectContaining({ reason: "PEER_NOT_ALLOWED" }));
    expect(world.recorded).toMatchObject([
      { outcome: "deny-identity", verb: "connect", target: "w@h", peer: "c@h", node: "w@h" },
    ]);
    expect([...world.rules.live]).toEqual([]);
  });

  it("let up whom the protected node dialled itself, to answer and no more", () => {
    const document: PolicyDocument = { version: 1, node: "w@h", rules: [] };
    const world = new PairWorld({ policies: { inside: document } });
    expect(() => world.session("outside")).toThrow(expect.objectContaining({ reason: "PEER_NOT_ALLOWED" }));
    const { wire } = world.session("inside");
    expect(wire.c(execute(1), run()).answer?.control).toMatchObject({ result: "eperm" });
  });

  it("follow the policy when it changes, and give the pairs that may not go on", () => {
    const world = new PairWorld({ policies: { inside: pairPolicy("inside", [node]) } });
    const { wire, pair } = world.session();
    const take = (document: PolicyDocument) =>
      world.policies.inside?.take((generation) => compilePolicy(document, generation));
    take(pairPolicy("inside", [{ ...node, to: "erlang:nodes/0" }]));
    expect(world.rules.rejudge()).toEqual([]);
    expect([passes(wire.c(execute(1), run())), passes(wire.c(execute(2), run("nodes")))]).toEqual([false, true]);
    take(pairPolicy("inside", [node], { names: ["x@h"] }));
    expect(world.rules.rejudge()).toEqual([pair]);
  });
});

describe("ties that were set before a policy changed", () => {
  const node: RuleEntry = { id: "node", from: "other", allow: "rpc", to: "erlang:node/0" };
  const watch: RuleEntry = { id: "watch", from: "other", allow: ["monitor", "link"], to: ["srv", "any-pid"] };
  const begin = () => {
    const world = new PairWorld({ policies: { inside: pairPolicy("inside", [node, watch]) } });
    const { wire, pair } = world.session();
    const take = (rules: readonly RuleEntry[]) => {
      world.policies.inside?.take((generation) => compilePolicy(pairPolicy("inside", rules), generation));
      return world.rules.rejudge().length;
    };
    return { world, wire, pair, take };
  };
  const monitor = (target: string | ReturnType<typeof wPid>): Control => ({
    kind: "monitor",
    from: C,
    target,
    ref: cRef(1),
  });

  it("end the session that has one which no rule allows any more", () => {
    for (const tie of [monitor("srv"), monitor(W), { kind: "link", from: C, to: W }] satisfies Control[]) {
      const { wire, take } = begin();
      expect(passes(wire.c(tie))).toBe(true);
      expect([take([node, watch]), take([node])]).toEqual([0, 1]);
    }
  });

  it("are no reason where they have ended, need no rule, or are those of what was spawned", () => {
    const { wire, take } = begin();
    expect(passes(wire.c(monitor("srv")))).toBe(true);
    expect(passes(wire.c({ kind: "demonitor", from: C, target: "srv", ref: cRef(1) }))).toBe(true);
    expect(passes(wire.c(monitor("net_kernel")))).toBe(true);
    expect(passes(wire.c(execute(2), run()))).toBe(true);
    expect(passes(wire.w({ kind: "spawn-reply", ref: cRef(2), to: C, flags: 2, result: wPid(70) }))).toBe(true);
    expect(take([node])).toBe(0);
  });
});

describe("other settings of a pair", () => {
  it("count at once where they are asked for anew, and end the pair where they are not", () => {
    const world = new PairWorld({ allow: { functions: [] } });
    const { pair, wire } = world.session();
    const next: PairFilterOption = {
      allow: { functions: ["erlang:node/0"] },
      inbox: [{ to: "events", shape: "tick" }],
    };
    expect([passes(wire.c(execute(1), run())), passes(wire.w(named("events", W), a("tick")))]).toEqual([false, false]);
    expect(world.rules.rejudge(world.read(next))).toEqual([]);
    expect([passes(wire.c(execute(2), run())), passes(wire.w(named("events", W), a("tick")))]).toEqual([true, true]);
    for (const other of [{ leaders: "shell" }, { wholeReasons: true }, { commander: "inside" }] as const) {
      expect(world.rules.rejudge(world.read({ ...other }))).toEqual([pair]);
    }
  });
});

describe("a pair that is observed", () => {
  it("lets pass and tells what would be refused, until its time is over", () => {
    const until = new Date(Date.UTC(2026, 0, 1) + 10_000).toISOString();
    const world = new PairWorld({ observe: { until } });
    const { pair, wire } = world.session();
    wire.now = world.clock.now();
    expect(pair.report().isObserved).toBe(true);
    expect(passes(wire.w(byWorker(1), run("node", wRef(9))))).toBe(true);
    expect(passes(wire.w(named("srv", W), 1))).toBe(true);
    expect(
      world.told.map(
        (event) => event.kind === "denied" && [event.from, event.by, event.operation, event.observed, event.id],
      ),
    ).toEqual([
      ["inside", "commander", "spawn-request", true, "ID1"],
      ["inside", "commander", "reg-send", true, "ID2"],
    ]);
    expect(passes(wire.w(named("init", W), 1))).toBe(false);
    expect(passes(wire.w({ kind: "group-leader", leader: W, to: C }))).toBe(false);
    wire.c({ kind: "link", from: C, to: W });
    const whole = wire.c({ kind: "exit", from: C, to: W, reason: "payload" }, tuple(a("secret"), 1));
    expect(said(whole.forward)).toEqual(tuple(a("secret"), 1));
    world.clock.advance(10_000);
    wire.now = world.clock.now();
    expect(passes(wire.w(byWorker(2), run("node", wRef(9))))).toBe(false);
    expect(passes(wire.c(execute(3), run()))).toBe(true);
    const ping = genCall(W, aliasTag(wRef(5)), tuple(a("is_auth"), a("w@h")));
    expect(passes(wire.w({ kind: "monitor", from: W, target: "net_kernel", ref: wRef(5) }))).toBe(false);
    expect(passes(wire.w(named("net_kernel", W), ping))).toBe(false);
    expect(pair.report().isObserved).toBe(false);
  });

  it("that comes up when its time is over is not observed", () => {
    const world = new PairWorld({ observe: { until: new Date(Date.UTC(2026, 0, 1) + 10_000).toISOString() } });
    world.clock.advance(10_000);
    const { pair, wire } = world.session();
    expect(pair.report().isObserved).toBe(false);
    expect(wire.w(byWorker(1), run("node", wRef(9))).answer?.control).toMatchObject({ result: "noconnection" });
  });
});
