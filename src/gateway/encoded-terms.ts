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
  NATIVE_RECORD_EXT,
  NEW_FLOAT_EXT,
  NEW_FUN_EXT,
  NEW_PID_EXT,
  NEW_PORT_EXT,
  NEW_REFERENCE_EXT,
  NEWER_REFERENCE_EXT,
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
} from "../term/tags.ts";
import { Pid } from "../term/types.ts";
import { pidKeyOf, refKeyOf } from "./identifier-keys.ts";

// All here is for bytes that `skipTerm` has walked: bounds and structure are not checked again.

/** One encoded term, or the head of a container. Made once and filled again and again by `stepInto`. */
export class Step {
  tag = 0;
  /** Offset of what follows: the first term inside, or the next term. */
  next = 0;
  /** Terms inside. Those of a fun and of `fun M:F/A` begin with its module; a list's end with its tail. */
  inside = 0;
}

/** Reads the tag at `at` and what belongs to it but the terms inside. */
export function stepInto(b: Buffer, at: number, step: Step): void {
  const tag = b[at] as number;
  step.tag = tag;
  step.inside = 0;
  switch (tag) {
    case SMALL_INTEGER_EXT:
    case ATOM_CACHE_REF:
      step.next = at + 2;
      return;
    case INTEGER_EXT:
      step.next = at + 5;
      return;
    case SMALL_ATOM_UTF8_EXT:
    case SMALL_ATOM_EXT:
    case ATOM_UTF8_EXT:
    case ATOM_EXT:
      step.next = atomEnd(b, at);
      return;
    case SMALL_TUPLE_EXT:
      step.inside = b[at + 1] as number;
      step.next = at + 2;
      return;
    case LARGE_TUPLE_EXT:
      step.inside = b.readUInt32BE(at + 1);
      step.next = at + 5;
      return;
    case LIST_EXT:
      step.inside = b.readUInt32BE(at + 1) + 1;
      step.next = at + 5;
      return;
    case MAP_EXT:
      step.inside = b.readUInt32BE(at + 1) * 2;
      step.next = at + 5;
      return;
    case BINARY_EXT:
      step.next = at + 5 + b.readUInt32BE(at + 1);
      return;
    case STRING_EXT:
      step.next = at + 3 + b.readUInt16BE(at + 1);
      return;
    case BIT_BINARY_EXT:
      step.next = at + 6 + b.readUInt32BE(at + 1);
      return;
    case SMALL_BIG_EXT:
      step.next = at + 3 + (b[at + 1] as number);
      return;
    case LARGE_BIG_EXT:
      step.next = at + 6 + b.readUInt32BE(at + 1);
      return;
    case NEW_FLOAT_EXT:
      step.next = at + 9;
      return;
    case FLOAT_EXT:
      step.next = at + 1 + FLOAT_EXT_BYTES;
      return;
    case EXPORT_EXT:
      step.inside = 3;
      step.next = at + 1;
      return;
    case NEW_FUN_EXT:
      step.inside = 4 + b.readUInt32BE(at + 26);
      step.next = at + 30;
      return;
    case NATIVE_RECORD_EXT:
      step.inside = 2 + 2 * b.readUInt32BE(at + 1);
      step.next = at + 6;
      return;
    default:
      step.next = isIdentifier(tag) ? identifierEnd(b, at) : at + 1;
  }
}

/** True for the tags of pids, ports and references. */
export function isIdentifier(tag: number): boolean {
  return isPid(tag) || isReference(tag) || tag === V4_PORT_EXT || tag === NEW_PORT_EXT || tag === PORT_EXT;
}

export function isPid(tag: number | undefined): boolean {
  return tag === NEW_PID_EXT || tag === PID_EXT;
}

export function isReference(tag: number | undefined): boolean {
  return tag === NEWER_REFERENCE_EXT || tag === NEW_REFERENCE_EXT || tag === REFERENCE_EXT;
}

export function isTuple(tag: number | undefined): boolean {
  return tag === SMALL_TUPLE_EXT || tag === LARGE_TUPLE_EXT;
}

export function isAtom(tag: number | undefined): boolean {
  return tag === SMALL_ATOM_UTF8_EXT || tag === ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT || tag === ATOM_EXT;
}

/** Offset after the atom at `at`. */
export function atomEnd(b: Buffer, at: number): number {
  const tag = b[at];
  if (tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT) return at + 2 + (b[at + 1] as number);
  return tag === ATOM_CACHE_REF ? at + 2 : at + 3 + b.readUInt16BE(at + 1);
}

