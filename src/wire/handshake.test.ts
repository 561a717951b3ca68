import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { failureOf } from "../testkit/failure.ts";
import {
  type AcceptorMessage,
  decodeFromAcceptor,
  decodeFromInitiator,
  digestInput,
  encodeHandshake,
  type InitiatorMessage,
  MAX_HANDSHAKE_BYTES,
  prefixHandshake,
} from "./handshake.ts";

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function fromInitiator(bytes: Buffer): InitiatorMessage {
  return decodeFromInitiator(bytes, 0, bytes.length);
}

function fromAcceptor(bytes: Buffer): AcceptorMessage {
  return decodeFromAcceptor(bytes, 0, bytes.length);
}

interface Vector {
  readonly title: string;
  /** Frames with 2-byte prefix, in order A B B A B. */
  readonly frames: readonly [string, string, string, string, string];
  readonly flagsA: bigint;
  readonly flagsB: bigint;
  readonly nameB: string;
  readonly creationB: number;
  readonly challengeA: number;
  readonly challengeB: number;
}

const VECTORS: readonly Vector[] = [
  {
    title: "OTP 25 (V2)",
    frames: [
      "001b4e0000000d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000000d07df7fbdf7a65faf6b00d47b000d613235403132372e302e302e31",
      "001572c48c0be68223f56092fd31313f8ef16489111104",
      "001161dcda1bfd55a027e6df3d239b3c891585",
    ],
    flagsA: 0xd075f5fbcn,
    flagsB: 0xd07df7fbdn,
    nameB: "a25@127.0.0.1",
    creationB: 0x6b00d47b,
    challengeA: 3297512422,
    challengeB: 4154875823,
  },
  {
    title: "OTP 27 (V3)",
    frames: [
      "001b4e0000000d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000000d07df7fbd18c2399e6b00d47b000d613237403132372e302e302e31",
      "00157268a24a25801c0d3e2933e3aa0a326d133b0453ad",
      "0011613b529de12692ba67068077d2c0b412fd",
    ],
    flagsA: 0xd075f5fbcn,
    flagsB: 0xd07df7fbdn,
    nameB: "a27@127.0.0.1",
    creationB: 0x6b00d47b,
    challengeA: 1755466277,
    challengeB: 415381918,
  },
  {
    title: "OTP 29 (V4)",
    frames: [
      "001b4e0000002d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000006d07df7fbdbc78df2d6b00db53000d613239403132372e302e302e31",
      "00157296d3b703f9d1b6a845a513be5836ad6902afa3ca",
      "0011619aa8f05f73472c6a3e307a1191540947",
    ],
    flagsA: 0x2d075f5fbcn,
    flagsB: 0x6d07df7fbdn,
    nameB: "a29@127.0.0.1",
    creationB: 0x6b00db53,
    challengeA: 2530457347,
    challengeB: 3162038061,
  },
];

