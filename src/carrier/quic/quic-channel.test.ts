import { describe, expect, it } from "vitest";
import { QuicChannel } from "./quic-channel.ts";

describe("what waits on a paused channel", () => {
  it("takes the memory of its bytes, however small the peer cuts them", () => {
    const channel = new QuicChannel(4, true, true);
    for (let n = 0; n < 50_000; n++) channel.keep(Buffer.alloc(65_536, n).subarray(9, 10));
    expect(channel.unreadBytes).toBe(50_000);
    const chunks: Buffer[] = [];
    for (let next = channel.next(); next !== undefined; next = channel.next()) chunks.push(next);
    expect(chunks.length).toBeLessThan(20);
    expect(Buffer.concat(chunks).equals(Buffer.from(Array.from({ length: 50_000 }, (_, n) => n & 255)))).toBe(true);
    expect(channel.unreadBytes).toBe(0);
  });
});
