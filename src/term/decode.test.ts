import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { failureOf } from "../testkit/failure.ts";
import { AtomTable } from "./atom-table.ts";
import { decodeTerm, TermDecoder } from "./decode.ts";
import { encodeTerm } from "./encode.ts";
import type { TermLimits } from "./limits.ts";
import { PidTable } from "./pid-table.ts";
import { skipTerm } from "./skip.ts";
import {
  Atom,
  atom,
  BitString,
  Float,
  Fun,
  ImproperList,
  NativeRecord,
  type Pid,
  type Term,
  Tuple,
  tuple,
} from "./types.ts";

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function decode(text: string, limits: Partial<TermLimits> = {}): Term {
  return decodeTerm(hex(`83${text}`), { limits });
}

function u32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

describe("vectors of the specification", () => {
  it("reads the native records of OTP 29 (V15)", () => {
    const open = hex("83 43 00000003 01 77026e72 7703766563 770178 770179 77046e616d65 6105 6102 7703666f6f");
    const shut = hex("83 43 00000001 00 77036e7232 770470726976 770161 6101");
    expect(decodeTerm(open)).toEqual(
      new NativeRecord(true, "nr", "vec", [
        ["x", 5],
        ["y", 2],
        ["name", new Atom("foo")],
      ]),
    );
    expect(decodeTerm(shut)).toEqual(new NativeRecord(false, "nr2", "priv", [["a", 1]]));
    expect(encodeTerm(decodeTerm(open))).toEqual(open);
    expect(encodeTerm(decodeTerm(shut))).toEqual(shut);
  });

  it("reads and writes the terms of V16", () => {
    const big = `6f00000100 00${"00".repeat(255)}01`;
    const vectors: [string, Term][] = [
      ["6e040000000080", 2147483648],
      ["6e0901000000000000000001", -(1n << 64n)],
      [big, 1n << 2040n],
      ["468000000000000000", new Float(-0)],
      ["4d000000010320", new BitString(Buffer.from([0x20]), 3)],
      ["6c0000000161016102", new ImproperList([1], 2)],
      [`6bffff${"01".repeat(65_535)}`, new Array<number>(65_535).fill(1)],
      [`6c00010000${"6101".repeat(65_536)}6a`, new Array<number>(65_536).fill(1)],
    ];
    for (const [text, term] of vectors) {
      expect(decode(text)).toEqual(term);
      expect(encodeTerm(term)).toEqual(hex(`83${text}`));
    }
    const map = decode("740000000261027701627701616101");
    expect(map).toEqual(
      new Map<Term, Term>([
        [2, new Atom("b")],
        [new Atom("a"), 1],
      ]),
    );
  });
});

describe("numbers", () => {
  it("gives Float for whole floats and numbers for the others", () => {
    expect(decode("463ff0000000000000")).toEqual(new Float(1));
    expect(decode("463ff8000000000000")).toBe(1.5);
    expect(decode("464340000000000000")).toEqual(new Float(2 ** 53));
  });

  it("gives bigint from 2^53 on, and never minus zero", () => {
    expect(decode("6e07 00 ffffffffffff1f")).toBe(9007199254740991);
    expect(decode("6e07 00 00000000000020")).toBe(9007199254740992n);
    expect(decode("6e07 01 00000000000020")).toBe(-9007199254740992n);
    expect(Object.is(decode("6e0101 00"), 0)).toBe(true);
    expect(decode("6e08 00 ffffffffffffffff")).toBe(2n ** 64n - 1n);
    expect(decode("6e08 01 0100000000000000")).toBe(-1);
  });

  it("bounds the bytes of an integer, redundant zeros included", () => {
    const at = hex(`83 6f ${u32(65_536)} 00 ${"ff".repeat(65_536)}`);
    expect(decodeTerm(at)).toBe((1n << 524_288n) - 1n);
    const over = `6f ${u32(65_537)} 00 ${"00".repeat(65_537)}`;
    expect(failureOf(() => decode(over))).toBe("ERR_LIMIT TERM_INTEGER_BYTES");
    expect(failureOf(() => decode("6e 03 00 010000", { maxIntegerBytes: 2 }))).toBe("ERR_LIMIT TERM_INTEGER_BYTES");
  });
});

