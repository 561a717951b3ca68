import { malformed, overLimit, refusedTag, truncated } from "./faults.ts";
import { floatFromText, floatTerm } from "./floats.ts";
import type { TermLimits } from "./limits.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import { listLength } from "./list-length.ts";
import {
  ATOM_CACHE_REF,
  ATOM_EXT,
  ATOM_UTF8_EXT,
  BINARY_EXT,
  BIT_BINARY_EXT,
  EXPORT_EXT,
  FLOAT_EXT,
  FLOAT_EXT_BYTES,
  INTEGER_EXT,
  LARGE_BIG_EXT,
  LARGE_TUPLE_EXT,
  LIST_EXT,
  MAP_EXT,
  MAX_ATOM_CHARS,
  MAX_REFERENCE_WORDS,
  NATIVE_RECORD_EXT,
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
  SMALL_ATOM_EXT,
  SMALL_ATOM_UTF8_EXT,
  SMALL_BIG_EXT,
  SMALL_INTEGER_EXT,
  SMALL_TUPLE_EXT,
  STRING_EXT,
  V4_PORT_EXT,
} from "./tags.ts";
import { checkUtf8Atom } from "./utf8.ts";

/**
 * The offset after the term at `start` (no leading 131), found without decoding: constant stack, at most `maxDepth` words
 * of memory, time in proportion to the bytes. Checks structure, atoms, floats and the limits on depth, atoms and integers;
 * does not look for equal map keys, the size field of a fun or the range of old creations, which only decoding checks.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_*
 */
export function skipTerm(buffer: Buffer, start: number, end: number, limits: TermLimits = DEFAULT_TERM_LIMITS): number {
  return new TermSkipper().skip(buffer, start, end, limits);
}

/**
 * What `skipTerm` does, for many terms one after another without an allocation for each; afterwards it tells what it has met.
 * Not reentrant.
 */
export class TermSkipper {
  /** Atoms met, also names of nodes, modules and functions; references to those of a distribution header are none. */
  atoms = 0;
  /** Pids, ports and references met, those of the makers of funs included. */
  identifiers = 0;
  /** A fun was met, also one of the form `fun M:F/A`. */
  hasFun = false;
  /** A reference to an atom of a distribution header was met. */
  hasAtomRef = false;
  #b: Buffer = NOTHING;
  #end = 0;
  #limits: TermLimits = DEFAULT_TERM_LIMITS;
  #p = 0;
  /** What the last tag opened: that many terms follow. */
  #opened = 0;
  #openedList = false;
  /** Open containers with terms to come: how many, how deep those stand, and whether it is a list. */
  readonly #counts: number[] = [];
  readonly #depths: number[] = [];
  readonly #lists: boolean[] = [];

  /** As `skipTerm`. */
  skip(buffer: Buffer, start: number, end: number, limits: TermLimits): number {
    this.#b = buffer;
    this.#p = start;
    this.#end = Math.min(end, buffer.length);
    this.#limits = limits;
    this.atoms = 0;
    this.identifiers = 0;
    this.hasFun = false;
    this.hasAtomRef = false;
    try {
      return this.#skip();
    } finally {
      // The bytes are not kept from the collector.
      this.#b = NOTHING;
      if (this.#counts.length > 0) this.#empty();
    }
  }

  /** After an error. */
  #empty(): void {
    this.#counts.length = 0;
    this.#depths.length = 0;
    this.#lists.length = 0;
  }

