import { describe, expect, it } from "vitest";
import { Pid } from "../term/types.ts";
import { MAX_PID_ID, MAX_PID_SERIAL, PidAllocator } from "./pid-allocator.ts";

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

  it("does not come back to a pid that is free again before it has made all others of the range", () => {
    expect(MAX_PID_ID * (MAX_PID_SERIAL + 1)).toBeGreaterThan(2 ** 27);
    const allocator = new PidAllocator("a@h", 7, { maxId: 20, maxSerial: 9 });
    const first = allocator.next(new Map());
    const others = Array.from({ length: 20 * 10 - 1 }, () => allocator.next(new Map()));
    expect(new Set(others.map((pid) => allocator.keyOf(pid))).size).toBe(199);
    expect(others).not.toContainEqual(first);
    expect(allocator.next(new Map())).toEqual(first);
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
