import { describe, expect, it } from "vitest";
import { reasonOf } from "../testkit/failure.ts";
import { compareTerms, mapGet, mapHas, termEquals } from "./compare.ts";
import {
  Atom,
  atom,
  BitString,
  Float,
  float,
  ImproperList,
  NativeRecord,
  Pid,
  Reference,
  type Term,
  tuple,
} from "./types.ts";

describe("termEquals", () => {
  it.each([
    ["atoms by name", new Atom("a"), new Atom("a")],
    ["a bigint and its number", 5n, 5],
    ["a string and its bytes", "é", Buffer.from("é")],
    ["a Buffer and a Uint8Array", Buffer.from([1]), new Uint8Array([1])],
    ["eight last bits and a binary", new BitString(Buffer.from([1]), 8), Buffer.from([1])],
    ["a large number and its Float", 1e300, float(1e300)],
    ["maps in any order", new Map([[1, 2], [3, 4]]), new Map([[3, 4], [1, 2]])], // biome-ignore format: one case a line
    ["maps with compound keys", new Map([[tuple(1), 1]]), new Map([[tuple(1), 1]])],
    ["a list whose tail is a list", new ImproperList([1], [2]), [1, 2]],
    ["references with words of zero at the end", new Reference("a@b", 1, [1]), new Reference("a@b", 1, [1, 0])],
    ["records", new NativeRecord(true, "m", "r", [["f", 1]]), new NativeRecord(true, "m", "r", [["f", 1]])],
  ] as [string, Term, Term][])("holds for %s", (_, a, b) => {
    expect(termEquals(a, b)).toBe(true);
    expect(termEquals(b, a)).toBe(true);
    expect(compareTerms(a, b)).toBe(0);
  });

  it.each([
    ["1 and 1.0", 1, float(1)],
    ["0.0 and -0.0", new Float(0), new Float(-0)],
    ["{1} and {1.0}", tuple(1), tuple(float(1))],
    ["true and the binary", true, "true"],
    ["nil and the empty list", null, []],
    ["null and nil", new Atom("null"), null],
    ["bits and bytes", new BitString(Buffer.from([0x20]), 3), Buffer.from([0x20])],
    ["pids of two creations", new Pid("a@b", 1, 1, 1), new Pid("a@b", 1, 1, 2)],
    ["map values", new Map([[1, 1]]), new Map([[1, float(1)]])],
    ["field names", new NativeRecord(true, "m", "r", [["f", 1]]), new NativeRecord(true, "m", "r", [["g", 1]])],
  ] as [string, Term, Term][])("does not hold for %s", (_, a, b) => {
    expect(termEquals(a, b)).toBe(false);
    expect(termEquals(b, a)).toBe(false);
  });

  it("gives an error for what is no term and for terms that contain themselves", () => {
    expect(reasonOf(() => termEquals({} as unknown as Term, 1))).toBe("TERM_UNENCODABLE");
    const a: Term[] = [];
    a.push(a);
    const b: Term[] = [];
    b.push(b);
    expect(reasonOf(() => termEquals(a, b))).toBe("TERM_DEPTH");
  });
});

describe("compareTerms", () => {
  it("takes 1 and 1.0 as equal, but not as map keys", () => {
    expect(compareTerms(1, float(1))).toBe(0);
    expect(compareTerms(new Map([[1, 1]]), new Map<Term, Term>([[float(1), 1]]))).toBeLessThan(0);
  });

  it("compares integers with floats exactly", () => {
    expect(compareTerms(9007199254740993n, float(9007199254740992))).toBeGreaterThan(0);
  });
});

describe("mapGet and mapHas", () => {
  const map = new Map<Term, Term>([
    [tuple(atom("k"), 1), "compound"],
    [atom("a"), "atom"],
    [Buffer.from("bin"), "binary"],
    [1, "integer"],
    [float(1), "float"],
    [atom("u"), undefined],
  ]);

  it("find a key by the term it is", () => {
    expect(mapGet(map, tuple(atom("k"), 1))).toBe("compound");
    expect(mapGet(map, atom("a"))).toBe("atom");
    expect(mapGet(map, "bin")).toBe("binary");
    expect(mapGet(map, 1n)).toBe("integer");
    expect(mapGet(map, float(1))).toBe("float");
    expect(mapGet(map, float(2))).toBe(undefined);
    expect([mapHas(map, atom("u")), mapHas(map, atom("v")), mapHas(map, 1)]).toEqual([true, false, true]);
  });
});
