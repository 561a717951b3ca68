// External term format, both directions: what a distribution peer needs and no more.

/** An atom. */
export class Atom {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }
}
/** A tuple. */
export class Tuple {
  /** @param {unknown[]} items */
  constructor(items) {
    this.items = items;
  }
}
/** `[a, b | tail]` where the tail is no list. */
export class Improper {
  /** @param {unknown[]} items @param {unknown} tail */
  constructor(items, tail) {
    this.items = items;
    this.tail = tail;
  }
}
/** A map as its pairs, in the order of the wire. */
export class Pairs {
  /** @param {[unknown, unknown][]} entries */
  constructor(entries) {
    this.entries = entries;
  }
}
/** A float, so that 1.0 stays one. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }
}
/** A process identifier. */
export class Pid {
  constructor(/** @type {string} */ node, /** @type {number} */ id, /** @type {number} */ serial, creation = 0) {
    this.node = node;
    this.id = id;
    this.serial = serial;
    this.creation = creation;
  }
}
/** A reference of one to five words. */
export class Ref {
  constructor(/** @type {string} */ node, /** @type {number} */ creation, /** @type {number[]} */ words) {
    this.node = node;
    this.creation = creation;
    this.words = words;
  }
}
/** A port, a fun or a bit string: kept as its bytes. */
export class Opaque {
  /** @param {string} kind @param {Buffer} bytes */
  constructor(kind, bytes) {
    this.kind = kind;
    this.bytes = bytes;
  }
}

export const atom = (name) => new Atom(name);
export const tuple = (...items) => new Tuple(items);

/** True for the atom of that name. */
export const isAtom = (term, name) => term instanceof Atom && (name === undefined || term.name === name);

/** Bytes of one term without the leading 131. Strings become binaries. @returns {Buffer} */
export function encodeTerm(term) {
  const parts = [];
  write(term, parts);
  return Buffer.concat(parts);
}

function write(term, out) {
  if (term instanceof Atom) return out.push(atomBytes(term.name));
  if (typeof term === "string") return write(Buffer.from(term), out);
  if (typeof term === "number" || typeof term === "bigint") return out.push(integerBytes(BigInt(term)));
  if (term instanceof Float) {
    const bytes = Buffer.alloc(9, 70);
    bytes.writeDoubleBE(term.value, 1);
    return out.push(bytes);
  }
  if (term instanceof Uint8Array) return out.push(head(109, 4, term.length), term);
  if (term instanceof Tuple) {
    out.push(term.items.length < 256 ? head(104, 1, term.items.length) : head(105, 4, term.items.length));
    for (const item of term.items) write(item, out);
    return undefined;
  }
  if (Array.isArray(term)) return writeList(term, undefined, out);
  if (term instanceof Improper) return writeList(term.items, term.tail, out);
  if (term instanceof Pairs) {
    out.push(head(116, 4, term.entries.length));
    for (const [key, value] of term.entries) {
      write(key, out);
      write(value, out);
    }
    return undefined;
  }
  if (term instanceof Pid) {
    const words = Buffer.alloc(12);
    words.writeUInt32BE(term.id, 0);
    words.writeUInt32BE(term.serial, 4);
    words.writeUInt32BE(term.creation, 8);
    return out.push(Buffer.of(88), atomBytes(term.node), words);
  }
  if (term instanceof Ref) {
    const words = Buffer.alloc(4 + 4 * term.words.length);
    words.writeUInt32BE(term.creation, 0);
    for (const [i, word] of term.words.entries()) words.writeUInt32BE(word, 4 + 4 * i);
    return out.push(head(90, 2, term.words.length), atomBytes(term.node), words);
  }
  if (term instanceof Opaque) return out.push(term.bytes);
  throw new Error(`not a term: ${typeof term}`);
}

