import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { Reference } from "../term/types.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { type CallRequest, CallTable, checkedTimeout } from "./call-table.ts";
import { Deadlines } from "./deadlines.ts";
import { RefMaker } from "./refs.ts";
import type { Session } from "./session.ts";

/** The table only compares sessions by identity. */
const session = (name: string): Session => ({ peer: { name } }) as unknown as Session;
const S = session("b@h");
const OTHER = session("c@h");

function make(maxOpen?: number) {
  const clock = new VirtualClock();
  const calls = new CallTable(new RefMaker("a@h", 7, new SeededRandom(1)), new Deadlines(clock), maxOpen);
  const started: Reference[] = [];
  const abandoned: Reference[] = [];
  const open = (options: CallRequest["options"] = {}, more: Partial<CallRequest> = {}) => {
    const settled: unknown[] = [];
    const promise = calls.open({
      session: S,
      target: "srv",
      peer: "b@h",
      what: "a call",
      options,
      abandon: (ref) => abandoned.push(ref),
      start: (ref) => started.push(ref),
      ...more,
    });
    void promise.then(
      (value) => settled.push(["value", value]),
      (error: unknown) => settled.push(["error", error instanceof SallyportError ? error.reason : error]),
    );
    return { settled, ref: started.at(-1)! };
  };
  return { clock, calls, open, started, abandoned };
}
const microtasks = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe("CallTable", () => {
  it("settles exactly once, under every order of answer, DOWN, lost session, deadline and abort", async () => {
    type Ending = "answer" | "down" | "lost" | "deadline" | "abort";
    const endings: Ending[] = ["answer", "down", "lost", "deadline", "abort"];
    const first = {
      answer: ["value", 42],
      down: ["error", "down"],
      lost: ["error", "lost"],
      deadline: ["error", "CALL_TIMEOUT"],
      abort: ["error", "aborted"],
    };
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(endings, { minLength: 1 }), async (order) => {
        const { clock, calls, open, abandoned } = make();
        const controller = new AbortController();
        const { settled, ref } = open({ timeoutMs: 100, signal: controller.signal });
        const bystander = open({ timeoutMs: 1_000 }, { session: OTHER });
        for (const ending of order) {
          const call = calls.find(ref, S);
          // The entry as an owner may still hold it after the call has ended.
          if (ending === "answer" && call !== undefined) calls.answer(call, 42);
          else if (ending === "down" && call !== undefined) calls.fail(call, "down");
          else if (ending === "lost") calls.sessionLost(S, () => "lost");
          else if (ending === "deadline") clock.advance(100);
          else if (ending === "abort") controller.abort("aborted");
          await microtasks();
        }
        expect(settled).toEqual([first[order[0] ?? "answer"]]);
        const gaveUp = order[0] === "deadline" || order[0] === "abort";
        expect(abandoned).toEqual(gaveUp ? [ref] : []);
        expect([calls.size, bystander.settled.length]).toEqual([1, 0]);
        clock.advance(10_000);
        expect([calls.size, clock.pendingTimers]).toEqual([0, 0]);
      }),
    );
  });

  it("ignores an entry whose call has ended", async () => {
    const { calls, open } = make();
    const { settled, ref } = open();
    const call = calls.find(ref, S)!;
    calls.answer(call, 1);
    calls.answer(call, 2);
    calls.fail(call, "x");
    await microtasks();
    expect(settled).toEqual([["value", 1]]);
  });

  it("finds a call only by its whole reference and over the session it went out on", () => {
    const { calls, open } = make();
    const { ref } = open();
    expect(calls.find(ref, S)?.ref).toBe(ref);
    expect(calls.find(ref, OTHER)).toBeUndefined();
    expect(calls.find(ref, undefined)).toBeUndefined();
    const words = ref.words;
    for (let at = 0; at < words.length; at++) {
      const changed = words.map((word, i) => (i === at ? word ^ 1 : word));
      expect(calls.find(new Reference("a@h", 7, changed), S)).toBeUndefined();
    }
    expect(calls.find(new Reference("b@h", 7, words), S)).toBeUndefined();
    expect(calls.find(new Reference("a@h", 6, words), S)).toBeUndefined();
  });

  it("rejects and forgets a call whose start throws", async () => {
    const { calls, open, clock, abandoned } = make();
    const { settled } = open(
      {},
      {
        start: () => {
          throw new SallyportError("ERR_LIMIT", "SEND_QUEUE_FULL", "x");
        },
      },
    );
    await microtasks();
    expect(settled).toEqual([["error", "SEND_QUEUE_FULL"]]);
    expect([calls.size, clock.pendingTimers, abandoned]).toEqual([0, 0, []]);
  });

  it("does not start with a signal that is aborted already, and gives its reason", async () => {
    const { open, started, calls } = make();
    const { settled } = open({ signal: AbortSignal.abort("too late") });
    await microtasks();
    expect([settled, started, calls.size]).toEqual([[["error", "too late"]], [], 0]);
  });

  it("takes maxOpen calls at once and no more", async () => {
    const { calls, open } = make(2);
    const one = open();
    open();
    const third = open();
    await microtasks();
    expect(third.settled).toEqual([["error", "OPEN_CALLS"]]);
    calls.answer(calls.find(one.ref, S)!, 1);
    const fourth = open();
    await microtasks();
    expect(fourth.settled).toEqual([]);
  });

  it("draws another reference when the table key is taken", () => {
    const words = [1, 2, 3, 4, 5, /* again */ 9, 2, 3, 4, 5, /* another */ 1, 7, 3, 4, 5];
    let at = 0;
    const refs = new RefMaker("a@h", 7, { uint32: () => words[at++] ?? 0, bytes: () => Buffer.alloc(0) });
    const calls = new CallTable(refs, new Deadlines(new VirtualClock()));
    const started: Reference[] = [];
    for (let i = 0; i < 2; i++) {
      void calls.open({
        session: S,
        target: "x",
        peer: "b@h",
        what: "x",
        options: {},
        abandon: () => {},
        start: (ref) => started.push(ref),
      });
    }
    expect(started.map((ref) => ref.words)).toEqual([
      [1, 2, 3, 4, 5],
      [1, 7, 3, 4, 5],
    ]);
  });
});

describe("an entry of a call that has ended", () => {
  it("does not touch a later call with the same table key", () => {
    const words = [1, 2, 3, 4, 5, 9, 2, 3, 4, 5];
    let at = 0;
    const refs = new RefMaker("a@h", 7, { uint32: () => words[at++] ?? 0, bytes: () => Buffer.alloc(0) });
    const calls = new CallTable(refs, new Deadlines(new VirtualClock()));
    const started: Reference[] = [];
    const open = () =>
      void calls.open({
        session: S,
        target: "x",
        peer: "b@h",
        what: "x",
        options: {},
        abandon: () => {},
        start: (ref) => started.push(ref),
      });
    open();
    const ended = calls.find(started[0]!, S)!;
    calls.answer(ended, 1);
    open();
    calls.answer(ended, 2);
    expect([calls.size, calls.find(started[1]!, S)?.ref]).toEqual([1, started[1]]);
  });
});

describe("checkedTimeout", () => {
  it("has a finite default, cuts to whole milliseconds and never below zero", () => {
    expect([undefined, 0, 1.9, -5, 2_147_483_647].map(checkedTimeout)).toEqual([5_000, 0, 1, 0, 2_147_483_647]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 2_147_483_648])("refuses %d", (value) => {
    expect(() => checkedTimeout(value)).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "TIMEOUT_INVALID" }),
    );
  });
});
