import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { parsePublicKey } from "../identity/public-key.ts";
import { MAX_SUCCESSIONS, makeStatement } from "../identity/succession.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { decodeNative, encodeNative, MAX_NATIVE_HANDSHAKE_BYTES, type NativeMessage } from "./native-handshake.ts";
import { refuseNumber, refuseReason } from "./refuse-reason.ts";

const crypto = new RealIdentityCrypto();
const key = (byte: number) => parsePublicKey(crypto.ed25519PublicKey(Buffer.alloc(32, byte)), "a test key");
const HELLO: NativeMessage = {
  kind: "hello",
  versionLow: 1,
  versionHigh: 1,
  method: "key",
  flags: 0x0102_0304_0506_0708n,
  creation: 0x0a0b_0c0d,
  incarnation: 0xff00_0000_0000_0001n,
  publicKey: key(1),
  nonce: Buffer.alloc(32, 0xee),
  name: parseNodeName("a@h"),
};
const statements = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) =>
    makeStatement(
      { serial: i + 1, notBefore: 1, notAfter: 2, oldKey: key(i + 1), newKey: key(i + 2), name: parseNodeName(name) },
      Buffer.alloc(32, i + 1),
      crypto,
    ),
  );
const MESSAGES: readonly NativeMessage[] = [
  HELLO,
  { ...HELLO, method: "cookie", publicKey: Buffer.alloc(32) },
  { kind: "succession", chain: statements(2, "a@h") },
  { kind: "proof", signature: Buffer.alloc(64, 1), cookieMac: undefined, invite: undefined },
  { kind: "proof", signature: undefined, cookieMac: Buffer.alloc(32, 2), invite: undefined },
  {
    kind: "proof",
    signature: Buffer.alloc(64, 1),
    cookieMac: Buffer.alloc(32, 2),
    invite: { id: Buffer.alloc(16, 3), mac: Buffer.alloc(32, 4) },
  },
  { kind: "status-alive" },
  { kind: "alive", answer: "keep" },
  { kind: "alive", answer: "replace" },
  { kind: "alive", answer: "move" },
  { kind: "confirm", cookieMac: undefined },
  { kind: "confirm", cookieMac: Buffer.alloc(32, 5) },
  { kind: "refuse", reason: "auth" },
];

function reasonOf(bytes: Buffer): string {
  try {
    decodeNative(bytes, 0, bytes.length);
  } catch (error) {
    if (isSallyportError(error)) return error.reason;
    throw error;
  }
  return "taken";
}
const changed = (message: NativeMessage, at: number, value: number): Buffer => {
  const bytes = encodeNative(message);
  bytes[at] = value;
  return bytes;
};

