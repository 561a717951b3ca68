// Distribution handshake on stream 0 (barrel-auth section 9): messages, and one machine per role. No I/O.
import { createHash } from "node:crypto";

/** What an Erlang node of OTP 27 sends over this carrier. */
export const FLAGS = { visible: 0xd07df5fbdn, hidden: 0xd07df5fbcn };
/** What it demands of the other side. */
export const MANDATORY = 0x403070f94n;
export const PUBLISHED = 0x1n;
export const SEND_SENDER = 0x80000n;
export const EXIT_PAYLOAD = 0x400000n;
export const FRAGMENTS = 0x800000n;
export const V4_NC = 0x400000000n;
export const ALIAS = 0x800000000n;

/** `'N' flags:64 creation:32 nameLen:16 name` @returns {Buffer} */
export function encodeName(flags, creation, name) {
  const bytes = Buffer.alloc(15, "N");
  bytes.writeBigUInt64BE(flags, 1);
  bytes.writeUInt32BE(creation, 9);
  bytes.writeUInt16BE(Buffer.byteLength(name), 13);
  return Buffer.concat([bytes, Buffer.from(name)]);
}

/** `'N' flags:64 challenge:32 creation:32 nameLen:16 name` @returns {Buffer} */
export function encodeDistChallenge(flags, challenge, creation, name) {
  const bytes = Buffer.alloc(19, "N");
  bytes.writeBigUInt64BE(flags, 1);
  bytes.writeUInt32BE(challenge, 9);
  bytes.writeUInt32BE(creation, 13);
  bytes.writeUInt16BE(Buffer.byteLength(name), 17);
  return Buffer.concat([bytes, Buffer.from(name)]);
}

/** `'r' ownChallenge:32 digest:128` @returns {Buffer} */
export function encodeReply(challenge, digest) {
  const bytes = Buffer.alloc(5, "r");
  bytes.writeUInt32BE(challenge, 1);
  return Buffer.concat([bytes, digest]);
}

/** `'a' digest:128` @returns {Buffer} */
export function encodeAck(digest) {
  return Buffer.concat([Buffer.from("a"), digest]);
}

/** MD5 of the cookie and the challenge in decimal. @returns {Buffer} */
export function digestOf(cookie, challenge) {
  return createHash("md5").update(cookie).update(String(challenge)).digest();
}

/** @param {Buffer} m */
export function decodeName(m) {
  if (m.length < 15 || m[0] !== 0x4e) return undefined;
  const end = 15 + m.readUInt16BE(13);
  if (m.length < end) return undefined;
  const name = m.subarray(15, end).toString("latin1");
  return { flags: m.readBigUInt64BE(1), creation: m.readUInt32BE(9), name };
}

/** @param {Buffer} m */
export function decodeDistChallenge(m) {
  if (m.length < 19 || m[0] !== 0x4e) return undefined;
  const end = 19 + m.readUInt16BE(17);
  if (m.length < end) return undefined;
  const name = m.subarray(19, end).toString("latin1");
  return { flags: m.readBigUInt64BE(1), challenge: m.readUInt32BE(9), creation: m.readUInt32BE(13), name };
}

/**
 * @typedef {object} Setup
 * @property {string} name own name
 * @property {Buffer} cookie
 * @property {bigint} flags
 * @property {number} creation
 * @property {string} [target] dialler only
 * @property {() => number} challenge a fresh 32-bit challenge
 * @property {(bytes: Buffer) => void} send one message, in a write and a packet of its own
 * @property {(name: string) => string} [status] listener only: the status for a peer of that name, default `ok`
 * @property {(result: {outcome: "ok" | "fail", error?: string, close?: boolean, peer?: object}) => void} done
 * @property {boolean} [merge] hostile: status and challenge in one write
 * @property {boolean} [blind] hostile: the digest of the other side does not matter
 */

class DistHandshake {
  /** @param {Setup} setup */
  constructor(setup) {
    Object.assign(this, setup);
    this.ended = false;
  }

