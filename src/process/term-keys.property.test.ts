import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pid, Reference } from "../term/types.ts";
import { pidKey, refKey, samePid, sameTarget } from "./term-keys.ts";

// Few values, so that equal ones come up often; the large ones differ in one half of the word only.
const u32 = fc.constantFrom(0, 1, 0xffff, 0x10000, 0x10001, 0xffff_ffff);
const node = fc.constantFrom("a@h", "b@h", "\u0000\u0001", "");
const ref = fc
  .tuple(node, u32, fc.array(u32, { maxLength: 5 }))
  .map(([name, creation, words]) => new Reference(name, creation, words));
const pid = fc.tuple(node, u32, u32, u32).map(([name, id, serial, creation]) => new Pid(name, id, serial, creation));

describe("keys", () => {
  it("of references are equal exactly when all words, node and creation are", () => {
    fc.assert(
      fc.property(ref, ref, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(refKey(a) === refKey(b)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  it("of pids are equal exactly when the pids are", () => {
    fc.assert(
      fc.property(pid, pid, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(pidKey(a) === pidKey(b)).toBe(same);
        expect(samePid(a, b)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  it("keep a name and a pid apart", () => {
    expect(sameTarget("calc", "calc")).toBe(true);
    expect(sameTarget("calc", "other")).toBe(false);
    expect(sameTarget("a@h", new Pid("a@h", 1, 0, 1))).toBe(false);
    expect(sameTarget(new Pid("a@h", 1, 0, 1), new Pid("a@h", 1, 0, 1))).toBe(true);
  });
});
