import { SallyportError } from "../base/errors.ts";
import { overLimit } from "./faults.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import {
  Atom,
  atomName,
  BitString,
  ExportFun,
  Float,
  Fun,
  ImproperList,
  NativeRecord,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple,
} from "./types.ts";

/** What comparing compound map keys may still cost in this message. */
export interface KeySteps {
  left: number;
  readonly limit: number;
}

/** Bytes compared for one step. */
const STEP_BYTES = 64;

/**
 * True when `a =:= b` in Erlang (OTP 27: 0.0 and -0.0 differ). 1 and 1.0 differ; a string equals the binary of its UTF-8
 * bytes; a bigint equals the number of the same value; atoms are equal by name.
 * @throws {SallyportError} ERR_API_MISUSE TERM_UNENCODABLE for what is no term, ERR_LIMIT TERM_DEPTH beyond 512 levels
 */
export function termEquals(a: Term, b: Term): boolean {
  if (a === b) return true;
  if (typeof a === "number" && typeof b === "number") return false;
  if (a instanceof Atom) return b instanceof Atom && b.name === a.name;
  return compare(a, b, true, 0, undefined) === 0;
}

/**
 * Erlang's term order: number < atom < reference < fun < port < pid < tuple < native record < map < [] < list <
 * bitstring. Negative, zero or positive, as `Array.prototype.sort` wants it; 1 and 1.0 compare as equal. Errors as
 * `termEquals`.
 */
export function compareTerms(a: Term, b: Term): number {
  return compare(a, b, false, 0, undefined);
}

/** The order of map keys: as `compareTerms`, but integers come before floats, and only the same term gives zero. */
export function compareKeys(a: Term, b: Term, steps?: KeySteps): number {
  return compare(a, b, true, 0, steps);
}

/**
 * The value under the key that is the same Erlang term as `key`, or `undefined` when there is none (which is also the
 * atom `undefined`: use `mapHas` to tell). Looks through the whole map unless the key is a number.
 */
export function mapGet(map: ReadonlyMap<Term, Term>, key: Term): Term {
  if (map.has(key)) return map.get(key);
  for (const [candidate, value] of map) if (termEquals(candidate, key)) return value;
  return undefined;
}

/** True when the map has a key that is the same Erlang term as `key`. */
export function mapHas(map: ReadonlyMap<Term, Term>, key: Term): boolean {
  if (map.has(key)) return true;
  for (const candidate of map.keys()) if (termEquals(candidate, key)) return true;
  return false;
}

/** The entries of a map in the order of its keys. */
export function sortedEntries(map: ReadonlyMap<Term, Term>, steps?: KeySteps): [Term, Term][] {
  return [...map].sort((a, b) => compare(a[0], b[0], true, 0, steps));
}

/** Takes `count` steps; @throws {SallyportError} ERR_LIMIT TERM_KEY_STEPS when there are not so many left. */
export function spendKeySteps(steps: KeySteps, count: number): void {
  steps.left -= count;
  if (steps.left < 0)
    throw overLimit("TERM_KEY_STEPS", "maxKeySteps", steps.limit, "the work of telling map keys apart");
}

function compare(a: Term, b: Term, exact: boolean, depth: number, steps: KeySteps | undefined): number {
  if (steps !== undefined) spendKeySteps(steps, 1);
  if (a === b && typeof a !== "number") return 0;
  const rank = rankOf(a);
  const other = rankOf(b);
  if (rank !== other) return rank - other;
  if (depth > DEFAULT_TERM_LIMITS.maxDepth) {
    throw overLimit(
      "TERM_DEPTH",
      "maxDepth",
      DEFAULT_TERM_LIMITS.maxDepth,
      "the nesting of a compared term (or one that contains itself)",
    );
  }
  switch (rank) {
    case NUMBER:
      return compareNumbers(a, b, exact);
    case ATOM:
      return compareText(atomName(a) ?? "", atomName(b) ?? "");
    case BITS:
      return compareBits(a, b, steps);
  }
  if (Array.isArray(a) || a instanceof ImproperList) return compareLists(a, b, exact, depth, steps);
  if (a instanceof Tuple && b instanceof Tuple) {
    return a.length - b.length || compareAll(a.elements, b.elements, exact, depth, steps);
  }
  if (a instanceof Map && b instanceof Map) return compareMaps(a, b, exact, depth, steps);
  if (a instanceof Pid && b instanceof Pid) {
    return a.serial - b.serial || a.id - b.id || compareText(a.node, b.node) || a.creation - b.creation;
  }
  if (a instanceof Reference && b instanceof Reference) {
    return compareText(a.node, b.node) || a.creation - b.creation || compareWords(a.words, b.words);
  }
  if (a instanceof Port && b instanceof Port) {
    return compareText(a.node, b.node) || a.creation - b.creation || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  }
  if (a instanceof NativeRecord && b instanceof NativeRecord) return compareRecords(a, b, exact, depth, steps);
  return compareFuns(a, b, exact, depth, steps);
}

