import { describe, expect, it } from "vitest";
import { atom, type Term } from "../term/types.ts";
import { checkShape } from "./check/check-shape.ts";
import type { ShapeEntry } from "./document.ts";
import { formatPath, ProblemList } from "./problem.ts";
import { compileShape } from "./shape.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const matches = (entry: ShapeEntry, bytes: string, atomRefs?: readonly Term[]): boolean =>
  compileShape(entry).matches(hex(bytes), 0, hex(bytes).length, atomRefs);

function problemsOf(entry: unknown): readonly string[] {
  const problems = new ProblemList();
  checkShape(entry, ["shape"], problems);
  return problems.all.map((problem) => formatPath(problem.path));
}

describe("a shape", () => {
  it("knows an atom in every form in which one is written", () => {
    // é: SMALL_ATOM_UTF8_EXT, ATOM_UTF8_EXT, SMALL_ATOM_EXT, ATOM_EXT, ATOM_CACHE_REF
    for (const bytes of ["77 02 c3a9", "76 0002 c3a9", "73 01 e9", "64 0001 e9"])
      expect(matches("é", bytes)).toBe(true);
    expect(matches("é", "52 01", [atom("a"), atom("é")])).toBe(true);
    expect(matches("é", "52 00", [atom("a"), atom("é")])).toBe(false);
    expect(matches("boolean", "52 00", [true])).toBe(true);
    expect(matches("日", "73 01 e9")).toBe(false);
  });

  it("refuses a reference to an atom that the header has not", () => {
    const beyond = expect.objectContaining({ code: "ERR_PEER_MISBEHAVED", reason: "TERM_ATOM_REF_INVALID" });
    expect(() => matches("ok", "52 02", [atom("ok")])).toThrow(beyond);
    expect(() => matches("ok", "52 00")).toThrow(beyond);
  });

  it("takes a list in pieces for the one list it is", () => {
    // [1, 2 | [3]] with the tail as STRING_EXT, and as LIST_EXT
    const pieces = ["6c 00000002 61 01 61 02 6b 0001 03", "6c 00000002 61 01 61 02 6c 00000001 61 03 6a"];
    for (const bytes of pieces) {
      expect(matches({ list: "integer", max: 3 }, bytes)).toBe(true);
      expect(matches({ list: "integer", max: 2 }, bytes)).toBe(false);
      expect(matches({ list: { oneOf: [1, 2] } }, bytes)).toBe(false);
      expect(matches("string", bytes)).toBe(true);
    }
  });

  it("reads an integer in whichever form it comes", () => {
    // 5 as SMALL_INTEGER_EXT, INTEGER_EXT, SMALL_BIG_EXT, and the last with a needless zero
    for (const bytes of ["61 05", "62 00000005", "6e 01 00 05", "6e 02 00 05 00"]) expect(matches(5, bytes)).toBe(true);
    expect(matches(-5, "6e 01 01 05")).toBe(true);
    expect(matches(5, "6e 01 01 05")).toBe(false);
    expect(matches(0, "6e 01 01 00")).toBe(true);
    expect(matches(5, "6e 09 00 05 00 00 00 00 00 00 00 01")).toBe(false);
  });

  it("takes a list of integers from 0 to 255 for a string, in whichever form they come, and no other", () => {
    const list = (integer: string): boolean => matches("string", `6c 00000002 61 01 ${integer} 6a`);
    const bytes = [
      "61 ff",
      "62 000000ff",
      "6e 01 00 ff",
      "6e 02 00 ff 00",
      "6f 00000001 00 ff",
      "6e 00 00",
      "6e 01 01 00",
    ];
    const others = ["62 00000100", "62 ffffffff", "6e 01 01 05", "6e 02 00 00 01", "6f 00000002 00 00 01", "77 01 61"];
    expect(bytes.map(list)).toEqual(bytes.map(() => true));
    expect(others.map(list)).toEqual(others.map(() => false));
    expect(matches("string", "6c 00000001 61 01 61 02")).toBe(false);
  });

  it("takes BIT_BINARY_EXT with whole bytes for a binary, and no other", () => {
    expect(matches("binary", "4d 00000001 08 ff")).toBe(true);
    expect(matches("binary", "4d 00000001 01 80")).toBe(false);
    expect(matches("bitstring", "4d 00000001 01 80")).toBe(true);
  });

  it("refuses a map with one key twice, though both values fit", () => {
    const twice = "74 00000002 77 01 61 61 01 77 01 61 61 02";
    expect(matches({ map: { a: "integer" }, open: true }, twice)).toBe(false);
    expect(matches({ map: { a: "integer", b: "integer" } }, twice)).toBe(false);
  });

  it("passes over keys that are no atoms in an open map only", () => {
    const numbered = "74 00000002 77 01 61 61 01 61 07 61 02";
    expect(matches({ map: { a: "integer" }, open: true }, numbered)).toBe(true);
    expect(matches({ map: { a: "integer" } }, numbered)).toBe(false);
  });

  it("looks at nothing after the term, and needs all of it", () => {
    expect(matches({ tuple: ["ok"] }, "68 01 77 02 6f6b ff ff")).toBe(true);
    const cut = expect.objectContaining({ code: "ERR_PEER_MISBEHAVED", reason: "TERM_TRUNCATED" });
    expect(() => compileShape({ tuple: ["ok"] }).matches(hex("68 01 77 02 6f6b"), 0, 5)).toThrow(cut);
    expect(() => matches({ list: "any" }, "6c ffffffff 6a")).toThrow(cut);
    expect(() => matches({ map: {}, open: true }, "74 ffffffff")).toThrow(cut);
    expect(() => matches("string", "6c ffffffff 61 01")).toThrow(cut);
  });

  it("has room for a long list of one atom, though a message may hold only so many", () => {
    const bytes = Buffer.concat([hex("6c 00007530"), Buffer.alloc(4 * 30_000, hex("77 02 6f6b")), hex("6a")]);
    expect(compileShape("list").matches(bytes, 0, bytes.length)).toBe(true);
    expect(compileShape({ list: "ok" }).matches(bytes, 0, bytes.length)).toBe(true);
  });
});

