import { describe, expect, it } from "vitest";
import type { Decision } from "../policy/decision.ts";
import { crypto } from "../testkit/audit-world.ts";
import { type DecisionEntry, readDecisions } from "./read-decisions.ts";
import { type AuditFields, GENESIS, seal } from "./record.ts";

const DENIED: AuditFields = {
  kind: "decision",
  id: "01JF6Q2M",
  at: "2026-11-20T21:04:11.000Z",
  outcome: "deny-default",
  rule: null,
  miss: "code:jobs:target",
  alias: "rented",
  peer: "rented@rented.example",
  key: "SHA256:x",
  verb: "rpc",
  target: "erlang:halt/0",
  generation: 14,
  mode: "enforce",
};

function read(...records: readonly (AuditFields | string)[]): DecisionEntry[] {
  let head = GENESIS;
  const lines = records.map((record) => {
    if (typeof record === "string") return record;
    const sealed = seal(head, record, crypto);
    head = sealed.head;
    return sealed.line;
  });
  return [...readDecisions(lines, crypto)];
}

describe("readDecisions", () => {
  it("gives a decision back as it was made, and the rule of a miss with its colons", () => {
    const decision: Decision = {
      id: "01JF6Q2M",
      atMs: Date.UTC(2026, 10, 20, 21, 4, 11),
      outcome: "deny-default",
      rule: null,
      nearestMiss: { rule: "code:jobs", why: "target" },
      alias: "rented",
      peer: "rented@rented.example" as Decision["peer"],
      key: "SHA256:x",
      verb: "rpc",
      target: "erlang:halt/0",
      generation: 14,
      mode: "enforce",
    };
    expect(read(DENIED)).toEqual([{ kind: "decision", decision }]);
    expect(read({ ...DENIED, why: "not-registered" })).toEqual([
      { kind: "decision", decision: { ...decision, why: "not-registered" } },
    ]);
    expect(read({ ...DENIED, why: "mood" })).toEqual([{ kind: "decision", decision }]);
    expect(read({ ...DENIED, miss: null })).toEqual([
      { kind: "decision", decision: { ...decision, nearestMiss: null } },
    ]);
  });

  it("passes over records of other kinds and empty lines", () => {
    expect(read({ kind: "attempt" }, "", { kind: "summary", of: "attempt", count: 3, lastId: "X" })).toEqual([]);
  });

  it("reads a summary, with null for what it does not say", () => {
    const summary = { kind: "summary", of: "decision", at: DENIED["at"] ?? null, count: 7, lastId: "B", peer: "a@h" };
    expect(read(summary)).toEqual([
      {
        kind: "summary",
        summary: {
          atMs: Date.UTC(2026, 10, 20, 21, 4, 11),
          count: 7,
          lastId: "B",
          peer: "a@h",
          verb: null,
          target: null,
          rule: null,
        },
      },
    ]);
    expect(read({ ...summary, count: 0 })).toEqual([{ kind: "unreadable", line: 1 }]);
  });

  it("names lines that are no records, and goes on behind them", () => {
    const entries = read("half a line", DENIED, DENIED);
    expect(entries.map(({ kind }) => kind)).toEqual(["unreadable", "decision", "decision"]);
    const [changed] = readDecisions([seal(GENESIS, DENIED, crypto).line.replace("rpc", "rpx")], crypto);
    expect(changed).toEqual({ kind: "unreadable", line: 1 });
  });

  it.each([
    { id: 1 },
    { at: "soon" },
    { outcome: "maybe" },
    { peer: "nobody" },
    { rule: 4 },
    { miss: "r1:mood" },
    { miss: ":verb" },
    { alias: true },
    { key: 1 },
    { verb: "eval" },
    { target: null },
    { generation: "1" },
    { mode: "off" },
  ])("does not take a decision with %j for one", (change) => {
    expect(read({ ...DENIED, ...change })).toEqual([{ kind: "unreadable", line: 1 }]);
  });
});
