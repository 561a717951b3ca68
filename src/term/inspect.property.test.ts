import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { decodeTerm } from "./decode.ts";
import { encodeTerm } from "./encode.ts";
import { inspectTerm, TermFacts, type TermQuestion } from "./inspect.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import { skipTerm } from "./skip.ts";
import {
  atom,
  atomName,
  BitString,
  ExportFun,
  Float,
  Fun,
  ImproperList,
  NativeRecord,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple,
} from "./types.ts";

const HOME: readonly [string, string] = ["me@h", "peer@Host"];
const KNOWN: ReadonlySet<string> = new Set(["ok", "error"]);

const word = fc.constantFrom("ok", "error", "a", "b", "c", "é", "true", "nil");
const node = fc.constantFrom("me@h", "peer@Host", "peer@hOST", "Peer@host", "third@h");
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const pid = fc.tuple(node, u32, u32).map(([name, id, creation]) => new Pid(name, id, 0, creation));
const leaf: fc.Arbitrary<Term> = fc.oneof(
  word.map(atom),
  fc.integer(),
  fc.bigInt({ min: 2n ** 60n, max: 2n ** 200n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => new Float(x)),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(new BitString(Buffer.from([0x80]), 1)),
  pid,
  fc.tuple(node, u32).map(([name, creation]) => new Reference(name, creation, [1, 2, 3])),
  fc.tuple(node, u32).map(([name, creation]) => new Port(name, 7n, creation)),
  fc.tuple(word, word).map(([module, name]) => new ExportFun(module, name, 1)),
);
const term: fc.Arbitrary<Term> = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { depthSize: "medium" },
    leaf,
    fc.array(fc.nat(255)),
    fc.array(tie("term"), { maxLength: 4 }),
    fc.array(tie("term"), { maxLength: 4 }).map((elements) => new Tuple(elements)),
    fc.array(tie("term"), { maxLength: 3 }).map((values) => new Map(values.map((value, key) => [key, value]))),
    fc
      .tuple(fc.array(tie("term"), { minLength: 1, maxLength: 3 }), leaf)
      .map(([items, tail]) => new ImproperList(items, tail)),
    fc
      .tuple(word, pid, fc.array(tie("term"), { maxLength: 2 }))
      .map(([module, maker, free]) => new Fun(module, 2, Buffer.alloc(16, 1), 7, 5, 9, maker, free)),
    fc.array(fc.tuple(word, tie("term")), { maxLength: 2 }).map((fields) => new NativeRecord(true, "m", "r", fields)),
  ),
})).term;

interface Counted {
  depth: number;
  elements: number;
  atoms: Set<string>;
  hasFun: boolean;
  hasForeign: boolean;
}

/** The same facts of a decoded term, by walking it. */
function count(of: Term, into: Counted, level: number): void {
  const inside = (elements: number, parts: Iterable<Term>, isContainer = true): void => {
    if (isContainer) into.depth = Math.max(into.depth, level + 1);
    into.elements += elements;
    for (const part of parts) count(part, into, level + 1);
  };
  const belongs = (name: string): void => {
    const [local, host] = name.split("@");
    if (name === HOME[0] || (local === "peer" && host?.toLowerCase() === "host")) return;
    into.hasForeign = true;
    into.atoms.add(name);
  };
  const name = atomName(of);
  if (name !== undefined) into.atoms.add(name);
  else if (Array.isArray(of)) inside(of.length, of as Term[], of.length > 0);
  else if (of instanceof Tuple) inside(of.length, of.elements);
  else if (of instanceof Map) inside(of.size * 2, [...of].flat());
  else if (of instanceof ImproperList) inside(of.elements.length, [...of.elements, of.tail]);
  else if (of instanceof Pid || of instanceof Reference || of instanceof Port) belongs(of.node);
  else if (of instanceof ExportFun) {
    into.hasFun = true;
    into.atoms.add(of.module).add(of.function);
  } else if (of instanceof Fun) {
    into.hasFun = true;
    into.atoms.add(of.module);
    belongs(of.pid.node);
    inside(of.free.length, of.free);
  } else if (of instanceof NativeRecord) {
    into.atoms.add(of.module).add(of.recordName);
    for (const [key] of of.fields) into.atoms.add(key);
    inside(
      of.fields.length,
      of.fields.map(([, value]) => value),
    );
  }
}

function inspect(bytes: Buffer, question: Partial<TermQuestion> = {}): TermFacts {
  const facts = new TermFacts();
  const asked = { nodes: HOME, knownAtoms: KNOWN, maxNewAtoms: 1_000, ...question };
  inspectTerm(bytes, 1, bytes.length, DEFAULT_TERM_LIMITS, asked, facts);
  return facts;
}

describe("inspectTerm", () => {
  it("tells of encoded bytes what walking the decoded term tells", () => {
    fc.assert(
      fc.property(term, (value) => {
        const bytes = encodeTerm(value);
        const counted: Counted = { depth: 0, elements: 0, atoms: new Set(), hasFun: false, hasForeign: false };
        count(decodeTerm(bytes), counted, 0);
        const facts = inspect(bytes);
        expect({ ...facts }).toEqual({
          end: bytes.length,
          depth: counted.depth,
          elements: counted.elements,
          newAtoms: [...counted.atoms].filter((name) => !KNOWN.has(name)).length,
          hasFun: counted.hasFun,
          hasForeign: counted.hasForeign,
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it("ends where skipTerm ends, and refuses what it refuses for the same reason", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.tuple(term, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
        const encoded = Buffer.from(encodeTerm(value));
        encoded[at % encoded.length] = byte;
        return encoded;
      }),
    );
    let refused = 0;
    fc.assert(
      fc.property(bytes, (array) => {
        const given = Buffer.from([131, ...array.slice(1)]);
        // References to a header are checked here and not there.
        const atomRefs = Array.from({ length: 256 }, () => atom("ok"));
        const [mine, theirs] = [() => inspect(given, { atomRefs }).end, () => skipTerm(given, 1, given.length)].map(
          (run) => {
            try {
              return run();
            } catch (error) {
              if (!isSallyportError(error)) throw error;
              refused++;
              return `${error.code} ${error.reason}`;
            }
          },
        );
        expect(mine).toBe(theirs);
      }),
      { numRuns: 5_000 },
    );
    expect(refused).toBeGreaterThan(1_000);
  });
});
