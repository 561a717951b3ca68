import { BINARY_EXT, BIT_BINARY_EXT, LIST_EXT, STRING_EXT } from "../term/tags.ts";
import { atomEnd, isAtom, isTuple, Step, stepInto, termEnd } from "./encoded-terms.ts";
import type { FormatStep } from "./io-format.ts";

/** Columns that `~p` has where the format does not say. */
const DEFAULT_WIDTH = 80;
/** Columns of one level where tags and keys find no room beside each other. */
const LEVEL = 4;
const TAB = 0x09;
const TAB_COLUMNS = 8;
/** Characters that one byte, or one element of a list, becomes at most where it is written out: `\377`, `\x{10FFFF}`. */
const WRITTEN_BYTE = 4;
const WRITTEN_ELEMENT = 10;

interface Level {
  left: number;
  readonly columns: number;
}

/**
 * Spaces that `~p` and `~P` may put in front of lines, beside what their arguments are as text. Each term may begin a line, and
 * each line begins where the text stood when the directive began, so that few bytes can ask for very many. An upper bound.
 * @param places where the arguments stand, one for each use of the format
 */
export function prettyPadding(b: Buffer, steps: readonly FormatStep[], places: readonly number[]): number {
  let padding = 0;
  let column = 0;
  for (const { resets, columns, directive, width, precision, use } of steps) {
    column = (resets ? 0 : column) + columns;
    if (directive === "n") column = 0;
    const at = places[use];
    if (at === undefined) continue;
    if (directive === "p" || directive === "P") {
      const printed = pretty(b, at, width ?? DEFAULT_WIDTH, precision ?? column);
      padding += printed.padding;
      column = printed.column;
    } else column += written(b, at, directive) + (width ?? 0) + (precision ?? 0);
  }
  return padding;
}

function pretty(b: Buffer, at: number, width: number, start: number): { padding: number; column: number } {
  const end = termEnd(b, at);
  const levels: Level[] = [];
  const step = new Step();
  let padding = 0;
  let longest = 0;
  let deepest = start;
  for (let p = at; p < end; p = step.next) {
    stepInto(b, p, step);
    const { tag, inside } = step;
    const depth = levels.length;
    const top = levels[depth - 1];
    const wanted = top?.columns ?? 0;
    const indent = start + Math.min(wanted, width + LEVEL * depth);
    padding += indent * linesOf(tag, step.next - p);
    deepest = Math.max(deepest, indent);
    longest = Math.max(longest, tag === LIST_EXT ? inside * WRITTEN_ELEMENT : (step.next - p) * WRITTEN_BYTE);
    if (top !== undefined) top.left--;
    if (inside > 0) levels.push({ left: inside, columns: wanted + Math.max(LEVEL, 2 + tagColumns(b, step)) });
    while (levels.length > 0 && levels[levels.length - 1]?.left === 0) levels.pop();
  }
  return { padding, column: Math.max(start + width, deepest + longest) };
}

/** Lines that a term may begin. Numbers that are written as a string may each have one; a binary has two bytes or more in each. */
function linesOf(tag: number, bytes: number): number {
  if (tag === STRING_EXT) return bytes;
  return tag === BINARY_EXT || tag === BIT_BINARY_EXT ? 1 + bytes / 2 : 1;
}

/** Of the atom that a tuple begins with. */
function tagColumns(b: Buffer, { tag, next }: Step): number {
  return isTuple(tag) && isAtom(b[next]) ? (atomEnd(b, next) - next) * WRITTEN_BYTE : 0;
}

/** Columns that an argument takes which is not pretty printed. */
function written(b: Buffer, at: number, directive: string): number {
  const end = termEnd(b, at);
  if (directive !== "s") return (end - at) * WRITTEN_BYTE;
  let columns = end - at;
  for (let i = at; i < end; i++) if (b[i] === TAB) columns += TAB_COLUMNS - 1;
  return columns;
}
