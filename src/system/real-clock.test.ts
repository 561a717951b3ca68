import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { RealClock } from "./real-clock.ts";

describe("RealClock", () => {
  it("never calls a timer before its time", async () => {
    const clock = new RealClock();
    const late: number[] = [];
    await Promise.all(
      [0, 0.3, 1.2, 2.5, 3.9].map(
        (wait) =>
          new Promise<void>((resolve) => {
            const due = addMs(clock.now(), wait);
            clock.at(due, () => {
              late.push(clock.now() - due);
              resolve();
            });
          }),
      ),
    );
    expect(late).toHaveLength(5);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  });

  it("does not call a cancelled timer, and cancelling twice is harmless", async () => {
    const clock = new RealClock();
    let called = false;
    const timer = clock.at(addMs(clock.now(), 1), () => {
      called = true;
    });
    timer.cancel();
    timer.cancel();
    await new Promise<void>((resolve) => clock.at(addMs(clock.now(), 5), resolve));
    expect(called).toBe(false);
  });

  it("takes a time beyond the longest system timer", () => {
    const clock = new RealClock();
    let called = false;
    const timer = clock.at(
      addMs(clock.now(), 90 * 86_400_000),
      () => {
        called = true;
      },
      true,
    );
    timer.cancel();
    expect(called).toBe(false);
  });

  it("runs afterTurn once the synchronous work has ended and before a timer", async () => {
    const clock = new RealClock();
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      clock.at(clock.now(), () => {
        seen.push("timer");
        resolve();
      });
      clock.afterTurn(() => seen.push("after"));
      seen.push("sync");
    });
    expect(seen).toEqual(["sync", "after", "timer"]);
  });

  it("runs afterTurn after the promise continuations of the turn, however long their chain", async () => {
    const clock = new RealClock();
    const seen: string[] = [];
    const ran = new Promise<void>((resolve) => {
      clock.afterTurn(() => {
        seen.push("after");
        resolve();
      });
    });
    let chain = Promise.resolve();
    for (let i = 0; i < 10; i++) chain = chain.then(() => void seen.push("continuation"));
    await ran;
    expect(seen).toEqual([...Array.from({ length: 10 }, () => "continuation"), "after"]);
  });

  it("gives wall time as Unix milliseconds and monotonic time that does not go back", () => {
    const clock = new RealClock();
    const first = clock.now();
    expect(clock.now()).toBeGreaterThanOrEqual(first);
    expect(clock.wallMs()).toBeGreaterThan(1_700_000_000_000);
  });
});