describe("checkShape", () => {
  it("takes every form", () => {
    const entry: ShapeEntry = {
      tuple: [
        "progress",
        "binary",
        { list: { oneOf: [1, { atom: "any" }] }, max: 3 },
        { map: { a: "any" }, open: true },
      ],
    };
    expect(problemsOf(entry)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ["a fraction", 1.5, "shape"],
    ["true", true, "shape"],
    ["null", null, "shape"],
    ["a list", ["ok"], "shape"],
    ["no form", {}, "shape"],
    ["two forms", { tuple: [], list: "any" }, "shape.list"],
    ["a tuple that is no list", { tuple: "any" }, "shape.tuple"],
    ["an empty choice", { oneOf: [] }, "shape.oneOf"],
    ["a max below 0", { list: "any", max: -1 }, "shape.max"],
    ["a map that is a list", { map: ["a"] }, "shape.map"],
    ["an open that is no boolean", { map: {}, open: 1 }, "shape.open"],
    ["an atom that is none", { atom: 5 }, "shape.atom"],
    ["an atom of 256 characters", "x".repeat(256), "shape"],
    ["half a character", { tuple: ["\ud800"] }, "shape.tuple[0]"],
  ])("refuses %s", (_what, entry, path) => {
    expect(problemsOf(entry)).toEqual([path]);
  });

  it("bounds depth and number of parts", () => {
    let deep: ShapeEntry = "any";
    for (let i = 0; i < 17; i++) deep = { list: deep };
    expect(problemsOf(deep)).toHaveLength(1);
    expect(problemsOf({ tuple: Array.from({ length: 256 }, () => "any") })).toEqual(["shape"]);
    expect(problemsOf({ tuple: Array.from({ length: 255 }, () => "any") })).toEqual([]);
    const wide: unknown[] = [];
    wide.push({ tuple: wide });
    expect(problemsOf({ tuple: wide })).toHaveLength(1);
  });
});
