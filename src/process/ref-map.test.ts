import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Reference } from "../term/types.ts";
import { RefMap } from "./ref-map.ts";
import { refKey } from "./term-keys.ts";

interface Entry {
  readonly ref: Reference;
  readonly value: number;
}

/** Few different words, so that references repeat and their numbers collide. */
const reference = fc
  .tuple(
    fc.constantFrom("a@h", "b@h"),
    fc.constantFrom(4, 5),
    fc.array(fc.constantFrom(0, 1, 0xffff_ffff), { maxLength: 5 }),
  )
  .map(([node, creation, words]) => new Reference(node, creation, words));

describe("a map by reference", () => {
  it("does what a map with complete keys does", () => {
    const operation = fc.tuple(fc.constantFrom("set", "delete", "get"), reference, fc.nat());
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const map = new RefMap<Entry>();
        const model = new Map<string, number>();
        for (const [kind, ref, value] of operations) {
          if (kind === "set") {
            map.set({ ref, value });
            model.set(refKey(ref), value);
          } else if (kind === "delete") {
            expect(map.delete(ref)).toBe(model.delete(refKey(ref)));
          }
          expect(map.get(ref)?.value).toBe(model.get(refKey(ref)));
          expect(map.size).toBe(model.size);
        }
        expect([...map.values()].map((entry) => entry.value).toSorted()).toEqual([...model.values()].toSorted());
      }),
    );
  });

  it("tells references apart whose words mix to the same number", () => {
    // The node and the creation are not mixed in.
    const map = new RefMap<Entry>();
    const refs = ["a@h", "b@h", "c@h"].map((node) => new Reference(node, 4, [1, 2, 3]));
    for (const [value, ref] of refs.entries()) map.set({ ref, value });
    expect(refs.map((ref) => map.get(ref)?.value)).toEqual([0, 1, 2]);
    expect(map.delete(refs[0]!)).toBe(true);
    expect(refs.map((ref) => map.get(ref)?.value)).toEqual([undefined, 1, 2]);
  });
});
