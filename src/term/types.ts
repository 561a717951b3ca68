/**
 * Any Erlang term as a JavaScript value (design.md "Terms", rulings U14).
 *
 * - `true`, `false`, `null`, `undefined` are the atoms `true`, `false`, `nil`, `undefined`; every other atom is an `Atom`.
 * - A safe integer `number` is an integer; any other finite number is a float; `Float` forces a float.
 * - Arrays are proper lists; `Buffer`/`Uint8Array` is a binary; a string encodes as a UTF-8 binary and never comes out of
 *   decoding; `Map` is a map (its keys compare by identity in JavaScript: use `mapGet` and `termEquals`).
 */
export type Term =
  | boolean
  | null
  | undefined
  | number
  | bigint
  | string
  | Uint8Array
  | Atom
  | Float
  | Tuple
  | readonly Term[]
  | ImproperList
  | ReadonlyMap<Term, Term>
  | BitString
  | Pid
  | Reference
  | Port
  | Fun
  | ExportFun
  | NativeRecord;

/** An Erlang atom. Not interned: compare with `isAtom(term, "ok")` or `termEquals`, never by identity. */
export class Atom {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A float that JavaScript would otherwise take for an integer: `1.0`, `-0.0`, `1.0e300`. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** An Erlang tuple. Iterable, so `const [tag, value] = tuple` works. */
export class Tuple {
  readonly elements: readonly Term[];
  constructor(elements: readonly Term[]) {
    this.elements = elements;
  }
  get length(): number {
    return this.elements.length;
  }
  [Symbol.iterator](): IterableIterator<Term> {
    return this.elements[Symbol.iterator]();
  }
}

/** A list whose last tail is not `[]`: `[a, b | tail]`. `elements` has at least one item. */
export class ImproperList {
  readonly elements: readonly Term[];
  readonly tail: Term;
  constructor(elements: readonly Term[], tail: Term) {
    this.elements = elements;
    this.tail = tail;
  }
}

/** Bits that do not fill the last byte: `lastBits` (1..7) high bits of the last byte count. */
export class BitString {
  readonly bytes: Uint8Array;
  readonly lastBits: number;
  constructor(bytes: Uint8Array, lastBits: number) {
    this.bytes = bytes;
    this.lastBits = lastBits;
  }
}

/** A process identifier. All fields are unsigned 32-bit; `node` is the node's name as it stood on the wire. */
export class Pid {
  readonly node: string;
  readonly id: number;
  readonly serial: number;
  readonly creation: number;
  constructor(node: string, id: number, serial: number, creation: number) {
    this.node = node;
    this.id = id;
    this.serial = serial;
    this.creation = creation;
  }
}

/** A reference; `words` holds 0 to 5 unsigned 32-bit numbers in wire order. */
export class Reference {
  readonly node: string;
  readonly creation: number;
  readonly words: readonly number[];
  constructor(node: string, creation: number, words: readonly number[]) {
    this.node = node;
    this.creation = creation;
    this.words = words;
  }
}

/** A port identifier; `id` is unsigned 64-bit. */
export class Port {
  readonly node: string;
  readonly id: bigint;
  readonly creation: number;
  constructor(node: string, id: bigint, creation: number) {
    this.node = node;
    this.id = id;
    this.creation = creation;
  }
}

/** `fun module:function/arity`. A value only: it is never called or looked up (design D7). */
export class ExportFun {
  readonly module: string;
  readonly function: string;
  readonly arity: number;
  constructor(module: string, fn: string, arity: number) {
    this.module = module;
    this.function = fn;
    this.arity = arity;
  }
}

/** A closure of a BEAM node, opaque: it can be kept and sent back, nothing else. */
export class Fun {
  readonly module: string;
  readonly arity: number;
  /** 16 bytes. */
  readonly uniq: Uint8Array;
  readonly index: number;
  readonly oldIndex: number;
  readonly oldUniq: number;
  readonly pid: Pid;
  readonly free: readonly Term[];
  constructor(
    module: string,
    arity: number,
    uniq: Uint8Array,
    index: number,
    oldIndex: number,
    oldUniq: number,
    pid: Pid,
    free: readonly Term[],
  ) {
    this.module = module;
    this.arity = arity;
    this.uniq = uniq;
    this.index = index;
    this.oldIndex = oldIndex;
    this.oldUniq = oldUniq;
    this.pid = pid;
    this.free = free;
  }
}

/** An OTP 29 native record: opaque field names and values in wire order. */
export class NativeRecord {
  readonly exported: boolean;
  readonly module: string;
  readonly recordName: string;
  readonly fields: readonly (readonly [string, Term])[];
  constructor(exported: boolean, module: string, recordName: string, fields: readonly (readonly [string, Term])[]) {
    this.exported = exported;
    this.module = module;
    this.recordName = recordName;
    this.fields = fields;
  }
}

/** The term of an atom name: `true`, `false`, `nil` and `undefined` become JavaScript's own values. */
export function atom(name: string): Atom | boolean | null | undefined {
  switch (name) {
    case "true":
      return true;
    case "false":
      return false;
    case "nil":
      return null;
    case "undefined":
      return undefined;
    default:
      return new Atom(name);
  }
}

/** `{a, b, ...}`. */
export function tuple(...elements: readonly Term[]): Tuple {
  return new Tuple(elements);
}

/** Forces a float: `float(1)` is `1.0`. */
export function float(value: number): Float {
  return new Float(value);
}

/** True when `term` is the atom `name`, also for the four that are JavaScript values. */
export function isAtom(term: Term, name: string): boolean {
  return term instanceof Atom ? term.name === name : atomName(term) === name;
}

/** The name of an atom term, or `undefined` when the term is not an atom. */
export function atomName(term: Term): string | undefined {
  if (term instanceof Atom) return term.name;
  if (term === true) return "true";
  if (term === false) return "false";
  if (term === null) return "nil";
  if (term === undefined) return "undefined";
  return undefined;
}