const NUMBER = 0;
const ATOM = 1;
const BITS = 11;

function rankOf(term: Term): number {
  switch (typeof term) {
    case "number":
      if (Number.isFinite(term)) return NUMBER;
      break;
    case "bigint":
      return NUMBER;
    case "boolean":
    case "undefined":
      return ATOM;
    case "string":
      return BITS;
    case "object":
      if (term === null || term instanceof Atom) return ATOM;
      if (term instanceof Uint8Array || term instanceof BitString) return BITS;
      if (term instanceof Tuple) return 6;
      if (Array.isArray(term)) return term.length === 0 ? 9 : 10;
      if (term instanceof Float) return NUMBER;
      if (term instanceof Pid) return 5;
      if (term instanceof Reference) return 2;
      if (term instanceof Map) return 8;
      if (term instanceof ImproperList) return 10;
      if (term instanceof Fun || term instanceof ExportFun) return 3;
      if (term instanceof Port) return 4;
      if (term instanceof NativeRecord) return 7;
      break;
    case "function":
    case "symbol":
      break;
  }
  throw new SallyportError(
    "ERR_API_MISUSE",
    "TERM_UNENCODABLE",
    `a ${typeof term} that is no Erlang term cannot be compared`,
    {
      advice: "compare terms only: see the Term type",
    },
  );
}

/** Integers are safe numbers and bigints; every other number is a float (rulings U14). */
function isInteger(term: Term): boolean {
  return typeof term === "bigint" || (typeof term === "number" && Number.isSafeInteger(term));
}

function compareNumbers(a: Term, b: Term, exact: boolean): number {
  const x = a instanceof Float ? a.value : (a as number | bigint);
  const y = b instanceof Float ? b.value : (b as number | bigint);
  if (exact) {
    const whole = isInteger(a);
    if (whole !== isInteger(b)) return whole ? -1 : 1;
    if (!whole && x === 0 && y === 0) return (Object.is(x, -0) ? 0 : 1) - (Object.is(y, -0) ? 0 : 1);
  }
  return x < y ? -1 : x > y ? 1 : 0;
}

/** By code point: UTF-16 order puts the points from U+10000 on before U+E000. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const highX = x >= 0xd800 && x <= 0xdfff;
    const highY = y >= 0xd800 && y <= 0xdfff;
    return highX === highY ? x - y : highX ? 1 : -1;
  }
  return a.length - b.length;
}

function compareBits(a: Term, b: Term, steps: KeySteps | undefined): number {
  const x = bytesOf(a);
  const y = bytesOf(b);
  const xBits = x.length * 8 - (a instanceof BitString ? 8 - a.lastBits : 0);
  const yBits = y.length * 8 - (b instanceof BitString ? 8 - b.lastBits : 0);
  const bits = Math.min(xBits, yBits);
  const whole = bits >>> 3;
  if (steps !== undefined) spendKeySteps(steps, Math.floor(whole / STEP_BYTES));
  const order = Buffer.compare(
    whole === x.length ? x : x.subarray(0, whole),
    whole === y.length ? y : y.subarray(0, whole),
  );
  if (order !== 0) return order;
  const rest = bits & 7;
  if (rest > 0) {
    const shift = 8 - rest;
    const difference = ((x[whole] as number) >>> shift) - ((y[whole] as number) >>> shift);
    if (difference !== 0) return difference;
  }
  return xBits - yBits;
}

function bytesOf(term: Term): Uint8Array {
  if (term instanceof BitString) return term.bytes;
  return typeof term === "string" ? Buffer.from(term, "utf8") : (term as Uint8Array);
}

function compareAll(
  a: readonly Term[],
  b: readonly Term[],
  exact: boolean,
  depth: number,
  steps: KeySteps | undefined,
): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const order = compare(a[i], b[i], exact, depth + 1, steps);
    if (order !== 0) return order;
  }
  return 0;
}

interface Cells {
  readonly items: readonly Term[];
  /** `[]` for a proper list. */
  readonly tail: Term;
}

