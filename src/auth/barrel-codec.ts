import { quotePeerText } from "../base/escape.ts";
import { type NodeName, tryNodeName } from "../base/node-name.ts";
import { BARREL_NONCE_BYTES } from "../identity/barrel-proof.ts";
import { KEY_BYTES } from "../identity/public-key.ts";
import { SIGNATURE_BYTES } from "../identity/signed-text.ts";
import { badFieldLength, undecodable, versionUnknown } from "./barrel-failures.ts";
import type { BarrelHello, BarrelMessage } from "./barrel-messages.ts";

// Messages of barrel's auth v2 (barrel-auth section 3). On the wire each has a 16-bit length before it.

const HELLO = 1;
const CHALLENGE = 2;
const RESPONSE = 3;
const OK = 4;
const FAIL = 5;

/** The only version there is: v1 is refused, any later one too. */
export const BARREL_VERSION = 2;

/** type:8 version:8 nameLength:16 */
const HELLO_HEAD_BYTES = 4;
const CHALLENGE_BYTES = 1 + BARREL_NONCE_BYTES + 8;
const RESPONSE_BYTES = 1 + SIGNATURE_BYTES;
const MAX_NAME_BYTES = 255;

/** Bytes of the length before each message. */
export const BARREL_PREFIX_BYTES = 2;

/** The longest legal message, a HELLO with a name of 255 bytes, without its length. */
export const MAX_BARREL_MESSAGE_BYTES: number = HELLO_HEAD_BYTES + MAX_NAME_BYTES + KEY_BYTES;

/**
 * A name as barrel has it: one `@`, both parts of `[A-Za-z0-9_.-]`, neither beginning with `.` or `-`; and a name for us as well,
 * so that no dot stands left of the `@`, as in the name of no Erlang node. Undefined for anything else, IPv6 literals too.
 */
export function tryBarrelName(text: string): NodeName | undefined {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) return undefined;
  return tryNodeName(text);
}

/**
 * Encodes one message with its length before it. The buffer belongs to the caller.
 * @throws {SallyportError} ERR_INTERNAL BARREL_FIELD_LENGTH for a field of the wrong size
 */
export function encodeBarrel(message: BarrelMessage): Buffer {
  switch (message.kind) {
    case "hello": {
      const { name, publicKey } = message;
      if (publicKey.length !== KEY_BYTES) throw badFieldLength("publicKey", publicKey.length);
      const out = framed(HELLO, HELLO_HEAD_BYTES + name.length + KEY_BYTES);
      out[3] = BARREL_VERSION;
      out.writeUInt16BE(name.length, 4);
      out.write(name, 6, "latin1");
      out.set(publicKey, 6 + name.length);
      return out;
    }
    case "challenge": {
      if (message.nonce.length !== BARREL_NONCE_BYTES) throw badFieldLength("nonce", message.nonce.length);
      const out = framed(CHALLENGE, CHALLENGE_BYTES);
      out.set(message.nonce, 3);
      out.writeBigUInt64BE(message.timestampMs, 3 + BARREL_NONCE_BYTES);
      return out;
    }
    case "response": {
      if (message.signature.length !== SIGNATURE_BYTES) throw badFieldLength("signature", message.signature.length);
      const out = framed(RESPONSE, RESPONSE_BYTES);
      out.set(message.signature, 3);
      return out;
    }
    case "ok":
      return framed(OK, 1);
    case "fail": {
      const reason = Buffer.from(message.reason, "utf8");
      const out = framed(FAIL, 3 + reason.length);
      out.writeUInt16BE(reason.length, 3);
      out.set(reason, 5);
      return out;
    }
  }
}

/**
 * Decodes one message without its length. Every byte is accounted for. The name stays bytes until the whole message has the right size.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED HANDSHAKE_*; ERR_PEER_INCOMPATIBLE VERSION_MISMATCH
 */
export function decodeBarrel(buffer: Buffer, start: number, end: number): BarrelMessage {
  const length = end - start;
  if (length <= 0) throw undecodable("malformed_message", { bytes: 0 });
  const type = buffer[start] as number;
  switch (type) {
    case HELLO:
      return decodeHello(buffer, start, end);
    case CHALLENGE:
      if (length !== CHALLENGE_BYTES) throw undecodable("invalid_challenge_payload", { bytes: length });
      return {
        kind: "challenge",
        nonce: copy(buffer, start + 1, BARREL_NONCE_BYTES),
        timestampMs: buffer.readBigUInt64BE(start + 1 + BARREL_NONCE_BYTES),
      };
    case RESPONSE:
      if (length !== RESPONSE_BYTES) throw undecodable("invalid_response_payload", { bytes: length });
      return { kind: "response", signature: copy(buffer, start + 1, SIGNATURE_BYTES) };
    case OK:
      // barrel's own decoder takes an OK with more behind it for a message of an unknown type.
      if (length !== 1) throw undecodable("unknown_message_type", { type, bytes: length });
      return { kind: "ok" };
    case FAIL:
      if (length < 3 || buffer.readUInt16BE(start + 1) !== length - 3) {
        throw undecodable("invalid_fail_payload", { bytes: length });
      }
      return { kind: "fail", reason: quotePeerText(buffer.toString("latin1", start + 3, end)) };
    default:
      throw undecodable("unknown_message_type", { type, bytes: length });
  }
}

/** The version first: a later one may lay out the rest differently. */
function decodeHello(buffer: Buffer, start: number, end: number): BarrelHello {
  const length = end - start;
  if (length < 2) throw undecodable("unknown_message_type", { type: HELLO, bytes: length });
  const version = buffer[start + 1] as number;
  // Cut inside the length of the name, barrel reports the version, right as it is.
  if (version !== BARREL_VERSION || length < HELLO_HEAD_BYTES) throw versionUnknown(version);
  const nameBytes = buffer.readUInt16BE(start + 2);
  if (length !== HELLO_HEAD_BYTES + nameBytes + KEY_BYTES)
    throw undecodable("invalid_hello_payload", { bytes: length });
  const nameAt = start + HELLO_HEAD_BYTES;
  const name = tryBarrelName(buffer.toString("latin1", nameAt, nameAt + nameBytes));
  if (name === undefined) throw undecodable("invalid_node_name", { bytes: nameBytes });
  return { kind: "hello", name, publicKey: copy(buffer, nameAt + nameBytes, KEY_BYTES) };
}

function framed(type: number, messageBytes: number): Buffer {
  const out = Buffer.alloc(BARREL_PREFIX_BYTES + messageBytes);
  out.writeUInt16BE(messageBytes, 0);
  out[BARREL_PREFIX_BYTES] = type;
  return out;
}

function copy(buffer: Buffer, at: number, bytes: number): Buffer {
  return Buffer.from(buffer.subarray(at, at + bytes));
}
