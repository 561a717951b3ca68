import { ByteWriter } from "../base/byte-writer.ts";
import type { SallyportError } from "../base/errors.ts";
import { overLimit } from "./faults.ts";
import { magnitudeBytes } from "./integers.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import {
  ATOM_UTF8_EXT,
  BINARY_EXT,
  BIT_BINARY_EXT,
  EXPORT_EXT,
  INTEGER_EXT,
  LARGE_BIG_EXT,
  LARGE_TUPLE_EXT,
  LIST_EXT,
  MAP_EXT,
  MAX_ATOM_BYTES,
  MAX_ATOM_CHARS,
  MAX_REFERENCE_WORDS,
  MAX_STRING_EXT_LENGTH,
  NATIVE_RECORD_EXT,
  NEW_FLOAT_EXT,
  NEW_FUN_EXT,
  NEW_PID_EXT,
  NEW_PORT_EXT,
  NEWER_REFERENCE_EXT,
  NIL_EXT,
  SMALL_ATOM_UTF8_EXT,
  SMALL_BIG_EXT,
  SMALL_INTEGER_EXT,
  SMALL_TUPLE_EXT,
  STRING_EXT,
  V4_PORT_EXT,
  VERSION_MAGIC,
} from "./tags.ts";
import {
  Atom,
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
import { Unencodable, unencodableError } from "./unencodable.ts";
import { isWellFormed } from "./utf8.ts";

/** Binaries of at least this many bytes are left out of the writer when splices are asked for. */
export const SPLICE_FROM_BYTES = 65_536;

/** `bytes` belong between the writer's bytes before offset `at` and those from it on. Not copied: leave them alone. */
export interface Splice {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface EncodeOptions {
  /** Receives large binaries, in ascending order of `at`; without it they are copied into the writer. */
  readonly splices?: Splice[];
  /** Most bytes the term may take, spliced ones included. Default 64 MiB, what a peer accepts. */
  readonly bytesLimit?: number;
}

interface EncodeState {
  readonly splices: Splice[] | undefined;
  readonly limit: number;
  /** Writer offset that must not be passed; moves down by what was spliced. */
  limitAt: number;
}

/** SMALL_BIG_EXT with the seven bytes of a safe integer. */
const MAX_NUMBER_BYTES = 10;
const NO_OPTIONS: EncodeOptions = {};
/** Beyond this a loop over the characters loses to the engine's own conversion. */
const SHORT_TEXT = 48;

/**
 * Writes `term` in the external term format without the leading 131 (otp-distribution section 5), in the forms a BEAM
 * uses. On an error the writer and the splices are left as they were before.
 * @throws {SallyportError} ERR_API_MISUSE TERM_UNENCODABLE for a value that is no term (the message says where it
 * stands); ERR_LIMIT TERM_DEPTH beyond 512 levels or for a term that contains itself, TERM_BYTES, TERM_INTEGER_BYTES
 */
export function encodeInto(writer: ByteWriter, term: Term, options: EncodeOptions = NO_OPTIONS): void {
  const limit = options.bytesLimit ?? DEFAULT_TERM_LIMITS.maxBytes;
  const start = writer.length;
  const splices = options.splices;
  const spliced = splices === undefined ? 0 : splices.length;
  const state: EncodeState = { splices, limit, limitAt: start + limit };
  try {
    write(writer, term, 0, state);
    if (writer.length > state.limitAt) throw tooLong(state);
  } catch (error) {
    writer.length = start;
    if (splices !== undefined) splices.length = spliced;
    throw error instanceof Unencodable ? unencodableError(term, error) : error;
  }
}

/** `term` as a stand-alone term, `131 term`, as `term_to_binary/1` makes it. Errors as `encodeInto`. */
export function encodeTerm(term: Term): Buffer {
  const writer = new ByteWriter(256);
  writer.u8(VERSION_MAGIC);
  encodeInto(writer, term);
  return writer.buffer.subarray(0, writer.length);
}

/** Writes the atom `name`. @throws {SallyportError} ERR_API_MISUSE TERM_UNENCODABLE beyond 255 characters */
export function encodeAtomInto(writer: ByteWriter, name: string): void {
  try {
    writeAtom(writer, name);
  } catch (error) {
    throw error instanceof Unencodable ? unencodableError(name, error) : error;
  }
}

/** Writes a pid as NEW_PID_EXT `88 node id:32 serial:32 creation:32`. Errors as `encodeAtomInto`. */
export function encodePidInto(writer: ByteWriter, pid: Pid): void {
  try {
    writePid(writer, pid);
  } catch (error) {
    throw error instanceof Unencodable ? unencodableError(pid, error) : error;
  }
}

/** Writes a reference as NEWER_REFERENCE_EXT `90 len:16 node creation:32 words`. Errors as `encodeAtomInto`. */
export function encodeReferenceInto(writer: ByteWriter, ref: Reference): void {
  try {
    writeReference(writer, ref);
  } catch (error) {
    throw error instanceof Unencodable ? unencodableError(ref, error) : error;
  }
}

function write(w: ByteWriter, term: Term, depth: number, s: EncodeState): void {
  switch (typeof term) {
    case "number":
      writeNumber(w, term);
      return;
    case "object":
      if (term === null) writeAtom(w, "nil");
      else writeObject(w, term, depth, s);
      return;
    case "string":
      writeString(w, term, s);
      return;
    case "boolean":
      writeAtom(w, term ? "true" : "false");
      return;
    case "undefined":
      writeAtom(w, "undefined");
      return;
    case "bigint":
      writeBigint(w, term);
      return;
    default:
      throw new Unencodable(term, `a ${typeof term}`);
  }
}

function writeObject(w: ByteWriter, term: Term & object, depth: number, s: EncodeState): void {
  if (term instanceof Atom) writeAtom(w, term.name);
  else if (term instanceof Tuple) writeTuple(w, term.elements, depth, s);
  else if (Array.isArray(term)) writeList(w, term, depth, s);
  else if (term instanceof Uint8Array) writeBinary(w, term, s);
  else if (term instanceof Pid) writePid(w, term);
  else if (term instanceof Reference) writeReference(w, term);
  else if (term instanceof ImproperList) writeImproper(w, term, depth, s);
  else if (term instanceof Map) writeMap(w, term, depth, s);
  else if (term instanceof Float) writeFloat(w, term.value);
  else if (term instanceof BitString) writeBits(w, term, s);
  else if (term instanceof Port) writePort(w, term);
  else if (term instanceof ExportFun) writeExport(w, term);
  else if (term instanceof Fun) writeFun(w, term, depth, s);
  else if (term instanceof NativeRecord) writeRecord(w, term, depth, s);
  else throw new Unencodable(term, "an object that is no term");
}

function writeNumber(w: ByteWriter, value: number): void {
  w.ensure(MAX_NUMBER_BYTES);
  const b = w.buffer;
  let at = w.length;
  if ((value | 0) === value) {
    if (value >= 0 && value <= 255) {
      b[at] = SMALL_INTEGER_EXT;
      b[at + 1] = value;
      w.length = at + 2;
      return;
    }
    b[at] = INTEGER_EXT;
    b[at + 1] = value >> 24;
    b[at + 2] = value >> 16;
    b[at + 3] = value >> 8;
    b[at + 4] = value;
    w.length = at + 5;
    return;
  }
  if (!Number.isSafeInteger(value)) {
    writeFloat(w, value);
    return;
  }
  // The int32 forms ended above, so this one needs four to seven bytes.
  const sizeAt = at + 1;
  b[at] = SMALL_BIG_EXT;
  b[at + 2] = value < 0 ? 1 : 0;
  at += 3;
  for (let rest = Math.abs(value); rest > 0; rest = Math.floor(rest / 256)) b[at++] = rest % 256;
  b[sizeAt] = at - sizeAt - 2;
  w.length = at;
}

function writeBigint(w: ByteWriter, value: bigint): void {
  if (BigInt.asIntN(53, value) === value) {
    writeNumber(w, Number(value));
    return;
  }
  const magnitude = magnitudeBytes(value);
  const size = magnitude.length;
  if (size > DEFAULT_TERM_LIMITS.maxIntegerBytes) {
    throw overLimit(
      "TERM_INTEGER_BYTES",
      "maxIntegerBytes",
      DEFAULT_TERM_LIMITS.maxIntegerBytes,
      `an integer of ${size} bytes`,
    );
  }
  if (size <= 255) {
    w.u8(SMALL_BIG_EXT);
    w.u8(size);
  } else {
    w.u8(LARGE_BIG_EXT);
    w.u32(size);
  }
  w.u8(value < 0n ? 1 : 0);
  w.bytes(magnitude);
}

function writeFloat(w: ByteWriter, value: number): void {
  if (!Number.isFinite(value)) throw new Unencodable(value, `the float ${value}`);
  w.u8(NEW_FLOAT_EXT);
  w.f64(value);
}

function writeAtom(w: ByteWriter, name: string): void {
  const size = name.length;
  if (size > SHORT_TEXT) {
    writeLongAtom(w, name);
    return;
  }
  w.ensure(2 + size);
  const b = w.buffer;
  let at = w.length;
  b[at] = SMALL_ATOM_UTF8_EXT;
  b[at + 1] = size;
  at += 2;
  for (let i = 0; i < size; i++) {
    const unit = name.charCodeAt(i);
    if (unit > 0x7f) {
      writeLongAtom(w, name);
      return;
    }
    b[at++] = unit;
  }
  w.length = at;
}

/** Also for the atoms that are not ASCII. */
function writeLongAtom(w: ByteWriter, name: string): void {
  if (name.length > MAX_ATOM_BYTES) throw new Unencodable(name, `an atom of more than ${MAX_ATOM_CHARS} characters`);
  if (!isWellFormed(name)) throw new Unencodable(name, "an atom with half of a surrogate pair");
  let chars = 0;
  for (const _ of name) chars++;
  if (chars > MAX_ATOM_CHARS)
    throw new Unencodable(name, `an atom of ${chars} characters, at most ${MAX_ATOM_CHARS} are allowed`);
  const bytes = Buffer.from(name, "utf8");
  if (bytes.length <= 255) {
    w.u8(SMALL_ATOM_UTF8_EXT);
    w.u8(bytes.length);
  } else {
    w.u8(ATOM_UTF8_EXT);
    w.u16(bytes.length);
  }
  w.bytes(bytes);
}

/** A string as the binary of its UTF-8 bytes. */
function writeString(w: ByteWriter, text: string, s: EncodeState): void {
  const units = text.length;
  if (units <= SHORT_TEXT) {
    w.ensure(5 + units);
    const b = w.buffer;
    let at = w.length + 5;
    let i = 0;
    for (; i < units; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      b[at++] = unit;
    }
    if (i === units) {
      writeHead(w, BINARY_EXT, units);
      w.length = at;
      return;
    }
  }
  const size = Buffer.byteLength(text, "utf8");
  if (size !== units && !isWellFormed(text)) throw new Unencodable(text, "a string with half of a surrogate pair");
  makeRoom(w, 5 + size, s);
  writeHead(w, BINARY_EXT, size);
  w.buffer.write(text, w.length, "utf8");
  w.length += size;
}

/** `tag count:32`; room for it must be there. */
function writeHead(w: ByteWriter, tag: number, count: number): void {
  const b = w.buffer;
  const at = w.length;
  b[at] = tag;
  putU32(b, at + 1, count);
  w.length = at + 5;
}

/** Makes room for `size` bytes, unless they would pass the limit. */
function makeRoom(w: ByteWriter, size: number, s: EncodeState): void {
  if (w.length + size > s.limitAt) throw tooLong(s);
  w.ensure(size);
}

function tooLong(s: EncodeState): SallyportError {
  return overLimit("TERM_BYTES", "bytesLimit", s.limit, "the encoded size of a term");
}

function writeBinary(w: ByteWriter, bytes: Uint8Array, s: EncodeState): void {
  const size = bytes.length;
  if (size > 0xffff_ffff) throw tooLong(s);
  if (s.splices !== undefined && size >= SPLICE_FROM_BYTES) {
    makeRoom(w, 5, s);
    s.limitAt -= size;
    if (w.length + 5 > s.limitAt) throw tooLong(s);
    writeHead(w, BINARY_EXT, size);
    s.splices.push({ at: w.length, bytes });
    return;
  }
  makeRoom(w, 5 + size, s);
  writeHead(w, BINARY_EXT, size);
  w.bytes(bytes);
}

function writeBits(w: ByteWriter, term: BitString, s: EncodeState): void {
  const { bytes, lastBits } = term;
  const size = bytes.length;
  if (size === 0 || !Number.isInteger(lastBits) || lastBits < 1 || lastBits > 8) {
    throw new Unencodable(term, `a bit string of ${size} bytes with ${lastBits} bits in the last`);
  }
  makeRoom(w, 6 + size, s);
  writeHead(w, BIT_BINARY_EXT, size);
  w.u8(lastBits);
  w.bytes(bytes);
  const last = w.length - 1;
  w.buffer[last] = (w.buffer[last] as number) & (0xff << (8 - lastBits));
}

function enter(w: ByteWriter, depth: number, s: EncodeState): void {
  if (depth >= DEFAULT_TERM_LIMITS.maxDepth) {
    throw overLimit(
      "TERM_DEPTH",
      "maxDepth",
      DEFAULT_TERM_LIMITS.maxDepth,
      "the nesting of a term (or one that contains itself)",
    );
  }
  if (w.length > s.limitAt) throw tooLong(s);
  w.ensure(6);
}

function writeTuple(w: ByteWriter, elements: readonly Term[], depth: number, s: EncodeState): void {
  enter(w, depth, s);
  const arity = elements.length;
  if (arity <= 255) {
    const at = w.length;
    w.buffer[at] = SMALL_TUPLE_EXT;
    w.buffer[at + 1] = arity;
    w.length = at + 2;
  } else writeHead(w, LARGE_TUPLE_EXT, arity);
  for (let i = 0; i < arity; i++) write(w, elements[i], depth + 1, s);
}

function writeList(w: ByteWriter, items: readonly Term[], depth: number, s: EncodeState): void {
  enter(w, depth, s);
  const count = items.length;
  if (count === 0) {
    w.buffer[w.length++] = NIL_EXT;
    return;
  }
  if (count <= MAX_STRING_EXT_LENGTH && isByteList(items)) {
    w.ensure(3 + count);
    const b = w.buffer;
    let at = w.length;
    b[at] = STRING_EXT;
    b[at + 1] = count >>> 8;
    b[at + 2] = count;
    at += 3;
    for (let i = 0; i < count; i++) b[at++] = items[i] as number;
    w.length = at;
    return;
  }
  writeHead(w, LIST_EXT, count);
  for (let i = 0; i < count; i++) write(w, items[i], depth + 1, s);
  w.u8(NIL_EXT);
}

/** True when each item is an integer from 0 to 255: a BEAM sends such lists as STRING_EXT. */
function isByteList(items: readonly Term[]): boolean {
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item !== "number" || item >>> 0 !== item || item > 255) {
      // A bigint is an integer too, but as a byte it is too rare to look for.
      return false;
    }
  }
  return true;
}

