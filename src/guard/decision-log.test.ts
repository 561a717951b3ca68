import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { Decision } from "../policy/decision.ts";
import { DecisionLog } from "./decision-log.ts";

const decision = (id: string): Decision => ({
  id,
  atMs: 0,
  outcome: "deny-default",
  rule: null,
  nearestMiss: null,
  alias: null,
  peer: parseNodeName("p@h"),
  key: null,
  verb: "send",
  target: "s",
  generation: 0,
  mode: "enforce",
});

describe("the decision log", () => {
  it("finds by id, in either case, and forgets the oldest above its bound", () => {
    const log = new DecisionLog(3);
    for (const id of ["A1", "B2", "C3", "D4", "E5"]) log.add(decision(id));
    expect(["A1", "B2", "C3", "d4", "e5"].map((id) => log.find(id)?.id)).toEqual([
      undefined,
      undefined,
      "C3",
      "D4",
      "E5",
    ]);
    expect(log.size).toBe(3);
  });

  it("keeps one of each id, the first", () => {
    const log = new DecisionLog(2);
    const first = decision("A1");
    log.add(first);
    log.add(decision("A1"));
    log.add(decision("B2"));
    expect([log.size, log.find("A1")]).toEqual([2, first]);
  });

  it("keeps nothing when it may not", () => {
    const log = new DecisionLog(0);
    log.add(decision("A1"));
    expect([log.size, log.find("A1")]).toEqual([0, undefined]);
  });
});
