import { SallyportError } from "../base/errors.ts";
import { MAX_NODE_NAME_BYTES, type NodeName, tryNodeName } from "../base/node-name.ts";
import { NAME_ME } from "./flags.ts";
import { misbehaved } from "./misbehaved.ts";

// Messages of the distribution handshake, version 6 (otp-distribution section 2.2), without their length prefix.

/**
 * Longest handshake message taken or made, in bytes after the prefix. The longest real one, a name message of 255 bytes,
 * has 274; the rest is room for the trailing bytes that later releases may add. Give it to the deframer as well.
 */
export const MAX_HANDSHAKE_BYTES = 1024;

const TAG_NAME = 0x4e; // 'N', name or challenge
const TAG_OLD_NAME = 0x6e; // 'n'
const TAG_STATUS = 0x73; // 's'
const TAG_COMPLEMENT = 0x63; // 'c'
const TAG_REPLY = 0x72; // 'r'
const TAG_ACK = 0x61; // 'a'

/** Length of an MD5 digest, in bytes. */
const DIGEST_BYTES = 16;
/** tag:8 flags:64 creation:32 nlen:16 */
const NAME_HEAD_BYTES = 15;
/** tag:8 flags:64 challenge:32 creation:32 nlen:16 */
const CHALLENGE_HEAD_BYTES = 19;
const NAMED = "named:";

/** `'N' flags:64 creation:32 nlen:16 name`, initiator to acceptor. */
export interface SendName {
  readonly kind: "send-name";
  readonly flags: bigint;
  readonly creation: number;
  readonly name: NodeName;
}

/** The status answers that are plain text; `named` is a message of its own. */
export type StatusText = "ok" | "ok_simultaneous" | "nok" | "not_allowed" | "alive";

/** `'s' text`, acceptor to initiator. */
export interface Status {
  readonly kind: "status";
  readonly status: StatusText;
}

/** `'s' "named:" nlen:16 name creation:32`, acceptor to initiator: a generated name. Legal only after NAME_ME. */
export interface StatusNamed {
  readonly kind: "status-named";
  readonly name: NodeName;
  readonly creation: number;
}

/** `'s' "true"|"false"`, initiator to acceptor, only after status `alive`. */
export interface StatusReply {
  readonly kind: "status-reply";
  /** True: go on, the old connection is dead. */
  readonly proceed: boolean;
}

/** `'N' flags:64 challenge:32 creation:32 nlen:16 name`, acceptor to initiator. */
export interface Challenge {
  readonly kind: "challenge";
  readonly flags: bigint;
  readonly challenge: number;
  readonly creation: number;
  readonly name: NodeName;
}

/** `'c' flagsHigh:32 creation:32`, initiator to acceptor, only after the old name message. */
export interface Complement {
  readonly kind: "complement";
  readonly flagsHigh: number;
  readonly creation: number;
}

/** `'r' challenge:32 digest:16*8`, initiator to acceptor. The digest is a copy that the receiver owns. */
export interface ChallengeReply {
  readonly kind: "challenge-reply";
  readonly challenge: number;
  readonly digest: Buffer;
}

/** `'a' digest:16*8`, acceptor to initiator. The digest is a copy that the receiver owns. */
export interface ChallengeAck {
  readonly kind: "challenge-ack";
  readonly digest: Buffer;
}

/** What an acceptor may receive. */
export type InitiatorMessage = SendName | StatusReply | Complement | ChallengeReply;

/** What an initiator may receive. */
export type AcceptorMessage = Status | StatusNamed | Challenge | ChallengeAck;

/** Encodes any handshake message, without the length prefix. The buffer belongs to the caller. */
export function encodeHandshake(message: InitiatorMessage | AcceptorMessage): Buffer {
  switch (message.kind) {
    case "send-name": {
      const out = Buffer.alloc(NAME_HEAD_BYTES + message.name.length);
      out[0] = TAG_NAME;
      out.writeBigUInt64BE(message.flags, 1);
      out.writeUInt32BE(message.creation, 9);
      out.writeUInt16BE(message.name.length, 13);
      out.write(message.name, NAME_HEAD_BYTES, "latin1");
      return out;
    }
    case "status":
      return Buffer.from(`s${message.status}`, "latin1");
    case "status-named": {
      const out = Buffer.alloc(1 + NAMED.length + 2 + message.name.length + 4);
      out.write(`s${NAMED}`, 0, "latin1");
      out.writeUInt16BE(message.name.length, 7);
      out.write(message.name, 9, "latin1");
      out.writeUInt32BE(message.creation, 9 + message.name.length);
      return out;
    }
    case "status-reply":
      return Buffer.from(message.proceed ? "strue" : "sfalse", "latin1");
    case "challenge": {
      const out = Buffer.alloc(CHALLENGE_HEAD_BYTES + message.name.length);
      out[0] = TAG_NAME;
      out.writeBigUInt64BE(message.flags, 1);
      out.writeUInt32BE(message.challenge, 9);
      out.writeUInt32BE(message.creation, 13);
      out.writeUInt16BE(message.name.length, 17);
      out.write(message.name, CHALLENGE_HEAD_BYTES, "latin1");
      return out;
    }
    case "complement": {
      const out = Buffer.alloc(9);
      out[0] = TAG_COMPLEMENT;
      out.writeUInt32BE(message.flagsHigh, 1);
      out.writeUInt32BE(message.creation, 5);
      return out;
    }
    case "challenge-reply": {
      const out = Buffer.alloc(5 + DIGEST_BYTES);
      out[0] = TAG_REPLY;
      out.writeUInt32BE(message.challenge, 1);
      out.set(ownDigest(message.digest), 5);
      return out;
    }
    case "challenge-ack": {
      const out = Buffer.alloc(1 + DIGEST_BYTES);
      out[0] = TAG_ACK;
      out.set(ownDigest(message.digest), 1);
      return out;
    }
  }
}

