import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { printFloat } from "./floats.ts";
import { printTerm } from "./text-print.ts";
import {
  Atom,
  atom,
  BitString,
  ExportFun,
  Fun,
  float,
  ImproperList,
  NativeRecord,
  Pid,
  Port,
  Reference,
  type Term,
  tuple,
} from "./types.ts";

describe("printTerm", () => {
  it.each([
    [tuple(atom("ok"), 3), "{ok,3}"],
    [tuple(true, false, null, undefined), "{true,false,nil,undefined}"],
    [new ImproperList([1, atom("b")], atom("c")), "[1,b|c]"],
    [new ImproperList([97], [98]), '"ab"'],
    ["text", '<<"text">>'],
    ["é", '<<"é"/utf8>>'],
    [[233], "[233]"],
    [[97, 7], "[97,7]"],
    [Buffer.from([233]), "<<233>>"],
    [Buffer.from("a\u202eb"), "<<97,226,128,174,98>>"],
    [Buffer.from("a\u0085é"), "<<97,194,133,195,169>>"],
    [new Atom("a\u202eb"), "'a\\x{202E}b'"],
    [new Atom("a\u0000b\u0085"), "'a\\000b\\205'"],
    [new Atom("it's"), "'it\\'s'"],
    [new BitString(Buffer.from([97, 0xa0]), 3), "<<97,5:3>>"],
    [new Map<Term, Term>([["b", 1], [float(1), 2], [1, 3], [atom("a"), 4]]), '#{1 => 3,1.0 => 2,a => 4,<<"b">> => 1}'], // biome-ignore format: one case a line
    [new Pid("a@b", 1, 2, 3), "#Pid<a@b.1.2>"],
    [new Pid("evil\n", 1, 2, 3), "#Pid<'evil\\n'.1.2>"],
    [new Reference("a@b", 1, [1, 2, 3]), "#Ref<a@b.3.2.1>"],
    [new Port("a@b", 7n, 1), "#Port<a@b.7>"],
    [new ExportFun("lists", "end", 2), "fun lists:'end'/2"],
    [new Fun("m", 1, Buffer.alloc(16), 2, 3, 4, new Pid("a@b", 1, 2, 3), []), "#Fun<m.2.4>"],
    [new NativeRecord(true, "m", "r", [["x", 1], ["Y", 2]]), "#m:r{x = 1,'Y' = 2}"], // biome-ignore format: one case a line
    [1e300, "1.0e300"],
    [-0, "0"],
  ] as [Term, string][])("prints %o as %s", (term, text) => {
    expect(printTerm(term)).toBe(text);
  });

  it("gives an error for terms that contain themselves and for what is no term", () => {
    const loop: Term[] = [];
    loop.push(loop);
    const reasons = [loop, Number.NaN, { a: 1 } as unknown as Term].map((term) => {
      try {
        return printTerm(term);
      } catch (error) {
        return isSallyportError(error) ? error.reason : error;
      }
    });
    expect(reasons).toEqual(["TERM_DEPTH", "TERM_UNENCODABLE", "TERM_UNENCODABLE"]);
  });
});

describe("printFloat", () => {
  it("always reads back as the same float", () => {
    for (const value of [1, -0, 0.1, 1e-5, 1e22, 5e-324, Number.MAX_VALUE, 2 ** 53, 123456.789, 1 / 3]) {
      expect(Object.is(Number(printFloat(value)), value)).toBe(true);
      expect(printFloat(value)).toMatch(/^-?\d+\.\d+(e-?\d+)?$/);
    }
  });
});
