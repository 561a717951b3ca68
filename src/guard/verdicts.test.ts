import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { RuleEntry } from "../policy/document.ts";
import { AllowRule } from "./allow.ts";
import { type LiveTarget, Verdicts } from "./verdicts.ts";

const FACTS: PeerFacts = {
  name: parseNodeName("p@h"),
  assurance: "cookie",
  protocol: "otp",
  fingerprints: [],
  publicKeys: [],
  spki: undefined,
  source: undefined,
};
const START = Date.UTC(2026, 0, 1);

/** Verdicts for `p@h` under these rules, on a wall clock that the test moves. */
function make(rules: readonly RuleEntry[], maxKept = 100) {
  const policy = compilePolicy({
    version: 1,
    node: "n@h",
    peers: { p: { names: ["p@h"], assurance: "cookie" } },
    rules,
  });
  const found = policy.identify(FACTS, "acceptor", START);
  if (found.kind !== "peer") throw new Error("the peer may not connect");
  const wall = { ms: START };
  return { verdicts: new Verdicts(found.authority, FACTS, maxKept, () => wall.ms), wall };
}

const process = (name?: string, allow?: Parameters<typeof AllowRule.compile>[0]): LiveTarget => ({
  name,
  tag: AllowRule.compile(allow),
});

describe("verdicts on a process", () => {
  it("are kept by verb and by the way it is met", () => {
    const { verdicts } = make([
      { id: "name", from: "p", allow: "send", to: "s" },
      { id: "pids", from: "p", allow: "call", to: "granted-pids" },
    ]);
    const s = process("s");
    expect(verdicts.onProcess("send", s, "by-name", 0)).toMatchObject({ outcome: "allow", rule: "name" });
    expect(verdicts.onProcess("send", s, "by-name", 0)).toBe(verdicts.onProcess("send", s, "by-name", 0));
    expect(verdicts.onProcess("send", s, "by-pid", 0)).toMatchObject({ outcome: "allow", rule: "name" });
    expect(verdicts.onProcess("call", s, "by-name", 0).outcome).toBe("deny-default");
    expect(verdicts.onProcess("call", s, "by-pid", 0).outcome).toBe("deny-default");
    expect(verdicts.onProcess("call", s, "by-granted-pid", 0)).toMatchObject({ outcome: "allow", rule: "pids" });
  });

  it("do not count any more once a name was given or taken", () => {
    const { verdicts } = make([{ id: "r", from: "p", allow: "send", to: "s" }]);
    const renamed = { name: undefined as string | undefined, tag: undefined };
    expect(verdicts.onProcess("send", renamed, "by-pid", 1).outcome).toBe("deny-default");
    renamed.name = "s";
    expect(verdicts.onProcess("send", renamed, "by-pid", 2).outcome).toBe("allow");
    renamed.name = undefined;
    expect(verdicts.onProcess("send", renamed, "by-pid", 2).outcome).toBe("allow");
    expect(verdicts.onProcess("send", renamed, "by-pid", 3).outcome).toBe("deny-default");
  });

  it("hold until the time at which a rule changes", () => {
    const { verdicts, wall } = make([
      { id: "r", from: "p", allow: "send", to: "s", until: "2026-01-02" },
      { id: "later", from: "p", allow: "call", to: "s", when: { after: "2026-01-03" } },
    ]);
    const s = process("s");
    const early = verdicts.onProcess("send", s, "by-name", 0);
    expect([early.outcome, early.validUntilMs]).toEqual(["allow", Date.UTC(2026, 0, 2)]);
    expect(verdicts.onProcess("call", s, "by-name", 0).outcome).toBe("deny-default");
    wall.ms = Date.UTC(2026, 0, 2) - 1;
    expect(verdicts.onProcess("send", s, "by-name", 0)).toBe(early);
    wall.ms++;
    expect(verdicts.onProcess("send", s, "by-name", 0).outcome).toBe("deny-default");
    wall.ms = Date.UTC(2026, 0, 3);
    expect(verdicts.onProcess("call", s, "by-name", 0).outcome).toBe("allow");
  });

  it.each<[string, Partial<RuleEntry>]>([
    ["an end", { until: "2026-01-02" }],
    ["an end in its conditions", { when: { before: "2026-01-02" } }],
    ["a beginning", { when: { after: "2026-01-02" } }],
  ])("of a rule with %s do not outlive a clock that jumps and comes back", (_, over) => {
    const { verdicts, wall } = make([{ id: "r", from: "p", allow: ["send", "rpc"], to: ["s", "m:f/1"], ...over }]);
    const s = process("s");
    const both = () => [verdicts.onProcess("send", s, "by-name", 0), verdicts.onFunction("rpc", "m:f/1", undefined)];
    const outcomes = () => both().map(({ outcome }) => outcome);
    const before = outcomes();
    wall.ms = Date.UTC(2027, 0, 1);
    const after = outcomes();
    expect(after).not.toEqual(before);
    expect(both().every(({ validUntilMs }) => Number.isFinite(validUntilMs))).toBe(true);
    wall.ms = START;
    expect(outcomes()).toEqual(before);
  });

  it("have what code grants beside the rules, and a deny rule beats both", () => {
    const { verdicts } = make([
      { id: "no", from: "p", deny: "call", to: "s" },
      { id: "one", from: "p", allow: "exit", to: "other" },
    ]);
    const s = process("s", "cookie");
    expect(verdicts.onProcess("send", s, "by-name", 0)).toMatchObject({ outcome: "allow", rule: "code:s" });
    expect(verdicts.onProcess("monitor", s, "by-name", 0)).toMatchObject({ outcome: "allow", rule: "code:s" });
    expect(verdicts.onProcess("call", s, "by-name", 0)).toMatchObject({ outcome: "deny-rule", rule: "no" });
    expect(verdicts.onProcess("system", s, "by-name", 0).outcome).toBe("deny-default");
    expect(verdicts.onProcess("send", process("s", "ca"), "by-name", 0).outcome).toBe("deny-default");
    expect(verdicts.onProcess("send", process(undefined, "cookie"), "by-pid", 0)).toMatchObject({
      rule: "code:process",
    });
  });
});

