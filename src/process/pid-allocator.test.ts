import { describe, expect, it } from "vitest";
import { Pid } from "../term/types.ts";
import { PidAllocator } from "./pid-allocator.ts";

describe("PidAllocator", () => {
  it("counts ids from 1 and then goes to the next serial", () => {
    const allocator = new PidAllocator("a@h", 7, { maxId: 2, maxSerial: 1 });
    const made = Array.from({ length: 5 }, () => allocator.next(new Map()));
    expect(made.map((pid) => [pid.id, pid.serial])).toEqual([
      [1, 0],
      [2, 0],
      [1, 1],
      [2, 1],
      [1, 0],
    ]);
    expect(made[0]).toEqual(new Pid("a@h", 1, 0, 7));
  });

  it("skips what is in use, and refuses when all is", () => {
    const allocator = new PidAllocator("a@h", 7, { maxId: 2, maxSerial: 1 });
    const used = new Map<number, boolean>();
    const keys = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const key = allocator.keyOf(allocator.next(used));
      used.set(key, true);
      keys.add(key);
    }
    expect(keys.size).toBe(4);
    expect(() => allocator.next(used)).toThrow(expect.objectContaining({ code: "ERR_LIMIT", reason: "PROCESS_LIMIT" }));
    used.delete(allocator.keyOf(new Pid("a@h", 2, 0, 7)));
    expect(allocator.next(used)).toEqual(new Pid("a@h", 2, 0, 7));
  });

  it("knows the pids of other nodes, creations and ranges apart from its own", () => {
    const allocator = new PidAllocator("a@h", 7);
    expect(allocator.keyOf(new Pid("a@h", 1, 0, 7))).toBeGreaterThan(0);
    expect(allocator.keyOf(new Pid("b@h", 1, 0, 7))).toBe(-1);
    expect(allocator.keyOf(new Pid("a@h", 1, 0, 0))).toBe(-1);
    expect(allocator.keyOf(new Pid("a@h", 0x8001, 0, 7))).toBe(-1);
    expect(allocator.keyOf(new Pid("a@h", 1, 0x2000, 7))).toBe(-1);
  });
});
