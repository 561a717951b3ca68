import { describe, expect, it } from "vitest";
import type { Assurance } from "../base/assurance.ts";
import { canonicalName, parseNodeName } from "../base/node-name.ts";
import { type Allow, type AllowFacts, AllowRule, type AllowVerb } from "./allow.ts";

const VERBS: readonly AllowVerb[] = ["call", "cast", "send", "monitor", "link", "exit", "rpc", "spawn"];
const LEVELS: readonly Assurance[] = ["none", "cookie", "tofu", "ca", "pinned"];
const peer = (name: string, assurance: Assurance): AllowFacts => ({
  name: canonicalName(parseNodeName(name)),
  assurance,
});
const compile = (allow: unknown, verbs?: readonly AllowVerb[]) => AllowRule.compile(allow as Allow, verbs);
const permitted = (rule: AllowRule | undefined, who: AllowFacts) => VERBS.filter((verb) => rule?.permits(who, verb));

describe("AllowRule", () => {
  it("makes a target without a rule private", () => {
    expect(AllowRule.compile(undefined)).toBeUndefined();
  });

  it.each(LEVELS)("opens call, cast, send and monitor from level %s on, and nothing else", (least) => {
    const rule = compile(least);
    for (const level of LEVELS) {
      const open = LEVELS.indexOf(level) >= LEVELS.indexOf(least);
      expect(permitted(rule, peer("a@h", level))).toEqual(open ? ["call", "cast", "send", "monitor"] : []);
    }
  });

  it("opens to named peers only, the case of the host folded, and never below cookie", () => {
    const rule = compile(["A@Host", "b@h"]);
    for (const name of ["A@host", "A@HOST", "b@h"]) expect(permitted(rule, peer(name, "cookie"))).toHaveLength(4);
    for (const name of ["a@host", "b@h2", "c@h"]) expect(permitted(rule, peer(name, "pinned"))).toEqual([]);
    expect(permitted(rule, peer("b@h", "none"))).toEqual([]);
  });

  it("asks for all conditions of a rule at once", () => {
    const rule = compile({ atLeast: "ca", peers: ["a@h"], verbs: ["exit", "spawn"] });
    expect(permitted(rule, peer("a@h", "ca"))).toEqual(["exit", "spawn"]);
    expect(permitted(rule, peer("a@h", "pinned"))).toEqual(["exit", "spawn"]);
    expect(permitted(rule, peer("a@h", "tofu"))).toEqual([]);
    expect(permitted(rule, peer("b@h", "ca"))).toEqual([]);
  });

  it("takes a rule of peers alone, and of a level alone", () => {
    expect(permitted(compile({ peers: ["a@h"] }), peer("a@h", "cookie"))).toHaveLength(4);
    expect(permitted(compile({ atLeast: "pinned" }), peer("a@h", "ca"))).toEqual([]);
    expect(permitted(compile({ atLeast: "none" }), peer("a@h", "none"))).toHaveLength(4);
  });

  it("has other default verbs where the target says so, and no verbs when told so", () => {
    expect(permitted(compile("ca", ["rpc", "spawn"]), peer("a@h", "ca"))).toEqual(["rpc", "spawn"]);
    expect(permitted(compile({ atLeast: "ca", verbs: ["call"] }, ["rpc"]), peer("a@h", "ca"))).toEqual(["call"]);
    expect(permitted(compile({ atLeast: "ca", verbs: [] }), peer("a@h", "pinned"))).toEqual([]);
  });

  it("does not follow a list that is changed afterwards", () => {
    const peers = ["a@h"];
    const verbs: AllowVerb[] = ["call"];
    const rule = compile({ peers, verbs });
    peers.push("b@h");
    verbs.push("exit");
    expect(permitted(rule, peer("b@h", "pinned"))).toEqual([]);
    expect(permitted(rule, peer("a@h", "pinned"))).toEqual(["call"]);
  });

  it.each([
    null,
    true,
    "",
    "CA",
    "anybody",
    3,
    {},
    { verbs: ["call"] },
    [],
    { peers: [] },
    { atLeast: "all" },
    { atLeast: "ca", verbs: ["system"] },
    { atLeast: "ca", verbs: ["call", "*"] },
    () => true,
  ])("refuses %j instead of guessing", (allow) => {
    expect(() => compile(allow)).toThrow(expect.objectContaining({ code: "ERR_API_MISUSE", reason: "ALLOW_INVALID" }));
  });

  it.each([["*"], ["a"], ["a@h", "b@@"]])("refuses %j, which is no node name", (...names) => {
    const invalid = expect.objectContaining({ code: "ERR_CONFIG", reason: "NAME_INVALID" });
    expect(() => compile(names)).toThrow(invalid);
    expect(() => compile({ peers: names })).toThrow(invalid);
  });
});
