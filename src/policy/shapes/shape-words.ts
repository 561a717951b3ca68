import { truncated } from "../../term/faults.ts";
import { skipTerm } from "../../term/skip.ts";
import {
  BINARY_EXT,
  BIT_BINARY_EXT,
  EXPORT_EXT,
  FLOAT_EXT,
  INTEGER_EXT,
  LARGE_BIG_EXT,
  LARGE_TUPLE_EXT,
  LIST_EXT,
  MAP_EXT,
  NEW_FLOAT_EXT,
  NEW_FUN_EXT,
  NEW_PID_EXT,
  NEW_PORT_EXT,
  NEW_REFERENCE_EXT,
  NEWER_REFERENCE_EXT,
  NIL_EXT,
  PID_EXT,
  PORT_EXT,
  REFERENCE_EXT,
  SMALL_BIG_EXT,
  SMALL_INTEGER_EXT,
  SMALL_TUPLE_EXT,
  STRING_EXT,
  V4_PORT_EXT,
} from "../../term/tags.ts";
import type { Term } from "../../term/types.ts";
import type { ShapeWord } from "../check/check-shape.ts";
import { AtomText, isAtomTag } from "./encoded-atom.ts";
import { type Matcher, SHAPE_LIMITS } from "./shape-matcher.ts";

const INTEGER_TAGS: readonly number[] = [SMALL_INTEGER_EXT, INTEGER_EXT, SMALL_BIG_EXT, LARGE_BIG_EXT];
const FLOAT_TAGS: readonly number[] = [NEW_FLOAT_EXT, FLOAT_EXT];

/** Tags of the types that a tag alone tells; the others are looked into. */
const TAGS: Readonly<Partial<Record<ShapeWord, readonly number[]>>> = {
  bitstring: [BINARY_EXT, BIT_BINARY_EXT],
  float: FLOAT_TAGS,
  fun: [NEW_FUN_EXT, EXPORT_EXT],
  integer: INTEGER_TAGS,
  list: [LIST_EXT, STRING_EXT, NIL_EXT],
  map: [MAP_EXT],
  nil: [NIL_EXT],
  number: [...INTEGER_TAGS, ...FLOAT_TAGS],
  pid: [NEW_PID_EXT, PID_EXT],
  port: [V4_PORT_EXT, NEW_PORT_EXT, PORT_EXT],
  reference: [NEWER_REFERENCE_EXT, NEW_REFERENCE_EXT, REFERENCE_EXT],
  tuple: [SMALL_TUPLE_EXT, LARGE_TUPLE_EXT],
};

const TRUE = new AtomText("true");
const FALSE = new AtomText("false");
/** Bits in the last byte of a bit string that is a whole binary. */
const WHOLE_BYTE = 8;

/**
 * The matcher of a type word. `nil` is the empty list, as in Erlang's types (the atom is `{"atom": "nil"}`); `list` is any
 * list, also one without an end; `string` is a proper list of integers from 0 to 255; `binary` is whole bytes, as which a
 * JavaScript string is sent.
 */
export function wordMatcher(word: ShapeWord): Matcher {
  return new WordMatcher(word);
}

class WordMatcher implements Matcher {
  readonly #word: ShapeWord;
  readonly #tags: readonly number[] | undefined;

  constructor(word: ShapeWord) {
    this.#word = word;
    this.#tags = TAGS[word];
  }

  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    if (at >= end) throw truncated(at, 1, 0);
    if (this.#word === "string") return stringEnd(buffer, at, end);
    return this.#takes(buffer, at, end, atomRefs) ? skipTerm(buffer, at, end, SHAPE_LIMITS) : -1;
  }

  takesByte(): boolean {
    return this.#word === "any" || this.#word === "integer" || this.#word === "number";
  }

  #takes(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): boolean {
    const tag = buffer[at] as number;
    if (this.#tags !== undefined) return this.#tags.includes(tag);
    switch (this.#word) {
      case "atom":
        return isAtomTag(tag);
      case "binary":
        return tag === BINARY_EXT || (tag === BIT_BINARY_EXT && end - at > 5 && buffer[at + 5] === WHOLE_BYTE);
      case "boolean":
        return TRUE.standsAt(buffer, at, end, atomRefs) || FALSE.standsAt(buffer, at, end, atomRefs);
      default:
        return true;
    }
  }
}

function stringEnd(buffer: Buffer, at: number, end: number): number {
  let p = at;
  for (;;) {
    if (p >= end) throw truncated(p, 1, 0);
    const tag = buffer[p];
    if (tag === NIL_EXT || tag === STRING_EXT) return skipTerm(buffer, p, end, SHAPE_LIMITS);
    if (tag !== LIST_EXT) return -1;
    if (end - p < 5) throw truncated(p, 5, end - p);
    const size = buffer.readUInt32BE(p + 1);
    p += 5;
    if (size > end - p) throw truncated(p, size, end - p);
    for (let i = 0; i < size; i++) {
      const start = p;
      if (!INTEGER_TAGS.includes(buffer[start] as number))
        return start >= end ? skipTerm(buffer, start, end, SHAPE_LIMITS) : -1;
      p = skipTerm(buffer, start, end, SHAPE_LIMITS);
      if (!isByte(buffer, start)) return -1;
    }
  }
}

/** Whether the whole integer at `at` is from 0 to 255, in whichever form. */
function isByte(buffer: Buffer, at: number): boolean {
  const tag = buffer[at];
  if (tag === SMALL_INTEGER_EXT) return true;
  if (tag === INTEGER_EXT) return buffer.readUInt32BE(at + 1) < 256;
  const head = tag === SMALL_BIG_EXT ? 3 : 6;
  const size = tag === SMALL_BIG_EXT ? (buffer[at + 1] as number) : buffer.readUInt32BE(at + 1);
  for (let i = 1; i < size; i++) if (buffer[at + head + i] !== 0) return false;
  return buffer[at + head - 1] === 0 || size === 0 || buffer[at + head] === 0;
}
