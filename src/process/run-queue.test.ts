import { describe, expect, it } from "vitest";
import { type Runnable, RunQueue } from "./run-queue.ts";

function make(options = {}) {
  const later: (() => void)[] = [];
  const queue = new RunQueue({ later: (run) => later.push(run) }, options);
  const log: string[] = [];
  const job = (name: string, messages: number, onMessage?: () => void): Runnable => {
    let left = messages;
    return {
      turn(max) {
        let taken = 0;
        while (taken < max && left > 0) {
          left--;
          taken++;
          log.push(name);
          onMessage?.();
        }
        return taken;
      },
      get wantsTurn() {
        return left > 0;
      },
    };
  };
  return { later, queue, log, job };
}

describe("RunQueue", () => {
  it("gives each process its turn of messages", () => {
    const { queue, log, job } = make({ messagesPerTurn: 2 });
    queue.ready(job("a", 5));
    queue.ready(job("b", 3));
    expect(queue.run()).toBe(false);
    expect(log.join("")).toBe("aabbaaba");
  });

  it("stops at the budget and picks the rest up through the scheduler, armed once", () => {
    const { queue, log, job, later } = make({ messagesPerTurn: 2, messagesPerRun: 4 });
    queue.hold();
    queue.ready(job("a", 9));
    expect(later.length).toBe(0);
    expect(queue.run(3)).toBe(true);
    expect(log.length).toBe(3);
    expect(later.length).toBe(1);
    later.shift()?.();
    expect(log.length).toBe(7);
    expect(later.length).toBe(1);
    later.shift()?.();
    expect(log.length).toBe(9);
    expect(later.length).toBe(0);
  });

  it("runs nothing inside ready, and a run from inside a handler does nothing", () => {
    const { queue, log, job, later } = make();
    const inner = job("i", 1);
    queue.ready(
      job("o", 1, () => {
        queue.ready(inner);
        expect(queue.run()).toBe(true);
        expect(log).toEqual(["o"]);
      }),
    );
    queue.ready(job("n", 0));
    expect(log).toEqual([]);
    expect(later.length).toBe(1);
    expect(queue.run()).toBe(false);
    expect(log).toEqual(["o", "i"]);
  });

  it("continues settled promises at once until the messages of this turn are used up", () => {
    const { queue, log, job, later } = make({ messagesPerRun: 3 });
    queue.run(3);
    for (let i = 0; i < 3; i++) queue.resume(job("a", 1));
    expect(log.length).toBe(3);
    expect(later.length).toBe(0);
    queue.resume(job("b", 1));
    expect(log.length).toBe(3);
    expect(later.length).toBe(1);
    later.shift()?.();
    expect(log.length).toBe(4);
    queue.resume(job("c", 1));
    expect(log.length).toBe(5);
  });

  it("survives a process that breaks, and goes on with the others", () => {
    const { queue, log, job, later } = make();
    queue.ready(
      job("x", 1, () => {
        throw new Error("broken");
      }),
    );
    queue.ready(job("a", 1));
    expect(() => queue.run()).toThrow("broken");
    later.shift()?.();
    expect(log).toEqual(["x", "a"]);
  });
});
