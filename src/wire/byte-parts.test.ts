import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteParts } from "./byte-parts.ts";

describe("ByteParts", () => {
  it("joins pieces of any length in order", () => {
    const piece = fc.record({
      bytes: fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ minLength: 1000, maxLength: 3000 })),
      before: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.uint8Array({ maxLength: 20 }), (pieces, last) => {
        const parts = new ByteParts();
        for (const { bytes, before } of pieces) {
          const host = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(3, 2)]);
          parts.add(host, before, before + bytes.length);
        }
        const wanted = Buffer.concat(pieces.map(({ bytes }) => bytes));
        expect(parts.bytes).toBe(wanted.length);
        const joined = parts.joinWith(Buffer.from(last), 0, last.length);
        expect(joined.equals(Buffer.concat([wanted, last]))).toBe(true);
        expect(parts.bytes).toBe(0);
        expect(parts.joinWith(Buffer.from("z"), 0, 1).toString()).toBe("z");
      }),
    );
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
