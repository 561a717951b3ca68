import { malformed, overLimit, refusedTag, truncated } from "./faults.ts";
import { floatFromText, floatTerm } from "./floats.ts";
import { checkWordCount } from "./identifiers.ts";
import type { TermLimits } from "./limits.ts";
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
import { atomName, type Term } from "./types.ts";
import { checkUtf8Atom } from "./utf8.ts";

/** What `inspectTerm` is to find out. */
export interface TermQuestion {
  /** Nodes whose identifiers are at home here: names as on the wire, hosts compared without case. */
  readonly nodes: readonly [string, string];
  /** Atoms that are not new. */
  readonly knownAtoms: ReadonlySet<string>;
  /** Counting of new atoms stops above it; undefined: they are not counted. */
  readonly maxNewAtoms: number | undefined;
  /** Atoms of the distribution header; undefined refuses references to them. */
  readonly atomRefs?: readonly Term[] | undefined;
}

/** What one encoded term holds. Made once and filled again and again by `inspectTerm`. */
export class TermFacts {
  /** Offset after the term. */
  end = 0;
  /** Containers inside each other: 0 for an atom, 1 for a flat tuple, map or list, also one that is written as a string. */
  depth = 0;
  /** Items of lists, tuples and native records, keys and values of maps, free variables of funs: those of all together. */
  elements = 0;
  /** Different atoms that are not known, also those that name nodes and modules; at most `maxNewAtoms` + 1. */
  newAtoms = 0;
  hasFun = false;
  /** A pid, port or reference, also that of a fun's maker, names a node that is not one of `nodes`. */
  hasForeign = false;

  reset(): void {
    this.end = 0;
    this.depth = 0;
    this.elements = 0;
    this.newAtoms = 0;
    this.hasFun = false;
    this.hasForeign = false;
  }
}

/**
 * Looks through the term at `start` (no leading 131) in one pass without decoding it, and fills `facts`: constant stack, at
 * most `maxDepth` words and `maxNewAtoms` + 1 names of memory, time in proportion to the bytes. Checks what `skipTerm` checks, but for
 * the number of atoms, and references to the distribution header. After an error `facts` mean nothing.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_DEPTH, TERM_INTEGER_BYTES
 */
export function inspectTerm(
  buffer: Buffer,
  start: number,
  end: number,
  limits: TermLimits,
  question: TermQuestion,
  facts: TermFacts,
): void {
  new Inspector(buffer, Math.min(end, buffer.length), limits, question, facts).run(start);
}

class Inspector {
  readonly #b: Buffer;
  readonly #end: number;
  readonly #limits: TermLimits;
  readonly #question: TermQuestion;
  readonly #facts: TermFacts;
  /** Made when the first one comes: most messages bring none. */
  #newAtoms: Set<string> | undefined;
  #p = 0;
  /** What the last tag opened: that many terms follow, one level deeper. */
  #opened = 0;
  #isContainer = false;
  #isList = false;

  constructor(buffer: Buffer, end: number, limits: TermLimits, question: TermQuestion, facts: TermFacts) {
    this.#b = buffer;
    this.#end = end;
    this.#limits = limits;
    this.#question = question;
    this.#facts = facts;
  }

