import { describe, expect, it } from "vitest";
import { Pid } from "../term/types.ts";
import type { Control } from "./control-types.ts";
import { RecentControls } from "./recent-controls.ts";

function control(id: number): Control {
  return { kind: "send", from: new Pid("a@h", 1, 0, 1), to: new Pid("b@h", id, 0, 1) };
}

describe("RecentControls", () => {
  it.each([1, 2, 3, 4, 5, 7, 8, 61, 64, 130])(
    "knows %i bytes again wherever they stand, and sees each that differs",
    (length) => {
      const recent = new RecentControls();
      const known = control(1);
      const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + 3) & 255));
      recent.add(bytes, 0, length, known);
      for (const before of [0, 1, 2, 3, 5]) {
        const host = Buffer.concat([Buffer.alloc(before, 9), bytes, Buffer.alloc(3, 9)]).subarray(0);
        expect(recent.find(host, before, host.length)).toBe(known);
        expect(recent.matchedBytes).toBe(length);
        expect(recent.find(host, before, before + length)).toBe(known);
        expect(recent.find(host, before, before + length - 1)).toBeUndefined();
        for (let i = 0; i < length; i++) {
          for (const bit of [1, 0x80]) {
            const other = Buffer.from(host);
            other[before + i] = (other[before + i] as number) ^ bit;
            expect(recent.find(other, before, other.length), `byte ${i}`).toBeUndefined();
          }
        }
      }
    },
  );

  it("looks at the chunk it is given, also when that is a part of a larger buffer", () => {
    const recent = new RecentControls();
    const known = control(2);
    recent.add(Buffer.from("abcdefgh"), 0, 8, known);
    const pool = Buffer.from("....abcdefgh....");
    expect(recent.find(pool.subarray(2), 2, 12)).toBe(known);
    expect(recent.find(pool.subarray(4, 12), 0, 8)).toBe(known);
    expect(recent.find(pool.subarray(3), 2, 12)).toBeUndefined();
  });

  it("keeps copies, the last four used, and none that is long", () => {
    const recent = new RecentControls();
    const bytes = Buffer.from("0....");
    const controls = [0, 1, 2, 3, 4].map(control);
    for (const [i, each] of controls.entries()) {
      bytes[0] = i;
      recent.add(bytes, 0, 5, each);
    }
    const find = (i: number) => recent.find(Buffer.from([i, 46, 46, 46, 46]), 0, 5);
    expect(find(0)).toBeUndefined();
    for (const i of [4, 3, 2, 1]) expect(find(i)).toBe(controls[i]);
    find(4);
    recent.add(Buffer.from("longer than the first"), 0, 21, control(9));
    expect([1, 2, 3, 4].map((i) => find(i) !== undefined)).toEqual([true, true, false, true]);
    const long = Buffer.alloc(1025, 1);
    recent.add(long, 0, 1025, control(10));
    expect(recent.find(long, 0, 1025)).toBeUndefined();
    expect(find(1)).toBe(controls[1]);
  });
});
