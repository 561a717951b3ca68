import { describe, expect, it } from "vitest";
import { ByteWriter } from "../base/byte-writer.ts";
import { isSallyportError } from "../base/errors.ts";
import { failureOf } from "../testkit/failure.ts";
import { termEquals } from "./compare.ts";
import { decodeTerm } from "./decode.ts";
import { encodeAtomInto, encodeInto, encodePidInto, encodeReferenceInto, encodeTerm, type Splice } from "./encode.ts";
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

const bad = (value: unknown): Term => value as Term;
const pid = new Pid("a@b", 1, 2, 3);

describe("encodeTerm", () => {
  it.each([
    ["null", null, "77036e696c"],
    ["undefined", undefined, "7709756e646566696e6564"],
    ["true", true, "770474727565"],
    ["a string", "hé", "6d00000003 68c3a9"],
    ["minus zero as an integer", -0, "6100"],
    ["a small bigint as an integer", 5n, "6105"],
    ["an unsafe number as a float", 2 ** 53, "46 4340000000000000"],
    ["-(2^53)+1", -(2 ** 53) + 1, "6e0701 ffffffffffff1f"],
    ["-(2^53) as bigint", -(2n ** 53n), "6e0701 00000000000020"],
    ["float(1)", float(1), "46 3ff0000000000000"],
    ["an improper list with a list as its tail", new ImproperList([1], [2]), "6c00000001 6101 6b000102"],
    ["a list of bigint bytes", [5n], "6c00000001 6105 6a"],
    ["a list of a whole float", [float(1)], "6c00000001 463ff0000000000000 6a"],
    ["a list with a hole", new Array<Term>(1), "6c00000001 7709756e646566696e6564 6a"],
    ["a narrow port", new Port("a", 2n ** 28n - 1n, 1), "59 770161 0fffffff 00000001"],
    ["a wide port", new Port("a", 2n ** 28n, 1), "78 770161 0000000010000000 00000001"],
    ["a bit string whose spare bits are set", new BitString(Buffer.from([0xff]), 3), "4d00000001 03 e0"],
    ["an atom of 150 two-byte characters", new Atom("é".repeat(150)), `76012c${"c3a9".repeat(150)}`],
  ] as [string, Term, string][])("writes %s", (_, term, hex) => {
    expect(encodeTerm(term).toString("hex")).toBe(`83${hex.replaceAll(" ", "")}`);
  });

  it.each([
    ["a plain object", bad({ a: 1 }), "."],
    [
      "a function in a tuple",
      tuple(
        1,
        bad(() => 1),
      ),
      ".elements[1]",
    ],
    ["a symbol in a list", [1, [bad(Symbol("x"))]], "[1][0]"],
    ["NaN in a map value", new Map([[atom("a"), Number.NaN]]), "(value 0)"],
    ["infinity in a tail", new ImproperList([1], Number.POSITIVE_INFINITY), ".tail"],
    ["half of a surrogate pair", ["ok", "\ud800"], "[1]"],
    ["half of a pair in a long string", `${"x".repeat(100)}\udc00`, "."],
    ["half of a pair in an atom", new Atom("\ud800"), "."],
    ["an atom of 256 characters", new Atom("x".repeat(256)), "."],
    ["a date", bad(new Date(0)), "."],
    ["an empty improper list", new ImproperList([], 1), "."],
    ["a bit string of no bits", new BitString(Buffer.from([1]), 0), "."],
    ["a reference of six words", new Reference("a@b", 1, [1, 2, 3, 4, 5, 6]), "."],
    ["another typed array", bad(new Float32Array(1)), "."],
    ["a fun with a short uniq", new Fun("m", 0, Buffer.alloc(4), 0, 0, 0, pid, []), "."],
    ["an export fun of arity 256", new ExportFun("m", "f", 256), "."],
  ])("refuses %s and says where it stands", (_, term, path) => {
    const error = (() => {
      try {
        encodeTerm(term);
      } catch (thrown) {
        return thrown;
      }
      return undefined;
    })();
    if (!isSallyportError(error)) throw new Error(`no SallyportError: ${String(error)}`);
    expect([error.code, error.reason]).toEqual(["ERR_API_MISUSE", "TERM_UNENCODABLE"]);
    expect(error.detail["path"]).toBe(path);
  });

  it("refuses a term that contains itself, and one nested too deep", () => {
    const loop: Term[] = [1];
    loop.push(loop, loop);
    expect(failureOf(() => encodeTerm(loop))).toBe("ERR_LIMIT TERM_DEPTH");
    const map = new Map<Term, Term>();
    map.set(1, map);
    expect(failureOf(() => encodeTerm(map))).toBe("ERR_LIMIT TERM_DEPTH");
    let deep: Term = [];
    for (let i = 0; i < 511; i++) deep = tuple(deep);
    expect(encodeTerm(deep)).toHaveLength(1 + 511 * 2 + 1);
    expect(failureOf(() => encodeTerm(tuple(deep)))).toBe("ERR_LIMIT TERM_DEPTH");
  });

  it("refuses a small graph that would write without end", () => {
    let term: Term = [Buffer.alloc(1000)];
    for (let i = 0; i < 60; i++) term = [term, term];
    expect(failureOf(() => encodeInto(new ByteWriter(), term, { bytesLimit: 100_000 }))).toBe("ERR_LIMIT TERM_BYTES");
  });

  it("writes an integer of 64 KiB fast, and none larger", () => {
    const large = (1n << 524_288n) - 1n;
    expect(termEquals(decodeTerm(encodeTerm(-large)), -large)).toBe(true);
    expect(failureOf(() => encodeTerm(large + 1n))).toBe("ERR_LIMIT TERM_INTEGER_BYTES");
  });
});