/**
 * Puts a length prefix before an encoded handshake message: 2 bytes on TCP, 4 on TLS (section 2.1), none where the
 * carrier keeps message bounds itself.
 */
export function prefixHandshake(body: Buffer, prefix: 0 | 2 | 4): Buffer {
  if (prefix === 0) return body;
  const out = Buffer.alloc(prefix + body.length);
  out.writeUIntBE(body.length, 0, prefix);
  out.set(body, prefix);
  return out;
}

/**
 * Decodes what an initiator sends to us, the acceptor.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED HANDSHAKE_*; ERR_PEER_INCOMPATIBLE OLD_NAME_MESSAGE for the name message
 * of version 5 and NAME_ME_REFUSED for a peer that asks for a generated name
 */
export function decodeFromInitiator(buffer: Buffer, start: number, end: number): InitiatorMessage {
  checkSize(start, end);
  switch (buffer[start]) {
    case TAG_NAME:
      return decodeSendName(buffer, start, end);
    case TAG_OLD_NAME:
      throw new SallyportError(
        "ERR_PEER_INCOMPATIBLE",
        "OLD_NAME_MESSAGE",
        "the peer opened with the old name message 'n' of handshake version 5; only version 6 ('N') is spoken here",
        { stage: "flags", advice: "upgrade the peer to OTP 25 or newer" },
      );
    case TAG_STATUS: {
      const text = buffer.toString("latin1", start + 1, end);
      if (text === "true") return { kind: "status-reply", proceed: true };
      if (text === "false") return { kind: "status-reply", proceed: false };
      throw misbehaved("HANDSHAKE_BAD_STATUS", "the status reply is neither true nor false");
    }
    case TAG_COMPLEMENT:
      exactly(start, end, 9, "complement");
      return {
        kind: "complement",
        flagsHigh: buffer.readUInt32BE(start + 1),
        creation: buffer.readUInt32BE(start + 5),
      };
    case TAG_REPLY:
      exactly(start, end, 5 + DIGEST_BYTES, "challenge_reply");
      return {
        kind: "challenge-reply",
        challenge: buffer.readUInt32BE(start + 1),
        digest: copyDigest(buffer, start + 5),
      };
    default:
      throw unknownTag(buffer[start]);
  }
}

/**
 * Decodes what an acceptor sends to us, the initiator.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED HANDSHAKE_*
 */
export function decodeFromAcceptor(buffer: Buffer, start: number, end: number): AcceptorMessage {
  checkSize(start, end);
  switch (buffer[start]) {
    case TAG_STATUS:
      return decodeStatus(buffer, start, end);
    case TAG_NAME: {
      atLeast(start, end, CHALLENGE_HEAD_BYTES, "challenge");
      return {
        kind: "challenge",
        flags: buffer.readBigUInt64BE(start + 1),
        challenge: buffer.readUInt32BE(start + 9),
        creation: buffer.readUInt32BE(start + 13),
        name: readName(buffer, start + 17, end),
      };
    }
    case TAG_ACK:
      exactly(start, end, 1 + DIGEST_BYTES, "challenge_ack");
      return { kind: "challenge-ack", digest: copyDigest(buffer, start + 1) };
    default:
      throw unknownTag(buffer[start]);
  }
}

/**
 * The bytes whose MD5 is a handshake digest: cookie, then the challenge as unsigned decimal (section 2.2). Holds the
 * cookie: zero it after use.
 */
export function digestInput(cookie: Uint8Array, challenge: number): Buffer {
  const decimal = String(challenge >>> 0);
  const out = Buffer.alloc(cookie.length + decimal.length);
  out.set(cookie, 0);
  out.write(decimal, cookie.length, "latin1");
  return out;
}

