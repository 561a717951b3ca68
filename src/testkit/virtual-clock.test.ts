import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

describe("VirtualClock", () => {
  it("runs due timers in the order of their times, each at its own time", () => {
    const clock = new VirtualClock(1000);
    const seen: string[] = [];
    const note = (name: string) => () => seen.push(`${name}@${clock.now()}/${clock.wallMs()}`);
    clock.at(addMs(clock.now(), 20), note("b"));
    clock.at(addMs(clock.now(), 10), note("a"));
    clock.at(addMs(clock.now(), 20), note("c"));
    clock.at(addMs(clock.now(), 31), note("late"));
    clock.advance(30);
    expect(seen).toEqual(["a@10/1010", "b@20/1020", "c@20/1020"]);
    expect(clock.now()).toBe(30);
    expect(clock.pendingTimers).toBe(1);
  });

  it("runs timers armed on the way when they are due, and no cancelled ones", () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const again = (): void => {
      seen.push(clock.now());
      clock.at(addMs(clock.now(), 10), again);
    };
    clock.at(addMs(clock.now(), 10), again);
    const cancelled = clock.at(addMs(clock.now(), 12), () => seen.push(-1));
    clock.at(addMs(clock.now(), 11), () => cancelled.cancel());
    clock.advance(35);
    expect(seen).toEqual([10, 20, 30]);
  });

  it("runs afterTurn callbacks before timers, and those added by callbacks in the same turn", () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.at(clock.now(), () => {
      seen.push("timer");
      clock.afterTurn(() => seen.push("after timer"));
    });
    clock.afterTurn(() => {
      seen.push("first");
      clock.afterTurn(() => seen.push("second"));
    });
    expect(seen).toEqual([]);
    clock.advance(0);
    expect(seen).toEqual(["first", "second", "timer", "after timer"]);
    expect(clock.runTurn()).toBe(0);
  });

  it("keeps that order among thousands of timers, armed and cancelled in any order", () => {
    const clock = new VirtualClock();
    const dice = new SeededRandom(7);
    const seen: string[] = [];
    const expected: { readonly at: number; readonly n: number }[] = [];
    for (let n = 0; n < 5_000; n++) {
      const at = dice.below(1_000);
      const timer = clock.at(addMs(clock.now(), at), () => seen.push(`${at}/${n}`));
      if (dice.below(3) > 0) timer.cancel();
      else expected.push({ at, n });
    }
    clock.advance(500);
    clock.advance(500);
    expected.sort((a, b) => a.at - b.at || a.n - b.n);
    expect(seen).toEqual(expected.map(({ at, n }) => `${at}/${n}`));
    expect(clock.pendingTimers).toBe(0);
  });

  it("counts armed timers only, also when one is cancelled twice or after it ran", () => {
    const clock = new VirtualClock();
    const [ran, kept] = [5, 50].map((ms) => clock.at(addMs(clock.now(), ms), () => {}));
    const many = Array.from({ length: 3_000 }, () => clock.at(addMs(clock.now(), 20), () => {}));
    clock.advance(10);
    expect(clock.pendingTimers).toBe(3_001);
    ran?.cancel();
    for (const timer of many) {
      timer.cancel();
      timer.cancel();
    }
    expect(clock.pendingTimers).toBe(1);
    kept?.cancel();
    expect(clock.pendingTimers).toBe(0);
  });

  it("moves the wall clock alone when told so", () => {
    const clock = new VirtualClock(5000);
    clock.setWallMs(1);
    clock.advance(4);
    expect([clock.now(), clock.wallMs()]).toEqual([4, 5]);
  });
});

describe("SeededRandom", () => {
  it("repeats itself for one seed and differs for another", () => {
    const [a, b, c] = [new SeededRandom(1), new SeededRandom(1), new SeededRandom(2)];
    expect(a.bytes(33).equals(b.bytes(33))).toBe(true);
    expect(a.uint32()).toBe(b.uint32());
    expect(a.bytes(16).equals(c.bytes(16))).toBe(false);
  });

  it("spreads over the whole range", () => {
    const random = new SeededRandom(3);
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[random.uint32() >>> 28]! += 1;
    for (const count of counts) expect(count).toBeGreaterThan(800);
    for (let i = 0; i < 100; i++) expect(random.below(3)).toBeLessThan(3);
  });
});
