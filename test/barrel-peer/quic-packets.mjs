// Packets of QUIC version 1 with AES-128-GCM (RFC 9000, RFC 9001), as far as a connection by hand needs them.
import { createCipheriv, createDecipheriv } from "node:crypto";
import { expand } from "./tls13.mjs";

/** Packet types of the long header, and the short header beside them. */
export const LEVEL = { initial: 0, handshake: 2, short: 4 };
const TAG_BYTES = 16;

/** Keys of one direction. */
export function keysOf(secret) {
  const protection = createCipheriv("aes-128-ecb", expand(secret, "quic hp", 16), null).setAutoPadding(false);
  return {
    key: expand(secret, "quic key", 16),
    iv: expand(secret, "quic iv", 12),
    mask: (sample) => protection.update(sample),
  };
}

/** Variable-length integer. */
export function varint(value) {
  if (value < 64) return Buffer.of(value);
  if (value < 16_384) return Buffer.of(0x40 | (value >> 8), value & 255);
  if (value < 2 ** 30) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((0x80000000 | value) >>> 0);
    return bytes;
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE((3n << 62n) | BigInt(value));
  return bytes;
}

/** A transport parameter. */
export function parameter(id, value) {
  return Buffer.concat([varint(id), varint(value.length), value]);
}

export function cryptoFrame(offset, bytes) {
  return Buffer.concat([Buffer.of(6), varint(offset), varint(bytes.length), bytes]);
}

export function streamFrame(stream, offset, bytes, fin = false) {
  return Buffer.concat([Buffer.of(fin ? 0x0f : 0x0e), varint(stream), varint(offset), varint(bytes.length), bytes]);
}

/** @param {[low: number, high: number][]} ranges highest first */
export function ackFrame(ranges) {
  const [[low, high], ...more] = ranges;
  const parts = [Buffer.of(2), varint(high), varint(0), varint(more.length), varint(high - low)];
  let lowest = low;
  for (const [from, to] of more) {
    parts.push(varint(lowest - to - 2), varint(to - from));
    lowest = from;
  }
  return Buffer.concat(parts);
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

/**
 * The packets of a datagram: those with a long header, and the one with a short header behind them if the length of its
 * destination id is given.
 * @returns {Generator<{level: number, to: Buffer, from: Buffer, start: number, number: number, end: number}>}
 */
export function* walk(datagram, idBytes) {
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
  if (idBytes === undefined || !c.more || (datagram[c.at] & 0xc0) !== 0x40) return;
  const [start, number, end] = [c.at, c.at + 1 + idBytes, datagram.length];
  yield { level: LEVEL.short, to: datagram.subarray(start + 1, number), from: Buffer.alloc(0), start, number, end };
}

/**
 * Number and frames of one packet; undefined when the keys do not open it. The datagram is changed in place.
 * @param {number} expected the number after the highest that came
 * @returns {{number: number, frames: object[]} | undefined}
 */
export function open(datagram, { level, start, number: at, end }, { key, iv, mask: maskOf }, expected = 0) {
  if (end - at < 4 + TAG_BYTES) return undefined;
  const mask = maskOf(datagram.subarray(at + 4, at + 20));
  datagram[start] ^= mask[0] & (level === LEVEL.short ? 0x1f : 0x0f);
  const width = (datagram[start] & 3) + 1;
  for (let i = 0; i < width; i++) datagram[at + i] ^= mask[1 + i];
  const number = nearest(datagram.readUIntBE(at, width), 2 ** (8 * width), expected);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce(iv, number));
  decipher.setAAD(datagram.subarray(start, at + width));
  decipher.setAuthTag(datagram.subarray(end - TAG_BYTES, end));
  try {
    const body = decipher.update(datagram.subarray(at + width, end - TAG_BYTES));
    decipher.final();
    return { number, frames: [...framesOf(body)] };
  } catch {
    return undefined;
  }
}

/** RFC 9000, appendix A.3. */
function nearest(low, window, expected) {
  const guess = expected - (expected % window) + low;
  if (guess <= expected - window / 2) return guess + window;
  return guess > expected + window / 2 && guess >= window ? guess - window : guess;
}

