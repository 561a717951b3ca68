// Longer than most files here: the cursor and the containers that recurse through it cannot be told apart.
import { AtomBudget } from "./atom-budget.ts";
import type { AtomTable } from "./atom-table.ts";
import { int32, u16, u32 } from "./big-endian.ts";
import type { KeySteps } from "./compare.ts";
import { clearBitsAfter, copyBytes, viewOrCopy } from "./copy-bytes.ts";
import type { TermDecoderOptions } from "./decoder-options.ts";
import { emptyList, isKnownTag, malformed, overLimit, refusedTag, truncated } from "./faults.ts";
import { floatFromText, floatTerm } from "./floats.ts";
import { checkWordCount, oldCreation, oldReference, oldWord, portBytes, readPort, readWords } from "./identifiers.ts";
import { integerFromBytes } from "./integers.ts";
import type { TermLimits } from "./limits.ts";
import { resolveTermLimits } from "./limits.ts";
import { chargeBigKey, hasEqualKeys } from "./map-keys.ts";
import { MANY_NUMERIC_KEYS, NumericKeyMap } from "./numeric-key-map.ts";
import type { PayloadWatch } from "./payload-watch.ts";
import type { PidTable } from "./pid-table.ts";
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
import {
  atom,
  atomName,
  BitString,
  ExportFun,
  Fun,
  ImproperList,
  NativeRecord,
  Pid,
  type Port,
  Reference,
  type Term,
  Tuple,
} from "./types.ts";
import { atomNameFromLatin1, atomNameFromUtf8 } from "./utf8.ts";

const NOTHING: Buffer = Buffer.alloc(0);
/** What containers charge against `maxElements` beyond their elements: about their own size in memory. */
const MAP_CHARGE = 6;
const PAIR_CHARGE = 3;
const BINARY_CHARGE = 3;
/** Most arguments a function has. */
const MAX_ARITY = 255;
/** Claimed counts above this grow the array as elements arrive, instead of reserving it at once. */
const MAX_RESERVED = 65_536;

/**
 * Decodes terms of the external term format (otp-distribution section 5) as a BEAM does, within `TermLimits`. One for
 * each connection; not reentrant. What a BEAM refuses is refused; 0.0 and -0.0 are different map keys, as from OTP 27.
 *
 * Binaries under 1024 bytes are copies, and so are larger ones whose buffer lies in memory more than four times their
 * size. The others, and the bytes of such bit strings, are views of the buffer given: shared, read-only, and valid only as
 * long as the owner of that buffer leaves it alone.
 */
export class TermDecoder {
  /** Offset after the last term decoded. */
  position = 0;
  /** Atoms of the current distribution header, for ATOM_CACHE_REF; undefined refuses that tag. */
  atomRefs: readonly Term[] | undefined = undefined;
  /** Told of funs and of nodes of identifiers. Its owner resets it. */
  watch: PayloadWatch | undefined = undefined;
  /** The bounds in force. */
  readonly limits: TermLimits;
  readonly #atoms: AtomTable | undefined;
  readonly #pids: PidTable | undefined;
  readonly #maxDepth: number;
  #buffer: Buffer = NOTHING;
  #end = 0;
  readonly #atomBudget: AtomBudget;
  #elementsLeft: number;
  readonly #keySteps: KeySteps;

  constructor(options: TermDecoderOptions = {}) {
    this.limits = resolveTermLimits(options.limits);
    this.#atoms = options.atoms;
    this.#pids = options.pids;
    this.#maxDepth = this.limits.maxDepth;
    this.#atomBudget = new AtomBudget(this.limits.maxAtoms);
    this.#elementsLeft = this.limits.maxElements;
    this.#keySteps = { left: this.limits.maxKeySteps, limit: this.limits.maxKeySteps };
  }

  /** Starts the budget of a new message: atoms, elements and key steps. Several terms may share one budget. */
  resetBudget(): void {
    this.#atomBudget.reset();
    this.#elementsLeft = this.limits.maxElements;
    this.#keySteps.left = this.#keySteps.limit;
  }

