import { SallyportError } from "../base/errors.ts";
import { MAX_NODE_NAME_BYTES, type NodeName, tryNodeName } from "../base/node-name.ts";
import { KEY_BYTES } from "../identity/public-key.ts";
import { SIGNATURE_BYTES } from "../identity/signed-text.ts";
import { decodeChain, encodeChain, MAX_SUCCESSIONS, type SuccessionChain } from "../identity/succession.ts";
import { misbehaved } from "./misbehaved.ts";
import { type RefuseReason, refuseNumber, refuseReason } from "./refuse-reason.ts";

// Messages of the native handshake `sallyport/1` (docs/protocol.md), without the 4-byte length before each frame.

/** Longest native handshake message taken or made, in bytes with its type. Give it to the deframer as well. */
export const MAX_NATIVE_HANDSHAKE_BYTES = 4096;

/** The only version of the handshake there is. */
export const NATIVE_VERSION = 1;

const HELLO = 1;
const SUCCESSION = 2;
const PROOF = 3;
const STATUS = 4;
const ALIVE = 5;
const CONFIRM = 6;
const REFUSE = 15;

const PART_SIGNATURE = 1;
const PART_COOKIE = 2;
const PART_INVITE = 4;
const STATUS_ALIVE = 1;
/** By their wire numbers. */
const ALIVE_ANSWERS: readonly Alive["answer"][] = ["keep", "replace", "move"];

/** type versionLow versionHigh method flags:64 creation:32 incarnation:64 key nonce nameLength */
const HELLO_HEAD_BYTES = 1 + 1 + 1 + 1 + 8 + 4 + 8 + 32 + 32 + 1;
const KEY_AT = 24;
const NONCE_AT = 56;
const NAME_LENGTH_AT = 88;

/** Length of a nonce, in bytes. */
export const NONCE_BYTES = 32;
/** Length of an HMAC-SHA256, in bytes. */
export const MAC_BYTES = 32;
/** Length of the public part of an invite, in bytes. */
export const INVITE_ID_BYTES = 16;

/** What a side proves itself with. */
export type NativeMethod = "key" | "key-cookie" | "cookie";

/** Wire number of each method. */
export const METHOD_NUMBERS: Readonly<Record<NativeMethod, number>> = { key: 1, "key-cookie": 2, cookie: 4 };

/** Type 1. The acceptor puts the version it chose into both version fields. Buffers belong to the receiver. */
export interface Hello {
  readonly kind: "hello";
  readonly versionLow: number;
  readonly versionHigh: number;
  readonly method: NativeMethod;
  /** Distribution flags, 64 bits. */
  readonly flags: bigint;
  /** 4..2^32-1. */
  readonly creation: number;
  /** Rises with each start of the node, 64 bits. */
  readonly incarnation: bigint;
  /** Raw Ed25519 key; 32 zero bytes exactly with method `cookie`. Not yet judged. */
  readonly publicKey: Buffer;
  readonly nonce: Buffer;
  readonly name: NodeName;
}

/** Type 2: 1 to 8 statements that lead from an older key to the key of HELLO, oldest first. Only their form was checked. */
export interface Succession {
  readonly kind: "succession";
  readonly chain: SuccessionChain;
}

/** The invite part of a proof. */
export interface InviteProof {
  readonly id: Buffer;
  readonly mac: Buffer;
}

/** Type 3. At least one part is there. */
export interface Proof {
  readonly kind: "proof";
  readonly signature: Buffer | undefined;
  readonly cookieMac: Buffer | undefined;
  readonly invite: InviteProof | undefined;
}

/** Type 4, acceptor to dialler: a session with you stands here. */
export interface StatusAlive {
  readonly kind: "status-alive";
}

/** Type 5, dialler to acceptor, only after STATUS. */
export interface Alive {
  readonly kind: "alive";
  /** `replace`: go on, the standing session is dead; `move`: go on, it lives and goes over to this connection; `keep`: stop. */
  readonly answer: "keep" | "replace" | "move";
}

