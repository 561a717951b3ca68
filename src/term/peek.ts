import {
  ATOM_CACHE_REF,
  ATOM_EXT,
  ATOM_UTF8_EXT,
  LARGE_TUPLE_EXT,
  SMALL_ATOM_EXT,
  SMALL_ATOM_UTF8_EXT,
  SMALL_TUPLE_EXT,
} from "./tags.ts";
import type { Term } from "./types.ts";
import { atomName } from "./types.ts";

/**
 * Where a tuple starts and what its first element is, without decoding (rulings C11). Made once and filled again and
 * again by `peekTupleHead`.
 */
export class TupleHead {
  /** Number of elements, as claimed. */
  arity = 0;
  /** Offset of the first element. */
  elements = 0;
  /** Offset of the second element when the first is an atom, else 0. */
  second = 0;
  /** The bytes (UTF-8 or Latin-1) of the first element when it is an atom written out; `atomStart` is -1 otherwise. */
  atomStart = -1;
  atomEnd = -1;
  /** The index of the first element when it is an ATOM_CACHE_REF, else -1. */
  atomRef = -1;
}

/**
 * Looks at the head of the term at `start`: false when it is not a tuple, or cut before its first element ends. Allocates
 * nothing and never throws; says nothing about whether the rest is well formed.
 */
export function peekTupleHead(buffer: Buffer, start: number, end: number, head: TupleHead): boolean {
  head.arity = 0;
  head.second = 0;
  head.atomStart = -1;
  head.atomEnd = -1;
  head.atomRef = -1;
  if (end > buffer.length || end - start < 2) return false;
  const tag = buffer[start];
  let at: number;
  if (tag === SMALL_TUPLE_EXT) {
    head.arity = buffer[start + 1] as number;
    at = start + 2;
  } else if (tag === LARGE_TUPLE_EXT && end - start >= 5) {
    head.arity = buffer.readUInt32BE(start + 1);
    at = start + 5;
  } else return false;
  head.elements = at;
  if (head.arity === 0) return true;
  if (at >= end) return false;
  return peekAtom(buffer, at, end, head);
}

function peekAtom(buffer: Buffer, at: number, end: number, head: TupleHead): boolean {
  const tag = buffer[at];
  if (tag === ATOM_CACHE_REF) {
    if (end - at < 2) return false;
    head.atomRef = buffer[at + 1] as number;
    head.second = at + 2;
    return true;
  }
  const isSmall = tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT;
  if (!isSmall && tag !== ATOM_UTF8_EXT && tag !== ATOM_EXT) return true;
  const from = at + (isSmall ? 2 : 3);
  if (from > end) return false;
  const size = isSmall ? (buffer[at + 1] as number) : ((buffer[at + 1] as number) << 8) | (buffer[at + 2] as number);
  if (from + size > end) return false;
  head.atomStart = from;
  head.atomEnd = from + size;
  head.second = from + size;
  return true;
}

/** True when the first element of the tuple is the atom `name` (ASCII). `atomRefs` are those of the distribution header. */
export function headIs(head: TupleHead, buffer: Buffer, name: string, atomRefs?: readonly Term[]): boolean {
  if (head.atomRef >= 0) {
    if (atomRefs === undefined || head.atomRef >= atomRefs.length) return false;
    return atomName(atomRefs[head.atomRef]) === name;
  }
  const start = head.atomStart;
  if (start < 0 || head.atomEnd - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (buffer[start + i] !== name.charCodeAt(i)) return false;
  return true;
}
