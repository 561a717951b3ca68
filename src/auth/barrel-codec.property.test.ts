import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { decodeBarrel, encodeBarrel, tryBarrelName } from "./barrel-codec.ts";
import type { BarrelMessage } from "./barrel-messages.ts";
import { BarrelReader, MAX_BARREL_UNREAD_BYTES } from "./barrel-reader.ts";

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((octets) => Buffer.from(octets));
const half = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,20}$/);
const message: fc.Arbitrary<BarrelMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    name: fc.tuple(half, half).map(([local, host]) => `${local}@${host}` as NodeName),
    publicKey: bytes(32),
  }),
  fc.record({ kind: fc.constant("challenge" as const), nonce: bytes(32), timestampMs: fc.bigInt(0n, 2n ** 64n - 1n) }),
  fc.record({ kind: fc.constant("response" as const), signature: bytes(64) }),
  fc.constant({ kind: "ok" as const }),
  fc.record({ kind: fc.constant("fail" as const), reason: fc.stringMatching(/^[a-z_]{0,60}$/) }),
);

/** What a reader makes of pieces: messages, then the reason of the error that ended it. */
function read(pieces: readonly Buffer[]): unknown[] {
  const reader = new BarrelReader();
  const found: unknown[] = [];
  try {
    for (const piece of pieces) {
      reader.add(piece);
      for (let next = reader.next(); next !== undefined; next = reader.next()) found.push(next);
      reader.settle();
    }
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    found.push(error.reason);
  }
  return found;
}

function cutAt(all: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of [...places, all.length]) {
    pieces.push(all.subarray(from, place));
    from = place;
  }
  return pieces;
}

describe("messages of barrel's auth v2", () => {
  it("come back as they were, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, cuts) => {
        const all = Buffer.concat(messages.map((m) => encodeBarrel(m)));
        expect(read(cutAt(all, cuts))).toEqual(messages);
      }),
    );
  });

  it("give the same whatever the bytes and the cuts: messages and then at most one named error", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      // With a length that makes sense, so that the decoder is reached.
      fc
        .tuple(fc.constantFrom(1, 2, 3, 4, 5, 6), fc.uint8Array({ maxLength: 120 }))
        .map(([type, rest]) => Uint8Array.from([0, rest.length + 1, type, ...rest])),
    );
    fc.assert(
      fc.property(noise, fc.array(fc.nat(), { maxLength: 12 }), (octets, cuts) => {
        const all = Buffer.from(octets);
        expect(read(cutAt(all, cuts))).toEqual(read([all]));
      }),
    );
  });

  it("encode to the bytes they were decoded from", () => {
    fc.assert(
      fc.property(message, (m) => {
        const encoded = encodeBarrel(m);
        expect(encodeBarrel(decodeBarrel(encoded, 2, encoded.length))).toEqual(encoded);
      }),
    );
  });

  it("hold no chunk and no claimed length in memory", () => {
    const reader = new BarrelReader();
    reader.add(Buffer.from([0x01, 0x23]));
    expect(reader.next()).toBeUndefined();
    reader.settle();
    expect(reader.unreadBytes).toBe(2);
    reader.add(Buffer.alloc(MAX_BARREL_UNREAD_BYTES - 3));
    expect(reader.next()).toBeUndefined();
    reader.settle();
    expect(reader.unreadBytes).toBe(MAX_BARREL_UNREAD_BYTES - 1);
  });
});

describe("names in barrel's grammar", () => {
  it.each(["a@b", "a@127.0.0.1", "A_1-x@h-1.example", "0@0"])("take %s", (name) => {
    expect(tryBarrelName(name)).toBe(name);
  });

  it.each(["", "@", "a@", "@b", "a@b@c", "-a@b", "a@.b", "a@-b", "a b@c", "a@b\n", "q@::1", "a.b@c", "é@b"])(
    "refuse %j",
    (name) => {
      expect(tryBarrelName(name)).toBeUndefined();
    },
  );
});