describe("refusals", () => {
  it.each([
    ["local term", "79 0000000000000000 6101", "TERM_LOCAL"],
    ["removed fun form", "75 00000000", "TERM_TAG_REFUSED"],
    ["nested version", "83 6101", "TERM_TAG_REFUSED"],
    ["compressed term", "50 00000002 789c4b6404000163008a", "TERM_TAG_REFUSED"],
    ["unknown tag", "0000", "TERM_TAG_UNKNOWN"],
    ["unknown tag alone", "00", "TERM_TAG_UNKNOWN"],
    ["cut integer", "61", "TERM_TRUNCATED"],
    ["nothing", "", "TERM_TRUNCATED"],
    ["infinity", "46 7ff0000000000000", "TERM_FLOAT_INVALID"],
    ["atom of 256 characters", `76 0100 ${"61".repeat(256)}`, "TERM_ATOM_INVALID"],
    ["Latin-1 atom of 256 characters", `64 0100 ${"61".repeat(256)}`, "TERM_ATOM_INVALID"],
    ["overlong UTF-8", "77 02 c080", "TERM_ATOM_INVALID"],
    ["surrogate in UTF-8", "77 03 eda080", "TERM_ATOM_INVALID"],
    ["reference of six words", `5a 0006 7701 61 00000001 ${"00".repeat(24)}`, "TERM_IDENTIFIER_INVALID"],
    ["pid on something else than an atom", `58 6101 ${"00".repeat(12)}`, "TERM_IDENTIFIER_INVALID"],
    ["old pid with a creation of three bits", "67 770161 00000001 00000002 04", "TERM_IDENTIFIER_INVALID"],
    ["old reference beyond 18 bits", "65 770161 00040000 00", "TERM_IDENTIFIER_INVALID"],
    ["no bits in the last byte", "4d 00000001 00 ff", "TERM_BITS_INVALID"],
    ["nine bits in the last byte", "4d 00000001 09 ff", "TERM_BITS_INVALID"],
    ["bits of no bytes", "4d 00000000 08", "TERM_BITS_INVALID"],
    ["atom reference without a header", "52 00", "TERM_ATOM_REF_INVALID"],
    ["record with an export mark of 2", "43 00000000 02 770161 770162", "TERM_RECORD_INVALID"],
    ["export fun of more than 255 arguments", "71 770161 770162 6200000100", "TERM_FUN_INVALID"],
    ["export fun of negative arity", "71 770161 770162 62ffffffff", "TERM_FUN_INVALID"],
    ["trailing bytes", "6101 00", "TERM_TRAILING_BYTES"],
  ])("refuses: %s", (_, text, reason) => {
    expect(failureOf(() => decode(text))).toBe(`ERR_PEER_MISBEHAVED ${reason}`);
  });

  it("refuses a stand-alone term that does not start with 131", () => {
    expect(failureOf(() => decodeTerm(hex("6101")))).toBe("ERR_PEER_MISBEHAVED TERM_VERSION_INVALID");
  });

  it("refuses every cut of a term of all shapes", () => {
    const whole = hex(
      "68 09 7702 6162 5a0003770161000000010000000100000002 00000003 58770161 00000001 00000002 00000003 6c00000001 61016102" +
        "7400000001 6101 6b000101 6d00000002 0102 4d00000001 0320 71770161770162 6101 78770161 0000000000000001 00000001",
    );
    const decoder = new TermDecoder();
    decoder.decodeAt(whole, 0, whole.length);
    expect(decoder.position).toBe(whole.length);
    for (let end = 0; end < whole.length; end++) {
      expect(failureOf(() => decoder.decodeAt(whole, 0, end))).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
      expect(failureOf(() => skipTerm(whole, 0, end))).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
    }
  });

  it("refuses a fun whose size lies", () => {
    const fun = (size: number): string =>
      `70 ${u32(size)} 00 ${"00".repeat(16)} 00000000 00000000 770161 6100 6100 58770161 00000001 00000002 00000003`;
    expect(decode(fun(52))).toBeInstanceOf(Fun);
    expect(failureOf(() => decode(fun(51)))).toBe("ERR_PEER_MISBEHAVED TERM_FUN_INVALID");
    expect(failureOf(() => decode(fun(53)))).toBe("ERR_PEER_MISBEHAVED TERM_FUN_INVALID");
  });
});

