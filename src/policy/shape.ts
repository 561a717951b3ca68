import type { Term } from "../term/types.ts";
import type { ShapeEntry } from "./document.ts";
import type { Matcher } from "./shapes/shape-matcher.ts";
import { matcherOf } from "./shapes/shape-matchers.ts";

/** A `ShapeEntry`, compiled: says whether encoded bytes have it, without decoding them. */
export interface Shape {
  /**
   * True when the term at `start` (no leading 131) has this shape. It must end at or before `end`; what follows is not looked at.
   * `atomRefs` are those of the distribution header.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_* for bytes that are no term
   */
  matches(buffer: Buffer, start: number, end: number, atomRefs?: readonly Term[]): boolean;
}

/** Compiles a checked shape. */
export function compileShape(entry: ShapeEntry): Shape {
  const matcher: Matcher = matcherOf(entry);
  return Object.freeze({
    matches(buffer: Buffer, start: number, end: number, atomRefs?: readonly Term[]): boolean {
      return matcher.endOf(buffer, start, Math.min(end, buffer.length), atomRefs) >= 0;
    },
  });
}
