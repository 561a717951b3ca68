// Distribution frames on data streams (barrel-auth section 10): both message forms, fragments, the pool.
import { decodeTerm, encodeTerm } from "./term.mjs";

const FRAGMENT_BYTES = 65_536;

/** Ids of one side's data streams, newest first, as the original keeps its pool. */
export const POOL = {
  dialer: Array.from({ length: 16 }, (_, i) => 64 - 4 * i),
  listener: Array.from({ length: 16 }, (_, i) => 61 - 4 * i),
};

/** Section 2: even ids below 68 and odd ids below 65 are distribution; the uni bit is not looked at. */
export function isDistStream(id) {
  return id % 2 === 0 ? id < 68 : id < 65;
}

/** The pool's stream for a pair of addresses: the same pair always has the same. */
export function streamFor(role, from, to) {
  let hash = 2_166_136_261;
  for (const byte of Buffer.concat([from ?? Buffer.alloc(0), to ?? Buffer.alloc(0)])) {
    hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  }
  return POOL[role][hash % 16];
}

/**
 * Frames of one message, each with its length.
 * @param {boolean} fragments the form that was negotiated
 * @param {unknown} [message]
 * @returns {Buffer[]}
 */
export function encodeMessage(fragments, sequence, control, message) {
  const head = encodeTerm(control);
  const body = message === undefined ? undefined : encodeTerm(message);
  if (!fragments) {
    const tail = body === undefined ? [] : [Buffer.of(131), body];
    return [withLength(Buffer.of(112, 131), head, ...tail)];
  }
  if (body === undefined) return [withLength(Buffer.of(131, 68, 0), head)];
  if (body.length <= FRAGMENT_BYTES) return [withLength(Buffer.of(131, 68, 0), head, body)];
  const count = Math.ceil(body.length / FRAGMENT_BYTES);
  return Array.from({ length: count }, (_, i) => {
    const part = body.subarray(i * FRAGMENT_BYTES, (i + 1) * FRAGMENT_BYTES);
    const ids = Buffer.alloc(18, 131);
    ids[1] = i === 0 ? 69 : 70;
    ids.writeBigUInt64BE(BigInt(sequence), 2);
    ids.writeBigUInt64BE(BigInt(count - i), 10);
    return i === 0 ? withLength(ids, Buffer.of(0), head, part) : withLength(ids, part);
  });
}

function withLength(...parts) {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Cuts the bytes of one stream into frame bodies; a tick is an empty one. */
export class FrameCutter {
  /** @type {Buffer[]} */
  #chunks = [];
  #length = 0;

  /** @returns {Buffer[]} */
  push(bytes) {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    const out = [];
    for (;;) {
      if (this.#length < 4) return out;
      let all = this.#chunks[0];
      if (all.length < 4) all = this.#join();
      const end = 4 + all.readUInt32BE(0);
      if (this.#length < end) return out;
      if (all.length < end) all = this.#join();
      out.push(all.subarray(4, end));
      this.#chunks[0] = all.subarray(end);
      this.#length -= end;
      if (this.#chunks[0].length === 0) this.#chunks.shift();
    }
  }

  #join() {
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }
}

/** Joins fragments of one connection and decodes whole messages. */
export class MessageReader {
  /** @type {Map<bigint, {next: bigint, parts: Buffer[]}>} */
  #open = new Map();

  /** @param {boolean} fragments the form that was negotiated */
  constructor(fragments) {
    this.fragments = fragments;
  }

  /**
   * One frame body. Undefined while a message is not complete.
   * @throws {Error} for the other form ("message from incompatible erlang") and broken terms
   * @returns {{control: unknown, message: unknown} | undefined}
   */
  read(body) {
    if (!this.fragments) {
      if (body[0] !== 112 || body[1] !== 131) throw new Error("message from incompatible erlang");
      const { term, end } = decodeTerm(body, 2);
      if (end < body.length && body[end] !== 131) throw new Error("message from incompatible erlang");
      return { control: term, message: end < body.length ? decodeTerm(body, end + 1).term : undefined };
    }
    if (body[0] !== 131) throw new Error("message from incompatible erlang");
    switch (body[1]) {
      case 68:
        return this.#whole(body.subarray(2));
      case 69: {
        const [sequence, left] = [body.readBigUInt64BE(2), body.readBigUInt64BE(10)];
        return this.#part(sequence, left, body.subarray(18), { next: left, parts: [] });
      }
      case 70:
        return this.#part(body.readBigUInt64BE(2), body.readBigUInt64BE(10), body.subarray(18), undefined);
      default:
        throw new Error("message from incompatible erlang");
    }
  }

  #part(sequence, left, bytes, fresh) {
    const open = fresh ?? this.#open.get(sequence);
    if (open === undefined || open.next !== left) throw new Error("fragment out of order");
    open.parts.push(Buffer.from(bytes));
    open.next = left - 1n;
    this.#open.set(sequence, open);
    if (left > 1n) return undefined;
    this.#open.delete(sequence);
    return this.#whole(Buffer.concat(open.parts));
  }

  /** From the number of atom references on. */
  #whole(bytes) {
    if (bytes[0] !== 0) throw new Error("atom cache was not negotiated");
    const { term, end } = decodeTerm(bytes, 1);
    return { control: term, message: end < bytes.length ? decodeTerm(bytes, end).term : undefined };
  }
}