  /** One chunk as the carrier delivered it: the original hands all of it to the parser of one message. */
  chunk(bytes) {
    if (this.ended || bytes.every((byte) => byte === 0)) return;
    this.step(bytes);
  }

  fail(error, close) {
    this.ended = true;
    this.done({ outcome: "fail", error, close });
  }

  succeed() {
    this.ended = true;
    const { name, creation, flags } = this.peer;
    this.done({ outcome: "ok", peer: { name, creation, flags, effective: flags & this.flags } });
  }
}

/** Initiator. Any failure closes. */
export class DialerHandshake extends DistHandshake {
  start() {
    this.step = this.readStatus;
    this.send(encodeName(this.flags, this.creation, this.name));
  }

  readStatus(bytes) {
    const text = bytes.toString("latin1");
    if (text === "salive") {
      this.step = this.peerChallenge;
      return this.send(Buffer.from("strue"));
    }
    if (text !== "sok" && text !== "sok_simultaneous") {
      const known = ["snok", "snot_allowed"].includes(text);
      return this.fail(known ? `{status,${text.slice(1)}}` : "{recv_status_failed,unknown}", true);
    }
    this.step = this.peerChallenge;
    return undefined;
  }

  peerChallenge(bytes) {
    this.peer = decodeDistChallenge(bytes);
    if (this.peer === undefined) return this.fail("{recv_challenge_failed,unknown}", true);
    if (this.peer.name !== this.target) return this.fail(`{recv_challenge_failed,{name,${this.peer.name}}}`, true);
    if ((this.peer.flags & MANDATORY) !== MANDATORY) return this.fail("{recv_challenge_failed,missing_flags}", true);
    this.own = this.challenge();
    this.send(encodeReply(this.own, digestOf(this.cookie, this.peer.challenge)));
    this.step = this.ack;
    return undefined;
  }

  ack(bytes) {
    if (bytes.length !== 17 || bytes[0] !== 0x61) return this.fail("{recv_challenge_ack_failed,unknown}", true);
    if (!bytes.subarray(1).equals(digestOf(this.cookie, this.own)))
      return this.fail("{recv_challenge_ack_failed,bad_cookie}", true);
    return this.succeed();
  }
}

/** Acceptor. After a wrong cookie or a missing flag the connection stays open and silent (section 9). */
export class ListenerHandshake extends DistHandshake {
  start() {
    this.step = this.peerName;
  }

  peerName(bytes) {
    this.peer = decodeName(bytes);
    if (this.peer === undefined) return this.fail("{recv_name_failed,unknown}", false);
    if ((this.peer.flags & MANDATORY) !== MANDATORY) {
      this.send(Buffer.from("snot_allowed"));
      return this.fail("missing_flags", false);
    }
    const status = this.status?.(this.peer.name) ?? "ok";
    if (this.merge !== true) this.send(Buffer.from(`s${status}`));
    if (status === "nok") return this.fail("nok", false);
    if (status === "alive") {
      this.step = this.statusReply;
      return undefined;
    }
    return this.sendChallenge();
  }

  statusReply(bytes) {
    return bytes.toString("latin1") === "strue" ? this.sendChallenge() : this.fail("alive", false);
  }

  sendChallenge() {
    this.own = this.challenge();
    const message = encodeDistChallenge(this.flags, this.own, this.creation, this.name);
    this.send(this.merge === true ? Buffer.concat([Buffer.from("sok"), message]) : message);
    this.step = this.reply;
  }

  reply(bytes) {
    if (bytes.length !== 21 || bytes[0] !== 0x72) return this.fail("{recv_challenge_reply_failed,unknown}", false);
    const proven = this.blind === true || bytes.subarray(5).equals(digestOf(this.cookie, this.own));
    if (!proven) return this.fail("bad_cookie", false);
    this.send(encodeAck(digestOf(this.cookie, bytes.readUInt32BE(1))));
    return this.succeed();
  }
}