function* framesOf(body) {
  const c = new Cursor(body);
  while (c.more) {
    const type = c.varint();
    if (type === 0) continue;
    if (type === 2 || type === 3) yield { type: "ack", ranges: ranges(c, type === 3) };
    else if (type === 6) {
      const offset = c.varint();
      yield { type: "crypto", offset, bytes: Buffer.from(c.take(c.varint())) };
    } else if (type >= 8 && type <= 15) {
      const stream = c.varint();
      const offset = type & 4 ? c.varint() : 0;
      const bytes = Buffer.from(c.take(type & 2 ? c.varint() : body.length - c.at));
      yield { type: "stream", stream, offset, bytes, fin: (type & 1) === 1 };
    } else if (type === 0x1c || type === 0x1d) {
      yield { type: "close", code: c.varint(), isApp: type === 0x1d };
      return;
    } else {
      if (!skip(c, type)) return;
      yield { type: "other", number: type };
    }
  }
}

function ranges(c, hasCounts) {
  let high = c.varint();
  c.varint();
  const more = c.varint();
  const found = [[high - c.varint(), high]];
  for (let i = 0; i < more; i++) {
    high = found[i][0] - c.varint() - 2;
    found.push([high - c.varint(), high]);
  }
  if (hasCounts) for (let i = 0; i < 3; i++) c.varint();
  return found;
}

/** Varints of the frames that a client by hand has no use for, by type. RFC 9000 section 19. */
const VARINTS = {
  1: 0,
  4: 3,
  5: 2,
  16: 1,
  17: 2,
  18: 1,
  19: 1,
  20: 1,
  21: 2,
  22: 1,
  23: 1,
  25: 1,
  30: 0,
};

/** False for a type that nobody knows. */
function skip(c, type) {
  if (type === 7) c.take(c.varint());
  else if (type === 0x18) {
    c.varint();
    c.varint();
    c.take(c.byte() + 16);
  } else if (type === 0x1a || type === 0x1b) c.take(8);
  else if (VARINTS[type] === undefined) return false;
  else for (let i = 0; i < VARINTS[type]; i++) c.varint();
  return true;
}

/** A packet with a long header, padded so that the datagram has at least `least` bytes. */
export function seal(level, { to, from }, keys, frames, least, number = 0) {
  const token = level === LEVEL.initial ? [varint(0)] : [];
  const head = [Buffer.of(0xc3 | (level << 4), 0, 0, 0, 1, to.length), to, Buffer.of(from.length), from, ...token];
  const fixed = Buffer.concat(head).length + 2 + 4 + TAG_BYTES;
  const body = Buffer.concat([frames, Buffer.alloc(Math.max(0, least - fixed - frames.length))]);
  const length = body.length + 4 + TAG_BYTES;
  const header = Buffer.concat([...head, Buffer.of(0x40 | (length >> 8), length & 255), Buffer.alloc(4)]);
  return sealed(header, 0x0f, keys, body, number);
}

/** A packet with a short header. */
export function sealShort(to, keys, frames, number) {
  return sealed(Buffer.concat([Buffer.of(0x43), to, Buffer.alloc(4)]), 0x1f, keys, frames, number);
}

/** Bytes of a packet with a short header that are no frames. */
export function shortOverhead(to) {
  return 1 + to.length + 4 + TAG_BYTES;
}

/** @param header ends with room for the number in 4 bytes */
function sealed(header, firstMask, { key, iv, mask: maskOf }, body, number) {
  header.writeUInt32BE(number, header.length - 4);
  const cipher = createCipheriv("aes-128-gcm", key, nonce(iv, number));
  cipher.setAAD(header);
  const payload = Buffer.concat([cipher.update(body), cipher.final(), cipher.getAuthTag()]);
  const mask = maskOf(payload.subarray(0, 16));
  header[0] ^= mask[0] & firstMask;
  for (let i = 0; i < 4; i++) header[header.length - 4 + i] ^= mask[1 + i];
  return Buffer.concat([header, payload]);
}

function nonce(iv, number) {
  const bytes = Buffer.from(iv);
  bytes.writeUInt32BE((bytes.readUInt32BE(8) ^ number) >>> 0, 8);
  return bytes;
}
