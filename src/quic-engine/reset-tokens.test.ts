import { createHmac, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { shortPacketId } from "./packet-head.ts";
import { ResetTokens } from "./reset-tokens.ts";

const KEY = "-----BEGIN PRIVATE KEY-----";
const AT = { host: "127.0.0.1", port: 4433 };
const ID = Buffer.alloc(16, 7);

/** The answer to a packet of so many octets. */
function answer(octets: number, tokens = new ResetTokens(KEY, AT), seed = 1): Buffer {
  const into = Buffer.alloc(1452);
  return into.subarray(0, tokens.write(into, ID, octets, new SeededRandom(seed)));
}

describe("a stateless reset", () => {
  it("ends with the token of the connection id, which the next life of the listener makes as well", () => {
    const key = hkdfSync("sha256", KEY, "", "sallyport stateless reset 127.0.0.1 4433", 32);
    const token = createHmac("sha256", Buffer.from(key)).update(ID).digest().subarray(0, 16);
    expect(answer(60).subarray(-16)).toEqual(token);
    expect(new ResetTokens(KEY, AT).of(ID)).toBe(BigInt(`0x${token.toString("hex")}`));
  });

  it("of another key, address or connection is another", () => {
    const own = new ResetTokens(KEY, AT);
    const others = [
      new ResetTokens("another key", AT).of(ID),
      new ResetTokens(KEY, { ...AT, port: 4434 }).of(ID),
      new ResetTokens(KEY, { ...AT, host: "10.0.0.1" }).of(ID),
      own.of(Buffer.alloc(16, 8)),
    ];
    expect(new Set([own.of(ID), ...others]).size).toBe(5);
  });

  it("looks like a packet, and is another each time but for the token", () => {
    for (let seed = 1; seed < 50; seed++) {
      const one = answer(60, undefined, seed);
      expect((one[0] ?? 0) & 0xc0).toBe(0x40);
      expect(one.subarray(0, -16)).not.toEqual(answer(60, undefined, seed + 1).subarray(0, -16));
    }
  });

  it("is smaller than what it answers, and there is none for the smallest, so two sides end answering each other", () => {
    const lengths = [1452, 60, 43, 42, 41, 23, 22, 21, 17, 0].map((octets) => answer(octets).length);
    expect(lengths).toEqual([42, 42, 42, 41, 40, 22, 21, 0, 0, 0]);
  });
});

describe("the connection id of a packet with a short header", () => {
  it("follows its first octet", () => {
    const packet = Buffer.concat([Buffer.of(0x5a), ID, Buffer.alloc(20, 9)]);
    expect(shortPacketId(packet)).toEqual(ID);
  });

  it.each([
    ["a long header", Buffer.concat([Buffer.of(0xc0), ID, ID])],
    ["what is no QUIC", Buffer.concat([Buffer.of(0x1a), ID, ID])],
    ["a packet that is too short", Buffer.concat([Buffer.of(0x40), ID.subarray(1)])],
    ["nothing", Buffer.alloc(0)],
  ])("is not there in %s", (_what, packet) => {
    expect(shortPacketId(packet)).toBeUndefined();
  });
});
