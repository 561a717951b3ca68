import { describe, expect, it } from "vitest";
import { compilePolicy } from "../compile.ts";
import { type DecisionRecord, learnRules } from "./learn.ts";

const record = (changes: Partial<DecisionRecord>): DecisionRecord => ({
  alias: "rented",
  verb: "send",
  target: "events",
  outcome: "allow",
  mode: "audit",
  rule: "peer",
  ...changes,
});

describe("learnRules", () => {
  it("merges targets of one peer and verb, most used first, and counts", () => {
    const learned = learnRules([
      record({}),
      record({ target: "alerts", count: 5 }),
      record({ mode: "enforce", rule: "r1" }),
      record({ verb: "rpc", target: "Jobs:run/1" }),
      record({ alias: "desk", verb: "spawn", target: "worker" }),
    ]);
    expect(learned).toEqual({
      skipped: 0,
      proposals: [
        {
          rule: { id: "learned-1", from: "desk", allow: "spawn", to: "worker" },
          count: 1,
          targets: [{ target: "worker", count: 1 }],
        },
        {
          rule: { id: "learned-2", from: "rented", allow: "rpc", to: "Jobs:run/1" },
          count: 1,
          targets: [{ target: "Jobs:run/1", count: 1 }],
        },
        {
          rule: { id: "learned-3", from: "rented", allow: "send", to: ["alerts", "events"] },
          count: 7,
          targets: [
            { target: "alerts", count: 5 },
            { target: "events", count: 2 },
          ],
        },
      ],
    });
  });

  it("learns nothing from what was refused, from strangers, or of what no rule can grant", () => {
    const outcomes = ["deny-default", "deny-rule", "deny-limit", "deny-identity", "deny-error", "?"];
    const records = [
      ...outcomes.map((outcome) => record({ outcome, count: 10 })),
      record({ alias: null }),
      record({ verb: "reply" }),
      record({ verb: "connect", target: "node" }),
      record({ verb: "pubsub" }),
      record({ target: "*" }),
      record({ verb: "rpc", target: "os:*/*" }),
      record({ verb: "rpc", target: "events" }),
      record({ verb: "system", target: "any-pid" }),
      record({ target: "\\x1b[31m:x" }),
    ];
    expect(learnRules(records)).toEqual({ proposals: [], skipped: 69 });
  });

  it("needs no rule for the monitor that a call brings", () => {
    const { proposals } = learnRules([
      record({ verb: "call", target: "jobs" }),
      record({ verb: "monitor", target: "jobs" }),
      record({ verb: "monitor", target: "granted-pids" }),
    ]);
    expect(proposals.map(({ rule }) => [rule.allow, rule.to])).toEqual([
      ["call", "jobs"],
      ["monitor", "granted-pids"],
    ]);
  });

  it("proposes rules that a policy takes", () => {
    const { proposals } = learnRules([
      record({}),
      record({ verb: "rpc", target: "'Jobs':run/1" }),
      record({ verb: "system" }),
    ]);
    const peers = { rented: { names: ["r@x"], assurance: "ca" } } as const;
    const policy = compilePolicy({ version: 1, node: "me@h", peers, rules: proposals.map(({ rule }) => rule) });
    expect(policy.rules).toHaveLength(3);
  });

  it("takes a count that is none for one", () => {
    expect(learnRules([record({ count: -3 }), record({ count: Number.NaN })]).proposals[0]?.count).toBe(2);
  });
});
