import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseTermText, parseTermTextDocument } from "./text-parse.ts";
import { Atom, atom, BitString, ExportFun, Float, ImproperList, type Term, tuple } from "./types.ts";

function codes(text: string): number[] {
  return Array.from(text, (char) => char.codePointAt(0) ?? 0);
}

describe("parseTermText", () => {
  it.each([
    ["{add, 1, 2}", tuple(atom("add"), 1, 2)],
    [" ok . ", atom("ok")],
    ["ok.", atom("ok")],
    ["[true,false,nil,undefined]", [true, false, null, undefined]],
    ["'quoted atom'", atom("quoted atom")],
    ["'a\\'b\\n\\x41\\x{1F600}\\101\\^a\\s\\q'", new Atom("a'b\nA😀A\u0001 q")],
    ["'end'", atom("end")],
    ["node@host", atom("node@host")],
    ["éa", atom("éa")],
    ["16#ff", 255],
    ["-16#FF", -255],
    ["2#1010", 10],
    ["36#Zz", 1295],
    ["1_0#12", 12],
    ["1_000_000", 1000000],
    ["9007199254740992", 9007199254740992n],
    ["-9007199254740991", -9007199254740991],
    ["$a", 97],
    ["$\\n", 10],
    ["$ ", 32],
    ["[$a,$\\\\]", [97, 92]],
    ["1.0", new Float(1)],
    ["-0.0", new Float(-0)],
    ["-0", 0],
    ["1.5e-3", 0.0015],
    ["+2", 2],
    ['"text"', codes("text")],
    ['"aé" "b" % comment\n "😀"', codes("aéb😀")],
    ['""', []],
    ["<<>>", Buffer.alloc(0)],
    ['<<"text">>', Buffer.from("text")],
    ['<<"é">>', Buffer.from([233])],
    ['<<"é"/utf8,0,16#ff>>', Buffer.from([0xc3, 0xa9, 0, 255])],
    ["<<233/utf8>>", Buffer.from("é")],
    ["<<1:16,-1,256>>", Buffer.from([0, 1, 255, 0])],
    ["<<5:3>>", new BitString(Buffer.from([0xa0]), 3)],
    ["<<1,5:11>>", new BitString(Buffer.from([1, 0, 0xa0]), 3)],
    ["<<9:0>>", Buffer.alloc(0)],
    ["[a|b]", new ImproperList([atom("a")], atom("b"))],
    ["[a|[b|[]]]", [atom("a"), atom("b")]],
    ["[a|[b|c]]", new ImproperList([atom("a"), atom("b")], atom("c"))],
    ["#{}", new Map()],
    ["#{a => 1, 1.0 => [], 1 => x}", new Map<Term, Term>([[atom("a"), 1], [new Float(1), []], [1, atom("x")]])], // biome-ignore format: one case a line
    ["fun lists:'x y'/1", new ExportFun("lists", "x y", 1)],
    ["% first\n{a,%in\nb}", tuple(atom("a"), atom("b"))],
  ] as [string, Term][])("reads %s", (text, term) => {
    expect(parseTermText(text)).toEqual(term);
  });

  it.each([
    ["", 1, 1],
    ["{a", 1, 3],
    ["{a,}", 1, 4],
    ["[a|b,c]", 1, 5],
    ["[1\n, 2} ", 2, 4],
    ["a b", 1, 3],
    ["a. b", 1, 4],
    ["Var", 1, 1],
    ["_", 1, 1],
    ["end", 1, 1],
    ["<0.1.0>", 1, 1],
    ["#Pid<a@b.1.2>", 1, 2],
    ["#Ref<a@b.1.2.3>", 1, 2],
    ["#rec{a = 1}", 1, 2],
    ["fun() -> ok end", 1, 4],
    ["fun m:f/256", 1, 9],
    ["'open", 1, 1],
    ['"open\n', 1, 1],
    ["'\\x{110000}'", 1, 2],
    ["'\\xz'", 1, 2],
    ["1.5e999", 1, 1],
    ["1#0", 1, 1],
    ["37#0", 1, 1],
    ["2#2", 1, 1],
    ["10#a", 1, 1],
    ["16#g", 1, 1],
    ["16#", 1, 1],
    ["$", 1, 1],
    ["<<1:3,2>>", 1, 7],
    ["<<1.5>>", 1, 3],
    ['<<"λ">>', 1, 3],
    ["<<1/float>>", 1, 5],
    ["<<1:9999999>>", 1, 5],
    ["#{a => 1, a => 2}", 1, 2],
    ["#{1 => 1, 1 => 2}", 1, 2],
    ["#{a = 1}", 1, 5],
    ["a;b", 1, 2],
    ["\u2028", 1, 1],
    ["-a", 1, 2],
    [`'${"x".repeat(256)}'`, 1, 1],
    ["'\ud800'", 1, 2],
  ])("refuses %j at line %i, column %i", (text, line, column) => {
    let error: unknown;
    try {
      parseTermText(text);
    } catch (thrown) {
      error = thrown;
    }
    if (!isSallyportError(error)) throw new Error(`no SallyportError: ${String(error)}`);
    expect([error.code, error.reason, error.detail["line"], error.detail["column"]]).toEqual([
      "ERR_CONFIG",
      "TERM_SYNTAX",
      line,
      column,
    ]);
  });

  it("bounds nesting and the digits of integers, and reads long blanks", () => {
    const fails = (text: string, maxDepth?: number): unknown => {
      try {
        parseTermText(text, maxDepth === undefined ? {} : { maxDepth });
      } catch (error) {
        return isSallyportError(error) ? error.reason : error;
      }
      return "no error";
    };
    expect(fails("[".repeat(512) + "]".repeat(512))).toBe("no error");
    expect(fails("[".repeat(1_000_000))).toBe("TERM_SYNTAX");
    expect(fails("[[[]]]", 2)).toBe("no error");
    expect(fails("[[[[]]]]", 2)).toBe("TERM_SYNTAX");
    expect(fails("1".repeat(1_000_000))).toBe("TERM_SYNTAX");
    expect(fails(`${" ".repeat(5_000_000)}1`)).toBe("no error");
    expect(fails(`"${"x".repeat(1_000_000)}"`)).toBe("no error");
  });
});

describe("parseTermTextDocument", () => {
  it("reads one term ended by a full stop", () => {
    expect(parseTermTextDocument("%% options\n[{server, []}].\n% end\n")).toEqual([tuple(atom("server"), [])]);
    expect(parseTermTextDocument("\ufeffok.")).toEqual(atom("ok"));
    for (const text of ["[]", "[]. []", "[]..", ""]) {
      expect(() => parseTermTextDocument(text)).toThrow(expect.objectContaining({ reason: "TERM_SYNTAX" }));
    }
  });
});