  /** Atom positions inside compound tags (node of a pid, module of a fun) are skipped as atoms, in place. */
  #skip(): number {
    const counts = this.#counts;
    const depths = this.#depths;
    const lists = this.#lists;
    let depth = 0;
    let tail = false;
    for (;;) {
      this.#opened = 0;
      this.#openedList = false;
      const tag = this.#one();
      if (this.#opened > 0 || isContainer(tag)) {
        // A list as the tail of a list continues it and nests no deeper.
        const inner = tail && this.#openedList ? depth : depth + 1;
        if (inner > this.#limits.maxDepth) {
          throw overLimit("TERM_DEPTH", "maxDepth", this.#limits.maxDepth, "the nesting of a term");
        }
        if (this.#opened > 0) {
          counts.push(this.#opened);
          depths.push(inner);
          lists.push(this.#openedList);
        }
      }
      const top = counts.length - 1;
      if (top < 0) return this.#p;
      const left = (counts[top] as number) - 1;
      depth = depths[top] as number;
      tail = left === 0 && lists[top] === true;
      if (left > 0) counts[top] = left;
      else {
        counts.pop();
        depths.pop();
        lists.pop();
      }
    }
  }

  /** Moves past one tag and what belongs to it but the terms it contains; returns the tag. */
  #one(): number {
    const b = this.#b;
    const at = this.#p;
    const tag = b[this.#take(1)] as number;
    switch (tag) {
      case SMALL_INTEGER_EXT:
        this.#take(1);
        break;
      case INTEGER_EXT:
        this.#take(4);
        break;
      case NIL_EXT:
        break;
      case SMALL_ATOM_UTF8_EXT:
      case ATOM_UTF8_EXT:
      case SMALL_ATOM_EXT:
      case ATOM_EXT:
      case ATOM_CACHE_REF:
        this.#p = at;
        this.#atom();
        break;
      case SMALL_TUPLE_EXT:
        this.#open(b[this.#take(1)] as number);
        break;
      case LARGE_TUPLE_EXT:
        this.#open(this.#u32());
        break;
      case LIST_EXT:
        this.#open(listLength(b, this.#take(4), this.#end) + 1);
        this.#openedList = true;
        break;
      case MAP_EXT:
        this.#open(this.#u32() * 2);
        break;
      case BINARY_EXT:
        this.#take(this.#u32());
        break;
      case STRING_EXT:
        this.#take(this.#u16());
        break;
      case BIT_BINARY_EXT:
        this.#bits(at);
        break;
      case SMALL_BIG_EXT:
        this.#integer(b[this.#take(1)] as number);
        break;
      case LARGE_BIG_EXT:
        this.#integer(this.#u32());
        break;
      case NEW_FLOAT_EXT:
        floatTerm(b.readDoubleBE(this.#take(8)), at);
        break;
      case FLOAT_EXT:
        floatTerm(floatFromText(b, this.#take(FLOAT_EXT_BYTES)), at);
        break;
      case NEW_PID_EXT:
      case V4_PORT_EXT:
        this.#named(12);
        break;
      case PID_EXT:
        this.#named(9);
        break;
      case NEW_PORT_EXT:
        this.#named(8);
        break;
      case PORT_EXT:
      case REFERENCE_EXT:
        this.#named(5);
        break;
      case NEWER_REFERENCE_EXT:
        this.#named(4, this.#words(at));
        break;
      case NEW_REFERENCE_EXT:
        this.#named(1, this.#words(at));
        break;
      case EXPORT_EXT:
        this.hasFun = true;
        this.#atom();
        this.#atom();
        this.#smallInteger();
        break;
      case NEW_FUN_EXT:
        this.#fun(at);
        break;
      case NATIVE_RECORD_EXT:
        this.#record(at);
        break;
      default:
        throw refusedTag(tag, at);
    }
    return tag;
  }

  #take(size: number): number {
    const p = this.#p;
    if (this.#end - p < size) throw truncated(p, size, Math.max(0, this.#end - p));
    this.#p = p + size;
    return p;
  }

  /** The tag at the cursor, not moved past. */
  #tag(): number {
    const p = this.#take(1);
    this.#p = p;
    return this.#b[p] as number;
  }

  #u16(): number {
    const p = this.#take(2);
    return ((this.#b[p] as number) << 8) | (this.#b[p + 1] as number);
  }

  #u32(): number {
    return this.#b.readUInt32BE(this.#take(4));
  }

  /** Each term takes at least a byte, so a count beyond the bytes left is a lie. */
  #open(count: number): void {
    if (count > this.#end - this.#p) throw truncated(this.#p, count, this.#end - this.#p);
    this.#opened = count;
  }

  #atom(): void {
    const b = this.#b;
    const tag = b[this.#take(1)] as number;
    if (tag === ATOM_CACHE_REF) {
      this.hasAtomRef = true;
      this.#take(1);
      return;
    }
    let size: number;
    if (tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT) size = b[this.#take(1)] as number;
    else if (tag === ATOM_UTF8_EXT || tag === ATOM_EXT) size = this.#u16();
    else throw malformed("TERM_IDENTIFIER_INVALID", this.#p - 1, `tag ${tag} stands where an atom must stand`, { tag });
    const start = this.#take(size);
    if (tag === SMALL_ATOM_UTF8_EXT || tag === ATOM_UTF8_EXT) checkUtf8Atom(b, start, start + size);
    else if (size > MAX_ATOM_CHARS) throw malformed("TERM_ATOM_INVALID", start, `an atom of ${size} characters`);
    if (++this.atoms > this.#limits.maxAtoms) {
      throw overLimit("TERM_ATOMS", "maxAtoms", this.#limits.maxAtoms, "the number of atoms in a message");
    }
  }

  #named(rest: number, words: number = 0): void {
    this.identifiers++;
    this.#atom();
    this.#take(rest + words * 4);
  }

  #words(at: number): number {
    const words = this.#u16();
    if (words <= MAX_REFERENCE_WORDS) return words;
    throw malformed(
      "TERM_IDENTIFIER_INVALID",
      at,
      `a reference of ${words} words, at most ${MAX_REFERENCE_WORDS} are allowed`,
    );
  }

  #bits(at: number): void {
    const size = this.#u32();
    if (size > this.#end - this.#p) throw truncated(this.#p, size, this.#end - this.#p);
    const bits = this.#b[this.#take(1)] as number;
    if (bits > 8 || (bits === 0) !== (size === 0)) {
      throw malformed("TERM_BITS_INVALID", at, `${bits} bits in the last of ${size} bytes`, { bits, size });
    }
    this.#take(size);
  }

  #integer(size: number): void {
    const limit = this.#limits.maxIntegerBytes;
    if (size > limit) throw overLimit("TERM_INTEGER_BYTES", "maxIntegerBytes", limit, `an integer of ${size} bytes`);
    this.#take(1 + size);
  }

  #smallInteger(): void {
    const at = this.#p;
    const tag = this.#tag();
    if (tag !== SMALL_INTEGER_EXT && tag !== INTEGER_EXT && tag !== SMALL_BIG_EXT) {
      throw malformed("TERM_FUN_INVALID", at, "a fun has something else where an integer must stand");
    }
    this.#one();
  }

  #fun(at: number): void {
    const p = this.#take(29);
    this.hasFun = true;
    this.#atom();
    this.#smallInteger();
    this.#smallInteger();
    const tag = this.#tag();
    if (tag !== NEW_PID_EXT && tag !== PID_EXT)
      throw malformed("TERM_FUN_INVALID", at, "a fun without the pid of its maker");
    this.#one();
    this.#open(this.#b.readUInt32BE(p + 25));
  }

  #record(at: number): void {
    const count = this.#u32();
    if (count * 2 > this.#end - this.#p) throw truncated(this.#p, count * 2, this.#end - this.#p);
    const exported = this.#b[this.#take(1)] as number;
    if (exported > 1) throw malformed("TERM_RECORD_INVALID", at, `a native record with export mark ${exported}`);
    this.#atom();
    this.#atom();
    for (let i = 0; i < count; i++) this.#atom();
    this.#open(count);
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Also empty containers stand one level deeper than what holds them. */
function isContainer(tag: number): boolean {
  return (
    tag === SMALL_TUPLE_EXT ||
    tag === LARGE_TUPLE_EXT ||
    tag === MAP_EXT ||
    tag === NEW_FUN_EXT ||
    tag === NATIVE_RECORD_EXT
  );
}
