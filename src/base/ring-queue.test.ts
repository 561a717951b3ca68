import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RingQueue } from "./ring-queue.ts";

describe("RingQueue", () => {
  it("gives undefined when empty and keeps an undefined item apart by its length", () => {
    const queue = new RingQueue<undefined | number>();
    expect([queue.shift(), queue.peek(), queue.length]).toEqual([undefined, undefined, 0]);
    queue.push(undefined);
    expect(queue.length).toBe(1);
    queue.shift();
    expect(queue.length).toBe(0);
  });

  it("behaves as an array under any mix of operations, through growth and wrapping", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.integer().map((n) => ({ kind: "push" as const, n })) },
      { weight: 5, arbitrary: fc.constant({ kind: "shift" as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: "clear" as const }) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 }).map((n) => ({ kind: "many" as const, n })) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new RingQueue<number>();
        let model: number[] = [];
        for (const s of steps) {
          if (s.kind === "push") {
            queue.push(s.n);
            model.push(s.n);
          } else if (s.kind === "many") {
            for (let i = 0; i < s.n; i++) {
              queue.push(i);
              model.push(i);
            }
          } else if (s.kind === "shift") {
            expect(queue.shift()).toBe(model.shift());
          } else {
            queue.clear();
            model = [];
          }
          expect(queue.length).toBe(model.length);
          expect(queue.peek()).toBe(model[0]);
        }
        while (model.length > 0) expect(queue.shift()).toBe(model.shift());
        expect(queue.shift()).toBeUndefined();
      }),
    );
  });
});
