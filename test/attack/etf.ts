// The attacker's own encoder of the external term format. It shares nothing with src/, and it can lie.

/** A term as bytes, without the version byte. */
export type Bytes = Buffer;

export function u8(value: number): Bytes {
  return Buffer.from([value & 0xff]);
}

export function u16(value: number): Bytes {
  return Buffer.from([(value >>> 8) & 0xff, value & 0xff]);
}

export function u32(value: number): Bytes {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

export function u64(value: bigint): Bytes {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt.asUintN(64, value));
  return out;
}

export function join(...parts: readonly Bytes[]): Bytes {
  return Buffer.concat(parts);
}

export function atom(name: string): Bytes {
  const text = Buffer.from(name, "utf8");
  return text.length < 256 ? join(u8(119), u8(text.length), text) : join(u8(118), u16(text.length), text);
}

export function int(value: number): Bytes {
  return value >= 0 && value < 256 ? join(u8(97), u8(value)) : join(u8(98), u32(value));
}

/** An integer of `bytes` octets, all of them 255. */
export function hugeInt(bytes: number): Bytes {
  return join(u8(111), u32(bytes), u8(0), Buffer.alloc(bytes, 255));
}

export function bin(bytes: Buffer | string): Bytes {
  const content = typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes;
  return join(u8(109), u32(content.length), content);
}

export function tuple(...items: readonly Bytes[]): Bytes {
  return join(u8(104), u8(items.length), ...items);
}

export const NIL: Bytes = Buffer.from([106]);

export function list(...items: readonly Bytes[]): Bytes {
  return items.length === 0 ? NIL : join(u8(108), u32(items.length), ...items, NIL);
}

/** `[head | tail]`. */
export function cons(head: Bytes, tail: Bytes): Bytes {
  return join(u8(108), u32(1), head, tail);
}

export function map(...pairs: readonly (readonly [Bytes, Bytes])[]): Bytes {
  return join(u8(116), u32(pairs.length), ...pairs.map(([key, value]) => join(key, value)));
}

export function pid(node: string, id: number, serial: number, creation: number): Bytes {
  return join(u8(88), atom(node), u32(id), u32(serial), u32(creation));
}

export function ref(node: string, creation: number, ...words: readonly number[]): Bytes {
  return join(u8(90), u16(words.length), atom(node), u32(creation), ...words.map(u32));
}

/** `n` tuples of one element inside each other. */
export function nested(n: number): Bytes {
  const out = Buffer.alloc(n * 2 + 1);
  for (let i = 0; i < n; i++) out.writeUInt16BE(0x6801, i * 2);
  out[n * 2] = 106;
  return out;
}

export function alias(reference: Bytes): Bytes {
  return cons(atom("alias"), reference);
}

/** `{'$gen_call', {From, [alias|Ref]}, Request}` */
export function genCall(from: Bytes, reference: Bytes, request: Bytes): Bytes {
  return tuple(atom("$gen_call"), tuple(from, alias(reference)), request);
}

// A small reader, for what the victim answers. It trusts the victim's bytes to be well formed.

/** What `read` makes of a term. */
export type Value =
  | number
  | bigint
  | Buffer
  | readonly Value[]
  | { readonly atom: string }
  | { readonly tuple: readonly Value[] }
  | { readonly cons: readonly Value[]; readonly tail: Value }
  | {
      readonly pid: string;
      readonly id: number;
      readonly serial: number;
      readonly creation: number;
      readonly raw: Bytes;
    }
  | { readonly ref: string; readonly words: readonly number[]; readonly creation: number; readonly raw: Bytes }
  | { readonly other: number };

/** Reads the term at `at`. */
export function read(b: Buffer, at: number): { readonly value: Value; readonly end: number } {
  const tag = b[at];
  switch (tag) {
    case 97:
      return { value: b[at + 1] ?? 0, end: at + 2 };
    case 98:
      return { value: b.readInt32BE(at + 1), end: at + 5 };
    case 110: {
      const size = b[at + 1] ?? 0;
      let value = 0n;
      for (let i = size - 1; i >= 0; i--) value = value * 256n + BigInt(b[at + 3 + i] ?? 0);
      return { value: b[at + 2] === 0 ? value : -value, end: at + 3 + size };
    }
    case 119:
    case 118:
    case 100: {
      const head = tag === 119 ? 2 : 3;
      const size = tag === 119 ? (b[at + 1] ?? 0) : b.readUInt16BE(at + 1);
      return {
        value: { atom: b.toString(tag === 100 ? "latin1" : "utf8", at + head, at + head + size) },
        end: at + head + size,
      };
    }
    case 104:
    case 105: {
      const count = tag === 104 ? (b[at + 1] ?? 0) : b.readUInt32BE(at + 1);
      const { items, end } = readMany(b, at + (tag === 104 ? 2 : 5), count);
      return { value: { tuple: items }, end };
    }
    case 106:
      return { value: [], end: at + 1 };
    case 107: {
      const size = b.readUInt16BE(at + 1);
      return { value: [...b.subarray(at + 3, at + 3 + size)], end: at + 3 + size };
    }
    case 108: {
      const { items, end } = readMany(b, at + 5, b.readUInt32BE(at + 1));
      if (b[end] === 106) return { value: items, end: end + 1 };
      const tail = read(b, end);
      return { value: { cons: items, tail: tail.value }, end: tail.end };
    }
    case 109: {
      const size = b.readUInt32BE(at + 1);
      return { value: b.subarray(at + 5, at + 5 + size), end: at + 5 + size };
    }
    case 88: {
      const node = read(b, at + 1);
      const end = node.end + 12;
      const [id, serial, creation] = [
        b.readUInt32BE(node.end),
        b.readUInt32BE(node.end + 4),
        b.readUInt32BE(node.end + 8),
      ];
      return { value: { pid: nameOf(node.value), id, serial, creation, raw: Buffer.from(b.subarray(at, end)) }, end };
    }
    case 90: {
      const count = b.readUInt16BE(at + 1);
      const node = read(b, at + 3);
      const words: number[] = [];
      for (let i = 0; i < count; i++) words.push(b.readUInt32BE(node.end + 4 + i * 4));
      const end = node.end + 4 + count * 4;
      const creation = b.readUInt32BE(node.end);
      return { value: { ref: nameOf(node.value), words, creation, raw: Buffer.from(b.subarray(at, end)) }, end };
    }
    default:
      return { value: { other: tag ?? -1 }, end: b.length };
  }
}

function readMany(b: Buffer, from: number, count: number): { readonly items: Value[]; readonly end: number } {
  const items: Value[] = [];
  let at = from;
  for (let i = 0; i < count; i++) {
    const item = read(b, at);
    items.push(item.value);
    at = item.end;
  }
  return { items, end: at };
}

function nameOf(value: Value): string {
  return typeof value === "object" && "atom" in value ? value.atom : "";
}

/** Term text enough for assertions: `{28,echo,<pid>,#Ref}`. */
export function show(value: Value): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (Buffer.isBuffer(value)) return `<<"${value.toString("latin1")}">>`;
  if (Array.isArray(value)) return `[${value.map(show).join(",")}]`;
  if ("atom" in value) return value.atom;
  if ("tuple" in value) return `{${value.tuple.map(show).join(",")}}`;
  if ("cons" in value) return `[${value.cons.map(show).join(",")}|${show(value.tail)}]`;
  if ("pid" in value) return `<${value.pid}.${value.id}.${value.serial}>`;
  if ("ref" in value) return `#Ref<${value.ref}.${value.words.join(".")}>`;
  return "?";
}
