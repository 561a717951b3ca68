import { describe, expect, it } from "vitest";
import type { PolicyDocument } from "../policy/document.ts";
import { judge } from "../policy/review/judge.ts";
import { buildMatrix } from "../policy/review/matrix.ts";
import { failureOf } from "../testkit/failure.ts";
import { RunningPolicy } from "./running-policy.ts";

const NOW = Date.UTC(2026, 0, 1);

const DOCUMENT: PolicyDocument = {
  version: 1,
  node: "shop@h",
  peers: {
    desk: { names: ["desk@h"], assurance: "ca" },
    weak: { names: ["weak@h"], assurance: "cookie" },
  },
  rules: [{ id: "no-cast", from: "*", deny: "cast", to: "calc" }],
};

const CALC = {
  rule: "code:calc",
  kind: "process",
  target: "calc",
  verbs: ["call", "cast"],
  atLeast: "ca",
  peers: null,
};
const WORKER = {
  rule: "code:worker",
  kind: "function",
  target: "worker",
  verbs: ["rpc", "spawn"],
  atLeast: "cookie",
  peers: ["desk@h"],
};

function running(document: PolicyDocument | null, ...rulesInCode: readonly object[]): RunningPolicy {
  return new RunningPolicy({ node: "shop@h", generation: document === null ? null : 7, document, rulesInCode });
}

describe("the policy of a running node", () => {
  it("lets judge name the rule in code that grants, for those whom it is for", () => {
    const { policy, code } = running(DOCUMENT, CALC, WORKER);
    const rule = (...[from, verb, to]: readonly [string, "call" | "cast" | "monitor" | "spawn", string]) => {
      const { outcome, rule: by } = judge(policy, from, verb, to, NOW, {}, code);
      return `${outcome} ${by}`;
    };
    expect(rule("desk", "call", "calc")).toBe("allow code:calc");
    expect(rule("desk", "monitor", "calc")).toBe("allow code:calc");
    expect(rule("weak", "call", "calc")).toBe("deny-default null");
    expect(rule("desk", "cast", "calc")).toBe("deny-rule no-cast");
    expect(rule("desk", "spawn", "worker")).toBe("allow code:worker");
    expect(rule("weak", "spawn", "worker")).toBe("deny-default null");
    expect(rule("desk", "call", "worker")).toBe("deny-default null");
    const alike = running(DOCUMENT, { ...CALC, rule: "code:worker", target: "worker" }, WORKER);
    expect(judge(alike.policy, "desk", "spawn", "worker", NOW, {}, alike.code).rule).toBe("code:worker");
  });

  it("knows which functions the node has, where the node tells", () => {
    const told = (more: object) => new RunningPolicy({ node: "shop@h", generation: 7, document: DOCUMENT, ...more });
    const missing = { kind: "function", label: "m:f/1" } as const;
    expect(told({ functions: ["worker"] }).lacks(missing)).toBe(true);
    expect(told({ functions: ["m:f/1"] }).lacks(missing)).toBe(false);
    expect(told({ functions: [] }).lacks({ kind: "name", name: "m:f/1" })).toBe(false);
    expect(told({}).lacks(missing)).toBe(false);
  });

  it("gives the matrix what code grants to the peers of the policy, without what a deny takes away", () => {
    const rows = running(DOCUMENT, CALC, WORKER).codeRows(NOW);
    expect(rows.map(({ from, verb, target, rule }) => [from, verb, target, rule].join(" ")).toSorted()).toEqual([
      "desk@h call calc code:calc",
      "desk@h monitor calc code:calc",
      "desk@h rpc worker code:worker",
      "desk@h spawn worker code:worker",
    ]);
  });

  it("without a policy shows whom `allow` names, and everybody else by the assurance it asks for", () => {
    const node = running(null, CALC, WORKER);
    expect(node.generation).toBeNull();
    const { edges } = buildMatrix([node.policy], NOW, node.codeRows(NOW));
    expect(edges.map(({ from, entries }) => [from, entries.map(({ verb }) => verb).join(" ")])).toEqual([
      ["(any peer: ca)", "call cast"],
      ["desk@h", "rpc spawn"],
    ]);
  });

  it("refuses what it cannot read: a document with a mistake, a rule in code of another kind", () => {
    const broken = { ...DOCUMENT, version: 2 } as unknown as PolicyDocument;
    expect(failureOf(() => running(broken))).toBe("ERR_CONFIG POLICY_INVALID");
    const strange = { ...CALC, verbs: ["fly"] };
    expect(failureOf(() => running(DOCUMENT, strange))).toBe("ERR_API_MISUSE ALLOW_INVALID");
  });
});
