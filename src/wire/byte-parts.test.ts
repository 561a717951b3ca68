import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ByteCollector, ByteParts } from "../base/byte-parts.ts";
import { ReusedBytes } from "./reused-bytes.ts";

/** Both ways to collect. */
const MAKERS: readonly [string, () => ByteCollector][] = [
  ["ByteParts", () => new ByteParts()],
  ["ReusedBytes", () => new ReusedBytes()],
];

describe.each(MAKERS)("%s", (_name, make) => {
  it("joins pieces of any length in order", () => {
    const piece = fc.record({
      bytes: fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ minLength: 1000, maxLength: 3000 })),
      before: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.uint8Array({ maxLength: 20 }), (pieces, last) => {
        const parts = make();
        for (const { bytes, before } of pieces) {
          const host = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(3, 2)]);
          parts.add(host, before, before + bytes.length);
        }
        const wanted = Buffer.concat(pieces.map(({ bytes }) => bytes));
        expect(parts.bytes).toBe(wanted.length);
        const joined = parts.joinWith(Buffer.from(last), 0, last.length);
        const size = wanted.length + last.length;
        expect(joined.subarray(0, size).equals(Buffer.concat([wanted, last]))).toBe(true);
        expect(parts.bytes).toBe(0);
        expect(parts.joinWith(Buffer.from("z"), 0, 1).toString("utf8", 0, 1)).toBe("z");
      }),
    );
  });

  it("moves everything from a given byte on to another collection", () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1000, max: 2500 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(lengths, lengths, fc.nat(200), (first, second, from) => {
        const fill = (parts: ByteCollector, list: readonly number[], start: number): Buffer =>
          Buffer.concat(
            list.map((length, index) => {
              const piece = Buffer.alloc(length, start + index);
              parts.add(piece, 0, length);
              return piece;
            }),
          );
        const target = make();
        const kept = fill(target, first, 1);
        const source = make();
        const moved = fill(source, second, 100);
        source.moveTo(target, from);
        expect(source.bytes).toBe(0);
        const wanted = Buffer.concat([kept, moved.subarray(from)]);
        expect(target.bytes).toBe(wanted.length);
        expect(target.joinWith(wanted, 0, 0).subarray(0, wanted.length).equals(wanted)).toBe(true);
      }),
    );
  });
});

describe("ReusedBytes", () => {
  it("uses the same memory again, but not that of a large message", () => {
    const bytes = new ReusedBytes();
    const join = (size: number): Buffer => {
      bytes.add(Buffer.alloc(size, 1), 0, size);
      return bytes.joinWith(Buffer.alloc(1), 0, 1);
    };
    const first = join(100_000);
    expect(first.length).toBeLessThanOrEqual(2 * 100_001);
    expect(join(3)).toBe(first);
    const large = join(300_000);
    expect(join(3)).not.toBe(large);
    const kept = join(3);
    bytes.trim();
    expect(join(3)).not.toBe(kept);
    bytes.add(Buffer.from("abc"), 0, 3);
    bytes.trim();
    expect(bytes.head(3)?.toString()).toBe("abc");
    expect(bytes.head(4)).toBeUndefined();
  });
});

describe("ByteParts", () => {
  it("shows its first bytes only when they lie in one piece", () => {
    const parts = new ByteParts();
    expect(parts.head(1)).toBeUndefined();
    parts.add(Buffer.from("abc"), 0, 3);
    expect(parts.head(3)?.toString()).toBe("abc");
    parts.add(Buffer.alloc(2000, 120), 0, 2000);
    expect(parts.head(3)?.toString()).toBe("abc");
    expect(parts.head(4)).toBeUndefined();
  });

  it("spends no block of memory on each short piece between long ones", () => {
    const parts = new ByteParts();
    const long = Buffer.allocUnsafeSlow(1024);
    const short = Buffer.from("x");
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 2000; i++) {
      parts.add(short, 0, 1);
      parts.add(long, 0, 1024);
    }
    // A block for each would be 2 MiB and more.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024);
    expect(parts.bytes).toBe(2000 * 1025);
  });

  it("gives back whole chunks once they are joined, and never one of which it had a part", () => {
    const released: Buffer[] = [];
    const parts = new ByteParts((chunks) => void released.push(...chunks));
    const whole = Buffer.allocUnsafeSlow(4096).fill(1);
    const shared = Buffer.allocUnsafeSlow(4096).fill(2);
    parts.add(whole, 0, 4096);
    parts.add(shared, 0, 4000);
    expect(released).toEqual([]);
    const last = Buffer.allocUnsafeSlow(4096).fill(3);
    expect(parts.joinWith(last, 0, 4096).length).toBe(12_192);
    expect(released).toEqual([whole]);
    parts.add(shared, 0, 4096);
    parts.clear();
    expect(released).toEqual([whole]);
  });

  it("keeps a long piece by reference and copies one that would pin four times its length", () => {
    const whole = Buffer.allocUnsafeSlow(8192).fill(1);
    const parts = new ByteParts();
    parts.add(whole, 0, 8192);
    parts.add(whole, 0, 1500);
    whole.fill(2);
    const joined = parts.joinWith(whole, 0, 0);
    expect(joined[0]).toBe(2);
    expect(joined[8192]).toBe(1);
  });
});
