import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { AtomTable } from "./atom-table.ts";
import { compareTerms, mapHas, termEquals } from "./compare.ts";
import { decodeTerm, TermDecoder } from "./decode.ts";
import { encodeTerm } from "./encode.ts";
import { headIs, peekTupleHead, TupleHead } from "./peek.ts";
import { PidTable } from "./pid-table.ts";
import { skipTerm } from "./skip.ts";
import { parseTermText } from "./text-parse.ts";
import { printTerm } from "./text-print.ts";
import {
  atom,
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

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const name = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 10 }),
  fc.constantFrom("ok", "true", "nil", "end", "a b", "js@127.0.0.1"),
);
const pid = fc.tuple(name, u32, u32, u32).map(([node, id, serial, creation]) => new Pid(node, id, serial, creation));
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
const floats = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => (Number.isInteger(x) ? new Float(x) : x));
const integers = fc.oneof(
  fc.integer({ min: -300, max: 300 }),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(1n << 600n), max: 1n << 600n }).map(asDecoded),
  fc.integer({ min: 0, max: 80 }).map((size) => asDecoded((1n << BigInt(size)) - 1n)),
);
const bits = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 7 }))
  .map(([array, last]) => new BitString(array, last));
/** What has a text form that reads back. */
const readable = fc.oneof(name.map(atom), integers, floats, bytes, fc.string({ unit: "binary" }), masked(bits));
const opaque = fc.oneof(
  pid,
  fc
    .tuple(name, u32, fc.array(u32, { maxLength: 5 }))
    .map(([node, creation, words]) => new Reference(node, creation, words)),
  fc
    .tuple(name, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), u32)
    .map(([node, id, creation]) => new Port(node, id, creation)),
);
const exportFun = fc.tuple(name, name, fc.nat(255)).map(([m, f, arity]) => new ExportFun(m, f, arity));

/** An integer as decoding gives it; as a list's only item, 5n is written in another form than 5. */
function asDecoded(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Bits that do not count are zero. */
function masked(strings: fc.Arbitrary<BitString>): fc.Arbitrary<BitString> {
  return strings.map(({ bytes: array, lastBits }) => {
    const copy = Buffer.from(array);
    copy[copy.length - 1]! &= 0xff << (8 - lastBits);
    return new BitString(copy, lastBits);
  });
}

function distinct(entries: readonly (readonly [Term, Term])[]): Map<Term, Term> {
  const map = new Map<Term, Term>();
  for (const [key, value] of entries) if (!mapHas(map, key)) map.set(key, value);
  return map;
}

function terms(leaf: fc.Arbitrary<Term>, extra: (tie: fc.Arbitrary<Term>) => fc.Arbitrary<Term>[]): fc.Arbitrary<Term> {
  return fc.letrec<{ term: Term }>((tie) => {
    const inner = tie("term");
    const list = fc.array(inner, { maxLength: 6 });
    return {
      term: fc.oneof(
        { depthSize: "small" },
        leaf,
        list.map((elements) => new Tuple(elements)),
        list,
        fc.array(fc.nat(255)),
        fc
          .tuple(fc.array(inner, { minLength: 1, maxLength: 4 }), leaf)
          .map(([items, tail]) => new ImproperList(items, tail)),
        fc.array(fc.tuple(inner, inner), { maxLength: 6 }).map(distinct),
        ...extra(inner),
      ),
    };
  }).term;
}

const readableTerm = terms(fc.oneof(readable, exportFun), () => []);
const anyTerm = terms(fc.oneof(readable, opaque, exportFun), (inner) => [
  fc
    .tuple(name, pid, fc.array(inner, { maxLength: 3 }))
    .map(([module, maker, free]) => new Fun(module, 2, Buffer.alloc(16, 1), 7, 5, 123_456, maker, free)),
  fc.array(fc.tuple(name, inner), { maxLength: 3 }).map((fields) => new NativeRecord(true, "m", "r", fields)),
]);

/** Runs `run`; anything thrown but a SallyportError with one of the codes fails the test. */
function orError<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (isSallyportError(error) && /^ERR_(PEER_MISBEHAVED|LIMIT|CONFIG)$/.test(error.code)) return undefined;
    throw error;
  }
}