/** Type 6: everything of the other side was found right and is on disk. */
export interface Confirm {
  readonly kind: "confirm";
  readonly cookieMac: Buffer | undefined;
}

/** Type 15. */
export interface Refuse {
  readonly kind: "refuse";
  readonly reason: RefuseReason;
}

export type NativeMessage = Hello | Succession | Proof | StatusAlive | Alive | Confirm | Refuse;

/**
 * Encodes a message, type byte first, without the frame's length. The buffer belongs to the caller.
 * @throws {SallyportError} ERR_INTERNAL NATIVE_FIELD_LENGTH for a field of the wrong size
 */
export function encodeNative(message: NativeMessage): Buffer {
  switch (message.kind) {
    case "hello":
      return encodeHello(message);
    case "succession":
      return Buffer.concat([Buffer.from([SUCCESSION]), encodeChain(message.chain)]);
    case "proof":
      return encodeProof(message);
    case "status-alive":
      return Buffer.from([STATUS, STATUS_ALIVE]);
    case "alive":
      return Buffer.from([ALIVE, ALIVE_ANSWERS.indexOf(message.answer)]);
    case "confirm": {
      if (message.cookieMac === undefined) return Buffer.from([CONFIRM, 0]);
      const out = Buffer.alloc(2 + MAC_BYTES);
      out[0] = CONFIRM;
      out[1] = PART_COOKIE;
      put(out, 2, message.cookieMac, MAC_BYTES);
      return out;
    }
    case "refuse":
      return Buffer.from([REFUSE, refuseNumber(message.reason)]);
  }
}

/**
 * Decodes one message, type byte first. Every byte is accounted for: no unknown bits, no trailing bytes. Whether the
 * message fits the moment and whether its proofs hold is the machine's business.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED HANDSHAKE_*; ERR_PEER_INCOMPATIBLE VERSION_MISMATCH, METHOD_MISMATCH
 */
export function decodeNative(buffer: Buffer, start: number, end: number): NativeMessage {
  const length = end - start;
  if (length <= 0) throw misbehaved("HANDSHAKE_EMPTY", "an empty message came during the handshake");
  if (length > MAX_NATIVE_HANDSHAKE_BYTES) {
    throw misbehaved(
      "HANDSHAKE_TOO_LONG",
      `a handshake message of ${length} bytes; at most ${MAX_NATIVE_HANDSHAKE_BYTES} are taken`,
      { value: length, limit: MAX_NATIVE_HANDSHAKE_BYTES },
    );
  }
  const type = buffer[start] as number;
  switch (type) {
    case HELLO:
      return decodeHello(buffer, start, end);
    case SUCCESSION:
      return { kind: "succession", chain: readChain(buffer, start, end) };
    case PROOF:
      return decodeProof(buffer, start, end);
    case STATUS:
      exactly("STATUS", length, 2);
      if (buffer[start + 1] !== STATUS_ALIVE) throw badField("status", buffer[start + 1] as number);
      return { kind: "status-alive" };
    case ALIVE: {
      exactly("ALIVE", length, 2);
      const number = buffer[start + 1] as number;
      const answer = ALIVE_ANSWERS[number];
      if (answer === undefined) throw badField("answer", number);
      return { kind: "alive", answer };
    }
    case CONFIRM: {
      atLeast("CONFIRM", length, 2);
      const parts = buffer[start + 1] as number;
      if ((parts & ~PART_COOKIE) !== 0) throw badField("parts", parts);
      exactly("CONFIRM", length, parts === 0 ? 2 : 2 + MAC_BYTES);
      return { kind: "confirm", cookieMac: parts === 0 ? undefined : copy(buffer, start + 2, MAC_BYTES) };
    }
    case REFUSE: {
      exactly("REFUSE", length, 2);
      const number = buffer[start + 1] as number;
      const reason = refuseReason(number);
      if (reason === undefined) throw badField("reason", number);
      return { kind: "refuse", reason };
    }
    default:
      throw misbehaved("HANDSHAKE_UNKNOWN_MESSAGE", `a handshake message of the unknown type ${type}`, { tag: type });
  }
}