describe("handshake messages", () => {
  for (const vector of VECTORS) {
    it(`encodes and decodes a captured handshake with ${vector.title}`, () => {
      const md5 = (challenge: number) =>
        createHash("md5")
          .update(digestInput(Buffer.from("secret"), challenge))
          .digest();
      const messages: readonly (InitiatorMessage | AcceptorMessage)[] = [
        { kind: "send-name", flags: vector.flagsA, creation: 0x01020304, name: parseNodeName("js@127.0.0.1") },
        { kind: "status", status: "ok" },
        {
          kind: "challenge",
          flags: vector.flagsB,
          challenge: vector.challengeB,
          creation: vector.creationB,
          name: parseNodeName(vector.nameB),
        },
        { kind: "challenge-reply", challenge: vector.challengeA, digest: md5(vector.challengeB) },
        { kind: "challenge-ack", digest: md5(vector.challengeA) },
      ];
      messages.forEach((message, i) => {
        const frame = hex(vector.frames[i]!);
        expect(prefixHandshake(encodeHandshake(message), 2).toString("hex")).toBe(vector.frames[i]);
        const body = frame.subarray(2);
        expect(i === 0 || i === 3 ? fromInitiator(body) : fromAcceptor(body)).toEqual(message);
      });
    });
  }

  it("decodes the generated name of OTP 25 (V5) and round-trips every other message", () => {
    const named = hex("736e616d65643a0017 31444636304133565039595559403132372e302e302e31 efd6cba1");
    const expected = {
      kind: "status-named",
      name: parseNodeName("1DF60A3VP9YUY@127.0.0.1"),
      creation: 0xefd6cba1,
    } as const;
    expect(fromAcceptor(named)).toEqual(expected);
    expect(encodeHandshake(expected).equals(named)).toBe(true);
    for (const status of ["ok", "ok_simultaneous", "nok", "not_allowed", "alive"] as const) {
      expect(fromAcceptor(encodeHandshake({ kind: "status", status }))).toEqual({ kind: "status", status });
    }
    for (const proceed of [true, false]) {
      expect(fromInitiator(encodeHandshake({ kind: "status-reply", proceed }))).toEqual({
        kind: "status-reply",
        proceed,
      });
    }
    const complement = { kind: "complement", flagsHigh: 0xd, creation: 0xffffffff } as const;
    expect(encodeHandshake(complement).toString("hex")).toBe("630000000dffffffff");
    expect(fromInitiator(encodeHandshake(complement))).toEqual(complement);
  });

  it("prefixes with 2 bytes, 4 bytes or none", () => {
    const body = encodeHandshake({ kind: "status", status: "ok" });
    expect(prefixHandshake(body, 2).toString("hex")).toBe("0003736f6b");
    expect(prefixHandshake(body, 4).toString("hex")).toBe("00000003736f6b");
    expect(prefixHandshake(body, 0)).toBe(body);
  });

  it("ignores bytes after a name, a challenge and a generated name, but not without bound", () => {
    const name = hex(VECTORS[0]!.frames[0].slice(4));
    const challenge = hex(VECTORS[0]!.frames[2].slice(4));
    const named = hex("736e616d65643a0003614062 00000001");
    const more = Buffer.alloc(20, 0x55);
    expect(fromInitiator(Buffer.concat([name, more]))).toEqual(fromInitiator(name));
    expect(fromAcceptor(Buffer.concat([challenge, more]))).toEqual(fromAcceptor(challenge));
    expect(fromAcceptor(Buffer.concat([named, more]))).toEqual(fromAcceptor(named));
    const fill = (bytes: Buffer, length: number) => Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
    expect(fromInitiator(fill(name, MAX_HANDSHAKE_BYTES))).toEqual(fromInitiator(name));
    const tooLong = "ERR_PEER_MISBEHAVED HANDSHAKE_TOO_LONG";
    expect(failureOf(() => fromInitiator(fill(name, MAX_HANDSHAKE_BYTES + 1)))).toBe(tooLong);
    expect(failureOf(() => fromAcceptor(fill(challenge, MAX_HANDSHAKE_BYTES + 1)))).toBe(tooLong);
  });

  it("refuses the name message of version 5 and a request for a generated name as incompatible", () => {
    expect(failureOf(() => fromInitiator(hex("6e000500000000 6a73406831")))).toBe(
      "ERR_PEER_INCOMPATIBLE OLD_NAME_MESSAGE",
    );
    // V5: flags with NAME_ME, name without @.
    expect(failureOf(() => fromInitiator(hex("4e 0000000f075f5fbd 00000000 0009 3132372e302e302e31")))).toBe(
      "ERR_PEER_INCOMPATIBLE NAME_ME_REFUSED",
    );
  });

  it("refuses names that are not local@host in ASCII", () => {
    const send = (name: Buffer) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(name.length);
      return Buffer.concat([hex("4e 0000000d075f5fbc 01020304"), length, name]);
    };
    const names = ["", "a", "@h", "a@", "a@b@c", "../x@h", "a\n@h", "a@h\0", "a b@h", "\x1b[0m@h", "n\u00e4me@h"];
    for (const name of [...names.map((n) => Buffer.from(n, "latin1")), Buffer.alloc(256, "a@")]) {
      expect(failureOf(() => fromInitiator(send(name)))).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_BAD_NAME");
    }
    expect(fromInitiator(send(Buffer.from(`a@${"h".repeat(253)}`)))).toMatchObject({ kind: "send-name" });
  });

  it("refuses every truncation of every message", () => {
    const whole: readonly [string, (bytes: Buffer) => unknown][] = [
      [VECTORS[0]!.frames[0].slice(4), fromInitiator],
      [VECTORS[0]!.frames[3].slice(4), fromInitiator],
      ["630000000dffffffff", fromInitiator],
      [VECTORS[0]!.frames[2].slice(4), fromAcceptor],
      [VECTORS[0]!.frames[4].slice(4), fromAcceptor],
      ["736e616d65643a000361406200000001", fromAcceptor],
    ];
    for (const [text, decode] of whole) {
      const bytes = hex(text);
      decode(bytes);
      for (let length = 0; length < bytes.length; length++) {
        const reason = failureOf(() => decode(bytes.subarray(0, length)));
        expect(reason).toMatch(/^ERR_PEER_MISBEHAVED HANDSHAKE_(EMPTY|TRUNCATED|BAD_STATUS)$/);
        // The decoder must go by `end`, not by the end of the buffer.
        expect(
          failureOf(() => (decode === fromInitiator ? decodeFromInitiator : decodeFromAcceptor)(bytes, 0, length)),
        ).toBe(reason);
      }
    }
  });

  it("refuses unknown tags, statuses and lengths", () => {
    expect(failureOf(() => fromInitiator(hex("61 00")))).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_UNKNOWN_MESSAGE");
    expect(failureOf(() => fromAcceptor(hex("72 00")))).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_UNKNOWN_MESSAGE");
    expect(failureOf(() => fromInitiator(Buffer.from("sok")))).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_BAD_STATUS");
    for (const text of ["s", "sno", "sokk", "sok ", "sok_simultaneous2", "snameD:"]) {
      expect(failureOf(() => fromAcceptor(Buffer.from(text)))).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_BAD_STATUS");
    }
    const trailing = "ERR_PEER_MISBEHAVED HANDSHAKE_TRAILING_BYTES";
    expect(failureOf(() => fromInitiator(hex(`${VECTORS[0]!.frames[3].slice(4)}00`)))).toBe(trailing);
    expect(failureOf(() => fromAcceptor(hex(`${VECTORS[0]!.frames[4].slice(4)}00`)))).toBe(trailing);
  });

  it("hands out digests that do not share memory with the input", () => {
    const bytes = hex(VECTORS[0]!.frames[4].slice(4));
    const message = fromAcceptor(bytes);
    bytes.fill(0);
    expect(message).toMatchObject({ digest: hex("dcda1bfd55a027e6df3d239b3c891585") });
  });
});
