import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { PeerBudget } from "../guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import { PolicyKeeper } from "../node/policy-keeper.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { Target } from "../policy/decision.ts";
import type { PeerEntry, RuleEntry } from "../policy/document.ts";
import type { Verb } from "../policy/verbs.ts";
import { type Term, tuple } from "../term/types.ts";
import { pairFacts, pairPolicy } from "../testkit/gateway-pair.ts";
import { a, bytesOf, COMMANDER, cPid, cRef, genCall, WORKER } from "../testkit/gateway-traffic.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { factsOfNode } from "./message-filter.ts";
import { policyDecisions } from "./policy-decisions.ts";
import type { CommanderRequest } from "./profile.ts";

/** The policy of the inside node, asked for what the outside one does. */
function world(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}) {
  const clock = new VirtualClock();
  const nodes = [parseNodeName(WORKER.node), parseNodeName(COMMANDER.node)] as const;
  const facts = factsOfNode(pairFacts().outside);
  const judged = (entries: readonly RuleEntry[]) => {
    const policy = compilePolicy(pairPolicy("inside", entries, peer));
    const standing = new PolicyKeeper({ name: nodes[0], clock, policy }).judge(facts, "acceptor");
    if (standing.kind === "refused") throw standing.error;
    return standing.rules;
  };
  const limits = DEFAULT_GUARD_LIMITS;
  const guard = new SessionGuard({ facts, rules: judged(rules), nodes, budget: new PeerBudget(), limits, clock });
  const recorded: string[] = [];
  const allowed: string[] = [];
  const decide = policyDecisions({
    guard: () => guard,
    record({ verb }, { outcome, rule, mode }) {
      return `ID${recorded.push(`${verb} ${outcome} ${rule} ${mode}`)}`;
    },
    allowed: (rule) => void allowed.push(rule),
  });
  return {
    decide,
    recorded,
    allowed,
    clock,
    rejudge: (entries: readonly RuleEntry[]) => guard.rejudge(judged(entries)),
  };
}

const NAME = (name: string): Target => ({ kind: "name", name });
const FUNCTION = (label: string): Target => ({ kind: "function", label });
const PROCESS: Target = { kind: "pid", name: undefined, granted: false };

function request(verb: Verb, target: Target, more: Partial<CommanderRequest> & { term?: Term } = {}): CommanderRequest {
  const { term, ...others } = more;
  const buffer = term === undefined ? undefined : bytesOf(term);
  const payload = buffer && { buffer, start: 0, end: buffer.length, inner: 0 };
  return { verb, target, hasFun: false, isOwnChild: false, payload, ...others };
}

const rule = (
  id: string,
  allow: Verb | readonly Verb[],
  to: string | readonly string[],
  more: Partial<RuleEntry> = {},
): RuleEntry => ({
  id,
  from: "other",
  allow,
  to,
  ...more,
});