function encodeHello(hello: Hello): Buffer {
  const out = Buffer.alloc(HELLO_HEAD_BYTES + hello.name.length);
  out[0] = HELLO;
  out[1] = hello.versionLow;
  out[2] = hello.versionHigh;
  out[3] = METHOD_NUMBERS[hello.method];
  out.writeBigUInt64BE(hello.flags, 4);
  out.writeUInt32BE(hello.creation, 12);
  out.writeBigUInt64BE(hello.incarnation, 16);
  put(out, KEY_AT, hello.publicKey, KEY_BYTES);
  put(out, NONCE_AT, hello.nonce, NONCE_BYTES);
  out[NAME_LENGTH_AT] = hello.name.length;
  out.write(hello.name, HELLO_HEAD_BYTES, "latin1");
  return out;
}

function decodeHello(buffer: Buffer, start: number, end: number): Hello {
  const length = end - start;
  atLeast("HELLO", length, 3);
  const versionLow = buffer[start + 1] as number;
  const versionHigh = buffer[start + 2] as number;
  // Before anything else is read: a later version may lay out the rest differently.
  if (versionLow === 0 || versionLow > versionHigh) throw badField("versionLow", versionLow);
  if (versionLow > NATIVE_VERSION) throw versionMismatch(versionLow, versionHigh);
  atLeast("HELLO", length, HELLO_HEAD_BYTES);
  const method = methodOf(buffer[start + 3] as number);
  const creation = buffer.readUInt32BE(start + 12);
  if (creation < 4) throw badField("creation", creation);
  const publicKey = copy(buffer, start + KEY_AT, KEY_BYTES);
  // Zero and absent are one thing on the wire: with keys the machine refuses the zero key as a small-order point.
  if (method === "cookie" && publicKey.some((byte) => byte !== 0)) throw badField("publicKey", 1);
  const nameLength = buffer[start + NAME_LENGTH_AT] as number;
  exactly("HELLO", length, HELLO_HEAD_BYTES + nameLength);
  const name = tryNodeName(buffer.toString("latin1", start + HELLO_HEAD_BYTES, end));
  if (name === undefined) throw badName(nameLength);
  return {
    kind: "hello",
    versionLow,
    versionHigh,
    method,
    flags: buffer.readBigUInt64BE(start + 4),
    creation,
    incarnation: buffer.readBigUInt64BE(start + 16),
    publicKey,
    nonce: copy(buffer, start + NONCE_AT, NONCE_BYTES),
    name,
  };
}

function encodeProof({ signature, cookieMac, invite }: Proof): Buffer {
  const parts =
    (signature === undefined ? 0 : PART_SIGNATURE) |
    (cookieMac === undefined ? 0 : PART_COOKIE) |
    (invite === undefined ? 0 : PART_INVITE);
  const out = Buffer.alloc(proofBytes(parts));
  out[0] = PROOF;
  out[1] = parts;
  let at = 2;
  if (signature !== undefined) at = put(out, at, signature, SIGNATURE_BYTES);
  if (cookieMac !== undefined) at = put(out, at, cookieMac, MAC_BYTES);
  if (invite !== undefined) put(out, put(out, at, invite.id, INVITE_ID_BYTES), invite.mac, MAC_BYTES);
  return out;
}

function decodeProof(buffer: Buffer, start: number, end: number): Proof {
  atLeast("PROOF", end - start, 2);
  const parts = buffer[start + 1] as number;
  if (parts === 0 || parts > 7) throw badField("parts", parts);
  exactly("PROOF", end - start, proofBytes(parts));
  let at = start + 2;
  let signature: Buffer | undefined;
  let cookieMac: Buffer | undefined;
  let invite: InviteProof | undefined;
  if ((parts & PART_SIGNATURE) !== 0) {
    signature = copy(buffer, at, SIGNATURE_BYTES);
    at += SIGNATURE_BYTES;
  }
  if ((parts & PART_COOKIE) !== 0) {
    cookieMac = copy(buffer, at, MAC_BYTES);
    at += MAC_BYTES;
  }
  if ((parts & PART_INVITE) !== 0) {
    invite = { id: copy(buffer, at, INVITE_ID_BYTES), mac: copy(buffer, at + INVITE_ID_BYTES, MAC_BYTES) };
  }
  return { kind: "proof", signature, cookieMac, invite };
}

