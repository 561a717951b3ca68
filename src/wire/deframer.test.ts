import { describe, expect, it } from "vitest";
import { failureOf } from "../testkit/failure.ts";
import { Deframer, type FrameSink } from "./deframer.ts";

/** Records events; `onFrame` runs inside the sink. */
class Recorder implements FrameSink {
  readonly events: string[] = [];
  readonly onFrame: ((body: string) => void) | undefined;
  constructor(onFrame?: (body: string) => void) {
    this.onFrame = onFrame;
  }
  frame(buffer: Buffer, start: number, end: number): void {
    const body = buffer.toString("latin1", start, end);
    this.events.push(body);
    this.onFrame?.(body);
  }
  tick(): void {
    this.events.push("<tick>");
  }
}

describe("Deframer", () => {
  it("hands on frames within one chunk without a copy, and ticks", () => {
    const chunk = Buffer.from("\0\0\0\x02ab\0\0\0\0\0\0\0\x01c");
    const seen: Buffer[] = [];
    const events: string[] = [];
    new Deframer({ prefix: 4, maxFrameBytes: 10 }).receive(chunk, {
      frame: (buffer, start, end) => {
        seen.push(buffer);
        events.push(buffer.toString("latin1", start, end));
      },
      tick: () => events.push("<tick>"),
    });
    expect(events).toEqual(["ab", "<tick>", "c"]);
    expect(seen.every((buffer) => buffer === chunk)).toBe(true);
  });

  it("changes prefix and limit from inside the sink for the rest of the chunk", () => {
    const deframer: Deframer = new Deframer({ prefix: 2, maxFrameBytes: 3 });
    const sink = new Recorder((body) => {
      if (body !== "ack") return;
      deframer.setPrefix(4);
      deframer.setMaxFrameBytes(5);
    });
    deframer.receive(Buffer.from("\0\x01n\0\x03ack\0\0\0\x05hello\0\0\0\0"), sink);
    expect(sink.events).toEqual(["n", "ack", "hello", "<tick>"]);
  });

  it("does so also when the frame before it was joined from two chunks", () => {
    const deframer: Deframer = new Deframer({ prefix: 2, maxFrameBytes: 9 });
    const sink = new Recorder(() => deframer.setPrefix(4));
    deframer.receive(Buffer.from("\0\x03a"), sink);
    deframer.receive(Buffer.from("ck\0\0\0\x01x\0"), sink);
    expect(sink.events).toEqual(["ack", "x"]);
    expect(deframer.partialBytes).toBe(1);
  });

  it("stops from inside the sink and stays stopped", () => {
    const deframer: Deframer = new Deframer({ prefix: 2, maxFrameBytes: 9 });
    const sink = new Recorder(() => deframer.stop());
    deframer.receive(Buffer.from("\0\x01a\0\x01b\0"), sink);
    deframer.receive(Buffer.from("\0\x01c"), sink);
    expect(sink.events).toEqual(["a"]);
    expect(deframer.partialBytes).toBe(0);
    expect(deframer.stopped).toBe(true);
  });

  it("checks the length as soon as the prefix is known and takes nothing more after it", () => {
    const deframer = new Deframer({ prefix: 4, maxFrameBytes: 100 });
    const sink = new Recorder();
    deframer.receive(Buffer.from([0xff, 0xff, 0xff]), sink);
    try {
      deframer.receive(Buffer.from([0xff]), sink);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: "ERR_LIMIT",
        reason: "FRAME_TOO_LARGE",
        detail: { value: 0xffffffff, limit: 100, option: "maxFrameBytes" },
      });
    }
    deframer.receive(Buffer.from([0, 0, 0, 1, 1]), sink);
    expect(sink.events).toEqual([]);
    const exact = new Deframer({ prefix: 2, maxFrameBytes: 2 });
    exact.receive(Buffer.from("\0\x02ab"), sink);
    expect(sink.events).toEqual(["ab"]);
    expect(failureOf(() => exact.receive(Buffer.from("\0\x03"), sink))).toBe("ERR_LIMIT FRAME_TOO_LARGE");
  });

  it("treats each chunk as one frame without a prefix, within the limit", () => {
    const deframer = new Deframer({ prefix: 0, maxFrameBytes: 3 });
    const sink = new Recorder();
    deframer.receive(Buffer.from("abc"), sink);
    deframer.receive(Buffer.from("d"), sink);
    deframer.receive(Buffer.alloc(0), sink);
    expect(sink.events).toEqual(["abc", "d"]);
    expect(failureOf(() => deframer.receive(Buffer.from("abcd"), sink))).toBe("ERR_LIMIT FRAME_TOO_LARGE");
  });

  it("counts the waiting bytes, prefix included", () => {
    const deframer = new Deframer({ prefix: 4, maxFrameBytes: 10 });
    const sink = new Recorder();
    const counts = [...Buffer.from("\0\0\0\x03abc\0")].map((byte) => {
      deframer.receive(Buffer.from([byte]), sink);
      return deframer.partialBytes;
    });
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 0, 1]);
  });

  it("keeps nothing of a chunk once it uses memory again, and gives long ones back when the sink is done with them", () => {
    const released: Buffer[] = [];
    let atFrame = 0;
    const frames: string[] = [];
    const sink: FrameSink = {
      frame: (buffer, start, end) => {
        atFrame = released.length;
        frames.push(buffer.toString("latin1", start, end));
      },
      tick: () => {},
    };
    const body = "x".repeat(20_000);
    const wire = Buffer.from(`\x4e\x20${body}`.repeat(3), "latin1");
    const chunks = [0, 30_000, 40_000, 45_000].map((at, i, all) => Buffer.from(wire.subarray(at, all[i + 1])));
    const waiting = new Deframer({ prefix: 2, maxFrameBytes: 65_535 });
    waiting.receive(Buffer.from(chunks[1] as Buffer), { ...sink, frame: () => undefined });
    expect(failureOf(() => waiting.reuseMemory())).toBe("ERR_API_MISUSE DEFRAMER_MID_FRAME");

    const reusing = new Deframer({
      prefix: 2,
      maxFrameBytes: 65_535,
      release: (given) => void released.push(...given),
    });
    reusing.reuseMemory();
    for (const chunk of chunks) {
      reusing.receive(chunk, sink);
      chunk.fill(0);
    }
    expect(frames).toEqual([body, body, body]);
    // That of 5,000 bytes is not worth it; the last was not given back before its frame was handed on.
    expect(released).toEqual([chunks[0], chunks[1], chunks[3]]);
    expect(atFrame).toBe(2);
  });

  it("refuses a change of prefix in the middle of a frame, and being entered twice", () => {
    const deframer: Deframer = new Deframer({ prefix: 2, maxFrameBytes: 10 });
    deframer.receive(Buffer.from("\0"), new Recorder());
    expect(failureOf(() => deframer.setPrefix(4))).toBe("ERR_API_MISUSE DEFRAMER_MID_FRAME");
    const sink: Recorder = new Recorder(() => deframer.receive(Buffer.from("\0\x01y"), sink));
    expect(failureOf(() => deframer.receive(Buffer.from("\x01x"), sink))).toBe("ERR_API_MISUSE DEFRAMER_REENTERED");
    expect(deframer.stopped).toBe(true);
  });

  it("is dead after its sink has thrown", () => {
    const deframer = new Deframer({ prefix: 2, maxFrameBytes: 10 });
    const sink = new Recorder(() => {
      throw new Error("no");
    });
    expect(() => deframer.receive(Buffer.from("\0\x01a\0\x01b"), sink)).toThrow("no");
    deframer.receive(Buffer.from("\0\x01c"), sink);
    expect(sink.events).toEqual(["a"]);
  });

  it("keeps memory near the bytes present when a claimed 16 MiB frame drips in single bytes", () => {
    const deframer = new Deframer({ prefix: 4, maxFrameBytes: 16 * 1024 * 1024 });
    const sink = new Recorder();
    deframer.receive(Buffer.from([1, 0, 0, 0]), sink);
    const one = Buffer.from([7]);
    const before = process.memoryUsage();
    for (let i = 0; i < 300_000; i++) deframer.receive(one, sink);
    expect(deframer.partialBytes).toBe(300_004);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1_200_000);
    // One object for each byte would be more than 25 MB.
    expect(after.heapUsed - before.heapUsed).toBeLessThan(10_000_000);
  });
});
