import { describe, expect, it } from "vitest";
import { releaseMemory } from "./release-memory.ts";

describe("releaseMemory", () => {
  it("takes the memory of whole chunks at once", () => {
    const chunks = [Buffer.allocUnsafeSlow(16_384).fill(1), Buffer.allocUnsafeSlow(2048).fill(2)];
    releaseMemory(chunks);
    expect(chunks.map((chunk) => chunk.length)).toEqual([0, 0]);
  });

  it("leaves alone a chunk whose memory holds more than it", () => {
    const whole = Buffer.allocUnsafeSlow(4096).fill(3);
    releaseMemory([whole.subarray(0, 4000), whole.subarray(96)]);
    expect(whole.length).toBe(4096);
    expect(whole[4095]).toBe(3);
  });

  it("does nothing with empty chunks, none at all, and the same one twice", () => {
    const chunk = Buffer.allocUnsafeSlow(1024).fill(4);
    releaseMemory([]);
    releaseMemory([Buffer.alloc(0)]);
    releaseMemory([chunk, chunk]);
    releaseMemory([chunk]);
    expect([0, 1024]).toContain(chunk.length);
  });
});