function writeList(items, tail, out) {
  if (items.length === 0) return out.push(Buffer.of(106));
  const bytes = tail === undefined && items.length <= 65_535 && items.every((i) => typeof i === "number" && isByte(i));
  if (bytes) return out.push(head(107, 2, items.length), Buffer.from(items));
  out.push(head(108, 4, items.length));
  for (const item of items) write(item, out);
  return tail === undefined ? out.push(Buffer.of(106)) : write(tail, out);
}

const isByte = (n) => Number.isInteger(n) && n >= 0 && n < 256;

function head(tag, width, value) {
  const bytes = Buffer.alloc(1 + width, tag);
  bytes.writeUIntBE(value, 1, width);
  return bytes;
}

function atomBytes(name) {
  const text = Buffer.from(name);
  return Buffer.concat([text.length < 256 ? head(119, 1, text.length) : head(118, 2, text.length), text]);
}

function integerBytes(value) {
  if (value >= 0n && value < 256n) return Buffer.of(97, Number(value));
  if (value >= -2147483648n && value <= 2147483647n) {
    const bytes = Buffer.alloc(5, 98);
    bytes.writeInt32BE(Number(value), 1);
    return bytes;
  }
  const digits = [];
  for (let rest = value < 0n ? -value : value; rest > 0n; rest >>= 8n) digits.push(Number(rest & 255n));
  const size = digits.length < 256 ? head(110, 1, digits.length) : head(111, 4, digits.length);
  return Buffer.concat([size, Buffer.of(value < 0n ? 1 : 0), Buffer.from(digits)]);
}

/**
 * Decodes one term at `at`, without a leading 131. Nested deeper than 512 levels or short of bytes: throws.
 * @param {Buffer} bytes
 * @returns {{term: unknown, end: number}}
 */
export function decodeTerm(bytes, at = 0) {
  const reader = new Reader(bytes, at);
  const term = reader.term(0);
  return { term, end: reader.at };
}

class Reader {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
  }

  uint(width) {
    const value = this.bytes.readUIntBE(this.at, width);
    this.at += width;
    return value;
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new RangeError("term ends early");
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  terms(count, depth) {
    if (count > this.bytes.length - this.at) throw new RangeError("more elements than bytes");
    const items = [];
    for (let i = 0; i < count; i++) items.push(this.term(depth + 1));
    return items;
  }

  nodeName() {
    const term = this.term(0);
    if (!(term instanceof Atom)) throw new RangeError("node name is no atom");
    return term.name;
  }

  term(depth) {
    if (depth > 512) throw new RangeError("term nested too deep");
    const start = this.at;
    const tag = this.uint(1);
    switch (tag) {
      case 97:
        return this.uint(1);
      case 98:
        return this.uint(4) | 0;
      case 110:
        return this.big(this.uint(1));
      case 111:
        return this.big(this.uint(4));
      case 70:
        return new Float(this.take(8).readDoubleBE());
      case 119:
        return new Atom(this.take(this.uint(1)).toString());
      case 118:
        return new Atom(this.take(this.uint(2)).toString());
      case 115:
        return new Atom(this.take(this.uint(1)).toString("latin1"));
      case 100:
        return new Atom(this.take(this.uint(2)).toString("latin1"));
      case 104:
        return new Tuple(this.terms(this.uint(1), depth));
      case 105:
        return new Tuple(this.terms(this.uint(4), depth));
      case 106:
        return [];
      case 107:
        return [...this.take(this.uint(2))];
      case 108: {
        const items = this.terms(this.uint(4), depth);
        const tail = this.term(depth + 1);
        return Array.isArray(tail) ? [...items, ...tail] : new Improper(items, tail);
      }
      case 109:
        return Buffer.from(this.take(this.uint(4)));
      case 116: {
        const flat = this.terms(this.uint(4) * 2, depth);
        return new Pairs(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]));
      }
      case 88:
      case 103:
        return new Pid(this.nodeName(), this.uint(4), this.uint(4), this.uint(tag === 88 ? 4 : 1));
      case 90:
      case 114: {
        const count = this.uint(2);
        const node = this.nodeName();
        const creation = this.uint(tag === 90 ? 4 : 1);
        if (count > 5) throw new RangeError("reference of more than five words");
        return new Ref(
          node,
          creation,
          Array.from({ length: count }, () => this.uint(4)),
        );
      }
      default:
        return this.opaque(tag, start);
    }
  }

  big(length) {
    const negative = this.uint(1) !== 0;
    let value = 0n;
    for (const digit of Buffer.from(this.take(length)).reverse()) value = (value << 8n) | BigInt(digit);
    if (negative) value = -value;
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  opaque(tag, start) {
    const kinds = { 77: "bits", 89: "port", 120: "port", 112: "fun", 113: "export" };
    if (!(tag in kinds)) throw new RangeError(`unknown term tag ${tag}`);
    if (tag === 77) this.take(this.uint(4) + 1);
    if (tag === 112) this.take(this.uint(4) - 4);
    if (tag === 113) this.terms(3, 0);
    if (tag === 89 || tag === 120) {
      this.nodeName();
      this.take(tag === 89 ? 8 : 12);
    }
    return new Opaque(kinds[tag], Buffer.from(this.bytes.subarray(start, this.at)));
  }
}