/** The name of the atom at `at`; undefined when no atom that is written out stands there. */
export function atomAt(b: Buffer, at: number): string | undefined {
  switch (b[at]) {
    case SMALL_ATOM_UTF8_EXT:
      return b.toString("utf8", at + 2, atomEnd(b, at));
    case ATOM_UTF8_EXT:
      return b.toString("utf8", at + 3, atomEnd(b, at));
    case SMALL_ATOM_EXT:
      return b.toString("latin1", at + 2, atomEnd(b, at));
    case ATOM_EXT:
      return b.toString("latin1", at + 3, atomEnd(b, at));
    default:
      return undefined;
  }
}

/** Whether the atom `name` is written out at `at`. */
export function atomIs(b: Buffer, at: number, name: string): boolean {
  const tag = b[at];
  const isSmall = tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT;
  if (!isSmall && tag !== ATOM_UTF8_EXT && tag !== ATOM_EXT) return false;
  const from = isSmall ? at + 2 : at + 3;
  const size = isSmall ? (b[at + 1] as number) : b.readUInt16BE(at + 1);
  if (size < name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    // Where a character may take several bytes the text is compared.
    if (code >= 0x80) return atomAt(b, at) === name;
    if (b[from + i] !== code) return false;
  }
  return size === name.length;
}

/** Offset of the node's name in the identifier at `at`. */
export function nodeOf(b: Buffer, at: number): number {
  const tag = b[at];
  return tag === NEWER_REFERENCE_EXT || tag === NEW_REFERENCE_EXT ? at + 3 : at + 1;
}

function identifierEnd(b: Buffer, at: number): number {
  const after = atomEnd(b, nodeOf(b, at));
  switch (b[at]) {
    case NEW_PID_EXT:
    case V4_PORT_EXT:
      return after + 12;
    case PID_EXT:
      return after + 9;
    case NEW_PORT_EXT:
      return after + 8;
    case NEWER_REFERENCE_EXT:
      return after + 4 + b.readUInt16BE(at + 1) * 4;
    case NEW_REFERENCE_EXT:
      return after + 1 + b.readUInt16BE(at + 1) * 4;
    default:
      return after + 5;
  }
}

/** The key (`pidKey`) of the pid at `at` when it belongs to `node` in that life. */
export function ownPidKey(b: Buffer, at: number, node: string, creation: number): string | undefined {
  if (!isPid(b[at]) || !atomIs(b, at + 1, node)) return undefined;
  const p = atomEnd(b, at + 1);
  const made = b[at] === NEW_PID_EXT ? b.readUInt32BE(p + 8) : (b[p + 8] as number);
  return made === creation ? pidKeyOf(b.readUInt32BE(p), b.readUInt32BE(p + 4), made, node) : undefined;
}

/** The key (`refKey`) of the reference at `at` when it belongs to `node` in that life. */
export function ownRefKey(b: Buffer, at: number, node: string, creation: number): string | undefined {
  const tag = b[at];
  if (tag !== NEWER_REFERENCE_EXT && tag !== NEW_REFERENCE_EXT) return undefined;
  if (!atomIs(b, at + 3, node)) return undefined;
  let p = atomEnd(b, at + 3);
  const made = tag === NEWER_REFERENCE_EXT ? b.readUInt32BE(p) : (b[p] as number);
  if (made !== creation) return undefined;
  p += tag === NEWER_REFERENCE_EXT ? 4 : 1;
  const count = b.readUInt16BE(at + 1);
  const word = (n: number): number => (n < count ? b.readUInt32BE(p + n * 4) : 0);
  return refKeyOf(count, word(0), word(1), word(2), word(3), word(4), made, node);
}

/** Of `termEnd` and `tupleAt`, which call nothing that uses it meanwhile. */
const STEP: Step = new Step();

/** Offset after the whole term at `at`. */
export function termEnd(b: Buffer, at: number): number {
  const step = STEP;
  let left = 1;
  let p = at;
  while (left > 0) {
    stepInto(b, p, step);
    left += step.inside - 1;
    p = step.next;
  }
  return p;
}

/** Offsets of the elements of the tuple at `at`, and behind them the offset after it; undefined when it is none of `arity` elements. */
export function tupleAt(b: Buffer, at: number, arity: number): number[] | undefined {
  const step = STEP;
  stepInto(b, at, step);
  if (!isTuple(step.tag) || step.inside !== arity) return undefined;
  const places = [step.next];
  for (let i = 0; i < arity; i++) places.push(termEnd(b, places[i] as number));
  return places;
}

/** The pid at `at`; undefined when there is none. */
export function pidAt(b: Buffer, at: number): Pid | undefined {
  const node = isPid(b[at]) ? atomAt(b, at + 1) : undefined;
  if (node === undefined) return undefined;
  const p = atomEnd(b, at + 1);
  const creation = b[at] === NEW_PID_EXT ? b.readUInt32BE(p + 8) : (b[p + 8] as number);
  return new Pid(node, b.readUInt32BE(p), b.readUInt32BE(p + 4), creation);
}