describe("encodeInto", () => {
  it("leaves large binaries to the caller when splices are asked for", () => {
    const large = Buffer.alloc(65_536, 7);
    const fun = new Fun("m", 0, Buffer.alloc(16), 0, 0, 0, pid, [large]);
    const term = tuple(large, Buffer.alloc(65_535, 8), [large], fun);
    const writer = new ByteWriter();
    writer.u8(131);
    const splices: Splice[] = [];
    encodeInto(writer, term, { splices });
    expect(splices.map((splice) => splice.bytes)).toEqual([large, large, large]);
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const splice of splices) {
      parts.push(writer.buffer.subarray(from, splice.at), splice.bytes);
      from = splice.at;
    }
    parts.push(writer.buffer.subarray(from, writer.length));
    expect(Buffer.concat(parts).equals(encodeTerm(term))).toBe(true);
  });

  it("counts spliced bytes against the limit, to the byte", () => {
    const term = [Buffer.alloc(70_000), Buffer.alloc(70_000)];
    const size = encodeTerm(term).length - 1;
    for (const splices of [undefined, []]) {
      const options = splices === undefined ? {} : { splices };
      expect(failureOf(() => encodeInto(new ByteWriter(), term, { ...options, bytesLimit: size }))).toBe("no error");
      expect(failureOf(() => encodeInto(new ByteWriter(), term, { ...options, bytesLimit: size - 1 }))).toBe(
        "ERR_LIMIT TERM_BYTES",
      );
    }
  });

  it("leaves writer and splices as they were when it fails", () => {
    const writer = new ByteWriter();
    writer.u8(1);
    const splices: Splice[] = [{ at: 0, bytes: Buffer.alloc(1) }];
    expect(failureOf(() => encodeInto(writer, [Buffer.alloc(65_536), bad({})], { splices }))).not.toBe("no error");
    expect([writer.length, splices.length]).toEqual([1, 1]);
  });

  it("grows the writer as it goes", () => {
    const terms: Term[] = [
      "x".repeat(40),
      "é".repeat(1000),
      Buffer.alloc(5000),
      new Atom("y".repeat(200)),
      [...Array(300).keys()],
      new Array<Term>(9000).fill(1.5),
      new Array<Term>(9000).fill(9),
      tuple(...Array(300).keys()),
      1n << 9000n,
    ];
    for (const term of terms) {
      const writer = new ByteWriter(1);
      writer.u8(131);
      encodeInto(writer, term);
      expect(termEquals(decodeTerm(writer.takeCopy()), term)).toBe(true);
    }
  });

  it("makes room for every form, wherever the writer's buffer ends", () => {
    const terms: Term[] = [
      5,
      -5,
      70_000,
      2 ** 40,
      -(2 ** 53) + 1,
      1n << 64n,
      1.5,
      "text",
      "é",
      atom("ok"),
      atom("é"),
      pid,
    ];
    terms.push(
      new Reference("a", 1, [1, 2, 3, 4, 5]),
      new Port("a", 1n, 1),
      new Port("a", 1n << 40n, 1),
      [],
      [1, 2],
      [1, "x"],
    );
    terms.push(
      new ImproperList([1], 2),
      tuple(),
      tuple(1),
      new Map([[1, 2]]),
      Buffer.from([1]),
      new ExportFun("m", "f", 1),
    );
    terms.push(new BitString(Buffer.from([0x80]), 1), new Fun("m", 0, Buffer.alloc(16), 0, 0, 0, pid, [1]));
    terms.push(new NativeRecord(true, "m", "r", [["f", 1]]), tuple(...new Array<Term>(256).fill(1)));
    for (const term of terms) {
      const expected = encodeTerm(term).subarray(1);
      for (let free = 0; free <= expected.length; free++) {
        const writer = new ByteWriter(expected.length + 1);
        while (writer.length < writer.buffer.length - free) writer.u8(0);
        const start = writer.length;
        encodeInto(writer, term);
        expect(writer.buffer.subarray(start, writer.length).equals(expected), `${free} bytes free`).toBe(true);
      }
    }
  });

  it("writes atoms, pids and references for the wire", () => {
    const writer = new ByteWriter();
    encodeAtomInto(writer, "ok");
    encodePidInto(writer, pid);
    encodeReferenceInto(writer, new Reference("a@b", 1, [2]));
    expect(writer.takeCopy().toString("hex")).toBe(
      "77026f6b5877036140620000000100000002000000035a000177036140620000000100000002",
    );
    expect(failureOf(() => encodeAtomInto(writer, "x".repeat(256)))).toBe("ERR_API_MISUSE TERM_UNENCODABLE");
    expect(failureOf(() => encodePidInto(writer, new Pid("\ud800", 1, 1, 1)))).toBe("ERR_API_MISUSE TERM_UNENCODABLE");
  });
});