  run(start: number): void {
    const facts = this.#facts;
    facts.reset();
    this.#p = start;
    /** Open containers with terms to come: how many, how deep those stand, and whether it is a list. */
    const counts: number[] = [];
    const depths: number[] = [];
    const lists: boolean[] = [];
    let depth = 0;
    let tail = false;
    for (;;) {
      this.#opened = 0;
      this.#isContainer = false;
      this.#isList = false;
      const tag = this.#one();
      // A list as the tail of a list continues it and nests no deeper.
      const inner = tail && (this.#isList || tag === STRING_EXT) ? depth : depth + 1;
      if (this.#isContainer) {
        if (inner > this.#limits.maxDepth) {
          throw overLimit("TERM_DEPTH", "maxDepth", this.#limits.maxDepth, "the nesting of a term");
        }
        if (this.#opened > 0) {
          counts.push(this.#opened);
          depths.push(inner);
          lists.push(this.#isList);
        }
      }
      if ((this.#isContainer || tag === STRING_EXT) && inner > facts.depth) facts.depth = inner;
      const top = counts.length - 1;
      if (top < 0) break;
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
    facts.end = this.#p;
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
        this.#atom(false);
        break;
      case SMALL_TUPLE_EXT:
        this.#open(b[this.#take(1)] as number);
        break;
      case LARGE_TUPLE_EXT:
        this.#open(this.#u32());
        break;
      case LIST_EXT:
        this.#open(listLength(b, this.#take(4), this.#end) + 1);
        this.#isList = true;
        // The tail is a term to come, but no element.
        this.#facts.elements--;
        break;
      case MAP_EXT:
        this.#open(this.#u32() * 2);
        break;
      case BINARY_EXT:
        this.#take(this.#u32());
        break;
      case STRING_EXT:
        this.#facts.elements += this.#u16();
        this.#take(b.readUInt16BE(at + 1));
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
        this.#facts.hasFun = true;
        this.#atom(false);
        this.#atom(false);
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

  /** Looked at before its term is gone through: a fun inside the head of a fun would recurse. */
  #tagAhead(): number {
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
    this.#isContainer = true;
    this.#facts.elements += count;
  }

  /** One atom of any form; `isNode` when it names the node of an identifier. */
  #atom(isNode: boolean): void {
    const b = this.#b;
    const at = this.#p;
    const tag = b[this.#take(1)] as number;
    if (tag === ATOM_CACHE_REF) {
      this.#note(referred(this.#question.atomRefs, b[this.#take(1)] as number, at), isNode);
      return;
    }
    let size: number;
    if (tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT) size = b[this.#take(1)] as number;
    else if (tag === ATOM_UTF8_EXT || tag === ATOM_EXT) size = this.#u16();
    else throw malformed("TERM_IDENTIFIER_INVALID", at, `tag ${tag} stands where an atom must stand`, { tag });
    const start = this.#take(size);
    const isUtf8 = tag === SMALL_ATOM_UTF8_EXT || tag === ATOM_UTF8_EXT;
    if (isUtf8) checkUtf8Atom(b, start, start + size);
    else if (size > MAX_ATOM_CHARS) throw malformed("TERM_ATOM_INVALID", start, `an atom of ${size} characters`);
    if (!isNode && !this.#counts()) return;
    this.#note(isUtf8 ? b.toString("utf8", start, start + size) : b.toString("latin1", start, start + size), isNode);
  }

  #counts(): boolean {
    const { maxNewAtoms } = this.#question;
    return maxNewAtoms !== undefined && this.#facts.newAtoms <= maxNewAtoms;
  }

  #note(name: string, isNode: boolean): void {
    const { nodes, knownAtoms } = this.#question;
    const isHome = isNode && (isNamed(name, nodes[0]) || isNamed(name, nodes[1]));
    if (isNode && !isHome) this.#facts.hasForeign = true;
    if (isHome || !this.#counts() || knownAtoms.has(name)) return;
    this.#newAtoms ??= new Set();
    this.#newAtoms.add(name);
    this.#facts.newAtoms = this.#newAtoms.size;
  }

  #named(rest: number, words: number = 0): void {
    this.#atom(true);
    this.#take(rest + words * 4);
  }

  #words(at: number): number {
    const words = this.#u16();
    checkWordCount(words, at);
    return words;
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
    const most = this.#limits.maxIntegerBytes;
    if (size > most) throw overLimit("TERM_INTEGER_BYTES", "maxIntegerBytes", most, `an integer of ${size} bytes`);
    this.#take(1 + size);
  }

  #smallInteger(): void {
    const at = this.#p;
    const tag = this.#tagAhead();
    if (tag !== SMALL_INTEGER_EXT && tag !== INTEGER_EXT && tag !== SMALL_BIG_EXT) {
      throw malformed("TERM_FUN_INVALID", at, "a fun has something else where an integer must stand");
    }
    this.#one();
  }

  #fun(at: number): void {
    this.#facts.hasFun = true;
    const p = this.#take(29);
    this.#atom(false);
    this.#smallInteger();
    this.#smallInteger();
    const maker = this.#tagAhead();
    if (maker !== NEW_PID_EXT && maker !== PID_EXT) {
      throw malformed("TERM_FUN_INVALID", at, "a fun without the pid of its maker");
    }
    this.#one();
    this.#open(this.#b.readUInt32BE(p + 25));
  }

  #record(at: number): void {
    const count = this.#u32();
    if (count * 2 > this.#end - this.#p) throw truncated(this.#p, count * 2, this.#end - this.#p);
    const exported = this.#b[this.#take(1)] as number;
    if (exported > 1) throw malformed("TERM_RECORD_INVALID", at, `a native record with export mark ${exported}`);
    for (let i = 0; i < count + 2; i++) this.#atom(false);
    this.#open(count);
  }
}

function referred(atomRefs: readonly Term[] | undefined, index: number, at: number): string {
  const name = atomRefs === undefined || index >= atomRefs.length ? undefined : atomName(atomRefs[index]);
  if (name !== undefined) return name;
  throw malformed("TERM_ATOM_REF_INVALID", at, `no atom ${index} in the distribution header`, { index });
}

/** Node names are equal when all but the case of the host is; names are ASCII, so other letters are not folded. */
function isNamed(name: string, node: string): boolean {
  return name === node || (name.length === node.length && foldedHost(name) === foldedHost(node));
}

function foldedHost(name: string): string {
  const host = name.indexOf("@") + 1;
  return name.slice(0, host) + name.slice(host).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
