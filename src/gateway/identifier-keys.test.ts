import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pid, Reference } from "../term/types.ts";
import { atomAt, atomIs, ownPidKey, ownRefKey } from "./encoded-terms.ts";
import { pairKey, pidKey, refKey, targetKey } from "./identifier-keys.ts";
import { encoded } from "./verdict.ts";

const word = fc.oneof(fc.constantFrom(0, 1, 0x6e_0061, 0xffff_ffff), fc.nat(0xffff_ffff));
const node = fc.constantFrom("a@h", "b@h", "a@hh", "\u0001@h", "\u0000a@h");
const pid = fc.tuple(node, word, word, word).map((fields) => new Pid(...fields));
const ref = fc.tuple(node, word, fc.array(word, { maxLength: 5 })).map((fields) => new Reference(...fields));
const text = (value: unknown): string => JSON.stringify(value);

describe("keys of identifiers", () => {
  it("are equal for equal identifiers only, and never those of a name", () => {
    fc.assert(
      fc.property(fc.oneof(pid, ref), fc.oneof(pid, ref), (one, other) => {
        const [first, second] = [one, other].map((id) => (id instanceof Pid ? pidKey(id) : refKey(id)));
        expect(first === second).toBe(text(one) === text(other));
      }),
    );
    fc.assert(
      fc.property(fc.array(pid, { minLength: 4, maxLength: 4 }), ([a, b, c, d]) => {
        const pairs = [a, b, c, d] as [Pid, Pid, Pid, Pid];
        expect(pairKey(pairs[0], pairs[1]) === pairKey(pairs[2], pairs[3])).toBe(text([a, b]) === text([c, d]));
      }),
    );
    // The characters of a name, read as numbers of a pid.
    const disguised = new Pid("x@h", 0x6e_0061, 0x6d_0065, 0x3a_0061);
    expect(targetKey("ax@h")).not.toBe(targetKey(disguised));
  });

  it("are the same from bytes, and none where node or creation are another's", () => {
    fc.assert(
      fc.property(fc.oneof(pid, ref), node, word, (id, otherNode, otherCreation) => {
        const b = encoded(id);
        const key = (name: string, creation: number) =>
          id instanceof Pid ? ownPidKey(b, 0, name, creation) : ownRefKey(b, 0, name, creation);
        expect(key(id.node, id.creation)).toBe(id instanceof Pid ? pidKey(id) : refKey(id));
        if (otherNode !== id.node) expect(key(otherNode, id.creation)).toBeUndefined();
        if (otherCreation !== id.creation) expect(key(id.node, otherCreation)).toBeUndefined();
      }),
    );
  });
});

describe("atomIs", () => {
  it("says what reading the atom and comparing would say, however it is written", () => {
    const name = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("é", "aé", "日本", "a", "ab", ""));
    fc.assert(
      fc.property(name, name, fc.constantFrom(119, 118, 115, 100, 97), (written, asked, tag) => {
        const bytes = Buffer.from(written, tag === 115 || tag === 100 ? "latin1" : "utf8");
        const size = tag === 119 || tag === 115 ? [bytes.length] : [bytes.length >> 8, bytes.length & 0xff];
        const b = Buffer.concat([Buffer.from([tag, ...size]), bytes, Buffer.from("tail")]);
        expect(atomIs(b, 0, asked)).toBe(atomAt(b, 0) === asked);
        const read = atomAt(b, 0);
        if (read !== undefined) expect(atomIs(b, 0, read)).toBe(true);
      }),
    );
  });
});
