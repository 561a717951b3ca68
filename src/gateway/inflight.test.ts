import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import { PeerBudget } from "../guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import { PolicyKeeper } from "../node/policy-keeper.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { tuple } from "../term/types.ts";
import {
  a,
  aliasTag,
  COMMANDER,
  cPid,
  cRef,
  GatewayTraffic,
  genCall,
  WORKER,
  wPid,
} from "../testkit/gateway-traffic.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import { policyDecisions } from "./policy-decisions.ts";

const ME = cPid(100);
const SERVER = wPid(50);

/** A worker whose policy lets the commander have two calls of `srv` and one function under way. */
function world() {
  const clock = new VirtualClock();
  const node = parseNodeName(WORKER.node);
  const document: PolicyDocument = {
    version: 1,
    node,
    peers: { c: { names: [COMMANDER.node], assurance: "cookie" } },
    rules: [
      { id: "calls", from: "c", allow: "call", to: "srv", limits: { inflight: 2 } },
      { id: "run", from: "c", allow: ["rpc", "spawn"], to: "m:f/0", limits: { inflight: 1 } },
    ],
  };
  const name = parseNodeName(COMMANDER.node);
  const facts = {
    ...({ name, assurance: "cookie", protocol: "otp", fingerprints: [], publicKeys: [] } as const),
    spki: undefined,
    source: undefined,
  };
  const keeper = new PolicyKeeper({ name: node, clock, policy: compilePolicy(document, 1) });
  const standing = keeper.judge(facts, "acceptor");
  if (standing.kind === "refused") throw standing.error;
  const budget = new PeerBudget();
  const limits = DEFAULT_GUARD_LIMITS;
  const guard = new SessionGuard({ facts, rules: standing.rules, nodes: [node, name], budget, limits, clock });
  const refused: string[] = [];
  const decide = policyDecisions({
    guard: () => guard,
    record: ({ verb }, { outcome, rule }) => `${verb} ${outcome} ${rule} ${refused.push(`${verb} ${outcome}`)}`,
    allowed: () => {},
  });
  const filter = new GatewayFilter({ commander: COMMANDER, worker: WORKER, decide }, 1_000 as MonotonicMs);
  const wire = new GatewayTraffic(filter);
  const call = (n: number) => {
    wire.c({ kind: "monitor", from: ME, target: "srv", ref: cRef(n) });
    return wire.c({ kind: "reg-send", from: ME, name: "srv" }, genCall(ME, aliasTag(cRef(n)), a("get")));
  };
  const isForwarded = ({ forward }: ReturnType<typeof call>) => forward?.control.kind === "reg-send";
  const spawn = (n: number, options = [a("monitor")]) => {
    const control: Control = {
      kind: "spawn-request",
      ...{ ref: cRef(n), from: ME, groupLeader: ME, module: "m", function: "f", arity: 0, options },
    };
    return wire.c(control, []).forward !== undefined;
  };
  const reply = (n: number, flags: number, result: ReturnType<typeof wPid> | string = wPid(n)) =>
    wire.w({ kind: "spawn-reply", ref: cRef(n), to: ME, flags, result });
  return { wire, filter, budget, refused, call: (n: number) => isForwarded(call(n)), spawn, reply };
}

describe("what a policy lets be under way", () => {
  it("a call has its place until its answer", () => {
    const { wire, budget, refused, call } = world();
    expect([call(1), call(2), call(3)]).toEqual([true, true, false]);
    expect(refused).toEqual(["call deny-limit"]);
    wire.w({ kind: "alias-send", from: SERVER, alias: cRef(1) }, tuple(aliasTag(cRef(1)), 1));
    expect([budget.inflight, call(4), call(5)]).toEqual([1, true, false]);
  });

  it("or until its monitor is gone", () => {
    const { wire, budget, call } = world();
    expect([call(1), call(2)]).toEqual([true, true]);
    wire.c({ kind: "demonitor", from: ME, target: "srv", ref: cRef(1) });
    wire.w({ kind: "monitor-exit", target: "srv", to: ME, ref: cRef(2), reason: "payload" }, a("noproc"));
    expect([budget.inflight, call(3)]).toEqual([0, true]);
  });

  it("a spawn has its place until what it started has ended", () => {
    const { wire, budget, spawn, reply } = world();
    expect([spawn(1), spawn(2)]).toEqual([true, false]);
    reply(1, 2);
    expect([budget.inflight, spawn(3)]).toEqual([1, false]);
    wire.w({ kind: "monitor-exit", target: wPid(1), to: ME, ref: cRef(1), reason: "payload" }, a("normal"));
    expect([budget.inflight, spawn(4)]).toEqual([0, true]);
  });

  it("or until it has failed, or runs unwatched", () => {
    const { budget, spawn, reply } = world();
    expect(spawn(1)).toBe(true);
    reply(1, 0, "badarg");
    expect([budget.inflight, spawn(2, [])]).toEqual([0, true]);
    reply(2, 0);
    expect(budget.inflight).toBe(0);
  });

  it("no place is lost when the message is refused after all, nor when the session ends", () => {
    const { wire, filter, budget, call, spawn } = world();
    const badTag = genCall(ME, aliasTag(cRef(9)), a("get"));
    wire.c({ kind: "reg-send", from: ME, name: "srv" }, tuple(...[a("$gen_call"), 1, 2]));
    expect(budget.inflight).toBe(0);
    wire.c({ kind: "reg-send", from: ME, name: "srv" }, badTag);
    expect(budget.inflight).toBe(1);
    wire.now = (wire.now + 700_000) as MonotonicMs;
    expect([call(1), budget.inflight]).toEqual([true, 1]);
    expect([call(2), spawn(3), budget.inflight]).toEqual([true, true, 3]);
    filter.end();
    expect(budget.inflight).toBe(0);
  });
});
