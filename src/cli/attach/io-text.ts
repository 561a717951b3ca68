import { BitString, Fun, ImproperList, isAtom, NativeRecord, type Term, Tuple } from "../../term/types.ts";

/** How characters of a request are written; in lists they are code points either way. */
export type Encoding = "unicode" | "latin1";

/** Text in UTF-8; what is no character of it stays as it is, for the filter. */
export interface RequestText {
  readonly bytes: Buffer;
  /** There was more than was asked for. */
  readonly isCut: boolean;
}

/** What one part of a term counts for, in bytes. */
const PART_BYTES = 8;

/** Reads an encoding; undefined for any other term. */
export function encodingOf(term: Term): Encoding | undefined {
  if (isAtom(term, "unicode") || isAtom(term, "utf8")) return "unicode";
  return isAtom(term, "latin1") ? "latin1" : undefined;
}

/** One list that is being read, and where. */
interface Frame {
  readonly elements: readonly Term[];
  at: number;
}

/** Character data (binaries, characters, and lists of them) as UTF-8, up to `max` bytes. Undefined when it is something else. */
export function textOf(data: Term, encoding: Encoding, max: number): RequestText | undefined {
  const parts: Buffer[] = [];
  let size = 0;
  let characters = "";
  const flush = (): void => {
    if (characters === "") return;
    parts.push(Buffer.from(characters, "utf8"));
    characters = "";
  };
  const frames: Frame[] = [{ elements: [data], at: 0 }];
  // What is empty costs a byte too, so that a list of nothing ends.
  for (let steps = 0; frames.length > 0 && size <= max && steps <= max * 2; steps++) {
    const frame = frames[frames.length - 1] as Frame;
    if (frame.at >= frame.elements.length) {
      frames.pop();
      continue;
    }
    const next = frame.elements[frame.at++];
    if (typeof next === "number" && Number.isInteger(next) && next >= 0 && next <= 0x10ffff) {
      characters += String.fromCodePoint(next);
      size += next < 0x80 ? 1 : next < 0x800 ? 2 : next < 0x10000 ? 3 : 4;
    } else if (next instanceof Uint8Array) {
      flush();
      const bytes = Buffer.from(next.buffer, next.byteOffset, Math.min(next.byteLength, max + 1));
      parts.push(encoding === "latin1" ? Buffer.from(bytes.toString("latin1"), "utf8") : bytes);
      size += bytes.length;
    } else if (Array.isArray(next)) frames.push({ elements: next, at: 0 });
    else if (next instanceof ImproperList) frames.push({ elements: [next.elements, next.tail], at: 0 });
    else return undefined;
  }
  flush();
  const bytes = Buffer.concat(parts);
  const isCut = frames.length > 0 || bytes.length > max;
  return { bytes: bytes.length > max ? bytes.subarray(0, max) : bytes, isCut };
}

/** About what a term takes in memory, in bytes; stops counting above `max`. */
export function costOf(term: Term, max: number): number {
  const waiting: Term[] = [term];
  let cost = 0;
  while (waiting.length > 0 && cost <= max) {
    const next = waiting.pop();
    cost += PART_BYTES;
    if (next instanceof Uint8Array) cost += next.byteLength;
    else if (typeof next === "bigint") cost += next.toString(16).length;
    else if (next instanceof BitString) cost += next.bytes.byteLength;
    else if (Array.isArray(next)) push(waiting, next, max);
    else if (next instanceof Tuple) push(waiting, next.elements, max);
    else if (next instanceof ImproperList) waiting.push(next.elements, next.tail);
    else if (next instanceof Map) for (const [key, value] of next) waiting.push(key, value);
    else if (next instanceof Fun) push(waiting, next.free, max);
    else if (next instanceof NativeRecord) for (const [, value] of next.fields) waiting.push(value);
    if (waiting.length * PART_BYTES > max) return max + 1;
  }
  return cost;
}

function push(waiting: Term[], elements: readonly Term[], max: number): void {
  const room = Math.min(elements.length, max);
  for (let i = 0; i < room; i++) waiting.push(elements[i]);
}

/** Text as the worker gets it: a binary, or a list of code points; undefined when the encoding has no such characters. */
export function answerText(text: string, encoding: Encoding, isBinary: boolean): Term | undefined {
  const points = Array.from(text, (char) => char.codePointAt(0) as number);
  if (encoding === "latin1" && points.some((point) => point > 0xff)) return undefined;
  if (!isBinary) return points;
  return Buffer.from(text, encoding === "latin1" ? "latin1" : "utf8");
}
