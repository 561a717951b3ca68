import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatMatcher,
  formatTarget,
  functionLabel,
  namedFunctionLabel,
  parseOperationTarget,
  parseReplyTarget,
  parseTargetText,
  splitFunctionLabel,
  type TargetMatcher,
} from "./parse-target.ts";

describe("parseTargetText", () => {
  it.each<[string, TargetMatcher]>([
    ["jobs", { kind: "name", name: "jobs" }],
    ["Jobs", { kind: "name", name: "Jobs" }],
    ["Elixir.Jobs", { kind: "name", name: "Elixir.Jobs" }],
    ["'a b'", { kind: "name", name: "a b" }],
    ["'granted-pids'", { kind: "name", name: "granted-pids" }],
    ["'*'", { kind: "name", name: "*" }],
    ["'it\\'s'", { kind: "name", name: "it's" }],
    ["*", { kind: "star" }],
    ["granted-pids", { kind: "granted-pids" }],
    ["any-pid", { kind: "any-pid" }],
    ["lists:map/2", { kind: "function", module: "lists", function: "map", arity: 2 }],
    ["Jobs.Runner:start/2", { kind: "function", module: "Elixir.Jobs.Runner", function: "start", arity: 2 }],
    ["Elixir.Jobs:run/0", { kind: "function", module: "Elixir.Jobs", function: "run", arity: 0 }],
    ["'Jobs':run/1", { kind: "function", module: "Jobs", function: "run", arity: 1 }],
    ["Jobs:ok?/1", { kind: "function", module: "Elixir.Jobs", function: "ok?", arity: 1 }],
    ["erlang:'+'/2", { kind: "function", module: "erlang", function: "+", arity: 2 }],
    ["store:*/*", { kind: "module", module: "store" }],
    ["Store:*/*", { kind: "module", module: "Elixir.Store" }],
  ])("reads %s", (text, matcher) => {
    expect(parseTargetText(text)).toEqual(matcher);
  });

  it.each([
    "",
    "a b",
    "a:b",
    "a:b/",
    "a:b/256",
    "a:b/x",
    "a:*/1",
    "a:f/*",
    "*:*/*",
    ":f/1",
    "'a",
    "a'b",
    "''",
    "a/b",
    "x".repeat(256),
  ])("refuses %j", (text) => {
    expect(parseTargetText(text)).toBeUndefined();
  });

  it("reads back what it prints", () => {
    const atom = fc.oneof(
      fc.string({ minLength: 1, maxLength: 12 }),
      fc.constantFrom("Jobs", "Elixir.Jobs", "Elixir.Elixir.X", "elixir", "a:b/1", "*", "any-pid", "'", "\\", "a\n"),
    );
    const matcher: fc.Arbitrary<TargetMatcher> = fc.oneof(
      atom.map((name) => ({ kind: "name" as const, name })),
      atom.map((module) => ({ kind: "module" as const, module })),
      fc.record({ kind: fc.constant("function" as const), module: atom, function: atom, arity: fc.nat(255) }),
    );
    fc.assert(
      fc.property(matcher, (given) => {
        expect(parseTargetText(formatMatcher(given))).toEqual(given);
        if (given.kind !== "function") return;
        const { module, function: name, arity } = given;
        expect(splitFunctionLabel(functionLabel(module, name, arity))).toEqual({ module, function: name, arity });
        expect(splitFunctionLabel(namedFunctionLabel(`${module}:${name}/${arity}`))).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("parseOperationTarget", () => {
  it("reads a target of each kind as the verb takes it", () => {
    expect(parseOperationTarget("call", "jobs")).toEqual({ kind: "name", name: "jobs" });
    expect(parseOperationTarget("spawn", "worker")).toEqual({ kind: "function", label: "worker" });
    expect(parseOperationTarget("rpc", "Jobs:run/1")).toEqual({ kind: "function", label: "Elixir.Jobs:run/1" });
    expect(parseOperationTarget("send", "granted-pids")).toEqual({ kind: "pid", name: undefined, granted: true });
    expect(parseOperationTarget("send", "any-pid")).toEqual({ kind: "pid", name: undefined, granted: false });
    expect(parseOperationTarget("connect", undefined)).toEqual({ kind: "node" });
    for (const text of ["*", "os:*/*", "a b", undefined]) expect(parseOperationTarget("rpc", text)).toBeUndefined();
    expect(parseOperationTarget("connect", "jobs")).toBeUndefined();
  });

  it("tells an open call from a closed one", () => {
    expect(["call#open", "call#closed", "jobs", undefined].map(parseReplyTarget)).toEqual([
      true,
      false,
      undefined,
      undefined,
    ]);
  });
});

describe("formatTarget", () => {
  it("prints modules as one writes them", () => {
    expect(formatTarget({ kind: "function", label: "Elixir.Jobs:run/1" })).toBe("Jobs:run/1");
    expect(formatTarget({ kind: "function", label: "Jobs:run/1" })).toBe("'Jobs':run/1");
    expect(formatTarget({ kind: "function", label: "worker" })).toBe("worker");
    expect(formatTarget({ kind: "pid", name: "jobs", granted: false })).toBe("jobs");
    expect(formatTarget({ kind: "pid", name: undefined, granted: true })).toBe("granted-pids");
    expect(formatTarget({ kind: "node" })).toBe("node");
  });
});
