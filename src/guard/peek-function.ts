import { peekTupleHead, TupleHead } from "../term/peek.ts";
import { skipTerm } from "../term/skip.ts";
import {
  ATOM_CACHE_REF,
  ATOM_EXT,
  ATOM_UTF8_EXT,
  LIST_EXT,
  NIL_EXT,
  SMALL_ATOM_EXT,
  SMALL_ATOM_UTF8_EXT,
  STRING_EXT,
} from "../term/tags.ts";
import { atomName, type Term } from "../term/types.ts";

/** Most arguments that a function has. */
const MAX_ARITY = 255;

/** A function that a payload asks for, and where its argument list stands. */
export interface WantedFunction {
  readonly module: string;
  readonly fn: string;
  readonly arity: number;
  /** Offset of the argument list. */
  readonly args: number;
}

/** Where a look into bytes has got to. */
interface Cursor {
  readonly buffer: Buffer;
  readonly end: number;
  readonly atomRefs: readonly Term[] | undefined;
  at: number;
}

/**
 * The function that the payload of a spawn request for `erpc:execute_call/4` (`[Ref, M, F, Args]`) or `execute_cast/3`
 * (`[M, F, Args]`) asks for (otp-distribution section 6.5); undefined when it has not that form. Nothing is decoded but two
 * atoms; what follows the head of the argument list is not looked at.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_* for a first element that is no term
 */
export function wantedByErpc(
  buffer: Buffer,
  start: number,
  end: number,
  arity: 3 | 4,
  atomRefs?: readonly Term[],
): WantedFunction | undefined {
  if (end - start < 5 || buffer[start] !== LIST_EXT || buffer.readUInt32BE(start + 1) !== arity) return undefined;
  const cursor: Cursor = { buffer, end, atomRefs, at: start + 5 };
  if (arity === 4) cursor.at = skipTerm(buffer, cursor.at, end);
  return readFunction(cursor);
}

/**
 * The function that a request to `rex` asks for: `{call | block_call | cast, M, F, Args, ...}` at `start` (section 6.4); undefined
 * when it has not that form.
 */
export function wantedByRex(
  buffer: Buffer,
  start: number,
  end: number,
  atomRefs?: readonly Term[],
): WantedFunction | undefined {
  const head = new TupleHead();
  if (!peekTupleHead(buffer, start, end, head) || (head.arity !== 5 && head.arity !== 4)) return undefined;
  const cursor: Cursor = { buffer, end, atomRefs, at: head.elements };
  const kind = readAtom(cursor);
  if (kind !== "call" && kind !== "block_call" && kind !== "cast") return undefined;
  return readFunction(cursor);
}

function readFunction(cursor: Cursor): WantedFunction | undefined {
  const module = readAtom(cursor);
  const fn = module === undefined ? undefined : readAtom(cursor);
  if (module === undefined || fn === undefined) return undefined;
  const arity = readLength(cursor);
  return arity === undefined || arity > MAX_ARITY ? undefined : { module, fn, arity, args: cursor.at };
}

/** The number of elements of the list at the cursor, as claimed. */
function readLength({ buffer, end, at }: Cursor): number | undefined {
  if (at >= end) return undefined;
  switch (buffer[at]) {
    case NIL_EXT:
      return 0;
    case LIST_EXT:
      return end - at < 5 ? undefined : buffer.readUInt32BE(at + 1);
    case STRING_EXT:
      return end - at < 3 ? undefined : buffer.readUInt16BE(at + 1);
    default:
      return undefined;
  }
}

function readAtom(cursor: Cursor): string | undefined {
  const { buffer, end, at, atomRefs } = cursor;
  if (end - at < 2) return undefined;
  const tag = buffer[at];
  const second = buffer[at + 1] as number;
  if (tag === ATOM_CACHE_REF) {
    cursor.at = at + 2;
    return atomRefs === undefined || second >= atomRefs.length ? undefined : atomName(atomRefs[second]);
  }
  const isSmall = tag === SMALL_ATOM_UTF8_EXT || tag === SMALL_ATOM_EXT;
  if (!isSmall && tag !== ATOM_UTF8_EXT && tag !== ATOM_EXT) return undefined;
  if (!isSmall && end - at < 3) return undefined;
  const from = at + (isSmall ? 2 : 3);
  const to = from + (isSmall ? second : (second << 8) | (buffer[at + 2] as number));
  if (to > end || to - from > 4 * MAX_ARITY) return undefined;
  cursor.at = to;
  return buffer.toString(tag === SMALL_ATOM_EXT || tag === ATOM_EXT ? "latin1" : "utf8", from, to);
}