  /**
   * Decodes the term at `start`, without a leading 131; it must end at or before `end`. Sets `position`.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_* for bytes that are no term; ERR_LIMIT TERM_* for a passed limit
   */
  decodeAt(buffer: Buffer, start: number, end: number): Term {
    if (end - start > this.limits.maxBytes) {
      throw overLimit("TERM_BYTES", "maxBytes", this.limits.maxBytes, `a term of up to ${end - start} bytes`);
    }
    this.#buffer = buffer;
    this.#end = Math.min(end, buffer.length);
    this.position = start;
    try {
      return this.#term(0);
    } finally {
      this.#buffer = NOTHING;
    }
  }

  #term(depth: number): Term {
    const b = this.#buffer;
    const p = this.position;
    const left = this.#end - p;
    if (left < 2) return this.#single(p, left);
    switch (b[p]) {
      case SMALL_INTEGER_EXT:
        this.position = p + 2;
        return b[p + 1] as number;
      case SMALL_ATOM_UTF8_EXT: {
        const start = p + 2;
        const end = start + (b[p + 1] as number);
        if (end > this.#end) throw truncated(p, end - start, left - 2);
        this.position = end;
        return this.#atom(start, end);
      }
      case SMALL_TUPLE_EXT:
        this.position = p + 2;
        return this.#tuple(b[p + 1] as number, depth);
      case BINARY_EXT: {
        const size = this.#count(p, 1);
        this.position = p + 5 + size;
        return this.#binary(p + 5, size);
      }
      case INTEGER_EXT:
        if (left < 5) throw truncated(p, 5, left);
        this.position = p + 5;
        return int32(b, p + 1);
      case NIL_EXT:
        this.position = p + 1;
        return [];
      case LIST_EXT:
        return this.#list(depth);
      case STRING_EXT: {
        const items: Term[] = [];
        this.#string(items);
        return items;
      }
      case NEW_PID_EXT:
      case PID_EXT:
        return this.#pid();
      case NEWER_REFERENCE_EXT:
      case NEW_REFERENCE_EXT:
      case REFERENCE_EXT:
        return this.#reference();
      case MAP_EXT:
        return this.#map(depth);
      case ATOM_CACHE_REF:
        this.position = p + 2;
        return this.#atomRef(p, b[p + 1] as number);
      case NEW_FLOAT_EXT:
        if (left < 9) throw truncated(p, 9, left);
        this.position = p + 9;
        return floatTerm(b.readDoubleBE(p + 1), p);
      case SMALL_BIG_EXT:
      case LARGE_BIG_EXT:
        return this.#big();
      case ATOM_UTF8_EXT:
      case SMALL_ATOM_EXT:
      case ATOM_EXT:
        return atom(this.#oldAtomName());
      case LARGE_TUPLE_EXT: {
        const arity = this.#count(p, 1);
        this.position = p + 5;
        return this.#tuple(arity, depth);
      }
      case BIT_BINARY_EXT:
        return this.#bits();
      case FLOAT_EXT:
        if (left < 1 + FLOAT_EXT_BYTES) throw truncated(p, 1 + FLOAT_EXT_BYTES, left);
        this.position = p + 1 + FLOAT_EXT_BYTES;
        return floatTerm(floatFromText(b, p + 1), p);
      case NEW_PORT_EXT:
      case V4_PORT_EXT:
      case PORT_EXT:
        return this.#port();
      case EXPORT_EXT:
        return this.#exportFun();
      case NEW_FUN_EXT:
        return this.#fun(depth);
      case NATIVE_RECORD_EXT:
        return this.#record(depth);
      default:
        throw refusedTag(b[p] as number, p);
    }
  }

  /** The only term of a single byte is the empty list. */
  #single(p: number, left: number): Term {
    if (left < 1) throw truncated(p, 1, 0);
    const tag = this.#buffer[p] as number;
    if (tag !== NIL_EXT) throw isKnownTag(tag) ? truncated(p, 2, left) : refusedTag(tag, p);
    this.position = p + 1;
    return [];
  }

