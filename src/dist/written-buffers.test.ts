import { describe, expect, it } from "vitest";
import { WrittenBuffers } from "./written-buffers.ts";

const buffer = () => Buffer.allocUnsafeSlow(64 * 1024);

describe("WrittenBuffers", () => {
  it("gives a buffer out again when all bytes up to its last have left, and not before", () => {
    const written = new WrittenBuffers();
    const [first, second] = [buffer(), buffer()];
    written.wrote(100);
    written.lend(first);
    written.wrote(30);
    written.wrote(50);
    written.lend(second);
    expect(written.take(180)).toBeUndefined();
    expect(written.take(81)).toBeUndefined();
    expect(written.take(80)).toBe(first);
    expect(written.take(1)).toBeUndefined();
    expect(written.take(0)).toBe(second);
    expect(written.take(0)).toBeUndefined();
  });

  it("never takes bytes of others that wait for bytes of its own that have left", () => {
    const written = new WrittenBuffers();
    written.wrote(100);
    written.lend(buffer());
    // 40 bytes of the handshake still wait behind ours or before them: nobody knows which.
    expect(written.take(140)).toBeUndefined();
    expect(written.take(40)).toBeUndefined();
    expect(written.take(0)).toBeDefined();
  });

  it("keeps no more than a burst needs, and no huge ones", () => {
    const written = new WrittenBuffers();
    for (let i = 0; i < 40; i++) {
      written.wrote(1);
      written.lend(buffer());
    }
    written.wrote(1);
    written.lend(Buffer.allocUnsafeSlow(1024 * 1024));
    let kept = 0;
    while (written.take(0) !== undefined) kept++;
    expect(kept).toBe(16);
  });

  it("lets go of one buffer with each shrink, and of all that have left with trim", () => {
    const written = new WrittenBuffers();
    const last = buffer();
    for (const each of [buffer(), buffer(), last]) {
      written.wrote(10);
      written.lend(each);
    }
    const one = written.take(10);
    written.wrote(10);
    written.lend(one as Buffer);
    written.shrink();
    expect(written.take(20)).toBeUndefined();
    written.trim(10);
    expect(written.take(10)).toBeUndefined();
    expect(written.take(0)).toBe(one);
  });
});