describe("decisions by a policy", () => {
  it.each<[string, CommanderRequest, boolean]>([
    ["a call of a name", request("call", NAME("srv"), { term: 1 }), true],
    ["a call of another name", request("call", NAME("other"), { term: 1 }), false],
    ["another verb of the name", request("cast", NAME("srv"), { term: 1 }), false],
    ["a monitor of who may be called", request("monitor", NAME("srv")), true],
    ["a monitor of who may not", request("monitor", NAME("other")), false],
    ["a function by rpc", request("rpc", FUNCTION("m:f/1"), { term: [1] }), true],
    ["another arity", request("rpc", FUNCTION("m:f/2"), { term: [1, 2] }), false],
    ["the function by spawn", request("spawn", FUNCTION("m:f/1"), { term: [1] }), false],
    ["a function by spawn", request("spawn", FUNCTION("w:run/0"), { term: [] }), true],
    ["a send to any pid", request("send", PROCESS, { term: 1 }), true],
    ["an exit of any pid", request("exit", PROCESS, { term: a("kill") }), false],
    ["an exit of an own child", request("exit", PROCESS, { term: a("kill"), isOwnChild: true }), true],
    ["a link to any pid", request("link", PROCESS), false],
    ["a monitor of any pid", request("monitor", PROCESS), false],
    ["a system message", request("system", NAME("srv"), { term: 1 }), false],
  ])("%s", (_, asked, expected) => {
    const { decide, recorded, allowed } = world([
      rule("srv", "call", "srv"),
      rule("fn", "rpc", "m:f/1"),
      rule("child", "spawn", "w:run/0"),
      rule("pids", "send", "any-pid"),
      rule("own", "exit", "granted-pids"),
    ]);
    const decision = decide(asked);
    expect(decision.allowed).toBe(expected);
    expect([allowed.length, recorded.length]).toEqual(expected ? [1, 0] : [0, 1]);
    if (!decision.allowed) expect(decision).toEqual({ allowed: false, id: "ID1", rule: "deny-default" });
  });

  it("name the rule that denies, whatever allows it", () => {
    const { decide, recorded } = world([
      rule("all", "call", "*"),
      { id: "no", from: "other", deny: "call", to: "srv" },
    ]);
    expect(decide(request("call", NAME("srv"), { term: 1 }))).toEqual({ allowed: false, id: "ID1", rule: "no" });
    expect(decide(request("call", NAME("other"), { term: 1 })).allowed).toBe(true);
    expect(recorded).toEqual(["call deny-rule no enforce"]);
  });

  it("ask for the shape and the size of what is meant, and for funs", () => {
    const { decide, recorded } = world([
      rule("shaped", "send", "srv", { shape: { tuple: ["note", "integer"] }, limits: { payload: 40 } }),
      rule("funs", "send", "work", { limits: { funs: true } }),
      rule("plain", "send", "box"),
    ]);
    const allows = (name: string, term: Term, hasFun = false) =>
      decide(request("send", NAME(name), { term, hasFun })).allowed;
    expect(allows("srv", tuple(a("note"), 1))).toBe(true);
    expect(allows("srv", tuple(a("note"), a("x")))).toBe(false);
    expect(allows("srv", tuple(a("note"), 2n ** 400n))).toBe(false);
    expect([allows("work", 1, true), allows("box", 1, true), allows("box", 1)]).toEqual([true, false, true]);
    expect(recorded).toHaveLength(3);
    expect(recorded.at(-1)).toMatch(/^send deny-limit/);
  });

  it("look at the request within a call", () => {
    const { decide } = world([rule("shaped", "call", "srv", { shape: { tuple: ["add", "integer"] } })]);
    const called = (inner: Term): boolean => {
      const buffer = bytesOf(genCall(cPid(1), cRef(1), inner));
      const payload = { buffer, start: 0, end: buffer.length, inner: buffer.length - bytesOf(inner).length };
      return decide({ ...request("call", NAME("srv")), payload }).allowed;
    };
    expect([called(tuple(a("add"), 1)), called(tuple(a("sub"), 1))]).toEqual([true, false]);
  });

  it("use up the rate of the rule and that of the peer, also by monitors", () => {
    const own = world([rule("srv", ["send", "monitor"], "srv", { limits: { rate: "2/h" } })]);
    const send = request("send", NAME("srv"), { term: 1 });
    expect([send, request("monitor", NAME("srv")), send].map((one) => own.decide(one).allowed)).toEqual([
      true,
      true,
      false,
    ]);
    own.clock.advance(3_600_000);
    expect(own.decide(send).allowed).toBe(true);
    const peer = world([rule("srv", "send", "srv")], { limits: { rate: "1/h" } });
    expect([peer.decide(send).allowed, peer.decide(send).allowed]).toEqual([true, false]);
  });

  it("let pass and record what a rule only tries, both ways", () => {
    const until = "2026-02-01";
    const { decide, recorded, allowed, clock } = world([
      rule("tried", "call", "srv", { mode: "audit", until }),
      rule("all", "send", "srv"),
      { id: "soon", from: "other", deny: "send", to: "srv", mode: "audit", until },
    ]);
    expect(decide(request("call", NAME("srv"), { term: 1 })).allowed).toBe(true);
    expect(recorded).toEqual(["call allow tried audit"]);
    expect(decide(request("send", NAME("srv"), { term: 1 })).allowed).toBe(true);
    expect(allowed).toEqual(["tried", "soon"]);
    clock.setWallMs(Date.UTC(2026, 1, 2));
    expect(decide(request("call", NAME("srv"), { term: 1 })).allowed).toBe(false);
    expect(decide(request("send", NAME("srv"), { term: 1 })).allowed).toBe(false);
  });

  it("follow the rules that are in force", () => {
    const { decide, rejudge } = world([rule("srv", "send", "srv")]);
    const send = request("send", NAME("srv"), { term: 1 });
    expect(decide(send).allowed).toBe(true);
    rejudge([]);
    expect(decide(send).allowed).toBe(false);
  });
});