function proofBytes(parts: number): number {
  return (
    2 +
    ((parts & PART_SIGNATURE) === 0 ? 0 : SIGNATURE_BYTES) +
    ((parts & PART_COOKIE) === 0 ? 0 : MAC_BYTES) +
    ((parts & PART_INVITE) === 0 ? 0 : INVITE_ID_BYTES + MAC_BYTES)
  );
}

function readChain(buffer: Buffer, start: number, end: number): SuccessionChain {
  const chain = decodeChain(buffer.subarray(start + 1, end));
  if (chain !== undefined) return chain;
  throw misbehaved(
    "HANDSHAKE_BAD_SUCCESSION",
    `SUCCESSION of ${end - start} bytes does not hold 1 to ${MAX_SUCCESSIONS} well-formed statements`,
    { value: end - start, limit: MAX_SUCCESSIONS },
  );
}

function methodOf(number: number): NativeMethod {
  switch (number) {
    case METHOD_NUMBERS.key:
      return "key";
    case METHOD_NUMBERS["key-cookie"]:
      return "key-cookie";
    case METHOD_NUMBERS.cookie:
      return "cookie";
    default:
      throw new SallyportError(
        "ERR_PEER_INCOMPATIBLE",
        "METHOD_MISMATCH",
        `the peer offers the unknown method ${number}; known are 1 key, 2 key and cookie, 4 cookie only`,
        { stage: "flags", detail: { method: number }, advice: "run the same release on both sides" },
      );
  }
}

function versionMismatch(low: number, high: number): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "VERSION_MISMATCH",
    `the peer speaks versions ${low} to ${high} of the native handshake, this node speaks ${NATIVE_VERSION}`,
    { stage: "flags", detail: { low, high, own: NATIVE_VERSION }, advice: "run the same release on both sides" },
  );
}

function badName(length: number): SallyportError {
  return misbehaved(
    "HANDSHAKE_BAD_NAME",
    `the peer gave a name of ${length} bytes that is not local@host in ASCII letters, digits, "_", "-" and "."`,
    { value: length, limit: MAX_NODE_NAME_BYTES },
    "rename the peer: letters, digits, _ and - before the @, a host name after it",
  );
}

function badField(field: string, value: number): SallyportError {
  return misbehaved("HANDSHAKE_BAD_FIELD", `the field ${field} of a handshake message has the illegal value ${value}`, {
    field,
    value,
  });
}

function atLeast(what: string, length: number, need: number): void {
  if (length >= need) return;
  throw misbehaved("HANDSHAKE_TRUNCATED", `${what} ends after ${length} bytes; ${need} are needed`, {
    value: length,
    need,
  });
}

function exactly(what: string, length: number, need: number): void {
  atLeast(what, length, need);
  if (length === need) return;
  throw misbehaved("HANDSHAKE_TRAILING_BYTES", `${what} has ${length} bytes and must have ${need}`, {
    value: length,
    limit: need,
  });
}

function copy(buffer: Buffer, at: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  buffer.copy(out, 0, at, at + length);
  return out;
}

/** Puts a field of fixed size; the offset behind it. */
function put(out: Buffer, at: number, field: Uint8Array, length: number): number {
  if (field.length !== length) {
    throw new SallyportError(
      "ERR_INTERNAL",
      "NATIVE_FIELD_LENGTH",
      `a handshake field of ${field.length} bytes instead of ${length}; please report this`,
    );
  }
  out.set(field, at);
  return at + length;
}
