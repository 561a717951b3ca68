import type { Dice } from "./dice.ts";

/** Numbers that lie about lengths, counts and limits. */
const LIES = [
  0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

/** Every tag of the external term format, some that do not exist, and the bytes frames begin with. */
const TAGS = [
  67, 70, 77, 80, 82, 83, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113,
  114, 115, 116, 117, 118, 119, 120, 121, 131, 0x44, 0x45, 0x46, 0,
];

/** Containers of one element: put in front of a term they nest it. */
const WRAPPERS = ["6801", "6900000001", "6c00000001", "74000000016100", "6c00000000"].map((hex) =>
  Buffer.from(hex, "hex"),
);

const MAX_BYTES = 96 * 1024;

/** One to four changes to bytes that were valid. `others`: material to splice from. */
export function mutate(dice: Dice, bytes: Buffer, others: readonly Buffer[]): Buffer {
  let out = bytes;
  for (let left = 1 + (dice.oneIn(3) ? dice.below(4) : 0); left > 0; left--) out = change(dice, out, others);
  return out.length > MAX_BYTES ? out.subarray(0, MAX_BYTES) : out;
}

function change(dice: Dice, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const size = bytes.length;
  if (size === 0) return Buffer.from(dice.pick(others));
  const at = dice.below(size);
  switch (dice.below(14)) {
    case 0:
    case 1: {
      const out = Buffer.from(bytes);
      out[at] = (out[at] as number) ^ (1 << dice.below(8));
      return out;
    }
    case 2: {
      const out = Buffer.from(bytes);
      out[at] = dice.next();
      return out;
    }
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return lie(dice, bytes, at);
    case 5:
    case 6:
      return swapTag(dice, bytes);
    case 7: {
      const wrapper = dice.pick(WRAPPERS);
      const deep = dice.oneIn(4) ? dice.below(700) : 1 + dice.below(4);
      return Buffer.concat([bytes.subarray(0, at), ...new Array<Buffer>(deep).fill(wrapper), bytes.subarray(at)]);
    }
    case 8: {
      // A part of it stands twice.
      const end = Math.min(size, at + 1 + dice.below(64));
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
    }
    case 9: {
      const end = Math.min(size, at + 1 + dice.below(16));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
    case 10:
    case 11: {
      const other = dice.pick(others);
      const from = dice.below(other.length);
      const piece = other.subarray(from, Math.min(other.length, from + 1 + dice.below(128)));
      const end = dice.oneIn(2) ? at : Math.min(size, at + piece.length);
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(end)]);
    }
    case 12: {
      const noise = Buffer.alloc(1 + dice.below(8));
      for (let i = 0; i < noise.length; i++) noise[i] = dice.next();
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
    default:
      return Buffer.concat([bytes, dice.pick(others)]);
  }
}

/** Overwrites one, two, four or eight bytes with a number that lies. */
function lie(dice: Dice, bytes: Buffer, at: number): Buffer {
  const out = Buffer.from(bytes);
  const width = dice.pick([1, 2, 4, 4, 8]);
  const value = dice.oneIn(3) ? bytes.length + dice.below(5) - 2 : dice.pick(LIES);
  for (let i = 0; i < width && at + i < out.length; i++) {
    const shift = width - 1 - i;
    out[at + i] = shift > 3 ? (value === 0xffff_ffff ? 0xff : 0) : Math.floor(value / 256 ** shift) & 0xff;
  }
  return out;
}

/** Puts another tag where one stands. */
function swapTag(dice: Dice, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes);
  const from = dice.below(out.length);
  for (let i = 0; i < out.length; i++) {
    const at = (from + i) % out.length;
    if (!TAGS.includes(out[at] as number)) continue;
    out[at] = dice.pick(TAGS);
    return out;
  }
  return out;
}

/** A stream of frames `length:32 body`, most often with true lengths around changed bodies. */
export function mutateFrames(
  dice: Dice,
  frames: readonly Buffer[],
  others: readonly Buffer[],
  prefix: 2 | 4 = 4,
): Buffer {
  const out = [...frames];
  for (let left = 1 + dice.below(3); left > 0; left--) {
    const at = dice.below(out.length);
    switch (dice.below(8)) {
      case 0:
        out.splice(at, 0, out[dice.below(out.length)] ?? Buffer.alloc(0));
        break;
      case 1:
        out.splice(at, 1);
        break;
      case 2:
        out.splice(at, 0, dice.pick(others));
        break;
      case 3: {
        const other = dice.below(out.length);
        const kept = out[at];
        out[at] = out[other] ?? Buffer.alloc(0);
        out[other] = kept ?? Buffer.alloc(0);
        break;
      }
      default:
        out[at] = mutate(dice, out[at] ?? Buffer.alloc(0), others);
    }
    if (out.length === 0) out.push(dice.pick(others));
  }
  const stream = framed(out, prefix);
  return dice.oneIn(12) ? mutate(dice, stream, others) : stream;
}

/** Joins frame bodies with true lengths before them. */
export function framed(bodies: readonly Buffer[], prefix: 2 | 4 = 4): Buffer {
  const parts: Buffer[] = [];
  for (const body of bodies) {
    const head = Buffer.alloc(prefix);
    head.writeUIntBE(prefix === 2 ? body.length & 0xffff : body.length, 0, prefix);
    parts.push(head, body);
  }
  return Buffer.concat(parts);
}

/** Cuts bytes into one to `most` pieces. */
export function splitBytes(dice: Dice, bytes: Buffer, most: number): Buffer[] {
  const cuts = new Set<number>();
  for (let i = dice.below(most); i > 0; i--) cuts.add(dice.below(bytes.length + 1));
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    pieces.push(bytes.subarray(from, cut));
    from = cut;
  }
  pieces.push(bytes.subarray(from));
  return pieces;
}
