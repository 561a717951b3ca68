import { truncated } from "../../term/faults.ts";
import { skipTerm } from "../../term/skip.ts";
import {
  INTEGER_EXT,
  LARGE_TUPLE_EXT,
  LIST_EXT,
  MAP_EXT,
  NIL_EXT,
  SMALL_BIG_EXT,
  SMALL_INTEGER_EXT,
  SMALL_TUPLE_EXT,
  STRING_EXT,
} from "../../term/tags.ts";
import type { Term } from "../../term/types.ts";
import { isShapeWord } from "../check/check-shape.ts";
import type { ShapeEntry } from "../document.ts";
import { AtomText, atomEnd, isAtomTag } from "./encoded-atom.ts";
import { type Matcher, SHAPE_LIMITS } from "./shape-matcher.ts";
import { wordMatcher } from "./shape-words.ts";

/** The matcher of a checked shape. */
export function matcherOf(entry: ShapeEntry): Matcher {
  if (typeof entry === "string") return isShapeWord(entry) ? wordMatcher(entry) : new ExactAtom(entry);
  if (typeof entry === "number") return new ExactInteger(entry);
  if ("atom" in entry) return new ExactAtom(entry.atom);
  if ("tuple" in entry) return new TupleOf(entry.tuple.map(matcherOf));
  if ("list" in entry) return new ListOf(matcherOf(entry.list), entry.max ?? Number.POSITIVE_INFINITY);
  if ("map" in entry) return new MapOf(entry.map, entry.open === true);
  return new OneOf(entry.oneOf.map(matcherOf));
}

class ExactAtom implements Matcher {
  readonly #atom: AtomText;

  constructor(name: string) {
    this.#atom = new AtomText(name);
  }

  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    needByte(at, end);
    return this.#atom.standsAt(buffer, at, end, atomRefs) ? atomEnd(buffer, at, end) : -1;
  }

  takesByte(): boolean {
    return false;
  }
}

class ExactInteger implements Matcher {
  readonly #value: number;

  constructor(value: number) {
    this.#value = value;
  }

  endOf(buffer: Buffer, at: number, end: number): number {
    needByte(at, end);
    const tag = buffer[at];
    if (tag !== SMALL_INTEGER_EXT && tag !== INTEGER_EXT && tag !== SMALL_BIG_EXT) return -1;
    const after = skipTerm(buffer, at, end, SHAPE_LIMITS);
    return integerAt(buffer, at) === this.#value ? after : -1;
  }

  takesByte(value: number): boolean {
    return value === this.#value;
  }
}

/** The integer in one of the three small forms, whose bytes are there; not exact beyond 2^53, where no shape has one. */
function integerAt(buffer: Buffer, at: number): number {
  const tag = buffer[at];
  if (tag === SMALL_INTEGER_EXT) return buffer[at + 1] as number;
  if (tag === INTEGER_EXT) return buffer.readInt32BE(at + 1);
  let value = 0;
  for (let i = (buffer[at + 1] as number) - 1; i >= 0; i--) value = value * 256 + (buffer[at + 3 + i] as number);
  return buffer[at + 2] === 0 ? value : -value;
}

class TupleOf implements Matcher {
  readonly #elements: readonly Matcher[];

  constructor(elements: readonly Matcher[]) {
    this.#elements = elements;
  }

  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    needByte(at, end);
    const tag = buffer[at];
    if (tag !== SMALL_TUPLE_EXT && tag !== LARGE_TUPLE_EXT) return -1;
    const head = tag === SMALL_TUPLE_EXT ? 2 : 5;
    needBytes(at, end, head);
    const arity = tag === SMALL_TUPLE_EXT ? buffer[at + 1] : buffer.readUInt32BE(at + 1);
    if (arity !== this.#elements.length) return -1;
    let p = at + head;
    for (const element of this.#elements) {
      p = element.endOf(buffer, p, end, atomRefs);
      if (p < 0) return -1;
    }
    return p;
  }

