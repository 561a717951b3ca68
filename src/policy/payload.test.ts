import { describe, expect, it } from "vitest";
import { TermFacts } from "../term/inspect.ts";
import type { Bounds } from "./bounds.ts";
import { compilePolicy } from "./compile.ts";
import { compileLimits, NO_BOUNDS } from "./compile-limits.ts";
import { knownAtomsOf, needsInspection, newAtomsToCount, withinBounds } from "./payload.ts";

const facts = (changes: Partial<TermFacts> = {}): TermFacts =>
  Object.assign(new TermFacts(), { depth: 2, elements: 10, newAtoms: 1, ...changes });

describe("withinBounds", () => {
  it.each<[string, Partial<Bounds>]>([
    ["payload", { payloadBytes: 99 }],
    ["depth", { depth: 1 }],
    ["elements", { elements: 9 }],
    ["newAtoms", { newAtoms: 0 }],
  ])("names %s, whether the grant or the peer bounds it", (name, changes) => {
    const tight = { ...NO_BOUNDS, ...changes };
    const [[key, value]] = Object.entries(changes) as [[string, number]];
    const exact = { ...NO_BOUNDS, [key]: value + 1 };
    expect(withinBounds(tight, NO_BOUNDS, facts(), 100)).toBe(name);
    expect(withinBounds(undefined, tight, facts(), 100)).toBe(name);
    expect(withinBounds(exact, tight, facts(), 100)).toBe(name);
    expect(withinBounds(exact, exact, facts(), 100)).toBeUndefined();
  });

  it("lets funs and identifiers of third nodes pass when the grant or the peer says so", () => {
    for (const [key, fact] of [
      ["funs", "hasFun"],
      ["foreign", "hasForeign"],
    ] as const) {
      const open = { ...NO_BOUNDS, [key]: true };
      expect(withinBounds(undefined, NO_BOUNDS, facts({ [fact]: true }), 1)).toBe(key);
      expect(withinBounds(NO_BOUNDS, NO_BOUNDS, facts({ [fact]: true }), 1)).toBe(key);
      expect(withinBounds(open, NO_BOUNDS, facts({ [fact]: true }), 1)).toBeUndefined();
      expect(withinBounds(undefined, open, facts({ [fact]: true }), 1)).toBeUndefined();
    }
  });

  it("needs no look inside only where nothing inside is bounded", () => {
    const open = compileLimits({}, true);
    expect(needsInspection(undefined, NO_BOUNDS)).toBe(true);
    expect(needsInspection(undefined, open)).toBe(false);
    expect(needsInspection({ ...NO_BOUNDS, payloadBytes: 5 }, open)).toBe(false);
    for (const key of ["depth", "elements", "newAtoms"] as const) {
      expect(needsInspection({ ...NO_BOUNDS, [key]: 5 }, open)).toBe(true);
      expect(needsInspection(undefined, { ...open, [key]: 5 })).toBe(true);
    }
    expect(needsInspection(undefined, { ...open, foreign: false })).toBe(true);
    expect(needsInspection({ ...NO_BOUNDS, foreign: true }, { ...open, foreign: false })).toBe(false);
  });

  it("counts new atoms up to the tighter bound", () => {
    const of = (grant?: number, peer?: number) =>
      newAtomsToCount({ ...NO_BOUNDS, newAtoms: grant }, { ...NO_BOUNDS, newAtoms: peer });
    expect([of(), of(3), of(undefined, 2), of(3, 2), of(1, 2)]).toEqual([undefined, 3, 2, 2, 1]);
  });
});

describe("compileLimits", () => {
  it("reads every limit", () => {
    expect(
      compileLimits({ rate: "20/s", bytes: "1KiB/min", inflight: 3, payload: "2KiB", depth: 0, funs: true }),
    ).toEqual({
      rate: { count: 20, perMs: 1_000 },
      bytes: { count: 1_024, perMs: 60_000 },
      inflight: 3,
      payloadBytes: 2_048,
      depth: 0,
      elements: undefined,
      newAtoms: undefined,
      funs: true,
      foreign: false,
    });
    expect(compileLimits({ payload: 7, funs: false }, true)).toMatchObject({
      payloadBytes: 7,
      funs: false,
      foreign: true,
    });
  });
});

describe("knownAtomsOf", () => {
  it("holds the atoms of shapes and targets, and the common ones", () => {
    const policy = compilePolicy({
      version: 1,
      node: "me@h",
      rules: [
        {
          id: "r",
          from: "*",
          allow: ["send", "rpc"],
          to: ["jobs", "Jobs:run/1", "store:*/*"],
          shape: {
            tuple: ["progress", "binary", 5, { map: { key: { list: { oneOf: [{ atom: "integer" }, "deep"] } } } }],
          },
        },
      ],
    });
    const common = ["true", "false", "nil", "undefined", "ok", "error", "null"];
    const named = ["jobs", "Elixir.Jobs", "run", "store", "progress", "key", "integer", "deep"];
    expect([...knownAtomsOf(policy)].sort()).toEqual([...common, ...named].sort());
  });
});