/** Bytes that look like terms more often than plain random ones. */
const termlike = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(anyTerm, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(([term, changes]) => {
    const encoded = encodeTerm(term).subarray(1);
    for (const [at, byte] of changes) encoded[at % encoded.length] = byte;
    return encoded;
  }),
  fc
    .array(
      fc.constantFrom(67, 70, 77, 82, 88, 90, 97, 98, 104, 106, 107, 108, 109, 110, 112, 113, 116, 119, 0, 0, 0, 1, 2),
      {
        maxLength: 60,
      },
    )
    .map((list) => Uint8Array.from(list)),
);

describe("terms", () => {
  it("come back equal from their bytes, and give the same bytes again", () => {
    const decoder = new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
    fc.assert(
      fc.property(anyTerm, (term) => {
        const encoded = encodeTerm(term);
        const decoded = decodeTerm(encoded);
        expect(termEquals(decoded, term)).toBe(true);
        expect(encodeTerm(decoded).equals(encoded)).toBe(true);
        decoder.resetBudget();
        expect(termEquals(decoder.decodeAt(encoded, 1, encoded.length), term)).toBe(true);
        expect(skipTerm(encoded, 1, encoded.length)).toBe(encoded.length);
      }),
      { numRuns: 500 },
    );
  });

  it("come back equal from their text", () => {
    fc.assert(
      fc.property(readableTerm, (term) => {
        const text = printTerm(term);
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(termEquals(parseTermText(text), term), text).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("print without control characters, whatever they hold", () => {
    fc.assert(fc.property(anyTerm, (term) => void expect(printTerm(term)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)));
  });

  it("have an order", () => {
    fc.assert(
      fc.property(anyTerm, anyTerm, anyTerm, (a, b, c) => {
        expect(Math.sign(compareTerms(a, b))).toBe(-Math.sign(compareTerms(b, a)) + 0);
        expect(compareTerms(a, a)).toBe(0);
        if (compareTerms(a, b) <= 0 && compareTerms(b, c) <= 0) expect(compareTerms(a, c)).toBeLessThanOrEqual(0);
        if (termEquals(a, b)) expect(compareTerms(a, b)).toBe(0);
      }),
    );
  });
});

describe("bytes", () => {
  it("give a term or a SallyportError, nothing else, and skipping agrees", () => {
    const decoder = new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
    decoder.atomRefs = [atom("a"), atom("b@c")];
    const head = new TupleHead();
    fc.assert(
      fc.property(termlike, (array) => {
        const buffer = Buffer.from(array);
        decoder.resetBudget();
        const decoded = orError(() => ({ term: decoder.decodeAt(buffer, 0, buffer.length) }));
        const end = orError(() => skipTerm(buffer, 0, buffer.length));
        if (decoded === undefined) return;
        expect(end).toBe(decoder.position);
        const again = encodeTerm(decoded.term);
        expect(termEquals(decodeTerm(again), decoded.term)).toBe(true);
        expect(peekTupleHead(buffer, 0, buffer.length, head)).toBe(buffer[0] === 104 || buffer[0] === 105);
        if (decoded.term instanceof Tuple)
          expect(headIs(head, buffer, "a", decoder.atomRefs)).toBe(firstIsAtomA(decoded.term, buffer, head));
      }),
      { numRuns: 3000 },
    );
  });
});

/** Atoms in the old forms are not looked into by the peek. */
function firstIsAtomA(term: Tuple, buffer: Buffer, head: TupleHead): boolean {
  const tag = buffer[head.elements];
  return tag !== 100 && tag !== 115 && termEquals(term.elements[0], atom("a"));
}

describe("text", () => {
  it("gives a term or a SallyportError, nothing else", () => {
    const piece = fc.constantFrom(
      ..."{ } [ ] ( ) << >> #{ => | , . : / ' \" $ \\ % # fun a b 1 2.5 1_0 16#f -1 Var 'q' \"s\" /utf8 \\x{ \n <0.1.0> $\\n".split(
        " ",
      ),
    );
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.array(piece).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (source) => {
        const parsed = orError(() => ({ term: parseTermText(source) }));
        if (parsed !== undefined) expect(termEquals(parseTermText(printTerm(parsed.term)), parsed.term)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