  /** The u32 count after the tag at `p`, of things that take at least `unit` bytes each and follow the count. */
  #count(p: number, unit: number): number {
    const left = this.#end - p - 5;
    if (left < 0) throw truncated(p, 5, left + 5);
    const count = u32(this.#buffer, p + 1);
    if (count * unit > left) throw truncated(p, count * unit, left);
    return count;
  }

  #charge(units: number): void {
    this.#elementsLeft -= units;
    if (this.#elementsLeft < 0)
      throw overLimit("TERM_ELEMENTS", "maxElements", this.limits.maxElements, "the size of a message's terms");
  }

  #enter(depth: number): void {
    if (depth >= this.#maxDepth) throw overLimit("TERM_DEPTH", "maxDepth", this.#maxDepth, "the nesting of a term");
  }

  #atom(start: number, end: number): Term {
    const atoms = this.#atoms;
    const term =
      atoms === undefined ? atom(atomNameFromUtf8(this.#buffer, start, end)) : atoms.atomAt(this.#buffer, start, end);
    this.#atomBudget.charge(atomName(term) ?? "");
    return term;
  }

  #atomRef(p: number, index: number): Term {
    const refs = this.atomRefs;
    if (refs !== undefined && index < refs.length) return refs[index];
    throw malformed("TERM_ATOM_REF_INVALID", p, `atom reference ${index} is not in the distribution header`);
  }

  /** An atom as a name: node names, modules, functions, record and field names. */
  #name(): string {
    const b = this.#buffer;
    const p = this.position;
    const left = this.#end - p;
    if (left < 2) throw truncated(p, 2, left);
    const tag = b[p] as number;
    if (tag === SMALL_ATOM_UTF8_EXT) {
      const start = p + 2;
      const end = start + (b[p + 1] as number);
      if (end > this.#end) throw truncated(p, end - start, left - 2);
      this.position = end;
      const atoms = this.#atoms;
      const name = atoms === undefined ? atomNameFromUtf8(b, start, end) : atoms.nameAt(b, start, end);
      this.#atomBudget.charge(name);
      return name;
    }
    if (tag === ATOM_CACHE_REF) {
      this.position = p + 2;
      const name = atomName(this.#atomRef(p, b[p + 1] as number));
      if (name !== undefined) return name;
      throw malformed("TERM_ATOM_REF_INVALID", p, "the distribution header holds something else than an atom");
    }
    if (tag === ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT || tag === ATOM_EXT) return this.#oldAtomName();
    throw malformed("TERM_IDENTIFIER_INVALID", p, `tag ${tag} stands where an atom must stand`, { tag });
  }

  /** ATOM_UTF8_EXT `118 len:16 utf8`, ATOM_EXT `100 len:16 latin1`, SMALL_ATOM_EXT `115 len:8 latin1`. */
  #oldAtomName(): string {
    const b = this.#buffer;
    const p = this.position;
    const tag = b[p];
    const head = tag === SMALL_ATOM_EXT ? 2 : 3;
    const left = this.#end - p;
    if (left < head) throw truncated(p, head, left);
    const size = head === 2 ? (b[p + 1] as number) : u16(b, p + 1);
    if (size > left - head) throw truncated(p, size, left - head);
    const start = p + head;
    const end = start + size;
    this.position = end;
    const name = tag === ATOM_UTF8_EXT ? atomNameFromUtf8(b, start, end) : atomNameFromLatin1(b, start, end);
    this.#atomBudget.charge(name);
    return name;
  }

