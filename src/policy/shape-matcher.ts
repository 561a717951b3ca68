import type { Term } from "../term/types.ts";

/** One part of a shape. Matchers nest as shapes do, never as terms do, so the stack is bounded by the shape. */
export interface Matcher {
  /** Offset after the term at `at` when it has the shape, else -1. Throws for bytes that are no term. */
  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number;
  /** Whether an element of STRING_EXT, an integer of one byte, has the shape. */
  takesByte(value: number): boolean;
}