describe("map keys", () => {
  const pairs = (keys: string[]): string => `74 ${u32(keys.length)} ${keys.map((key) => `${key} 6101`).join("")}`;
  const filler = Array.from({ length: 40 }, (_, i) => `62 7f0000${i.toString(16).padStart(2, "0")}`);
  const doubles: [string, string, string][] = [
    ["the same integer in two forms", "6101", "6e010001"],
    ["the same atom in two forms", "770161", "64000161"],
    ["the same binary", "6d0000000161", "6d0000000161"],
    ["a binary and eight bits", "6d0000000161", "4d000000010861"],
    ["the same float", "463ff0000000000000", "463ff0000000000000"],
    ["the same list in two forms", "6b000105", "6c0000000161056a"],
    ["the same tuple", "6801770161", "6801640001 61"],
    ["maps in another order", pairs(["6101", "6102"]), pairs(["6102", "6101"])],
    ["the empty list", "6a", "6b0000"],
    ["the same large integer", "6e0900000000000000000001", "6e0900000000000000000001"],
  ];
  it.each(doubles)("are refused: %s", (_, a, b) => {
    expect(failureOf(() => decode(pairs([a, b])))).toBe("ERR_PEER_MISBEHAVED TERM_MAP_DUPLICATE_KEY");
    expect(failureOf(() => decode(pairs([a, ...filler, b])))).toBe("ERR_PEER_MISBEHAVED TERM_MAP_DUPLICATE_KEY");
  });

  const distinct: [string, string, string][] = [
    ["1 and 1.0", "6101", "463ff0000000000000"],
    ["0.0 and -0.0", "460000000000000000", "468000000000000000"],
    ["an atom and a binary of one text", "770161", "6d0000000161"],
    ["an atom and a binary that differ by a letter", "77026261", "6d0000000161"],
    ["an atom of digits and the integer", "770131", "6131"],
    ["{1} and {1.0}", "68016101", "6801463ff0000000000000"],
  ];
  it.each(distinct)("may differ by type: %s", (_, a, b) => {
    expect(decode(pairs([a, b]))).toHaveProperty("size", 2);
    expect(decode(pairs([a, ...filler, b]))).toHaveProperty("size", 42);
  });
});

describe("lists", () => {
  it("joins a list in the tail of a list", () => {
    expect(decode("6c00000001 6105 6c00000001 6106 6a")).toEqual([5, 6]);
    expect(decode("6c00000001 6105 6b000107")).toEqual([5, 7]);
    expect(decode("6c00000001 6105 6c00000001 6106 6107")).toEqual(new ImproperList([5, 6], 7));
    expect(decode("6c00000000 6c00000001 6106 6a")).toEqual([6]);
    expect(decode("6c00000000 6b000107")).toEqual([7]);
    expect(decode("6c00000000 6a")).toEqual([]);
  });

  it.each(["6c00000000 6105", "6c00000001 6105 6c00000000 6106", "6c00000000 6c00000000 6803 7701 61 6101 6102"])(
    "takes a list of no elements only before a list: %s",
    (text) => {
      const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
      const reason = "ERR_PEER_MISBEHAVED TERM_LIST_INVALID";
      expect(failureOf(() => decode(text))).toBe(reason);
      expect(failureOf(() => skipTerm(bytes, 0, bytes.length))).toBe(reason);
    },
  );
});

