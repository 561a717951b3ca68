import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "./byte-writer.ts";

describe("ByteWriter", () => {
  it("writes big-endian and cuts each number to its width", () => {
    const writer = new ByteWriter(1);
    writer.u8(0x1ff);
    writer.u16(0x1_0203);
    writer.u32(0xffff_fffe);
    writer.u64(0x0102_0304_0506_0708n);
    writer.u64(0xffff_ffff_ffff_ffffn);
    writer.f64(-0.5);
    expect(writer.take().toString("hex")).toBe(
      `ff${"0203"}${"fffffffe"}${"0102030405060708"}${"f".repeat(16)}bfe0000000000000`,
    );
  });

  it.each([0, 1, 47, 48, 49, 5000])("copies %i bytes, whole and in part", (size) => {
    const source = Buffer.alloc(size + 2, 7);
    for (let i = 0; i < size; i++) source[i + 1] = i;
    const writer = new ByteWriter(1);
    writer.bytes(source);
    writer.bytes(source, 1, size + 1);
    expect(writer.take().equals(Buffer.concat([source, source.subarray(1, size + 1)]))).toBe(true);
  });

  it("grows without losing what was written", () => {
    const writer = new ByteWriter(1);
    for (let i = 0; i < 3000; i++) writer.u8(i);
    const out = writer.take();
    expect(out.length).toBe(3000);
    expect(out.every((octet, i) => octet === (i & 255))).toBe(true);
  });

  it("patches four bytes in place", () => {
    const writer = new ByteWriter();
    writer.u32(0);
    writer.u8(9);
    writer.patchU32(0, 0x8000_0001);
    expect(writer.take().toString("hex")).toBe("8000000109");
  });

  it("hands its bytes over with take: later writing does not touch them", () => {
    const writer = new ByteWriter(8);
    writer.u32(1);
    const first = writer.take();
    expect(writer.length).toBe(0);
    writer.u32(2);
    expect(first.toString("hex")).toBe("00000001");
    expect(writer.take().toString("hex")).toBe("00000002");
  });

  it("does not keep a huge buffer after take", () => {
    const writer = new ByteWriter();
    writer.ensure(10_000_000);
    writer.take();
    expect(writer.buffer.length).toBeLessThanOrEqual(256 * 1024);
  });

  it("copies few bytes out of its buffer with take, and gives the buffer away with many", () => {
    const writer = new ByteWriter(64 * 1024);
    const { buffer } = writer;
    writer.bytes(new Uint8Array(16 * 1024));
    expect(writer.take().buffer).not.toBe(buffer.buffer);
    expect(writer.buffer).toBe(buffer);
    writer.bytes(new Uint8Array(16 * 1024 + 1));
    expect(writer.take().buffer).toBe(buffer.buffer);
    expect(writer.buffer).not.toBe(buffer);
  });

  it("gives back a grown buffer with trim, but not what is written", () => {
    const writer = new ByteWriter();
    writer.bytes(new Uint8Array(10_000).fill(3));
    writer.trim();
    expect(writer.takeCopy().equals(Buffer.alloc(10_000, 3))).toBe(true);
    writer.trim();
    expect(writer.buffer.length).toBe(4096);
  });

  it("copies with takeCopy, and starts at zero after it and after reset", () => {
    const writer = new ByteWriter();
    writer.u8(1);
    const copy = writer.takeCopy();
    writer.u8(2);
    expect(copy.toString("hex")).toBe("01");
    writer.reset();
    writer.u8(3);
    expect(writer.take().toString("hex")).toBe("03");
  });

  it("gives the concatenation of what was written, whatever the sizes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), fc.integer({ min: 1, max: 64 }), (parts, initial) => {
        const writer = new ByteWriter(initial);
        for (const part of parts) writer.bytes(part);
        expect(writer.take().equals(Buffer.concat(parts))).toBe(true);
      }),
    );
  });
});
