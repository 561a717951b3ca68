import { describe, expect, it } from "vitest";
import { encodeTerm } from "./encode.ts";
import { inspectTerm, TermFacts, type TermQuestion } from "./inspect.ts";
import { DEFAULT_TERM_LIMITS, resolveTermLimits } from "./limits.ts";
import { atom, Pid, type Term, Tuple } from "./types.ts";

function inspect(bytes: Buffer, question: Partial<TermQuestion> = {}, limits = DEFAULT_TERM_LIMITS): TermFacts {
  const facts = new TermFacts();
  const asked = { nodes: ["me@h", "peer@h"] as const, knownAtoms: new Set(["ok"]), maxNewAtoms: 10, ...question };
  inspectTerm(bytes, 0, bytes.length, limits, asked, facts);
  return facts;
}

const encoded = (term: Term): Buffer => encodeTerm(term).subarray(1);
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("inspectTerm", () => {
  it("stops counting new atoms one above the bound", () => {
    const term = Array.from({ length: 5_000 }, (_, i) => atom(`a${i}`));
    expect(inspect(encoded(term), { maxNewAtoms: 3 }).newAtoms).toBe(4);
    expect(inspect(encoded(term), { maxNewAtoms: 0 }).newAtoms).toBe(1);
  });

  it("counts no atoms when they do not matter", () => {
    expect(inspect(encoded([atom("a")]), { maxNewAtoms: undefined }).newAtoms).toBe(0);
  });

  it("counts one atom once in whichever form it is written", () => {
    // {é, é, é, é}: SMALL_ATOM_UTF8_EXT, ATOM_UTF8_EXT, SMALL_ATOM_EXT, ATOM_EXT
    const bytes = hex("68 04 77 02 c3a9 76 0002 c3a9 73 01 e9 64 0001 e9");
    expect(inspect(bytes).newAtoms).toBe(1);
    expect(inspect(bytes, { knownAtoms: new Set(["é"]) }).newAtoms).toBe(0);
  });

  it("resolves references to the atoms of the distribution header, and refuses those to none", () => {
    const atomRefs = [atom("ok"), atom("fresh"), true] as const;
    expect(inspect(hex("68 03 52 00 52 01 52 02"), { atomRefs }).newAtoms).toBe(2);
    const beyond = expect.objectContaining({ code: "ERR_PEER_MISBEHAVED", reason: "TERM_ATOM_REF_INVALID" });
    expect(() => inspect(hex("52 03"), { atomRefs })).toThrow(beyond);
    expect(() => inspect(hex("52 00"))).toThrow(beyond);
  });

  it("takes a pid of either node for one at home, whatever the case of the host, and no other", () => {
    const of = (node: string): boolean => inspect(encoded(new Tuple([new Pid(node, 1, 0, 1)]))).hasForeign;
    expect(["me@h", "me@H", "peer@h"].map(of)).toEqual([false, false, false]);
    expect(["third@h", "Me@h", "me@hh", "me@g", ""].map(of)).toEqual([true, true, true, true, true]);
  });

  it("does not take a letter for its look-alike: KELVIN SIGN is no k", () => {
    const facts = inspect(encoded(new Pid("me@\u212a", 1, 0, 1)), { nodes: ["me@k", "peer@h"] });
    expect(facts.hasForeign).toBe(true);
  });

  it("forgets the term before", () => {
    const facts = new TermFacts();
    const question = { nodes: ["me@h", "peer@h"] as const, knownAtoms: new Set<string>(), maxNewAtoms: 10 };
    const first = encoded([atom("a"), new Pid("third@h", 1, 0, 1)]);
    inspectTerm(first, 0, first.length, DEFAULT_TERM_LIMITS, question, facts);
    expect(facts.hasForeign).toBe(true);
    inspectTerm(hex("6101"), 0, 2, DEFAULT_TERM_LIMITS, question, facts);
    expect({ ...facts }).toEqual({ ...new TermFacts(), end: 2 });
  });

  it("refuses what nests deeper than maxDepth, with a stack that does not grow", () => {
    const deep = Buffer.concat([Buffer.alloc(2_000_000, hex("68 01")), hex("6a")]);
    expect(() => inspect(deep)).toThrow(expect.objectContaining({ code: "ERR_LIMIT", reason: "TERM_DEPTH" }));
    const tails = Buffer.concat([Buffer.alloc(7 * 100_000, hex("6c 00000001 61 01")), hex("6a")]);
    expect(inspect(tails)).toMatchObject({ depth: 1, elements: 100_000 });
    const limits = resolveTermLimits({ maxDepth: 2 });
    expect(inspect(hex("68 01 68 00"), {}, limits).depth).toBe(2);
    expect(() => inspect(hex("68 01 68 01 68 00"), {}, limits)).toThrow(
      expect.objectContaining({ reason: "TERM_DEPTH" }),
    );
  });

  it("refuses a fun in the head of a fun instead of going into it", () => {
    const head = Buffer.concat([hex("70 00000000 01"), Buffer.alloc(16), hex("00000000 00000000 77 01 6d")]);
    const nested = Buffer.alloc(head.length * 100_000, head);
    expect(() => inspect(nested)).toThrow(expect.objectContaining({ reason: "TERM_FUN_INVALID" }));
  });

  it("takes no byte after the end, though the buffer holds more", () => {
    const facts = new TermFacts();
    const question = { nodes: ["me@h", "peer@h"] as const, knownAtoms: new Set<string>(), maxNewAtoms: 10 };
    const bytes = hex("68 02 61 01 61 02");
    for (let end = 0; end < bytes.length; end++) {
      expect(() => inspectTerm(bytes, 0, end, DEFAULT_TERM_LIMITS, question, facts)).toThrow(
        expect.objectContaining({ code: "ERR_PEER_MISBEHAVED", reason: "TERM_TRUNCATED" }),
      );
    }
  });
});