  takesByte(): boolean {
    return false;
  }
}

class ListOf implements Matcher {
  readonly #element: Matcher;
  readonly #max: number;

  constructor(element: Matcher, max: number) {
    this.#element = element;
    this.#max = max;
  }

  /** A list may be the tail of a list, so that one list comes in several pieces. */
  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    let p = at;
    let count = 0;
    for (;;) {
      needByte(p, end);
      const tag = buffer[p];
      if (tag === NIL_EXT) return p + 1;
      if (tag === STRING_EXT) {
        needBytes(p, end, 3);
        const size = buffer.readUInt16BE(p + 1);
        needBytes(p + 3, end, size);
        count += size;
        if (count > this.#max) return -1;
        for (let i = 0; i < size; i++) if (!this.#element.takesByte(buffer[p + 3 + i] as number)) return -1;
        return p + 3 + size;
      }
      if (tag !== LIST_EXT) return -1;
      needBytes(p, end, 5);
      const size = buffer.readUInt32BE(p + 1);
      count += size;
      if (count > this.#max) return -1;
      p += 5;
      needBytes(p, end, size);
      for (let i = 0; i < size; i++) {
        p = this.#element.endOf(buffer, p, end, atomRefs);
        if (p < 0) return -1;
      }
    }
  }

  takesByte(): boolean {
    return false;
  }
}

class MapOf implements Matcher {
  readonly #keys: readonly AtomText[];
  readonly #values: readonly Matcher[];
  readonly #open: boolean;

  constructor(entries: Readonly<Record<string, ShapeEntry>>, open: boolean) {
    this.#keys = Object.keys(entries).map((key) => new AtomText(key));
    this.#values = Object.values(entries).map(matcherOf);
    this.#open = open;
  }

  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    needByte(at, end);
    if (buffer[at] !== MAP_EXT) return -1;
    needBytes(at, end, 5);
    const pairs = buffer.readUInt32BE(at + 1);
    if (pairs < this.#keys.length) return -1;
    const seen = new Set<number>();
    let p = at + 5;
    for (let i = 0; i < pairs; i++) {
      const key = this.#keyAt(buffer, p, end, atomRefs);
      if (key < 0 && !this.#open) return -1;
      // The same key twice is no map; decoding refuses it with a reason.
      if (key >= 0 && seen.has(key)) return -1;
      if (key >= 0) seen.add(key);
      p = isAtomTag(buffer[p]) ? atomEnd(buffer, p, end) : skipTerm(buffer, p, end, SHAPE_LIMITS);
      const value = this.#values[key];
      p = value === undefined ? skipTerm(buffer, p, end, SHAPE_LIMITS) : value.endOf(buffer, p, end, atomRefs);
      if (p < 0) return -1;
    }
    return seen.size === this.#keys.length ? p : -1;
  }

  #keyAt(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    needByte(at, end);
    if (!isAtomTag(buffer[at])) return -1;
    return this.#keys.findIndex((key) => key.standsAt(buffer, at, end, atomRefs));
  }

  takesByte(): boolean {
    return false;
  }
}

class OneOf implements Matcher {
  readonly #choices: readonly Matcher[];

  constructor(choices: readonly Matcher[]) {
    this.#choices = choices;
  }

  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number {
    for (const choice of this.#choices) {
      const after = choice.endOf(buffer, at, end, atomRefs);
      if (after >= 0) return after;
    }
    return -1;
  }

  takesByte(value: number): boolean {
    return this.#choices.some((choice) => choice.takesByte(value));
  }
}

function needByte(at: number, end: number): void {
  if (at >= end) throw truncated(at, 1, 0);
}

/** Each term takes at least a byte, so this also refuses a count that the bytes cannot hold. */
function needBytes(at: number, end: number, size: number): void {
  if (end - at < size) throw truncated(at, size, Math.max(0, end - at));
}