function decodeSendName(buffer: Buffer, start: number, end: number): SendName {
  atLeast(start, end, NAME_HEAD_BYTES, "send_name");
  const flags = buffer.readBigUInt64BE(start + 1);
  // Before the name: with NAME_ME the name is a bare host, and the reader should learn the real cause.
  if ((flags & NAME_ME) !== 0n) {
    throw new SallyportError(
      "ERR_PEER_INCOMPATIBLE",
      "NAME_ME_REFUSED",
      "the peer asks for a generated name (NAME_ME); names are never handed out here",
      { stage: "name", advice: "start the peer with a name of its own" },
    );
  }
  return {
    kind: "send-name",
    flags,
    creation: buffer.readUInt32BE(start + 9),
    name: readName(buffer, start + 13, end),
  };
}

function decodeStatus(buffer: Buffer, start: number, end: number): Status | StatusNamed {
  const text = buffer.toString("latin1", start + 1, Math.min(end, start + 1 + "ok_simultaneous".length + 1));
  switch (text) {
    case "ok":
    case "ok_simultaneous":
    case "nok":
    case "not_allowed":
    case "alive":
      return { kind: "status", status: text };
    default:
  }
  if (!text.startsWith(NAMED))
    throw misbehaved("HANDSHAKE_BAD_STATUS", "the status is none of those the protocol knows");
  const at = start + 1 + NAMED.length;
  if (end - at < 2) throw truncated("status named", end - start, 9);
  const name = readName(buffer, at, end);
  const creationAt = at + 2 + name.length;
  if (end - creationAt < 4) throw truncated("status named", end - start, creationAt + 4 - start);
  return { kind: "status-named", name, creation: buffer.readUInt32BE(creationAt) };
}

/** Reads `nlen:16 name`; the caller has checked that the two length bytes are there. */
function readName(buffer: Buffer, at: number, end: number): NodeName {
  const length = buffer.readUInt16BE(at);
  if (length > MAX_NODE_NAME_BYTES) {
    throw misbehaved(
      "HANDSHAKE_BAD_NAME",
      `the peer gave a name of ${length} bytes; a node name has at most ${MAX_NODE_NAME_BYTES}`,
      { value: length, limit: MAX_NODE_NAME_BYTES },
    );
  }
  if (end - at - 2 < length) throw truncated("name", end - at - 2, length);
  const name = tryNodeName(buffer.toString("latin1", at + 2, at + 2 + length));
  if (name === undefined) {
    throw misbehaved(
      "HANDSHAKE_BAD_NAME",
      `the peer gave a name of ${length} bytes that is not local@host in ASCII letters, digits, "_", "-" and "."`,
      { value: length },
      "rename the peer: letters, digits, _ and - before the @, a host name after it",
    );
  }
  return name;
}

function copyDigest(buffer: Buffer, at: number): Buffer {
  const digest = Buffer.alloc(DIGEST_BYTES);
  buffer.copy(digest, 0, at, at + DIGEST_BYTES);
  return digest;
}

function ownDigest(digest: Buffer): Buffer {
  if (digest.length === DIGEST_BYTES) return digest;
  throw new SallyportError("ERR_INTERNAL", "DIGEST_LENGTH", `a digest of ${digest.length} bytes; please report this`);
}

function checkSize(start: number, end: number): void {
  const length = end - start;
  if (length === 0) throw misbehaved("HANDSHAKE_EMPTY", "an empty message came during the handshake");
  if (length > MAX_HANDSHAKE_BYTES) {
    throw misbehaved(
      "HANDSHAKE_TOO_LONG",
      `a handshake message of ${length} bytes; at most ${MAX_HANDSHAKE_BYTES} are taken`,
      { value: length, limit: MAX_HANDSHAKE_BYTES },
    );
  }
}

function atLeast(start: number, end: number, need: number, what: string): void {
  if (end - start < need) throw truncated(what, end - start, need);
}

function exactly(start: number, end: number, need: number, what: string): void {
  atLeast(start, end, need, what);
  if (end - start === need) return;
  throw misbehaved("HANDSHAKE_TRAILING_BYTES", `${what} has ${end - start} bytes and must have ${need}`, {
    value: end - start,
    limit: need,
  });
}

function truncated(what: string, value: number, need: number): SallyportError {
  return misbehaved("HANDSHAKE_TRUNCATED", `${what} ends after ${value} bytes; ${need} are needed`, { value, need });
}

function unknownTag(tag: number | undefined): SallyportError {
  return misbehaved("HANDSHAKE_UNKNOWN_MESSAGE", `a handshake message with the unknown first byte ${tag ?? -1}`, {
    tag: tag ?? -1,
  });
}
