import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { Deframer, type FrameSink, type PrefixBytes } from "./deframer.ts";

const SWITCH = "switch";

/** Frames after one whose body is `switch` have 4-byte prefixes. */
function collect(deframer: Deframer, events: string[]): FrameSink {
  return {
    frame(buffer, start, end) {
      const body = buffer.toString("latin1", start, end);
      events.push(body);
      if (body === SWITCH) deframer.setPrefix(4);
    },
    tick() {
      events.push("<tick>");
    },
  };
}

function frame(body: Buffer, prefix: PrefixBytes): Buffer {
  const out = Buffer.alloc(prefix + body.length);
  out.writeUIntBE(body.length, 0, prefix);
  out.set(body, prefix);
  return out;
}

/** Cuts `bytes` into chunks of the given sizes, over and over, each in memory of its own. */
function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return chunks;
}

const bodies = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 2, arbitrary: fc.uint8Array({ minLength: 1000, maxLength: 9000 }) },
    { weight: 1, arbitrary: fc.constant(new Uint8Array(Buffer.from(SWITCH))) },
  ),
  { maxLength: 8 },
);
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6000 })), {
  minLength: 1,
  maxLength: 6,
});

describe("Deframer, any input", () => {
  it("gives the same events for every split of the same bytes", () => {
    fc.assert(
      fc.property(bodies, sizes, (list, cuts) => {
        let prefix: PrefixBytes = 2;
        const expected: string[] = [];
        const frames: Buffer[] = [];
        for (const item of list) {
          const body = Buffer.from(item);
          frames.push(frame(body, prefix));
          expected.push(body.length === 0 ? "<tick>" : body.toString("latin1"));
          if (body.toString("latin1") === SWITCH) prefix = 4;
        }
        const deframer = new Deframer({ prefix: 2, maxFrameBytes: 9000 });
        const events: string[] = [];
        const sink = collect(deframer, events);
        for (const chunk of split(Buffer.concat(frames), cuts)) deframer.receive(chunk, sink);
        expect(events).toEqual(expected);
        expect(deframer.partialBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("gives the same events or the same refusal for arbitrary bytes, however they are split", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        sizes,
        fc.constantFrom(2 as const, 4 as const),
        (raw, cuts, prefix) => {
          // Mostly small lengths, or nothing would ever be complete.
          const bytes = Buffer.from(raw).map((byte, i) => (i % 3 === 0 ? 0 : byte & 15)) as Buffer;
          const run = (chunks: readonly Buffer[]) => {
            const deframer = new Deframer({ prefix, maxFrameBytes: 1000 });
            const events: string[] = [];
            const sink = collect(deframer, events);
            try {
              for (const chunk of chunks) deframer.receive(chunk, sink);
              events.push(`waiting ${deframer.partialBytes}`);
            } catch (error) {
              if (!isSallyportError(error)) throw error;
              events.push(error.reason);
            }
            return events;
          };
          expect(run(split(bytes, cuts))).toEqual(run([bytes]));
        },
      ),
      { numRuns: 300 },
    );
  });
});
