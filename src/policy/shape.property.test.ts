import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { encodeTerm } from "../term/encode.ts";
import {
  atom,
  atomName,
  BitString,
  ExportFun,
  Float,
  Fun,
  ImproperList,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple,
} from "../term/types.ts";
import { checkShape } from "./check/check-shape.ts";
import type { ShapeEntry } from "./document.ts";
import { ProblemList } from "./problem.ts";
import { compileShape } from "./shape.ts";

const leaf: fc.Arbitrary<Term> = fc.oneof(
  fc.constantFrom("ok", "true", "false", "nil", "é", "progress").map(atom),
  fc.constantFrom(0, 1, 255, 256, -1, 300, 70_000, 2 ** 40, -(2 ** 40)),
  fc.constantFrom<Term>(2n ** 70n, new Float(1), 0.5, "text", Buffer.from([255]), new BitString(Buffer.from([128]), 1)),
  fc.constantFrom<Term>(new Pid("a@h", 1, 0, 1), new Reference("a@h", 1, [1]), new Port("a@h", 1n, 1)),
  fc.constant(new ExportFun("m", "f", 1)),
);
const term: fc.Arbitrary<Term> = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(fc.nat(255), { maxLength: 4 }),
    fc.array(tie("term"), { maxLength: 3 }),
    fc.array(tie("term"), { maxLength: 3 }).map((elements) => new Tuple(elements)),
    fc
      .tuple(fc.array(tie("term"), { minLength: 1, maxLength: 3 }), leaf)
      .map(([items, tail]) => new ImproperList(items, tail)),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "ok"), tie("term")), { maxLength: 3, selector: ([key]) => key })
      .map((pairs) => new Map(pairs.map(([key, value]) => [atom(key), value]))),
  ),
})).term;

const WORDS = [
  "any",
  "atom",
  "binary",
  "bitstring",
  "boolean",
  "float",
  "fun",
  "integer",
  "list",
  "map",
  "nil",
  "number",
  "pid",
  "port",
  "reference",
  "string",
  "tuple",
];
const shape: fc.Arbitrary<ShapeEntry> = fc.letrec<{ shape: ShapeEntry }>((tie) => ({
  shape: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(...WORDS, "ok", "é"),
    fc.constantFrom(0, 1, 255, 256, -1, 2 ** 40),
    fc.constantFrom({ atom: "nil" }, { atom: "integer" }),
    fc.array(tie("shape"), { maxLength: 3 }).map((tuple) => ({ tuple })),
    tie("shape").map((list) => ({ list })),
    fc.tuple(tie("shape"), fc.nat(3)).map(([list, max]) => ({ list, max })),
    fc
      .tuple(fc.dictionary(fc.constantFrom("a", "b", "ok"), tie("shape"), { maxKeys: 2 }), fc.boolean())
      .map(([map, open]) => ({ map, open })),
    fc.array(tie("shape"), { minLength: 1, maxLength: 2 }).map((oneOf) => ({ oneOf })),
  ),
})).shape;

/** The shape that `value` fits, more often than a random one does. */
function shapeOf(value: Term): ShapeEntry {
  if (atomName(value) !== undefined) return { atom: atomName(value) ?? "" };
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (value instanceof Tuple) return { tuple: value.elements.map(shapeOf) };
  if (value instanceof Map) {
    return {
      map: Object.fromEntries([...value].map(([key, item]) => [atomName(key as Term) ?? "", shapeOf(item as Term)])),
    };
  }
  if (Array.isArray(value) && value.length > 0) return { list: { oneOf: (value as Term[]).map(shapeOf) } };
  return "any";
}

/** Whether a value has a shape, by looking at the value. */
function has(value: Term, entry: ShapeEntry): boolean {
  const name = atomName(value);
  if (typeof entry === "number") return value === entry;
  if (typeof entry !== "string") {
    if ("atom" in entry) return name === entry.atom;
    if ("tuple" in entry) {
      return (
        value instanceof Tuple &&
        value.length === entry.tuple.length &&
        entry.tuple.every((part, i) => has(value.elements[i], part))
      );
    }
    if ("list" in entry) {
      const max = entry.max ?? Number.POSITIVE_INFINITY;
      return Array.isArray(value) && value.length <= max && (value as Term[]).every((item) => has(item, entry.list));
    }
    if ("oneOf" in entry) return entry.oneOf.some((part) => has(value, part));
    if (!(value instanceof Map)) return false;
    const pairs = new Map([...value].map(([key, item]) => [atomName(key as Term), item as Term]));
    if (!entry.open && pairs.size !== Object.keys(entry.map).length) return false;
    return Object.entries(entry.map).every(([key, part]) => pairs.has(key) && has(pairs.get(key), part));
  }
  const isInteger = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
  const isFloat = value instanceof Float || (typeof value === "number" && !isInteger);
  const isBinary = typeof value === "string" || Buffer.isBuffer(value);
  switch (entry) {
    case "any":
      return true;
    case "atom":
      return name !== undefined;
    case "binary":
      return isBinary;
    case "bitstring":
      return isBinary || value instanceof BitString;
    case "boolean":
      return typeof value === "boolean";
    case "float":
      return isFloat;
    case "fun":
      return value instanceof ExportFun || value instanceof Fun;
    case "integer":
      return isInteger;
    case "list":
      return Array.isArray(value) || value instanceof ImproperList;
    case "map":
      return value instanceof Map;
    case "nil":
      return Array.isArray(value) && value.length === 0;
    case "number":
      return isInteger || isFloat;
    case "pid":
      return value instanceof Pid;
    case "port":
      return value instanceof Port;
    case "reference":
      return value instanceof Reference;
    case "string":
      return (
        Array.isArray(value) &&
        (value as Term[]).every((item) => has(item, "integer") && Number(item) >= 0 && Number(item) <= 255)
      );
    case "tuple":
      return value instanceof Tuple;
    default:
      return name === entry;
  }
}

const pair = fc.oneof(
  fc.tuple(term, shape),
  term.map((value) => [value, shapeOf(value)] as const),
  fc.tuple(term, shape).map(([value, other]) => [value, { oneOf: [other, shapeOf(value)] }] as const),
);

describe("compileShape", () => {
  it("tells of encoded bytes what looking at the value tells", () => {
    const seen = { yes: 0, no: 0 };
    fc.assert(
      fc.property(pair, ([value, entry]) => {
        const problems = new ProblemList();
        checkShape(entry, [], problems);
        fc.pre(problems.all.length === 0);
        const bytes = encodeTerm(value);
        const wanted = has(value, entry);
        seen[wanted ? "yes" : "no"]++;
        expect(compileShape(entry).matches(bytes, 1, bytes.length)).toBe(wanted);
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(seen.yes, seen.no)).toBeGreaterThan(500);
  });

  it("gives an answer or a typed error for any bytes", () => {
    let refused = 0;
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(term, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
        const encoded = Buffer.from(encodeTerm(value)).subarray(1);
        encoded[at % encoded.length] = byte;
        return encoded;
      }),
    );
    fc.assert(
      fc.property(bytes, shape, (array, entry) => {
        const problems = new ProblemList();
        checkShape(entry, [], problems);
        fc.pre(problems.all.length === 0);
        try {
          compileShape(entry).matches(Buffer.from(array), 0, array.length);
        } catch (error) {
          if (!isSallyportError(error) || !/^ERR_(PEER_MISBEHAVED|LIMIT)$/.test(error.code)) throw error;
          refused++;
        }
      }),
      { numRuns: 5_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
