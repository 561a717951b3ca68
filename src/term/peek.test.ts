import { describe, expect, it } from "vitest";
import { encodeTerm } from "./encode.ts";
import { headIs, peekTupleHead, TupleHead } from "./peek.ts";
import { atom, type Term, tuple } from "./types.ts";

function peek(term: Term, head: TupleHead = new TupleHead()): { seen: boolean; head: TupleHead; bytes: Buffer } {
  const bytes = encodeTerm(term);
  return { seen: peekTupleHead(bytes, 1, bytes.length, head), head, bytes };
}

describe("peekTupleHead", () => {
  it("sees arity and first atom", () => {
    const { seen, head, bytes } = peek(tuple(atom("$gen_call"), 1, 2));
    expect(seen).toBe(true);
    expect(head.arity).toBe(3);
    expect(headIs(head, bytes, "$gen_call")).toBe(true);
    expect(headIs(head, bytes, "$gen_cast")).toBe(false);
    expect(headIs(head, bytes, "$gen_cal")).toBe(false);
    expect(bytes[head.second]).toBe(97);
  });

  it("sees tuples that start with something else, are empty or large", () => {
    const other = peek(tuple(1, 2));
    expect([other.seen, other.head.arity, headIs(other.head, other.bytes, "")]).toEqual([true, 2, false]);
    expect(peek(tuple()).head.arity).toBe(0);
    const large = peek(tuple(atom("x"), ...new Array<Term>(299).fill(1)));
    expect([large.seen, large.head.arity, headIs(large.head, large.bytes, "x")]).toEqual([true, 300, true]);
  });

  it("sees atoms of the distribution header", () => {
    const bytes = Buffer.from("680252016101", "hex");
    const head = new TupleHead();
    expect(peekTupleHead(bytes, 0, bytes.length, head)).toBe(true);
    expect(headIs(head, bytes, "b", [atom("a"), atom("b")])).toBe(true);
    expect(headIs(head, bytes, "b", [atom("a")])).toBe(false);
    expect(headIs(head, bytes, "b")).toBe(false);
  });

  it("says no to what is no tuple, and forgets what it saw before", () => {
    const head = peek(tuple(atom("ok"))).head;
    const { seen, bytes } = peek([1], head);
    expect([seen, headIs(head, bytes, "ok")]).toEqual([false, false]);
  });

  it("says no to every cut before the first element ends", () => {
    for (const text of ["6801770261 62", "690000000176000261 62", "68015200"]) {
      const bytes = Buffer.from(text.replace(" ", ""), "hex");
      for (let end = 0; end < bytes.length; end++) {
        expect(peekTupleHead(bytes, 0, end, new TupleHead())).toBe(false);
      }
      expect(peekTupleHead(bytes, 0, bytes.length, new TupleHead())).toBe(true);
      expect(peekTupleHead(bytes, 0, bytes.length + 1, new TupleHead())).toBe(false);
    }
  });
});