describe("limits", () => {
  it("allows a nesting of maxDepth and no more", () => {
    const nest = (depth: number): string => `${"6801".repeat(depth)}6a`;
    expect(decode(nest(512))).toBeInstanceOf(Tuple);
    expect(failureOf(() => decode(nest(513)))).toBe("ERR_LIMIT TERM_DEPTH");
    expect(failureOf(() => decode(nest(3), { maxDepth: 2 }))).toBe("ERR_LIMIT TERM_DEPTH");
    expect(failureOf(() => skipTerm(hex(nest(513)), 0, 99_999))).toBe("ERR_LIMIT TERM_DEPTH");
    expect(skipTerm(hex(nest(512)), 0, 99_999)).toBe(1025);
  });

  it("takes a long list that repeats its atoms, and refuses one whose atoms differ", () => {
    const list = (count: number, atomHex: (i: number) => string): Buffer =>
      hex(`6c${count.toString(16).padStart(8, "0")}${Array.from({ length: count }, (_, i) => atomHex(i)).join("")}6a`);
    const ok = list(30_000, () => "77026f6b");
    const different = list(20_001, (i) => `7704${Buffer.from(i.toString(36).padStart(4, "0")).toString("hex")}`);
    for (const options of [{}, { atoms: new AtomTable() }]) {
      expect(new TermDecoder(options).decodeAt(ok, 0, ok.length)).toHaveLength(30_000);
      const refused = (): unknown => new TermDecoder(options).decodeAt(different, 0, different.length);
      expect(failureOf(refused)).toBe("ERR_LIMIT TERM_ATOMS");
    }
  });

  it("counts atoms over the terms of one message, until the budget is reset", () => {
    const decoder = new TermDecoder({ limits: { maxAtoms: 3 }, atoms: new AtomTable() });
    const bytes = hex("6802 770161 58 770162 000000010000000200000003");
    decoder.decodeAt(bytes, 0, bytes.length);
    expect(failureOf(() => decoder.decodeAt(bytes, 0, bytes.length))).toBe("ERR_LIMIT TERM_ATOMS");
    decoder.resetBudget();
    expect(decoder.decodeAt(bytes, 0, bytes.length)).toBeInstanceOf(Tuple);
  });

  it("counts elements, map pairs and the bytes of lists", () => {
    for (const text of ["6803 610161016101", "6b0003 010203", "6c00000003 610161016101 6a", "7400000000"]) {
      expect(failureOf(() => decode(text, { maxElements: 3 }))).toBe("ERR_LIMIT TERM_ELEMENTS");
      expect(failureOf(() => decode(text, { maxElements: 6 }))).toBe("no error");
    }
  });

  it("bounds the bytes of a term", () => {
    expect(failureOf(() => decode("6d00000004 01020304", { maxBytes: 8 }))).toBe("ERR_LIMIT TERM_BYTES");
  });

  it("refuses limits that make no sense", () => {
    expect(failureOf(() => new TermDecoder({ limits: { maxDepth: 513 } }))).toBe("ERR_CONFIG TERM_LIMIT_INVALID");
    expect(failureOf(() => new TermDecoder({ limits: { maxAtoms: 0 } }))).toBe("ERR_CONFIG TERM_LIMIT_INVALID");
  });
});

describe("compressed terms", () => {
  const inflate = (bytes: Uint8Array, maxBytes: number): Buffer => inflateSync(bytes, { maxOutputLength: maxBytes });
  // erl: term_to_binary(lists:duplicate(30, 7), [compressed])
  const zipped = hex("83 50 00000021 789c cb 66 90 67 27 06 00 001bab 00f6");

  it("need the option", () => {
    expect(failureOf(() => decodeTerm(zipped))).toBe("ERR_PEER_MISBEHAVED TERM_TAG_REFUSED");
  });

  it("are refused when they are damaged, too long, or of another size than they say", () => {
    const options = { compressed: true, inflate } as const;
    expect(failureOf(() => decodeTerm(hex("83 50 00000002 0102"), options))).toBe(
      "ERR_PEER_MISBEHAVED TERM_COMPRESSED_INVALID",
    );
    expect(failureOf(() => decodeTerm(hex("83 50 7fffffff 0102"), options))).toBe("ERR_LIMIT TERM_BYTES");
    const short = { compressed: true, inflate: () => Buffer.from([97, 1]) } as const;
    expect(failureOf(() => decodeTerm(hex("83 50 00000003 0102"), short))).toBe(
      "ERR_PEER_MISBEHAVED TERM_COMPRESSED_INVALID",
    );
    expect(decodeTerm(hex("83 50 00000002 0102"), short)).toBe(1);
  });
});

