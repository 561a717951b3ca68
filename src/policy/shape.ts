import type { Term } from "../term/types.ts";

/** A `ShapeEntry`, compiled: says whether encoded bytes have it, without decoding them. */
export interface Shape {
  /**
   * True when the term at `start` (no leading 131) has this shape. It must end at or before `end`; what follows is not looked at.
   * `atomRefs` are those of the distribution header.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_* for bytes that are no term
   */
  matches(buffer: Buffer, start: number, end: number, atomRefs?: readonly Term[]): boolean;
}
