import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { type Deadline, Deadlines } from "./deadlines.ts";

describe("Deadlines", () => {
  it("fires what a naive list would, in the same order and at the same times", () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant("set" as const), ms: fc.constantFrom(0, 1, 5, 5, 10, 50, 51) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("clear" as const), which: fc.nat(40) }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 4, 5, 20) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(5), (steps, chained) => {
        const clock = new VirtualClock();
        const deadlines = new Deadlines(clock);
        const fired: string[] = [];
        const made: { deadline: Deadline; n: number }[] = [];
        const model: { n: number; at: number; order: number }[] = [];
        const expected: string[] = [];
        let count = 0;
        let left = chained;
        const set = (ms: number): void => {
          const n = count++;
          model.push({ n, at: clock.now() + ms, order: n });
          const deadline = deadlines.set(ms, () => {
            fired.push(`${n}@${clock.now()}`);
            // Some set another one from within, as a retried call does.
            if (left-- > 0) set(ms + 1);
          });
          made.push({ deadline, n });
        };
        const settleModel = (): void => {
          // What fired is taken out of the model; it must have been the earliest of all that was due.
          for (const entry of fired.slice(expected.length)) {
            const n = Number(entry.split("@")[0]);
            const at = model.findIndex((item) => item.n === n);
            expect(at).toBeGreaterThanOrEqual(0);
            const [item] = model.splice(at, 1);
            expect(entry).toBe(`${n}@${item?.at}`);
            expected.push(entry);
          }
        };
        for (const s of steps) {
          if (s.kind === "set") set(s.ms);
          else if (s.kind === "clear" && made.length > 0) {
            const { deadline, n } = made[s.which % made.length]!;
            deadlines.clear(deadline);
            deadlines.clear(deadline);
            const at = model.findIndex((item) => item.n === n);
            if (at >= 0) model.splice(at, 1);
          } else if (s.kind === "advance") {
            clock.advance(s.ms);
            settleModel();
            expect(model.filter((item) => item.at <= clock.now())).toEqual([]);
          }
          expect(clock.pendingTimers).toBeLessThanOrEqual(1);
        }
        clock.advance(1_000);
        settleModel();
        expect(model).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it("keeps the order of setting among deadlines of one duration", () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const fired: number[] = [];
    for (let i = 0; i < 5; i++) deadlines.set(10, () => fired.push(i));
    clock.advance(10);
    expect(fired).toEqual([0, 1, 2, 3, 4]);
  });

  it("does not fire what another one that is due clears", () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const fired: string[] = [];
    const second: Deadline[] = [];
    deadlines.set(10, () => {
      fired.push("first");
      for (const deadline of second) deadlines.clear(deadline);
    });
    second.push(deadlines.set(10, () => fired.push("second")));
    clock.advance(20);
    expect(fired).toEqual(["first"]);
  });

  it("goes on after one of them threw", () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const fired: string[] = [];
    deadlines.set(10, () => {
      throw new Error("x");
    });
    deadlines.set(20, () => fired.push("later"));
    expect(() => clock.advance(10)).toThrow("x");
    clock.advance(20);
    expect(fired).toEqual(["later"]);
  });

  it("fires nothing after stop", () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    deadlines.set(10, () => {
      throw new Error("fired");
    });
    deadlines.stop();
    clock.advance(100);
    expect(clock.pendingTimers).toBe(0);
  });
});
