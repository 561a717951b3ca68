import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { Decision } from "../policy/decision.ts";
import type { GatewayMessage } from "./notices.ts";
import { ruleToAdd } from "./rule-to-add.ts";

const SHOP = parseNodeName("shop@h");
const DESK = parseNodeName("desk@h");

type Denied = Extract<GatewayMessage, { kind: "denied" }>;

function message(rule: string | undefined, decision?: Partial<Decision>): Denied {
  const decided: Decision = {
    id: "ID",
    atMs: 0,
    outcome: "deny-rule",
    rule: rule ?? null,
    nearestMiss: null,
    alias: null,
    peer: SHOP,
    key: null,
    verb: "rpc",
    target: "lists:seq/2",
    generation: 0,
    mode: "enforce",
    ...decision,
  };
  return {
    kind: "denied",
    pair: "desk",
    by: "commander",
    why: "policy",
    operation: "reg-send",
    target: "rex",
    head: "$gen_call/3",
    rule,
    id: "ID",
    isFirst: true,
    observed: false,
    from: "outside",
    outside: SHOP,
    inside: DESK,
    ...(decision === undefined ? {} : { decision: decided }),
  };
}

describe("ruleToAdd", () => {
  it.each<readonly [string, Partial<Decision>, string]>([
    ["functions", {}, 'add "lists:seq/2" to filter.allow.functions'],
    [
      "functions",
      { target: "rex", verb: "send" },
      "name the function in filter.allow.functions, and call it as module:function/arity",
    ],
    ["calls", { verb: "call", target: "cart" }, 'add "cart" to filter.allow.calls'],
    [
      "calls",
      { verb: "send", target: "process" },
      "remove filter.allow.calls: with it pids are reached only where they are own children",
    ],
    ["granted", { target: "init" }, 'add "init" to filter.allow.granted: it can stop or take over the node'],
    ["funs", {}, "set filter.allow.funs to true"],
    ["killOnlyChildren", { verb: "exit", target: "process" }, "remove filter.allow.killOnlyChildren"],
    ["deny-default", { outcome: "deny-default" }, "give the node a policy: filter.policies.inside"],
  ])("names the option that refused: %s %j", (rule, decision, says) => {
    expect(ruleToAdd(message(rule, decision))).toBe(says);
  });

  it.each<readonly [Partial<Decision>, string]>([
    [
      { outcome: "deny-default", rule: null, alias: "shop" },
      'add to rules of the policy of desk@h: {"id":"rpc-lists-seq-2","from":"shop","allow":"rpc","to":"lists:seq/2"}',
    ],
    [
      { outcome: "deny-default", rule: null, verb: "send", target: "process", alias: "shop" },
      'add to rules of the policy of desk@h: {"id":"send-process","from":"shop","allow":"send","to":"any-pid"}',
    ],
    [{ rule: "no" }, "see rule no of the policy of desk@h, which denies it"],
    [{ outcome: "deny-limit", rule: "ask" }, "see the limits of rule ask of the policy of desk@h"],
  ])("writes a rule of the policy that refused: %j", (decision, says) => {
    expect(ruleToAdd(message("x", { ...decision, generation: 3 }))).toBe(says);
  });

  it("passes on the inbox rule for what the worker sends, and has nothing where nothing should be written", () => {
    const inbox = 'inbox: { "to": "watch", "shape": "any" }';
    expect(ruleToAdd(message(inbox))).toBe('add to filter.inbox: { "to": "watch", "shape": "any" }');
    expect(ruleToAdd(message(undefined))).toBeUndefined();
  });
});