function writeImproper(w: ByteWriter, list: ImproperList, depth: number, s: EncodeState): void {
  enter(w, depth, s);
  const { elements, tail } = list;
  if (elements.length === 0) throw new Unencodable(list, "an improper list without elements");
  writeHead(w, LIST_EXT, elements.length);
  for (let i = 0; i < elements.length; i++) write(w, elements[i], depth + 1, s);
  write(w, tail, depth + 1, s);
}

function writeMap(w: ByteWriter, map: ReadonlyMap<Term, Term>, depth: number, s: EncodeState): void {
  enter(w, depth, s);
  writeHead(w, MAP_EXT, map.size);
  for (const [key, value] of map) {
    write(w, key, depth + 1, s);
    write(w, value, depth + 1, s);
  }
}

function writePid(w: ByteWriter, pid: Pid): void {
  w.u8(NEW_PID_EXT);
  writeAtom(w, pid.node);
  w.ensure(12);
  const b = w.buffer;
  const at = w.length;
  putU32(b, at, pid.id);
  putU32(b, at + 4, pid.serial);
  putU32(b, at + 8, pid.creation);
  w.length = at + 12;
}

function writeReference(w: ByteWriter, ref: Reference): void {
  const words = ref.words;
  const count = words.length;
  if (count > MAX_REFERENCE_WORDS) {
    throw new Unencodable(ref, `a reference of ${count} words, at most ${MAX_REFERENCE_WORDS} are allowed`);
  }
  w.ensure(3);
  let at = w.length;
  w.buffer[at] = NEWER_REFERENCE_EXT;
  w.buffer[at + 1] = 0;
  w.buffer[at + 2] = count;
  w.length = at + 3;
  writeAtom(w, ref.node);
  w.ensure(4 + count * 4);
  const b = w.buffer;
  at = w.length;
  putU32(b, at, ref.creation);
  for (let i = 0; i < count; i++) {
    at += 4;
    putU32(b, at, words[i] as number);
  }
  w.length = at + 4;
}

