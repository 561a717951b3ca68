import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../base/byte-writer.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";
import { encodeInto, encodeTerm, type Splice } from "../term/encode.ts";
import { tuple } from "../term/types.ts";
import { Deframer } from "./deframer.ts";
import { FragmentPlan, splicedRanges } from "./fragment-plan.ts";
import { Reassembler } from "./fragments.ts";

function frames(plan: FragmentPlan): Buffer[] {
  const all: Buffer[] = [];
  for (;;) {
    const pieces: Uint8Array[] = [];
    const bytes = plan.writeNext(pieces);
    if (bytes === 0) return all;
    const frame = Buffer.concat(pieces);
    expect(frame.length).toBe(bytes);
    all.push(frame);
  }
}

describe("FragmentPlan", () => {
  it("cuts as OTP 27 does (V14): first 18 + header + 65536 bytes, ids down to 1", () => {
    const payload = Buffer.alloc(70_005, 7);
    const control = Buffer.from("6803611658", "hex");
    const [one, two, ...rest] = frames(
      new FragmentPlan(0x2c03n, control, [{ buffer: payload, start: 0, end: 70_005 }]),
    );
    expect(rest).toEqual([]);
    expect(one!.subarray(0, 29).toString("hex")).toBe(
      "0001001883450000000000002c03000000000000000200680361165807".slice(0, 58),
    );
    expect(one!.length).toBe(4 + 18 + 1 + 5 + 65_536);
    expect(two!.subarray(0, 23).toString("hex")).toBe("0000118783460000000000002c03000000000000000107");
    expect(two!.length).toBe(4 + 18 + 4469);
  });

  it("writes one fragment for a payload that is empty or fills it exactly", () => {
    const control = Buffer.from("c");
    expect(frames(new FragmentPlan(1n, control, [], 4))).toHaveLength(1);
    const plan = new FragmentPlan(1n, control, [{ buffer: Buffer.from("abcd"), start: 0, end: 4 }], 4);
    expect([plan.fragmentsLeft, plan.bytesLeft]).toEqual([1, 4]);
    expect(frames(plan)).toHaveLength(1);
    expect([plan.fragmentsLeft, plan.bytesLeft]).toEqual([0, 0]);
  });

  it("does not copy the payload", () => {
    const buffer = Buffer.from("abcdef");
    const out: Uint8Array[] = [];
    new FragmentPlan(1n, Buffer.from("c"), [{ buffer, start: 1, end: 6 }], 3).writeNext(out);
    buffer[1] = 0x7a;
    expect(Buffer.from(out[1]!).toString()).toBe("zcd");
  });

  it("takes a term whose large binaries were left out, and gives the bytes of the whole term", () => {
    const big = Buffer.alloc(70_000, 1);
    const term = [tuple(1, big), big, 5, new Map([["k", Buffer.alloc(65_536, 2)]])];
    const writer = new ByteWriter();
    writer.u8(0xee);
    const splices: Splice[] = [];
    encodeInto(writer, term, { splices });
    const bytes = writer.take();
    const ranges = splicedRanges(bytes, 1, bytes.length, splices);
    expect(splices).toHaveLength(3);
    expect(ranges.filter((range) => range.buffer === big)).toHaveLength(2);
    const whole = Buffer.concat(ranges.map(({ buffer, start, end }) => buffer.subarray(start, end)));
    expect(whole.equals(encodeTerm(term).subarray(1))).toBe(true);
    expect(splicedRanges(bytes, 1, 3, [])).toEqual([{ buffer: bytes, start: 1, end: 3 }]);
  });

  it("refuses sequence id 0, which a BEAM takes for a whole message", () => {
    for (const [seqId, part] of [
      [0n, 1],
      [-1n, 1],
      [1n, 0],
    ] as const) {
      try {
        new FragmentPlan(seqId, Buffer.alloc(0), [], part);
        expect.unreachable();
      } catch (error) {
        expect(isSallyportError(error) && error.reason).toBe("FRAGMENT_PLAN_INVALID");
      }
    }
  });

  it("is undone by the deframer and the reassembler, for any segments and part size", () => {
    const segment = fc.record({ bytes: fc.uint8Array({ maxLength: 50 }), before: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), fc.integer({ min: 1, max: 70 }), (segments, part) => {
        const ranges = segments.map(({ bytes, before }) => ({
          buffer: Buffer.concat([Buffer.alloc(before), bytes, Buffer.alloc(2)]),
          start: before,
          end: before + bytes.length,
        }));
        const payload = Buffer.concat(segments.map(({ bytes }) => bytes));
        const control = Buffer.from("ctl");
        const reassembler = new Reassembler<string>();
        let done: string | undefined;
        new Deframer({ prefix: 4, maxFrameBytes: 1000 }).receive(
          Buffer.concat(frames(new FragmentPlan(9n, control, ranges, part))),
          {
            frame(buffer, start, end) {
              const seqId = buffer.readBigUInt64BE(start + 2);
              const fragId = buffer.readBigUInt64BE(start + 10);
              const result =
                buffer[start + 1] === 0x45
                  ? reassembler.first(seqId, fragId, "", buffer, start + 22, end, 0 as MonotonicMs)
                  : reassembler.next(seqId, fragId, buffer, start + 18, end);
              if (result !== undefined) done = result.buffer.toString("hex", result.start, result.end);
            },
            tick: () => expect.unreachable(),
          },
        );
        expect(done).toBe(payload.toString("hex"));
      }),
    );
  });
});
