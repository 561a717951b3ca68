import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { encodeTerm } from "./encode.ts";
import { DEFAULT_TERM_LIMITS, resolveTermLimits, type TermLimits } from "./limits.ts";
import { skipTerm, TermSkipper } from "./skip.ts";
import { Atom, ExportFun, Pid, Reference, type Term, Tuple } from "./types.ts";

function skip(text: string, limits: Partial<TermLimits> = {}): number | string {
  const bytes = Buffer.from(text.replaceAll(" ", ""), "hex");
  try {
    return skipTerm(bytes, 0, bytes.length, resolveTermLimits(limits));
  } catch (error) {
    if (isSallyportError(error)) return `${error.code} ${error.reason}`;
    throw error;
  }
}

describe("skipTerm", () => {
  it.each([
    ["a local term", "79 0000000000000000 6101", "ERR_PEER_MISBEHAVED TERM_LOCAL"],
    ["a nested version", "6801 83 6101", "ERR_PEER_MISBEHAVED TERM_TAG_REFUSED"],
    ["an unknown tag", "00", "ERR_PEER_MISBEHAVED TERM_TAG_UNKNOWN"],
    ["overlong UTF-8", "7702 c080", "ERR_PEER_MISBEHAVED TERM_ATOM_INVALID"],
    ["a Latin-1 atom of 256 characters", `64 0100 ${"61".repeat(256)}`, "ERR_PEER_MISBEHAVED TERM_ATOM_INVALID"],
    ["infinity", "46 7ff0000000000000", "ERR_PEER_MISBEHAVED TERM_FLOAT_INVALID"],
    [
      "a reference of six words",
      `5a 0006 770161 00000001 ${"00".repeat(24)}`,
      "ERR_PEER_MISBEHAVED TERM_IDENTIFIER_INVALID",
    ],
    ["a pid on an integer", `58 6101 ${"00".repeat(12)}`, "ERR_PEER_MISBEHAVED TERM_IDENTIFIER_INVALID"],
    ["nine bits in the last byte", "4d 00000001 09 ff", "ERR_PEER_MISBEHAVED TERM_BITS_INVALID"],
    ["a record with an export mark of 2", "43 00000000 02 770161 770162", "ERR_PEER_MISBEHAVED TERM_RECORD_INVALID"],
    ["an export fun with an atom as arity", "71 770161 770162 770163", "ERR_PEER_MISBEHAVED TERM_FUN_INVALID"],
    ["a tuple that claims more than there is", "69 00000003 6a 6a", "ERR_PEER_MISBEHAVED TERM_TRUNCATED"],
  ])("refuses %s", (_, text, reason) => {
    expect(skip(text)).toBe(reason);
  });

  it("refuses a claim at once, before what it claims is walked", () => {
    // The unknown tag inside would be found first if the count were believed.
    expect(skip("69 ffffffff 00")).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
    expect(skip("74 7fffffff 00")).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
  });

  it("keeps to the limits on depth, atoms and integers", () => {
    expect(skip("6801 6801 6a", { maxDepth: 2 })).toBe(5);
    expect(skip("6801 6801 6800", { maxDepth: 2 })).toBe("ERR_LIMIT TERM_DEPTH");
    expect(skip("6801 7400000000", { maxDepth: 1 })).toBe("ERR_LIMIT TERM_DEPTH");
    expect(skip("6802 770161 58770162 000000010000000200000003", { maxAtoms: 2 })).toBe(21);
    expect(skip("6802 770161 58770162 000000010000000200000003", { maxAtoms: 1 })).toBe("ERR_LIMIT TERM_ATOMS");
    expect(skip("6e03 00 010203", { maxIntegerBytes: 3 })).toBe(6);
    expect(skip("6e03 00 010203", { maxIntegerBytes: 2 })).toBe("ERR_LIMIT TERM_INTEGER_BYTES");
    expect(skip("6f00000003 00 010203", { maxIntegerBytes: 2 })).toBe("ERR_LIMIT TERM_INTEGER_BYTES");
  });

  it("takes a list in the tail of a list as no deeper", () => {
    expect(skip("6c00000001 6101 6c00000001 6102 6a", { maxDepth: 1 })).toBe(15);
    expect(skip("6c00000001 6c00000001 6102 6a 6a", { maxDepth: 1 })).toBe("ERR_LIMIT TERM_DEPTH");
  });
});

describe("TermSkipper", () => {
  it("tells what it has met, of each term alone, also after one that was refused", () => {
    const skipper = new TermSkipper();
    const met = (bytes: Buffer) => {
      expect(skipper.skip(bytes, 0, bytes.length, DEFAULT_TERM_LIMITS)).toBe(bytes.length);
      const { atoms, identifiers, hasFun, hasAtomRef } = skipper;
      return { atoms, identifiers, hasFun, hasAtomRef };
    };
    const of = (term: Term): Buffer => encodeTerm(term).subarray(1);
    const none = { atoms: 0, identifiers: 0, hasFun: false, hasAtomRef: false };
    const pid = new Pid("a@h", 1, 2, 3);
    expect(met(of(new Tuple([new Atom("x"), [pid, new Reference("a@h", 3, [1])]])))).toEqual({
      ...none,
      atoms: 3,
      identifiers: 2,
    });
    expect(met(of(Buffer.alloc(10)))).toEqual(none);
    expect(met(of(new ExportFun("m", "f", 1)))).toEqual({ ...none, atoms: 2, hasFun: true });
    expect(met(Buffer.from([104, 1, 82, 0]))).toEqual({ ...none, hasAtomRef: true });
    const deep = of([[[[[pid]]]]]);
    expect(() => skipper.skip(deep, 0, deep.length - 1, DEFAULT_TERM_LIMITS)).toThrow();
    expect(met(of(5))).toEqual(none);
  });
});