function putU32(b: Buffer, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}

/** As a BEAM: NEW_PORT_EXT while the id has at most 28 bits, V4_PORT_EXT beyond. */
function writePort(w: ByteWriter, port: Port): void {
  if (port.id < 0n || port.id > 0xffff_ffff_ffff_ffffn)
    throw new Unencodable(port, "a port whose id is not of 64 bits");
  const wide = port.id > 0xfff_ffffn;
  w.u8(wide ? V4_PORT_EXT : NEW_PORT_EXT);
  writeAtom(w, port.node);
  if (wide) w.u64(port.id);
  else w.u32(Number(port.id));
  w.u32(port.creation);
}

function writeExport(w: ByteWriter, fun: ExportFun): void {
  if (!Number.isInteger(fun.arity) || fun.arity < 0 || fun.arity > 255) {
    throw new Unencodable(fun, `a fun of arity ${fun.arity}`);
  }
  w.u8(EXPORT_EXT);
  writeAtom(w, fun.module);
  writeAtom(w, fun.function);
  writeNumber(w, fun.arity);
}

function writeFun(w: ByteWriter, fun: Fun, depth: number, s: EncodeState): void {
  if (fun.uniq.length !== 16)
    throw new Unencodable(fun, `a fun whose uniq has ${fun.uniq.length} bytes, 16 are needed`);
  enter(w, depth, s);
  w.u8(NEW_FUN_EXT);
  const sizeAt = w.length;
  // The size counts itself and everything up to the last free variable, those that are spliced in as well.
  const limitBefore = s.limitAt;
  w.u32(0);
  w.u8(fun.arity);
  w.bytes(fun.uniq);
  w.u32(fun.index);
  w.u32(fun.free.length);
  writeAtom(w, fun.module);
  writeNumber(w, fun.oldIndex);
  writeNumber(w, fun.oldUniq);
  writePid(w, fun.pid);
  for (let i = 0; i < fun.free.length; i++) write(w, fun.free[i], depth + 1, s);
  w.patchU32(sizeAt, w.length - sizeAt + limitBefore - s.limitAt);
}

function writeRecord(w: ByteWriter, record: NativeRecord, depth: number, s: EncodeState): void {
  enter(w, depth, s);
  writeHead(w, NATIVE_RECORD_EXT, record.fields.length);
  w.u8(record.exported ? 1 : 0);
  writeAtom(w, record.module);
  writeAtom(w, record.recordName);
  for (const field of record.fields) writeAtom(w, field[0]);
  for (const field of record.fields) write(w, field[1], depth + 1, s);
}
