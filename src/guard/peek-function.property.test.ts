import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { AtomTable } from "../term/atom-table.ts";
import { TermDecoder } from "../term/decode.ts";
import { TupleHead } from "../term/peek.ts";
import { PidTable } from "../term/pid-table.ts";
import { Atom, atomName, type Term, Tuple } from "../term/types.ts";
import { classifyMessage } from "./classify.ts";
import { wantedByErpc, wantedByRex } from "./peek-function.ts";

const u8 = (n: number) => Buffer.from([n]);
const u16 = (n: number) => Buffer.from([n >> 8, n & 255]);
const u32 = (n: number) => Buffer.from([n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255]);

/** An atom in any of the four forms that a peer may write. */
const atomOf = (name: fc.Arbitrary<string>): fc.Arbitrary<Buffer> =>
  fc.tuple(name, fc.constantFrom(100, 115, 118, 119)).map(([text, tag]) => {
    const bytes = Buffer.from(text, tag === 100 || tag === 115 ? "latin1" : "utf8");
    return Buffer.concat([u8(tag), tag === 115 || tag === 119 ? u8(bytes.length) : u16(bytes.length), bytes]);
  });
const tupleOf = (parts: readonly Buffer[], large: boolean): Buffer =>
  Buffer.concat([large ? Buffer.concat([u8(105), u32(parts.length)]) : Buffer.from([104, parts.length]), ...parts]);

/** A list whose items are written in pieces, each the tail of the one before. */
function listOf(items: readonly Buffer[], cuts: readonly number[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, items.length]) {
    const next = Math.min(Math.max(cut, at), items.length);
    if (next > at || pieces.length === 0) pieces.push(u8(108), u32(next - at), ...items.slice(at, next));
    at = next;
  }
  return Buffer.concat([...pieces, u8(106)]);
}

const word = fc.constantFrom("m", "f", "lists", "Elixir.Jobs", "grüße", "", "x".repeat(255));
const small = fc.integer({ min: 0, max: 255 }).map((n) => Buffer.from([97, n]));
const other = fc.oneof(small, atomOf(word), fc.constant(u8(106)), fc.constant(Buffer.from([107, 0, 2, 1, 2])));
const args = fc.oneof(
  fc
    .tuple(fc.array(other, { maxLength: 4 }), fc.array(fc.nat(4), { maxLength: 2 }))
    .map(([items, cuts]) => listOf(items, cuts)),
  other,
);
const head = atomOf(
  fc.constantFrom(
    "$gen_call",
    "$gen_cast",
    "io_request",
    "system",
    "EXIT",
    "DOWN",
    "io_reply",
    "$gen_calx",
    "exit",
    "ok",
  ),
);
const message = fc
  .tuple(head, fc.array(other, { maxLength: 3 }), fc.boolean())
  .map(([first, rest, large]) => tupleOf([first, ...rest], large));
const rex = fc
  .tuple(
    atomOf(fc.constantFrom("call", "block_call", "cast", "eval")),
    atomOf(word),
    fc.oneof(atomOf(word), small),
    args,
    fc.array(other, { maxLength: 2 }),
    fc.boolean(),
  )
  .map(([kind, module, fn, list, rest, large]) => tupleOf([kind, module, fn, list, ...rest], large));
const erpc = fc
  .tuple(fc.array(other, { maxLength: 1 }), atomOf(word), atomOf(word), args, fc.array(fc.nat(4), { maxLength: 1 }))
  .map(([ref, module, fn, list, cuts]) => listOf([...ref, module, fn, list], cuts));

/** The bytes as they are, cut, or with some of them changed. */
const hostile = (bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 3, arbitrary: bytes },
    fc.tuple(bytes, fc.nat(60)).map(([whole, cut]) => whole.subarray(0, Math.min(cut, whole.length))),
    fc
      .tuple(bytes, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 }))
      .map(([whole, changes]) => {
        const changed = Buffer.from(whole);
        for (const [at, value] of changes) if (changed.length > 0) changed[at % changed.length] = value;
        return changed;
      }),
  );

/** What decoding makes of it; undefined for bytes that are no term. Anything but a refusal is a defect. */
function decoded(bytes: Buffer): { readonly term: Term } | undefined {
  const decoder = new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
  try {
    const term = decoder.decodeAt(bytes, 0, bytes.length);
    return decoder.position === bytes.length ? { term } : undefined;
  } catch (error) {
    if (isSallyportError(error)) return undefined;
    throw error;
  }
}

/** The look itself; undefined when it refuses the bytes. */
function looked<T>(look: () => T | undefined): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isSallyportError(error)) return undefined;
    throw error;
  }
}

const VERB: Readonly<Record<string, string>> = {
  $gen_call: "call",
  $gen_cast: "cast",
  io_request: "io",
  system: "system",
  EXIT: "system",
  DOWN: "system",
  io_reply: "system",
};

function plainVerb(term: Term): string {
  const first = term instanceof Tuple ? term.elements[0] : undefined;
  return (first instanceof Atom ? VERB[first.name] : undefined) ?? "send";
}

describe("the look into a payload, against decoding it", () => {
  it("tells messages apart as decoding does", () => {
    fc.assert(
      fc.property(hostile(message), (bytes) => {
        const verb = classifyMessage(bytes, 0, bytes.length, new TupleHead());
        const made = decoded(bytes);
        if (made !== undefined) expect(verb).toBe(plainVerb(made.term));
      }),
      { numRuns: 2_000 },
    );
  });

  it("looks at nothing beyond the end that it is given", () => {
    fc.assert(
      fc.property(message, fc.nat(40), (bytes, cut) => {
        const end = Math.min(cut, bytes.length);
        const alone = classifyMessage(Buffer.from(bytes.subarray(0, end)), 0, end, new TupleHead());
        expect(classifyMessage(bytes, 0, end, new TupleHead())).toBe(alone);
      }),
    );
  });

  it("finds the function that a request to rex asks for, but for arguments that go on in the tail of their list", () => {
    fc.assert(
      fc.property(hostile(rex), (bytes) => {
        const wanted = looked(() => wantedByRex(bytes, 0, bytes.length));
        const term = decoded(bytes)?.term;
        if (wanted === undefined || term === undefined) return;
        const [kind, module, fn, list] = (term as Tuple).elements;
        expect(["call", "block_call", "cast"]).toContain(atomName(kind));
        expect([wanted.module, wanted.fn]).toEqual([atomName(module), atomName(fn)]);
        if (Array.isArray(list)) expect(list.length).toBeGreaterThanOrEqual(wanted.arity);
      }),
      { numRuns: 2_000 },
    );
  });

  it("finds the function that erpc asks for, with the same exception", () => {
    fc.assert(
      fc.property(hostile(erpc), fc.constantFrom(3 as const, 4 as const), (bytes, arity) => {
        const wanted = looked(() => wantedByErpc(bytes, 0, bytes.length, arity));
        const term = decoded(bytes)?.term;
        if (wanted === undefined || !Array.isArray(term) || term.length !== arity) return;
        const [module, fn, list] = term.slice(arity - 3);
        expect([wanted.module, wanted.fn]).toEqual([atomName(module), atomName(fn)]);
        if (Array.isArray(list)) expect(list.length).toBeGreaterThanOrEqual(wanted.arity);
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes any bytes at all without a failure of its own", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (array) => {
        const bytes = Buffer.from(array);
        classifyMessage(bytes, 0, bytes.length, new TupleHead());
        looked(() => wantedByRex(bytes, 0, bytes.length));
        for (const arity of [3, 4] as const) looked(() => wantedByErpc(bytes, 0, bytes.length, arity));
      }),
    );
  });
});
