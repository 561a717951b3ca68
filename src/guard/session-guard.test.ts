import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { PeerEntry, RuleEntry } from "../policy/document.ts";
import { knownAtomsOf } from "../policy/payload.ts";
import { encodeTerm } from "../term/encode.ts";
import { DEFAULT_TERM_LIMITS } from "../term/limits.ts";
import { Atom, type Term, tuple } from "../term/types.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { PeerBudget } from "./budgets.ts";
import { DEFAULT_GUARD_LIMITS, type GuardLimits } from "./limits.ts";
import { SessionGuard, type SessionRules } from "./session-guard.ts";

const FACTS: PeerFacts = {
  name: parseNodeName("p@h"),
  assurance: "cookie",
  protocol: "otp",
  fingerprints: [],
  publicKeys: [],
  spki: undefined,
  source: undefined,
};

function rulesOf(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}, generation = 1): SessionRules {
  const policy = compilePolicy(
    { version: 1, node: "n@h", peers: { p: { names: ["p@h"], assurance: "cookie", ...peer } }, rules },
    generation,
  );
  const found = policy.identify(FACTS, "acceptor", 0);
  if (found.kind !== "peer") throw new Error("the peer may not connect");
  return { authority: found.authority, generation, knownAtoms: knownAtomsOf(policy) };
}

function make(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}, limits: Partial<GuardLimits> = {}) {
  const clock = new VirtualClock();
  const budget = new PeerBudget();
  const guard = new SessionGuard({
    facts: FACTS,
    rules: rulesOf(rules, peer),
    nodes: ["n@h", "p@h"],
    budget,
    limits: { ...DEFAULT_GUARD_LIMITS, ...limits },
    clock,
  });
  return { guard, clock, budget };
}

const S = { name: "s", tag: undefined };

describe("the guard of a session", () => {
  it("leaves open what a plain grant allows to a peer without bounds, and nothing else", () => {
    const rules: RuleEntry[] = [
      { id: "plain", from: "p", allow: "send", to: "s" },
      { id: "limited", from: "p", allow: "call", to: "s", limits: { payload: 10 } },
      { id: "audited", from: "p", allow: "cast", to: "s", mode: "audit", until: "2027-01-01" },
    ];
    const open = (guard: SessionGuard) =>
      (["send", "call", "cast", "exit"] as const).map((verb) => guard.isOpen(guard.onProcess(verb, S, "by-name", 0)));
    expect(open(make(rules).guard)).toEqual([true, false, false, false]);
    expect(open(make(rules, { limits: { rate: "1/s" } }).guard)).toEqual([false, false, false, false]);
    expect(open(make(rules, { limits: { funs: true } }).guard)).toEqual([true, false, false, false]);
  });

  it("lets watch who may call or monitor, unless a rule denies it", () => {
    const watching = (rules: readonly RuleEntry[]) => {
      const { guard } = make(rules);
      return [guard.watching(S, "by-name", 0).outcome, guard.watchingMissing("s", undefined).outcome];
    };
    expect(watching([{ id: "r", from: "p", allow: "call", to: "s" }])).toEqual(["allow", "allow"]);
    expect(watching([{ id: "r", from: "p", allow: "monitor", to: "s" }])).toEqual(["allow", "allow"]);
    expect(watching([{ id: "r", from: "p", allow: "send", to: "s" }])).toEqual(["deny-default", "deny-default"]);
    expect(
      watching([
        { id: "r", from: "p", allow: "call", to: "s" },
        { id: "no", from: "p", deny: "monitor", to: "s" },
      ]),
    ).toEqual(["deny-rule", "deny-rule"]);
  });

  it("judges anew with other rules: generation, verdicts and bounds", () => {
    const { guard } = make([{ id: "r", from: "p", allow: "send", to: "s" }]);
    const before = guard.onProcess("send", S, "by-name", 0);
    expect([guard.generation, guard.isOpen(before)]).toEqual([1, true]);
    guard.rejudge(rulesOf([{ id: "r2", from: "p", allow: "call", to: "s" }], { limits: { rate: "1/s" } }, 2));
    expect(guard.generation).toBe(2);
    expect(guard.onProcess("send", S, "by-name", 0).outcome).toBe("deny-default");
    expect(guard.isOpen(guard.onProcess("call", S, "by-name", 0))).toBe(false);
  });

  it("spends rates of operations without payload: of the peer, and of the first rule that has some left", () => {
    const { guard, clock } = make(
      [
        { id: "a", from: "p", allow: "link", to: "any-pid", limits: { rate: "1/s" } },
        { id: "b", from: "p", allow: "link", to: "any-pid", limits: { rate: "1/s" } },
      ],
      { limits: { rate: "5/s" } },
    );
    const verdict = guard.onProcess("link", { name: undefined, tag: undefined }, "by-pid", 0);
    expect([1, 2, 3].map(() => guard.spend(verdict)?.rule)).toEqual(["a", "b", undefined]);
    clock.advance(1_000);
    expect(guard.spend(verdict)?.rule).toBe("a");
    expect(guard.spend(guard.onProcess("exit", S, "by-pid", 0))).toBeUndefined();
  });

  it("gives places by peer, by rule and by the bound of the node, and takes them back", () => {
    const { guard, budget } = make(
      [{ id: "r", from: "p", allow: "call", to: "s", limits: { inflight: 1 } }],
      { limits: { inflight: 3 } },
      { maxInflightPerPeer: 2 },
    );
    const [grant] = guard.onProcess("call", S, "by-name", 0).grants;
    expect([guard.enter("call", grant), guard.enter("call", grant), guard.enter("call", undefined)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([guard.enter("call", undefined), guard.enter("function", undefined)]).toEqual([false, true]);
    expect(guard.enter("function", undefined)).toBe(false);
    guard.leave("call", grant);
    expect([guard.enter("call", grant), budget.inflight]).toEqual([true, 3]);
  });

  it("weighs atoms by what the rules and the two nodes are called", () => {
    const { guard } = make([
      { id: "r", from: "p", allow: "send", to: "s", shape: { tuple: ["add", "any"] }, limits: { newAtoms: 0 } },
    ]);
    const verdict = guard.onProcess("send", S, "by-name", 0);
    const weighed = (term: Term) => {
      const buffer = encodeTerm(term).subarray(1);
      const payload = { buffer, start: 0, end: buffer.length, inner: 0 };
      const found = guard.weigh(verdict, payload, { limits: DEFAULT_TERM_LIMITS, atomRefs: undefined });
      return "kind" in found ? found.outcome : found.rule;
    };
    const add = new Atom("add");
    expect([weighed(tuple(add, new Atom("p@h"))), weighed(tuple(add, new Atom("new")))]).toEqual(["r", "deny-limit"]);
  });

  it("says when so much was refused that the session should not be read for a while", () => {
    const { guard, clock } = make([], {}, { maxDenialsPerSecond: 3 });
    expect([1, 2, 3, 4].map(() => guard.isFlooding())).toEqual([false, false, false, true]);
    clock.advance(1_000);
    expect(guard.isFlooding()).toBe(false);
  });

  it("knows who may ask whether the node is there", () => {
    expect(make([]).guard.mayConnect).toBe(true);
    const { guard } = make([{ id: "r", from: "p", allow: "exit", to: "s" }]);
    expect([guard.mayEnd(S, 0), guard.mayEnd({ name: "other", tag: undefined }, 0)]).toEqual([true, false]);
  });
});