/** Longer binaries show as their length. */
const MAX_HEX_BYTES = 4096;

/**
 * A term as JSON: numbers, text for UTF-8 binaries, lists as arrays, otherwise an object with one telling key
 * (`atom`, `tuple`, `hex`, `map`, `float`, `integer`, `pid`, `ref`, `improper`, or the kind of an opaque one).
 */
export function toJson(term) {
  if (term instanceof Atom) return { atom: term.name };
  if (term instanceof Tuple) return { tuple: term.items.map(toJson) };
  if (term instanceof Float) return { float: term.value };
  if (typeof term === "bigint") return { integer: term.toString() };
  if (term instanceof Uint8Array) {
    const text = Buffer.from(term).toString();
    if (Buffer.from(text).equals(Buffer.from(term))) return text;
    return term.length > MAX_HEX_BYTES ? { bytes: term.length } : { hex: Buffer.from(term).toString("hex") };
  }
  if (Array.isArray(term)) return term.map(toJson);
  if (term instanceof Improper) return { improper: [term.items.map(toJson), toJson(term.tail)] };
  if (term instanceof Pairs) return { map: term.entries.map(([key, value]) => [toJson(key), toJson(value)]) };
  if (term instanceof Pid) return { pid: [term.node, term.id, term.serial, term.creation] };
  if (term instanceof Ref) return { ref: [term.node, term.creation, ...term.words] };
  if (term instanceof Opaque) return { [term.kind]: term.bytes.toString("hex") };
  return term;
}

/** The term of a JSON value in the form of `toJson`; booleans become atoms. */
export function fromJson(json) {
  if (typeof json === "boolean") return atom(String(json));
  if (typeof json === "number") return Number.isInteger(json) ? json : new Float(json);
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json !== "object" || json === null) return json;
  if (json.atom !== undefined) return atom(json.atom);
  if (json.tuple !== undefined) return new Tuple(json.tuple.map(fromJson));
  if (json.float !== undefined) return new Float(json.float);
  if (json.integer !== undefined) return BigInt(json.integer);
  if (json.hex !== undefined) return Buffer.from(json.hex, "hex");
  if (json.map !== undefined) return new Pairs(json.map.map(([key, value]) => [fromJson(key), fromJson(value)]));
  if (json.pid !== undefined) return new Pid(...json.pid);
  if (json.ref !== undefined) return new Ref(json.ref[0], json.ref[1], json.ref.slice(2));
  if (json.improper !== undefined) return new Improper(json.improper[0].map(fromJson), fromJson(json.improper[1]));
  throw new Error("not a term in JSON");
}