describe("verdicts on what is not there, and on functions", () => {
  it("are those of the name", () => {
    const { verdicts } = make([{ id: "r", from: "p", allow: "send", to: "gone" }]);
    expect(verdicts.onMissing("send", "gone", undefined).outcome).toBe("allow");
    expect(verdicts.onMissing("send", "other", undefined).outcome).toBe("deny-default");
    expect(verdicts.onMissing("send", undefined, undefined).outcome).toBe("deny-default");
    expect(verdicts.onMissing("send", "other", AllowRule.compile("cookie")).outcome).toBe("allow");
    expect(verdicts.onMissing("send", "other", undefined).outcome).toBe("deny-default");
  });

  it("tell a function by its whole label, and what code grants from what it does not", () => {
    const { verdicts } = make([{ id: "r", from: "p", allow: "rpc", to: "m:f/1" }]);
    expect(verdicts.onFunction("rpc", "m:f/1", undefined).outcome).toBe("allow");
    expect(verdicts.onFunction("rpc", "m:f/2", undefined).outcome).toBe("deny-default");
    expect(verdicts.onFunction("spawn", "m:f/1", undefined).outcome).toBe("deny-default");
    const open = AllowRule.compile("cookie", ["spawn"]);
    expect(verdicts.onFunction("spawn", "m:f/1", open).outcome).toBe("allow");
    expect(verdicts.onFunction("spawn", "m:f/1", AllowRule.compile("ca", ["spawn"])).outcome).toBe("deny-default");
    expect(verdicts.onFunction("spawn", "m:f/1", open)).toBe(verdicts.onFunction("spawn", "m:f/1", open));
  });

  it("are bounded: ever new names clear the table, and are decided all the same", () => {
    const { verdicts } = make([{ id: "r", from: "p", allow: "send", to: "kept" }], 10);
    const kept = verdicts.onMissing("send", "kept", undefined);
    expect(verdicts.onMissing("send", "kept", undefined)).toBe(kept);
    for (let i = 0; i < 1_000; i++) {
      expect(verdicts.onMissing("send", `name${i}`, undefined).outcome).toBe("deny-default");
      expect(verdicts.size).toBeLessThanOrEqual(10);
    }
    expect(verdicts.onMissing("send", "kept", undefined)).toEqual(kept);
  });
});
