// Long-header packets of QUIC version 1 with AES-128-GCM (RFC 9000, RFC 9001), as far as a handshake by hand needs them.
import { createCipheriv, createDecipheriv } from "node:crypto";

/** Packet types of the long header. */
export const LEVEL = { initial: 0, handshake: 2 };
const TAG_BYTES = 16;

/** Keys of one direction. */
export function keysOf(expand, secret) {
  return { key: expand(secret, "quic key", 16), iv: expand(secret, "quic iv", 12), hp: expand(secret, "quic hp", 16) };
}

/** Variable-length integer. */
export function varint(value) {
  if (value < 64) return Buffer.of(value);
  if (value < 16_384) return Buffer.of(0x40 | (value >> 8), value & 255);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((0x80000000 | value) >>> 0);
  return bytes;
}

class Cursor {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  get more() {
    return this.at < this.bytes.length;
  }
  byte() {
    return this.bytes[this.at++];
  }
  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  varint() {
    const first = this.byte();
    let value = BigInt(first & 0x3f);
    for (let left = (1 << (first >> 6)) - 1; left > 0; left--) value = (value << 8n) | BigInt(this.byte());
    return Number(value);
  }
}

/** The long-header packets of a datagram. @returns {Generator<{level: number, to: Buffer, from: Buffer, start: number, number: number, end: number}>} */
export function* walk(datagram) {
  const c = new Cursor(datagram);
  while (c.more && (datagram[c.at] & 0xc0) === 0xc0) {
    const start = c.at;
    const level = (c.byte() >> 4) & 3;
    c.take(4);
    const to = c.take(c.byte());
    const from = c.take(c.byte());
    if (level === LEVEL.initial) c.take(c.varint());
    const length = c.varint();
    const number = c.at;
    c.take(length);
    yield { level, to, from, start, number, end: c.at };
  }
}

/** Frames of one packet; undefined when the keys do not open it. The datagram is changed in place. */
export function open(datagram, { start, number, end }, { key, iv, hp }) {
  const mask = protection(hp, datagram.subarray(number + 4, number + 20));
  datagram[start] ^= mask[0] & 0x0f;
  const width = (datagram[start] & 3) + 1;
  for (let i = 0; i < width; i++) datagram[number + i] ^= mask[1 + i];
  const decipher = createDecipheriv("aes-128-gcm", key, nonce(iv, datagram.readUIntBE(number, width)));
  decipher.setAAD(datagram.subarray(start, number + width));
  decipher.setAuthTag(datagram.subarray(end - TAG_BYTES, end));
  try {
    const body = decipher.update(datagram.subarray(number + width, end - TAG_BYTES));
    decipher.final();
    return [...framesOf(body)];
  } catch {
    return undefined;
  }
}

function* framesOf(body) {
  const c = new Cursor(body);
  while (c.more) {
    const type = c.varint();
    if (type <= 1) continue;
    if (type === 2 || type === 3) {
      c.varint();
      c.varint();
      const ranges = c.varint();
      for (let i = 0; i < 1 + 2 * ranges + (type === 3 ? 3 : 0); i++) c.varint();
    } else if (type === 6) {
      const offset = c.varint();
      yield { type: "crypto", offset, bytes: Buffer.from(c.take(c.varint())) };
    } else if (type === 0x1c || type === 0x1d) {
      yield { type: "close", code: c.varint(), isApp: type === 0x1d };
      return;
    } else {
      return;
    }
  }
}

/** A packet with number 0, padded so that the datagram has at least `least` bytes. */
export function seal(level, { to, from }, { key, iv, hp }, frames, least) {
  const token = level === LEVEL.initial ? [varint(0)] : [];
  const head = [Buffer.of(0xc3 | (level << 4), 0, 0, 0, 1, to.length), to, Buffer.of(from.length), from, ...token];
  const fixed = Buffer.concat(head).length + 2 + 4 + TAG_BYTES;
  const body = Buffer.concat([frames, Buffer.alloc(Math.max(0, least - fixed - frames.length))]);
  const length = body.length + 4 + TAG_BYTES;
  const header = Buffer.concat([...head, Buffer.of(0x40 | (length >> 8), length & 255), Buffer.alloc(4)]);
  const cipher = createCipheriv("aes-128-gcm", key, nonce(iv, 0));
  cipher.setAAD(header);
  const sealed = Buffer.concat([cipher.update(body), cipher.final(), cipher.getAuthTag()]);
  const mask = protection(hp, sealed.subarray(0, 16));
  header[0] ^= mask[0] & 0x0f;
  for (let i = 0; i < 4; i++) header[header.length - 4 + i] ^= mask[1 + i];
  return Buffer.concat([header, sealed]);
}

function protection(hp, sample) {
  return createCipheriv("aes-128-ecb", hp, null).update(sample);
}

function nonce(iv, number) {
  const bytes = Buffer.from(iv);
  bytes.writeUInt32BE((bytes.readUInt32BE(8) ^ number) >>> 0, 8);
  return bytes;
}
