import { describe, expect, it } from "vitest";
import { Reference } from "../term/types.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { ownRefKey, RefMaker, sameRef } from "./refs.ts";

const maker = (seed = 1) => new RefMaker("a@h", 7, new SeededRandom(seed));

describe("RefMaker", () => {
  it("makes references of five words, 18 bits in the first, all from the given randomness", () => {
    const ones = new RefMaker("a@h", 7, { uint32: () => 0xffff_ffff, bytes: () => Buffer.alloc(0) }).next();
    expect(ones).toEqual(new Reference("a@h", 7, [0x3ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff]));
    let count = 0;
    new RefMaker("a@h", 7, { uint32: () => count++, bytes: () => Buffer.alloc(0) }).next();
    expect(count).toBe(5);
  });

  it("repeats neither a reference nor its table key", () => {
    const refs = maker();
    const seen = new Set<string>();
    const keys = new Set<number>();
    for (let i = 0; i < 5_000; i++) {
      const ref = refs.next();
      seen.add(ref.words.join("."));
      keys.add(ownRefKey(ref));
    }
    expect([seen.size, keys.size]).toEqual([5_000, 5_000]);
  });

  it("makes keys of 30 random bits", () => {
    expect(ownRefKey(new Reference("a@h", 7, [1, 0xffff_ffff, 0xffff_ffff, 0, 0]))).toBe(0x3fff_ffff);
    expect(ownRefKey(new Reference("a@h", 7, []))).toBe(0);
  });

  it("owns only references of its node, creation and shape", () => {
    const ref = maker().next();
    expect(maker().owns(ref)).toBe(true);
    for (const other of [
      new Reference("b@h", 7, ref.words),
      new Reference("a@h", 8, ref.words),
      new Reference("a@h", 7, ref.words.slice(0, 3)),
    ]) {
      expect(maker().owns(other)).toBe(false);
    }
  });
});

describe("sameRef", () => {
  it("compares node, creation and every word", () => {
    const ref = new Reference("a@h", 7, [1, 2, 3, 4, 5]);
    expect(sameRef(ref, new Reference("a@h", 7, [1, 2, 3, 4, 5]))).toBe(true);
    const others = [0, 1, 2, 3, 4].map(
      (at) =>
        new Reference(
          "a@h",
          7,
          [1, 2, 3, 4, 5].map((w, i) => (i === at ? 9 : w)),
        ),
    );
    others.push(new Reference("b@h", 7, ref.words), new Reference("a@h", 8, ref.words));
    others.push(new Reference("a@h", 7, [1, 2, 3, 4]), new Reference("a@h", 7, [1, 2, 3, 4, 5, 0]));
    for (const other of others) expect(sameRef(ref, other)).toBe(false);
  });
});