describe("buffers", () => {
  it("copies binaries under 1024 bytes and shares larger ones", () => {
    const bytes = encodeTerm(
      tuple(Buffer.alloc(1023, 1), Buffer.alloc(1024, 1), Buffer.alloc(20, 1), Buffer.alloc(100, 1)),
    );
    const decoder = new TermDecoder();
    const term = decoder.decodeAt(bytes, 1, bytes.length);
    bytes.fill(2);
    const parts = term instanceof Tuple ? term.elements : [];
    expect(parts.map((part) => part instanceof Uint8Array && part[0])).toEqual([1, 2, 1, 1]);
    expect(parts.map((part) => part instanceof Uint8Array && part.length)).toEqual([1023, 1024, 20, 100]);
    expect(parts.every((part) => Buffer.isBuffer(part))).toBe(true);
  });

  it("copies a binary in memory of more than four times its size, and shares one that fills a quarter of it", () => {
    const inMemoryOf = (memoryBytes: number, term: Term): [Buffer, Term] => {
      const encoded = encodeTerm(term);
      const memory = Buffer.allocUnsafeSlow(memoryBytes);
      encoded.copy(memory);
      return [memory, new TermDecoder().decodeAt(memory, 1, encoded.length)];
    };
    const pins = (memoryBytes: number, term: Term): boolean => {
      const [memory, got] = inMemoryOf(memoryBytes, term);
      const bytes = got instanceof BitString ? got.bytes : (got as Buffer);
      expect(bytes[2000]).toBe(7);
      return bytes.buffer === memory.buffer;
    };
    const binary = Buffer.alloc(4096, 7);
    expect(pins(4096 * 4, binary)).toBe(true);
    expect(pins(4096 * 4 + 1, binary)).toBe(false);
    expect(pins(4096 * 4, new BitString(Buffer.alloc(4096, 7).fill(0xf8, 4095), 5))).toBe(true);
    expect(pins(4096 * 4 + 1, new BitString(Buffer.alloc(4096, 7).fill(0xf8, 4095), 5))).toBe(false);
    // What large messages live by: a fragment's worth in the frame that was joined for it costs no copy.
    expect(pins(65_536 + 600, Buffer.alloc(65_536, 7))).toBe(true);
  });

  it("clears the bits that do not count without touching the buffer", () => {
    const bytes = hex("4d 00000001 03 ff");
    expect(new TermDecoder().decodeAt(bytes, 0, bytes.length)).toEqual(new BitString(Buffer.from([0xe0]), 3));
    const large = Buffer.concat([hex("4d 00001000 03"), Buffer.alloc(4096, 0xff)]);
    const term = new TermDecoder().decodeAt(large, 0, large.length);
    expect(term instanceof BitString && term.bytes[4095]).toBe(0xe0);
    expect(large[large.length - 1]).toBe(0xff);
  });

  it("decodes inside a larger buffer and says where the term ended", () => {
    const decoder = new TermDecoder();
    expect(decoder.decodeAt(hex("ffff 6105 6106"), 2, 6)).toBe(5);
    expect(decoder.position).toBe(4);
    expect(failureOf(() => decoder.decodeAt(hex("6d00000002 01"), 0, 7))).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
  });

  it("reads atom references of the header, also as node names", () => {
    const decoder = new TermDecoder();
    decoder.atomRefs = [atom("a@b"), true];
    const bytes = hex("6803 5200 5201 58 5200 000000010000000200000003");
    expect(decoder.decodeAt(bytes, 0, bytes.length)).toEqual(
      tuple(
        new Atom("a@b"),
        true,
        expect.objectContaining({ node: "a@b", id: 1, serial: 2, creation: 3 }) as unknown as Pid,
      ),
    );
    expect(failureOf(() => decoder.decodeAt(hex("5202"), 0, 2))).toBe("ERR_PEER_MISBEHAVED TERM_ATOM_REF_INVALID");
  });
});

describe("tables", () => {
  it("give the same objects for the same bytes", () => {
    const decoder = new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
    const bytes = hex("6802 7705 68656c6c6f 58 7703 614062 000000010000000200000003");
    const first = decoder.decodeAt(bytes, 0, bytes.length);
    const second = decoder.decodeAt(Buffer.from(bytes), 0, bytes.length);
    if (!(first instanceof Tuple && second instanceof Tuple)) throw new Error("not tuples");
    expect(second.elements[0]).toBe(first.elements[0]);
    expect(second.elements[1]).toBe(first.elements[1]);
  });

  it("never confuse atoms or pids, however many there are", () => {
    const atoms = new AtomTable();
    const pids = new PidTable();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5000; i++) {
        const name = `${i}é`.padEnd(1 + (i % 90), "x");
        const bytes = Buffer.from(name, "utf8");
        expect(atoms.nameAt(bytes, 0, bytes.length)).toBe(name);
        expect(atoms.atomAt(bytes, 0, bytes.length)).toEqual(new Atom(name));
        const pid = pids.get(i % 2 === 0 ? "a@b" : "b@a", i >>> 4, (i >>> 1) & 3, (i >>> 3) & 1);
        expect(pid).toEqual({
          node: i % 2 === 0 ? "a@b" : "b@a",
          id: i >>> 4,
          serial: (i >>> 1) & 3,
          creation: (i >>> 3) & 1,
        });
      }
    }
    for (const name of ["", "true", "nil"]) {
      const bytes = Buffer.from(name);
      expect(atoms.atomAt(bytes, 0, bytes.length)).toEqual(atom(name));
    }
  });
});