describe("messages of the native handshake", () => {
  it.each(MESSAGES.map((m) => [m.kind, m] as const))(
    "%s comes back as it went, from the middle of a buffer",
    (_kind, m) => {
      const bytes = encodeNative(m);
      const framed = Buffer.concat([Buffer.from("xxx"), bytes, Buffer.from("y")]);
      expect(decodeNative(framed, 3, 3 + bytes.length)).toEqual(m);
    },
  );

  it("HELLO has the bytes of the specification", () => {
    expect(encodeNative(HELLO).toString("hex")).toBe(
      `01010101${"0102030405060708"}${"0a0b0c0d"}${"ff00000000000001"}${key(1).toString("hex")}${"ee".repeat(32)}03614068`,
    );
  });

  it("does not keep views of the buffer it read", () => {
    const bytes = encodeNative(MESSAGES[5] as NativeMessage);
    const message = decodeNative(bytes, 0, bytes.length);
    bytes.fill(0);
    expect(message).toEqual(MESSAGES[5]);
  });

  it.each(MESSAGES.map((m) => [m.kind, m] as const))(
    "%s is refused when cut anywhere, or longer by a byte",
    (_kind, m) => {
      const bytes = encodeNative(m);
      for (let end = 0; end < bytes.length; end++) expect(reasonOf(bytes.subarray(0, end)), `${end}`).not.toBe("taken");
      expect(reasonOf(Buffer.concat([bytes, Buffer.alloc(1)]))).not.toBe("taken");
    },
  );

  it.each([
    ["an empty message", Buffer.alloc(0), "HANDSHAKE_EMPTY"],
    ["4,097 bytes", Buffer.alloc(MAX_NATIVE_HANDSHAKE_BYTES + 1, 3), "HANDSHAKE_TOO_LONG"],
    ["an unknown type", Buffer.from([7, 0]), "HANDSHAKE_UNKNOWN_MESSAGE"],
    ["a method of none of the three", changed(HELLO, 3, 3), "METHOD_MISMATCH"],
    ["only versions above ours", changed({ ...HELLO, versionHigh: 9 } as NativeMessage, 1, 2), "VERSION_MISMATCH"],
    ["version 0", changed(HELLO, 1, 0), "HANDSHAKE_BAD_FIELD"],
    ["a range of versions upside down", changed(HELLO, 2, 0), "HANDSHAKE_BAD_FIELD"],
    ["a creation below 4", encodeNative({ ...HELLO, creation: 3 } as NativeMessage), "HANDSHAKE_BAD_FIELD"],
    ["cookie only with a key", changed(HELLO, 3, 4), "HANDSHAKE_BAD_FIELD"],
    ["a name that is none", changed(HELLO, 90, 0x2f), "HANDSHAKE_BAD_NAME"],
    ["a name beyond ASCII", changed(HELLO, 91, 0xe9), "HANDSHAKE_BAD_NAME"],
    ["no name", Buffer.concat([encodeNative(HELLO).subarray(0, 88), Buffer.from([0])]), "HANDSHAKE_BAD_NAME"],
    ["a proof of nothing", Buffer.from([3, 0]), "HANDSHAKE_BAD_FIELD"],
    ["a proof with an unknown part", Buffer.from([3, 8]), "HANDSHAKE_BAD_FIELD"],
    ["a confirmation with an unknown part", Buffer.from([6, 1]), "HANDSHAKE_BAD_FIELD"],
    ["an unknown status", Buffer.from([4, 0]), "HANDSHAKE_BAD_FIELD"],
    ["an answer that is none of the three", Buffer.from([5, 3]), "HANDSHAKE_BAD_FIELD"],
    ["refusal 0", Buffer.from([15, 0]), "HANDSHAKE_BAD_FIELD"],
    ["refusal 11", Buffer.from([15, 11]), "HANDSHAKE_BAD_FIELD"],
    ["no statements", Buffer.from([2, 0]), "HANDSHAKE_BAD_SUCCESSION"],
    ["9 statements", Buffer.from([2, 9]), "HANDSHAKE_BAD_SUCCESSION"],
  ])("%s is refused", (_what, bytes, reason) => {
    expect(reasonOf(bytes)).toBe(reason);
  });

  it("a later version is told from its first bytes alone, whatever follows", () => {
    expect(reasonOf(Buffer.from([1, 2, 3]))).toBe("VERSION_MISMATCH");
    expect(reasonOf(Buffer.from([1, 1, 3]))).toBe("HANDSHAKE_TRUNCATED");
  });

  it("the longest chain of the longest names fits, with room", () => {
    const chain = statements(MAX_SUCCESSIONS, `a@${"h".repeat(253)}`);
    const bytes = encodeNative({ kind: "succession", chain });
    expect(bytes.length).toBeLessThanOrEqual(MAX_NATIVE_HANDSHAKE_BYTES);
    expect(decodeNative(bytes, 0, bytes.length)).toEqual({ kind: "succession", chain });
  });

  it("refuses to make a message with a field of the wrong size", () => {
    expect(() => encodeNative({ kind: "confirm", cookieMac: Buffer.alloc(31) })).toThrow(/NATIVE|field/);
  });
});

describe("reasons of refusal", () => {
  it("have the numbers 1 to 10 and no others", () => {
    const reasons = Array.from({ length: 256 }, (_, n) => refuseReason(n)).filter((r) => r !== undefined);
    expect(reasons.map((r) => [r, refuseNumber(r)])).toEqual(
      "version method cert wrong-node busy auth secret other-wins stale failed".split(" ").map((r, i) => [r, i + 1]),
    );
  });
});
