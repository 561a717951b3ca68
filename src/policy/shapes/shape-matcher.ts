import { DEFAULT_TERM_LIMITS, type TermLimits } from "../../term/limits.ts";
import type { Term } from "../../term/types.ts";

/** One part of a shape. Matchers nest as shapes do, never as terms do, so the stack is bounded by the shape. */
export interface Matcher {
  /** Offset after the term at `at` when it has the shape, else -1. Throws for bytes that are no term. */
  endOf(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): number;
  /** Whether an element of STRING_EXT, an integer of one byte, has the shape. */
  takesByte(value: number): boolean;
}

/** Repeated atoms are no fault of a shape, and decoding bounds them: a list of 100,000 tagged tuples has its shape. */
export const SHAPE_LIMITS: TermLimits = Object.freeze({ ...DEFAULT_TERM_LIMITS, maxAtoms: Number.MAX_SAFE_INTEGER });
