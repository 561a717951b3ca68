import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bareFrame,
  bytesOf,
  channelHead,
  channelNumberFrame,
  channelNumberOf,
  channelOf,
  FrameError,
  FrameReader,
  frame,
  MAX_FRAME_BYTES,
  MAX_ID,
  MAX_PIECE_BYTES,
  numberFrame,
  numberOf,
} from "./engine-frames.ts";

function read(chunks: readonly Buffer[]): [number, number, string][] {
  const heard: [number, number, string][] = [];
  const reader = new FrameReader((type, session, body) => heard.push([type, session, body.toString("hex")]));
  for (const chunk of chunks) reader.push(chunk);
  return heard;
}

describe("frames of the QUIC engine", () => {
  it("have their layout", () => {
    expect(bareFrame(9, 0x01020304).toString("hex")).toBe("000000050901020304");
    expect(numberFrame(14, 0, 7).toString("hex")).toBe("000000090e0000000000000007");
    expect(channelHead(5, 2, 68, 3).toString("hex")).toBe("0000000e0500000002000000000044");
    expect(channelNumberFrame(8, 2, 4, 0x101, 6).toString("hex")).toBe("000000110800000002000000000004000000000101");
  });

  it("come out the same however the pipe cuts them", () => {
    const body = fc.uint8Array({ maxLength: 300 });
    const frames = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), body));
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
        const all = Buffer.concat(sent.map(([type, session, bytes]) => frame(type, session, bytes)));
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const end = at + (cuts[turn % cuts.length] ?? 1);
          chunks.push(all.subarray(at, end));
          at = end;
        }
        const expected = sent.map(([type, session, bytes]) => [type, session, Buffer.from(bytes).toString("hex")]);
        expect(read(chunks)).toEqual(expected);
        expect(read([all])).toEqual(expected);
      }),
    );
  });

  it("of bytes are handed on as they come when they are long, and in one piece when they are not", () => {
    const long = Buffer.concat([channelHead(69, 1, 68, 20_000), Buffer.alloc(20_000, 1)]);
    const short = Buffer.concat([channelHead(69, 3, 4, 5000), Buffer.alloc(5000, 2)]);
    const all = Buffer.concat([long, short, bareFrame(9, 5), long]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }), (cuts) => {
        const heard: string[] = [];
        let bytesOfLong = 0;
        const reader = new FrameReader(
          (type, session) => heard.push(`frame ${type} ${session}`),
          new Set([69]),
          (type, session, channel, bytes, isLast) => {
            expect(type).toBe(69);
            expect(bytes.every((octet) => octet === (session === 1 ? 1 : 2))).toBe(true);
            if (session === 1) bytesOfLong += bytes.length;
            if (isLast) heard.push(`${session} ${channel} ${session === 1 ? bytesOfLong : bytes.length}`);
            else expect(session).toBe(1);
          },
        );
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const end = at + (cuts[turn % cuts.length] ?? 1);
          reader.push(all.subarray(at, end));
          at = end;
        }
        expect(heard).toEqual(["1 68 20000", "3 4 5000", "frame 9 5", "1 68 40000"]);
      }),
      { numRuns: 50 },
    );
  });

  it("give a value or a FrameError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          read([Buffer.from(bytes)]);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });

  it("are refused by their length before anything is kept", () => {
    const head = (length: number): Buffer => {
      const bytes = Buffer.alloc(9);
      bytes.writeUInt32BE(length);
      return bytes;
    };
    for (const length of [0, 4, MAX_FRAME_BYTES + 1, 0xffff_ffff]) {
      expect(() => read([head(length)])).toThrow(FrameError);
      expect(() => read([...head(length)].map((octet) => Buffer.from([octet])))).toThrow(FrameError);
    }
    const largest = Buffer.concat([channelHead(69, 1, MAX_ID, MAX_PIECE_BYTES), Buffer.alloc(MAX_PIECE_BYTES)]);
    expect(read([largest])).toHaveLength(1);
  });

  it("give out the fields of their bodies, and refuse short ones", () => {
    const body = Buffer.concat([channelHead(69, 1, MAX_ID, 2), Buffer.from("ab")]).subarray(9);
    expect([channelOf(body), bytesOf(body).toString()]).toEqual([MAX_ID, "ab"]);
    expect(() => channelOf(body.subarray(0, 5))).toThrow(FrameError);
    expect(channelNumberOf(channelNumberFrame(73, 1, 4, 99, 4).subarray(9), 4)).toBe(99);
    expect(() => channelNumberOf(body, 4)).toThrow(FrameError);
    expect(() => channelNumberOf(Buffer.alloc(13), 6)).toThrow(FrameError);
    expect(() => numberOf(Buffer.alloc(5))).toThrow(FrameError);
  });
});
