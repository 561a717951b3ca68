import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { Pid, type Term } from "../term/types.ts";
import { Deframer } from "../wire/deframer.ts";
import { DEFAULT_DIST_LIMITS } from "./limits.ts";
import { Receiver } from "./receive.ts";
import { Sender } from "./send.ts";

const KIB = 1024;
const CONTROL = { kind: "send", from: new Pid("a@h", 1, 0, 9), to: new Pid("b@h", 1, 0, 5) } as const;

/** A carrier that looks at the bytes only when they leave, as a socket with a full send buffer. */
function rig(copiesWrites: boolean) {
  const queue: Uint8Array[] = [];
  const memories = new Set<ArrayBufferLike>();
  const fault = { isNext: false };
  let pending = 0;
  const sender = new Sender(
    {
      write(bytes) {
        if (fault.isNext) {
          fault.isNext = false;
          throw new Error("the carrier takes no more");
        }
        queue.push(bytes);
        memories.add(bytes.buffer);
        pending += bytes.length;
      },
      pendingBytes: () => pending,
      copiesWrites,
      needFlush: () => {},
    },
    {
      header: true,
      fragments: true,
      exitPayload: true,
      congestedBytes: 1024 * KIB,
      maxQueuedBytes: 64 * 1024 * KIB,
    },
  );
  const payloads: Term[] = [];
  const receiver: Receiver = new Receiver("header", DEFAULT_DIST_LIMITS, {
    wanted: () => true,
    refused: () => {},
    message: (_control, buffer, start, end) => payloads.push(receiver.terms.decodeAt(buffer, start, end)),
  });
  const deframer = new Deframer({ prefix: 4, maxFrameBytes: DEFAULT_DIST_LIMITS.maxFrameBytes });
  const leave = (count: number): void => {
    for (const bytes of queue.splice(0, count)) {
      pending -= bytes.length;
      deframer.receive(Buffer.from(bytes), {
        frame: (buffer, start, end) => receiver.frame(buffer, start, end, 0 as MonotonicMs),
        tick: () => {},
      });
    }
    sender.relieved();
  };
  return { sender, payloads, leave, memories, fault };
}

describe("Sender, buffers", () => {
  it("never writes into a buffer that has not left, whatever the sizes and however far the carrier is behind", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ size: fc.integer({ min: 0, max: 40 * KIB }) }) },
      { weight: 1, arbitrary: fc.record({ size: fc.integer({ min: 60 * KIB, max: 200 * KIB }) }) },
      { weight: 2, arbitrary: fc.constant("flush" as const) },
      { weight: 2, arbitrary: fc.record({ leave: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 1, arbitrary: fc.constant("tick" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { sender, payloads, leave } = rig(true);
        const sent: string[] = [];
        for (const [index, each] of steps.entries()) {
          if (each === "flush") sender.flush();
          else if (each === "tick") sender.tick();
          else if ("leave" in each) leave(each.leave);
          else {
            sent.push(`${each.size} of ${index}`);
            sender.message(CONTROL, Buffer.alloc(each.size, index));
          }
        }
        sender.flush();
        for (let i = 0; i < 100; i++) leave(10);
        const got = payloads.map((payload) => payload as Buffer);
        const wanted = sent.map((text) => text.split(" of ").map(Number) as [number, number]);
        expect(got).toHaveLength(wanted.length);
        for (const [i, [size, fill]] of wanted.entries()) {
          expect(Buffer.alloc(size, fill).equals(got[i] as Buffer)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("leaves alone what waits when the carrier fails in the middle of a write", () => {
    const { sender, payloads, leave, fault } = rig(true);
    sender.message(CONTROL, Buffer.alloc(20 * KIB, 1));
    sender.flush();
    fault.isNext = true;
    sender.message(CONTROL, Buffer.alloc(60 * KIB, 2));
    expect(() => sender.flush()).toThrow("the carrier takes no more");
    for (const fill of [3, 4, 5]) {
      sender.message(CONTROL, Buffer.alloc(20 * KIB, fill));
      sender.flush();
    }
    leave(10);
    const sums = payloads.map((payload) => [(payload as Buffer)[0], (payload as Buffer)[20 * KIB - 1]]);
    expect(sums).toEqual([1, 3, 4, 5].map((fill) => [fill, fill]));
  });

  it("leaves alone a whole burst that waits", () => {
    const { sender, payloads, leave } = rig(true);
    for (let i = 0; i < 200; i++) sender.message(CONTROL, Buffer.alloc(10 * KIB, i));
    sender.flush();
    leave(100);
    expect(payloads.map((payload) => (payload as Buffer)[10 * KIB - 1])).toEqual([...Array(200).keys()]);
  });

  it("makes few buffers where the carrier copies, and one for each large write where it does not", () => {
    const memories = (copiesWrites: boolean): number => {
      const { sender, leave, memories } = rig(copiesWrites);
      for (let i = 0; i < 50; i++) {
        for (let n = 0; n < 40; n++) sender.message(CONTROL, Buffer.alloc(1000));
        sender.flush();
        leave(1);
      }
      return memories.size;
    };
    expect(memories(true)).toBeLessThan(6);
    expect(memories(false)).toBe(50);
  });
});
