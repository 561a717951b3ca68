import { describe, expect, it } from "vitest";
import { encodeTerm } from "../term/encode.ts";
import { Atom, ImproperList, Reference, type Term, tuple } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { wantedByErpc, wantedByRex } from "./peek-function.ts";

const a = (name: string) => new Atom(name);
const ref = new Reference("p@h", 1, [1, 2, 3]);
const bytesOf = (term: Term) => encodeTerm(term).subarray(1);

function erpc(term: Term, arity: 3 | 4): string {
  const bytes = bytesOf(term);
  const wanted = wantedByErpc(bytes, 0, bytes.length, arity);
  return wanted === undefined ? "nothing" : `${wanted.module}:${wanted.fn}/${wanted.arity}`;
}

function rex(term: Term, atomRefs?: readonly Term[]): string {
  const bytes = bytesOf(term);
  const wanted = wantedByRex(bytes, 0, bytes.length, atomRefs);
  return wanted === undefined ? "nothing" : `${wanted.module}:${wanted.fn}/${wanted.arity}`;
}

describe("wantedByErpc", () => {
  it.each<[string, 3 | 4, Term]>([
    ["m:f/2", 4, [ref, a("m"), a("f"), [1, 2]]],
    ["m:f/0", 4, [tuple(ref, [1]), a("m"), a("f"), []]],
    ["m:f/3", 3, [a("m"), a("f"), [1, 2, 3]]],
    ["m:f/1", 3, [a("m"), a("f"), [a("x")]]],
    ["Elixir.Jobs:f/0", 3, [a("Elixir.Jobs"), a("f"), []]],
    ["nothing", 3, [ref, a("m"), a("f"), []]],
    ["nothing", 4, [a("m"), a("f"), []]],
    ["nothing", 3, ["m", a("f"), []]],
    ["nothing", 3, [a("m"), tuple(), []]],
    ["nothing", 3, [a("m"), a("f"), a("x")]],
    ["nothing", 3, tuple(a("m"), a("f"), [])],
    ["nothing", 3, []],
  ])("reads %s from a list of %d", (expected, arity, term) => {
    expect(erpc(term, arity)).toBe(expected);
  });

  it("says where the arguments stand", () => {
    const bytes = bytesOf([a("m"), a("f"), [1.5]]);
    expect(bytes[wantedByErpc(bytes, 0, bytes.length, 3)?.args ?? 0]).toBe(108);
  });

  it("asks for nothing with more arguments than a function can have", () => {
    expect(erpc([a("m"), a("f"), new Array<Term>(255).fill(1.5)], 3)).toBe("m:f/255");
    expect(erpc([a("m"), a("f"), new Array<Term>(256).fill(1.5)], 3)).toBe("nothing");
  });

  it("reads nothing from any cut of it, and refuses a first element that is no term", () => {
    const bytes = bytesOf([ref, a("module"), a("function"), [1]]);
    for (let end = 0; end < bytes.length - 4; end++) {
      const cut = Buffer.from(bytes.subarray(0, end));
      const said = failureOf(() => expect(wantedByErpc(cut, 0, end, 4)).toBeUndefined());
      expect(["no error", "ERR_PEER_MISBEHAVED TERM_TRUNCATED"]).toContain(said);
    }
    const broken = Buffer.from([108, 0, 0, 0, 4, 255, 1, 2, 3]);
    expect(failureOf(() => wantedByErpc(broken, 0, broken.length, 4))).toMatch(/^ERR_PEER_MISBEHAVED TERM_/);
  });
});

describe("wantedByRex", () => {
  it.each<[string, Term]>([
    ["m:f/1", tuple(a("call"), a("m"), a("f"), [1], a("user"))],
    ["m:f/0", tuple(a("block_call"), a("m"), a("f"), [], a("user"))],
    ["m:f/2", tuple(a("cast"), a("m"), a("f"), [1, 2])],
    ["nothing", tuple(a("eval"), a("m"), a("f"), [], a("user"))],
    ["nothing", tuple(a("call"), a("m"), a("f"))],
    ["nothing", tuple(a("call"), a("m"), a("f"), [], 1, 2)],
    ["nothing", tuple(a("call"), a("m"), "f", [], 1)],
    ["nothing", tuple(a("call"), a("m"), a("f"), tuple(), 1)],
    ["nothing", [a("call"), a("m"), a("f"), [], 1]],
    ["m:f/1", tuple(a("call"), a("m"), a("f"), new ImproperList([1], a("x")), a("user"))],
  ])("reads %s", (expected, term) => {
    expect(rex(term)).toBe(expected);
  });

  it("reads atoms of the distribution header, and nothing where there is none of that number", () => {
    const bytes = Buffer.from([104, 4, 82, 0, 82, 1, 82, 2, 106]);
    const refs = [a("call"), a("m"), a("f")];
    expect(wantedByRex(bytes, 0, bytes.length, refs)).toMatchObject({ module: "m", fn: "f", arity: 0, args: 8 });
    expect(wantedByRex(bytes, 0, bytes.length, refs.slice(0, 2))).toBeUndefined();
    expect(wantedByRex(bytes, 0, bytes.length, undefined)).toBeUndefined();
    expect(wantedByRex(bytes, 0, bytes.length, [a("call"), 5, a("f")])).toBeUndefined();
  });
});