/** One object, so that two proper lists end alike without looking further. */
const NO_TAIL: Term = [];

/** A list with the lists in its tail joined on: `[1 | [2 | 3]]` is `[1, 2 | 3]`. */
function cellsOf(list: Term): Cells {
  if (!(list instanceof ImproperList)) return { items: list as readonly Term[], tail: NO_TAIL };
  if (!Array.isArray(list.tail) && !(list.tail instanceof ImproperList))
    return { items: list.elements, tail: list.tail };
  const items: Term[] = [];
  let tail: Term = list;
  for (let hops = 0; tail instanceof ImproperList; hops++) {
    if (hops > MAX_TAIL_HOPS) {
      throw overLimit(
        "TERM_DEPTH",
        "maxTailHops",
        MAX_TAIL_HOPS,
        "the tails of a compared list (or one that contains itself)",
      );
    }
    for (const item of tail.elements) items.push(item);
    tail = tail.tail;
  }
  if (!Array.isArray(tail)) return { items, tail };
  for (const item of tail) items.push(item);
  return { items, tail: NO_TAIL };
}

const MAX_TAIL_HOPS = 1_000_000;

function compareLists(a: Term, b: Term, exact: boolean, depth: number, steps: KeySteps | undefined): number {
  const x = cellsOf(a);
  const y = cellsOf(b);
  const order = compareAll(x.items, y.items, exact, depth, steps);
  if (order !== 0) return order;
  // Where one list ends, its tail meets the rest of the other, which is a list.
  if (x.items.length === y.items.length) return compare(x.tail, y.tail, exact, depth + 1, steps);
  if (x.items.length < y.items.length) return rankOf(x.tail) > LIST ? 1 : -1;
  return rankOf(y.tail) > LIST ? -1 : 1;
}

const LIST = 10;

function compareMaps(
  a: ReadonlyMap<Term, Term>,
  b: ReadonlyMap<Term, Term>,
  exact: boolean,
  depth: number,
  steps: KeySteps | undefined,
): number {
  if (a.size !== b.size) return a.size - b.size;
  const byKey = (x: [Term, Term], y: [Term, Term]): number => compare(x[0], y[0], true, depth + 1, steps);
  const x = [...a].sort(byKey);
  const y = [...b].sort(byKey);
  for (const [i, entry] of x.entries()) {
    const order = compare(entry[0], y[i]?.[0], true, depth + 1, steps);
    if (order !== 0) return order;
  }
  for (const [i, entry] of x.entries()) {
    const order = compare(entry[1], y[i]?.[1], exact, depth + 1, steps);
    if (order !== 0) return order;
  }
  return 0;
}

/** From the last word, which is the most significant; missing words are zero. */
function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let i = Math.max(a.length, b.length) - 1; i >= 0; i--) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Closures come before exported funs. */
function compareFuns(a: Term, b: Term, exact: boolean, depth: number, steps: KeySteps | undefined): number {
  if (a instanceof ExportFun && b instanceof ExportFun) {
    return compareText(a.module, b.module) || compareText(a.function, b.function) || a.arity - b.arity;
  }
  if (!(a instanceof Fun) || !(b instanceof Fun)) return a instanceof Fun ? -1 : 1;
  return (
    compareText(a.module, b.module) ||
    a.oldIndex - b.oldIndex ||
    a.oldUniq - b.oldUniq ||
    a.index - b.index ||
    a.arity - b.arity ||
    Buffer.compare(a.uniq, b.uniq) ||
    a.free.length - b.free.length ||
    compareAll(a.free, b.free, exact, depth, steps)
  );
}

function compareRecords(
  a: NativeRecord,
  b: NativeRecord,
  exact: boolean,
  depth: number,
  steps: KeySteps | undefined,
): number {
  const head =
    compareText(a.module, b.module) ||
    compareText(a.recordName, b.recordName) ||
    Number(a.exported) - Number(b.exported) ||
    a.fields.length - b.fields.length;
  if (head !== 0) return head;
  for (const [i, field] of a.fields.entries()) {
    const order = compareText(field[0], b.fields[i]?.[0] ?? "");
    if (order !== 0) return order;
  }
  return compareAll(
    a.fields.map((field) => field[1]),
    b.fields.map((field) => field[1]),
    exact,
    depth,
    steps,
  );
}
