import { BINARY_EXT, INTEGER_EXT, LIST_EXT, NIL_EXT, SMALL_INTEGER_EXT, STRING_EXT } from "../term/tags.ts";
import { atomAt, Step, stepInto } from "./encoded-terms.ts";

/** What a control character becomes, without a change of size. */
const SHOWN = 0x3f;

/** How the bytes of a binary are read: each a character, or UTF-8. */
export type Reading = "latin1" | "utf8";

/**
 * True for what steers a terminal or turns the direction of text: all of C0 but tab and newline, DEL, C1, and the marks for
 * direction and line of Unicode.
 */
export function isControlCharacter(point: number): boolean {
  if (point < 0x20) return point !== 0x09 && point !== 0x0a;
  return (
    (point >= 0x7f && point < 0xa0) ||
    point === 0x200e ||
    point === 0x200f ||
    (point >= 0x2028 && point <= 0x202e) ||
    (point >= 0x2066 && point <= 0x2069)
  );
}

/** Replaces control characters in the text parts of one payload, which is copied when there is one. */
export class TextCleaner {
  readonly #b: Buffer;
  readonly #start: number;
  readonly #end: number;
  #copy: Buffer | undefined;
  readonly #step: Step = new Step();

  constructor(b: Buffer, start: number, end: number) {
    this.#b = b;
    this.#start = start;
    this.#end = end;
  }

  /** The cleaned payload; undefined when nothing was replaced. */
  get cleaned(): Buffer | undefined {
    return this.#copy;
  }

  /** Cleans the character data at `at`: binaries, characters, and lists of them. False when it is something else. */
  text(at: number, reading: Reading): boolean {
    const b = this.#b;
    const step = this.#step;
    let left = 1;
    for (let p = at; left > 0; p = step.next) {
      stepInto(b, p, step);
      left += step.inside - 1;
      switch (step.tag) {
        case NIL_EXT:
        case LIST_EXT:
          break;
        case SMALL_INTEGER_EXT:
        case INTEGER_EXT:
          if (!this.character(p)) return false;
          break;
        case STRING_EXT:
          this.#latin1(p + 3, step.next);
          break;
        case BINARY_EXT:
          if (reading === "latin1") this.#latin1(p + 5, step.next);
          else this.#utf8(p + 5, step.next);
          break;
        default:
          return false;
      }
    }
    return true;
  }

  /** Cleans the character at `at`; false when it is no small integer. */
  character(at: number): boolean {
    const b = this.#b;
    if (b[at] === SMALL_INTEGER_EXT) {
      this.#latin1(at + 1, at + 2);
      return true;
    }
    if (b[at] !== INTEGER_EXT) return false;
    const point = b.readUInt32BE(at + 1);
    if (isControlCharacter(point)) this.#target().writeUInt32BE(SHOWN, at + 1 - this.#start);
    return true;
  }

  /** Cleans single bytes, each a character. */
  #latin1(from: number, to: number): void {
    for (let i = from; i < to; i++) if (isControlCharacter(this.#b[i] as number)) this.#replace(i, i + 1);
  }

  /** As `#latin1`, for one element of a list that is written as a string. */
  byte(at: number): void {
    this.#latin1(at, at + 1);
  }

  /** Also bytes that are no UTF-8 are replaced: in a list, the rest of a character may stand in the next binary. */
  #utf8(from: number, to: number): void {
    const b = this.#b;
    for (let i = from; i < to; ) {
      const lead = b[i] as number;
      if (lead < 0x80) {
        if (isControlCharacter(lead)) this.#replace(i, i + 1);
        i++;
        continue;
      }
      const size =
        lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
      const point = size === 1 || i + size > to ? -1 : this.#point(i, size);
      const used = point < 0 ? 1 : size;
      if (point < 0 || isControlCharacter(point)) this.#replace(i, i + used);
      i += used;
    }
  }

  /** The character of `size` bytes at `i`; -1 when it is none, or written longer than needed. */
  #point(i: number, size: number): number {
    let point = (this.#b[i] as number) & (0xff >> (size + 1));
    for (let k = 1; k < size; k++) {
      const next = this.#b[i + k] as number;
      if ((next & 0xc0) !== 0x80) return -1;
      point = point * 64 + (next & 0x3f);
    }
    const least = size === 2 ? 0x80 : size === 3 ? 0x800 : 0x10000;
    return point < least || point > 0x10ffff ? -1 : point;
  }

  #replace(from: number, to: number): void {
    this.#target().fill(SHOWN, from - this.#start, to - this.#start);
  }

  #target(): Buffer {
    this.#copy ??= Buffer.from(this.#b.subarray(this.#start, this.#end));
    return this.#copy;
  }
}

/** True when an atom without control characters stands at `at`. */
export function isPlainAtom(b: Buffer, at: number): boolean {
  const name = atomAt(b, at);
  return name !== undefined && ![...name].some((char) => isControlCharacter(char.codePointAt(0) as number));
}
