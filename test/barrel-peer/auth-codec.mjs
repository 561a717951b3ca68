// Messages of barrel-auth section 3: encoding, exact decoding, the signed bytes.
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");

/** `type:8 version:8 nameLen:16 name key:32` @returns {Buffer} */
export function encodeHello(name, publicKey, version = 2) {
  const text = Buffer.from(name);
  return Buffer.concat([Buffer.of(1, version, text.length >> 8, text.length & 255), text, publicKey]);
}

/** `type:8 nonce:32 timestampMs:64` @returns {Buffer} */
export function encodeChallenge(nonce, timestampMs) {
  return Buffer.concat([Buffer.of(2), nonce, uint64(timestampMs)]);
}

/** `type:8 signature:64` @returns {Buffer} */
export function encodeResponse(signature) {
  return Buffer.concat([Buffer.of(3), signature]);
}

/** `type:8` @returns {Buffer} */
export function encodeOk() {
  return Buffer.of(4);
}

/** `type:8 reasonLen:16 reason` @returns {Buffer} */
export function encodeFail(reason) {
  const text = Buffer.from(reason);
  return Buffer.concat([Buffer.of(5, text.length >> 8, text.length & 255), text]);
}

/** Puts the two length bytes before a message. @returns {Buffer} */
export function framed(message) {
  return Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]);
}

/** Takes stream bytes in any cut and gives whole messages. */
export class FrameReader {
  #buffer = Buffer.alloc(0);

  /** @param {Uint8Array} bytes */
  push(bytes) {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
  }

  /** The next whole message, or undefined. @returns {Buffer | undefined} */
  next() {
    if (this.#buffer.length < 2) return undefined;
    const end = 2 + this.#buffer.readUInt16BE(0);
    if (this.#buffer.length < end) return undefined;
    const message = this.#buffer.subarray(2, end);
    this.#buffer = this.#buffer.subarray(end);
    return message;
  }

  /** Bytes that belong to no taken message. @returns {Buffer} */
  rest() {
    const rest = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    return rest;
  }
}

/**
 * Decodes one message. What is wrong comes back as `{type: "error", error}` in the words of section 3.
 * @param {Buffer} m
 * @returns {{type: string, error?: string, name?: string, publicKey?: Buffer, nonce?: Buffer, timestampMs?: bigint,
 *   signature?: Buffer, reason?: Buffer}}
 */
export function decodeMessage(m) {
  const error = (text) => ({ type: "error", error: text });
  if (m.length === 0) return error("malformed_message");
  switch (m[0]) {
    case 1: {
      if (m.length < 2) return error("{unknown_message_type,1}");
      if (m[1] !== 2 || m.length < 4) return error(`{unsupported_version,${m[1]}}`);
      const length = m.readUInt16BE(2);
      if (m.length !== 4 + length + 32) return error("invalid_hello_payload");
      const name = m.subarray(4, 4 + length);
      if (!isNodeName(name)) return error("invalid_node_name");
      return { type: "hello", name: name.toString("latin1"), publicKey: Buffer.from(m.subarray(4 + length)) };
    }
    case 2:
      if (m.length !== 41) return error("invalid_challenge_payload");
      return { type: "challenge", nonce: Buffer.from(m.subarray(1, 33)), timestampMs: m.readBigUInt64BE(33) };
    case 3:
      if (m.length !== 65) return error("invalid_response_payload");
      return { type: "response", signature: Buffer.from(m.subarray(1)) };
    case 4:
      return m.length === 1 ? { type: "ok" } : error("{unknown_message_type,4}");
    case 5:
      if (m.length < 3 || m.length !== 3 + m.readUInt16BE(1)) return error("invalid_fail_payload");
      return { type: "fail", reason: Buffer.from(m.subarray(3)) };
    default:
      return error(`{unknown_message_type,${m[0]}}`);
  }
}

/** Section 3, node name: 1 to 255 bytes, one `@`, both parts clean. @param {Uint8Array} bytes */
export function isNodeName(bytes) {
  if (bytes.length > 255) return false;
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(Buffer.from(bytes).toString("latin1"));
}

/** SHA-256 of the listener's leaf certificate. @returns {Buffer} */
export function bindingOf(certificateDer) {
  return createHash("sha256").update(certificateDer).digest();
}

/** The 104 bytes that are signed. @returns {Buffer} */
export function signedBytes(peerNonce, peerTimestampMs, signerPublicKey, binding) {
  return Buffer.concat([peerNonce, uint64(peerTimestampMs), signerPublicKey, binding]);
}

/** Pure Ed25519 with a raw seed. @returns {Buffer} */
export function signWith(seed, bytes) {
  return sign(null, bytes, privateKeyOf(seed));
}

/** @returns {boolean} */
export function verifies(publicKey, bytes, signature) {
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: "der", type: "spki" });
  return verify(null, bytes, key, signature);
}

/** Raw public key of a raw seed. @returns {Buffer} */
export function publicKeyOf(seed) {
  return createPublicKey(privateKeyOf(seed)).export({ format: "der", type: "spki" }).subarray(-32);
}

function privateKeyOf(seed) {
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
}

function uint64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