  #tuple(arity: number, depth: number): Tuple {
    if (arity > this.#end - this.position) throw truncated(this.position, arity, this.#end - this.position);
    this.#enter(depth);
    this.#charge(1 + arity);
    return new Tuple(this.#terms(arity, depth + 1));
  }

  /** `count` terms; the caller has compared the count with the bytes left and charged it. */
  #terms(count: number, depth: number): Term[] {
    // Literals of the exact size: neither holes nor spare room, and the fastest way for the shapes that matter most.
    switch (count) {
      case 0:
        return [];
      case 1:
        return [this.#term(depth)];
      case 2:
        return [this.#term(depth), this.#term(depth)];
      case 3:
        return [this.#term(depth), this.#term(depth), this.#term(depth)];
      case 4:
        return [this.#term(depth), this.#term(depth), this.#term(depth), this.#term(depth)];
    }
    if (count > MAX_RESERVED) {
      const items: Term[] = [];
      for (let i = 0; i < count; i++) items.push(this.#term(depth));
      return items;
    }
    const items = new Array<Term>(count);
    const b = this.#buffer;
    for (let i = 0; i < count; i++) {
      // Runs of small integers are common enough to be read without a call for each.
      const p = this.position;
      if (b[p] === SMALL_INTEGER_EXT && p + 1 < this.#end) {
        items[i] = b[p + 1] as number;
        this.position = p + 2;
      } else if (b[p] === INTEGER_EXT && p + 4 < this.#end) {
        items[i] = int32(b, p + 1);
        this.position = p + 5;
      } else items[i] = this.#term(depth);
    }
    return items;
  }

  /**
   * LIST_EXT `108 n:32 n*term tail`. A tail that is itself a list continues this one, without nesting. See `emptyList`.
   */
  #list(depth: number): Term {
    this.#enter(depth);
    this.#charge(1);
    let items: Term[] | undefined;
    for (;;) {
      const count = this.#count(this.position, 1);
      this.position += 5;
      this.#charge(count);
      if (items === undefined) items = this.#terms(count, depth + 1);
      else for (let i = 0; i < count; i++) items.push(this.#term(depth + 1));
      const tag = this.#tag();
      if (tag === NIL_EXT) {
        this.position++;
        return items;
      }
      if (tag === LIST_EXT) continue;
      if (tag === STRING_EXT) {
        this.#string(items);
        return items;
      }
      if (count === 0) throw emptyList(this.position, tag);
      return new ImproperList(items, this.#term(depth + 1));
    }
  }

  /** STRING_EXT `107 len:16 bytes`: a list of bytes, added to `items`. */
  #string(items: Term[]): void {
    const b = this.#buffer;
    const p = this.position;
    const left = this.#end - p - 3;
    if (left < 0) throw truncated(p, 3, left + 3);
    const size = u16(b, p + 1);
    if (size > left) throw truncated(p, size, left);
    this.#charge(1 + size);
    const end = p + 3 + size;
    for (let i = p + 3; i < end; i++) items.push(b[i] as number);
    this.position = end;
  }

  #binary(start: number, size: number): Buffer {
    if (size === 0) return NOTHING;
    this.#charge(BINARY_CHARGE);
    return viewOrCopy(this.#buffer, start, start + size);
  }

  /** BIT_BINARY_EXT `77 len:32 bits:8 bytes`. Bits that do not count are cleared, so that equal values have equal bytes. */
  #bits(): Term {
    const p = this.position;
    const size = this.#count(p, 1);
    if (this.#end - p < 6 + size) throw truncated(p, 6 + size, this.#end - p);
    const bits = this.#buffer[p + 5] as number;
    if (bits > 8 || (bits === 0) !== (size === 0)) {
      throw malformed("TERM_BITS_INVALID", p, `${bits} bits in the last of ${size} bytes`, { bits, size });
    }
    this.position = p + 6 + size;
    if (size === 0 || bits === 8) return this.#binary(p + 6, size);
    const bytes = this.#binary(p + 6, size);
    return new BitString(clearBitsAfter(bits, bytes, bytes.buffer === this.#buffer.buffer), bits);
  }

  /** SMALL_BIG_EXT `110 n:8 sign:8 bytes`, LARGE_BIG_EXT `111 n:32 sign:8 bytes`. */
  #big(): number | bigint {
    const b = this.#buffer;
    const p = this.position;
    const small = b[p] === SMALL_BIG_EXT;
    const head = small ? 3 : 6;
    const left = this.#end - p - head;
    if (left < 0) throw truncated(p, head, left + head);
    const size = small ? (b[p + 1] as number) : u32(b, p + 1);
    const limit = this.limits.maxIntegerBytes;
    if (size > limit) throw overLimit("TERM_INTEGER_BYTES", "maxIntegerBytes", limit, `an integer of ${size} bytes`);
    if (size > left) throw truncated(p, size, left);
    this.position = p + head + size;
    return integerFromBytes(b, p + head, size, b[p + head - 1] !== 0);
  }

  /** MAP_EXT `116 n:32 n*(key value)`. */
  #map(depth: number): ReadonlyMap<Term, Term> {
    const p = this.position;
    const count = this.#count(p, 2);
    this.position = p + 5;
    this.#enter(depth);
    this.#charge(MAP_CHARGE + PAIR_CHARGE * count);
    const keys: Term[] = [];
    let map = new Map<Term, Term>();
    let numeric = 0;
    for (let i = 0; i < count; i++) {
      const key = this.#term(depth + 1);
      const value = this.#term(depth + 1);
      // JavaScript's own Map places numbers by a hash anyone can compute, so many of them move to a map that does not.
      if (typeof key === "number" || typeof key === "bigint") {
        if (++numeric === MANY_NUMERIC_KEYS) map = new NumericKeyMap(map);
        if (typeof key === "bigint") chargeBigKey(this.#keySteps, key, numeric);
      }
      keys.push(key);
      map.set(key, value);
    }
    if (map.size !== count || hasEqualKeys(keys, this.#keySteps)) {
      throw malformed("TERM_MAP_DUPLICATE_KEY", p, "a map has the same key twice");
    }
    return map;
  }

  /** NEW_PID_EXT `88 node id:32 serial:32 creation:32`, PID_EXT `103 node id:32 serial:32 creation:8`. */
  #pid(): Pid {
    const b = this.#buffer;
    const at = this.position;
    const wide = b[at] === NEW_PID_EXT;
    this.position = at + 1;
    const node = this.#node();
    const p = this.#take(wide ? 12 : 9);
    const creation = wide ? u32(b, p + 8) : oldCreation(b[p + 8] as number, at);
    const pids = this.#pids;
    if (pids !== undefined) return pids.get(node, u32(b, p), u32(b, p + 4), creation);
    return new Pid(node, u32(b, p), u32(b, p + 4), creation);
  }

  /** The offset of the next `size` bytes, which must be there; moves past them. */
  #take(size: number): number {
    const p = this.position;
    if (this.#end - p < size) throw truncated(p, size, this.#end - p);
    this.position = p + size;
    return p;
  }

  /**
   * NEWER_REFERENCE_EXT `90 len:16 node creation:32 len*word:32`, NEW_REFERENCE_EXT `114 len:16 node creation:8 words`,
   * REFERENCE_EXT `101 node word:32 creation:8`.
   */
  #reference(): Reference {
    const b = this.#buffer;
    const at = this.position;
    const tag = b[at];
    this.position = at + 1;
    if (tag === REFERENCE_EXT) {
      const node = this.#name();
      const p = this.#take(5);
      return new Reference(node, oldCreation(b[p + 4] as number, at), [oldWord(u32(b, p), at)]);
    }
    const count = u16(b, this.#take(2));
    checkWordCount(count, at);
    const node = this.#node();
    const wide = tag === NEWER_REFERENCE_EXT;
    const p = this.#take((wide ? 4 : 1) + count * 4);
    if (wide) return new Reference(node, u32(b, p), readWords(b, p + 4, count));
    return oldReference(b, p, count, node, at);
  }

  /** V4_PORT_EXT `120 node id:64 creation:32`, NEW_PORT_EXT `89 node id:32 creation:32`, PORT_EXT `102 node id:32 creation:8`. */
  #port(): Port {
    const at = this.position;
    const tag = this.#buffer[at] as number;
    this.position = at + 1;
    const node = this.#node();
    return readPort(this.#buffer, tag, this.#take(portBytes(tag)), node, at);
  }

  #node(): string {
    const node = this.#name();
    this.watch?.met(node);
    return node;
  }

  /** EXPORT_EXT `113 module function arity`. */
  #exportFun(): ExportFun {
    const at = this.position;
    this.position = at + 1;
    this.watch?.metFun();
    const module = this.#name();
    const name = this.#name();
    const arity = this.#smallInteger(at);
    if (arity < 0 || arity > MAX_ARITY) throw malformed("TERM_FUN_INVALID", at, `a fun of arity ${arity}`);
    return new ExportFun(module, name, arity);
  }

  #tag(): number {
    const p = this.position;
    if (p >= this.#end) throw truncated(p, 1, 0);
    return this.#buffer[p] as number;
  }

  #smallInteger(at: number): number {
    const tag = this.#tag();
    if (tag === SMALL_INTEGER_EXT || tag === INTEGER_EXT || tag === SMALL_BIG_EXT) {
      const value = this.#term(0);
      if (typeof value === "number") return value;
    }
    throw malformed("TERM_FUN_INVALID", at, "a fun has something else where an integer must stand");
  }

  /**
   * NEW_FUN_EXT `112 size:32 arity:8 uniq:128 index:32 nfree:32 module oldIndex oldUniq pid nfree*term`; the size counts
   * itself. A BEAM does not compare the size with what follows; a size that lies is refused here, so that everyone who
   * skips a fun by its size and everyone who reads it agree.
   */
  #fun(depth: number): Fun {
    const b = this.#buffer;
    const at = this.position;
    this.#enter(depth);
    this.watch?.metFun();
    this.position = at + 1;
    const p = this.#take(29);
    const size = u32(b, p);
    const freeCount = u32(b, p + 25);
    const module = this.#name();
    const oldIndex = this.#smallInteger(at);
    const oldUniq = this.#smallInteger(at);
    const tag = this.#tag();
    if (tag !== NEW_PID_EXT && tag !== PID_EXT)
      throw malformed("TERM_FUN_INVALID", at, "a fun without the pid of its maker");
    const pid = this.#pid();
    if (freeCount > this.#end - this.position) throw truncated(at, freeCount, this.#end - this.position);
    this.#charge(8 + freeCount);
    const uniq = copyBytes(b, p + 5, p + 21);
    const free = this.#terms(freeCount, depth + 1);
    if (this.position - p !== size) {
      throw malformed("TERM_FUN_INVALID", at, `a fun says it has ${size} bytes, it has ${this.position - p}`);
    }
    return new Fun(module, b[p + 4] as number, uniq, u32(b, p + 21), oldIndex, oldUniq, pid, free);
  }

  /** Native record `67 n:32 exported:8 module name n*field n*value` (otp-distribution V15). */
  #record(depth: number): NativeRecord {
    const b = this.#buffer;
    const at = this.position;
    const count = this.#count(at, 2);
    this.#enter(depth);
    this.#charge(4 + 4 * count);
    this.position = at + 5;
    const exported = b[this.#take(1)] as number;
    if (exported > 1)
      throw malformed("TERM_RECORD_INVALID", at, `a native record with export mark ${exported}, 0 or 1 is allowed`);
    const module = this.#name();
    const name = this.#name();
    const names: string[] = [];
    for (let i = 0; i < count; i++) names.push(this.#name());
    const fields: (readonly [string, Term])[] = [];
    for (const field of names) fields.push([field, this.#term(depth + 1)]);
    return new NativeRecord(exported === 1, module, name, fields);
  }
}
