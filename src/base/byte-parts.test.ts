import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteParts } from "./byte-parts.ts";

/** What waits, taken out. */
function all(parts: ByteParts): Buffer[] {
  const out: Buffer[] = [];
  for (let next = parts.shift(); next !== undefined; next = parts.shift()) out.push(next);
  return out;
}

const bytesOf = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

/** Distinct memory behind some buffers, in bytes. */
const memoryOf = (chunks: readonly Buffer[]): number =>
  [...new Set(chunks.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);

describe("bytes that are taken out piece by piece", () => {
  it("come in their order, all of them, however they were cut and taken", () => {
    const step = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 900, max: 9_000 }), fc.constant("take"));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const parts = new ByteParts();
        const put: Buffer[] = [];
        const got: Buffer[] = [];
        for (const [n, what] of steps.entries()) {
          if (what === "take") got.push(parts.shift() ?? Buffer.alloc(0));
          else {
            const chunk = Buffer.alloc(what as number, n);
            put.push(chunk);
            parts.add(chunk, 0, chunk.length);
          }
          expect(parts.bytes).toBe(bytesOf(put) - bytesOf(got));
        }
        got.push(...all(parts));
        expect(Buffer.concat(got).equals(Buffer.concat(put))).toBe(true);
        expect([parts.bytes, parts.shift()]).toEqual([0, undefined]);
      }),
    );
  });

  it("lie in few objects one by one, and hold nothing of what lay around them", () => {
    const parts = new ByteParts();
    for (let n = 0; n < 100_000; n++) parts.add(Buffer.alloc(65_536), 7, 8);
    const chunks = all(parts);
    expect(bytesOf(chunks)).toBe(100_000);
    expect(chunks.length).toBeLessThan(20);
    expect(memoryOf(chunks)).toBeLessThan(4 * 100_000);
  });
});
