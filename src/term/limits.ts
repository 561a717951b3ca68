import { SallyportError } from "../base/errors.ts";

/** Bounds on one message's terms. All are inclusive. */
export interface TermLimits {
  /** Containers inside each other. Default 512, which is also the greatest value: the code recurses this deep. */
  readonly maxDepth: number;
  /** Bytes of one integer's magnitude. Default 65,536 (524,288 bits). */
  readonly maxIntegerBytes: number;
  /**
   * Different atoms written out in one message, also those that name a node in a pid, port or reference; the first 1,024
   * count each. References to the atoms of a distribution header are free. Default 20,000: a BEAM that this message is
   * passed on to never gives an atom back.
   */
  readonly maxAtoms: number;
  /**
   * Units of memory in one message. A list or tuple costs one unit and one for each element, a map six and three for
   * each pair, a non-empty binary three; a unit is at most some 30 bytes. Default 8,000,000.
   */
  readonly maxElements: number;
  /** Bytes of one encoded term, or of one decompressed term. Default 64 MiB. */
  readonly maxBytes: number;
  /**
   * Steps one message may spend on telling compound map keys apart (a step compares two small terms or 64 bytes).
   * Default 32,000,000, under half a second; a map of a quarter million tuples as keys needs about half of it.
   */
  readonly maxKeySteps: number;
}

/** The limits that hold when nothing else is said (rulings U13). */
export const DEFAULT_TERM_LIMITS: TermLimits = Object.freeze({
  maxDepth: 512,
  maxIntegerBytes: 65_536,
  maxAtoms: 20_000,
  maxElements: 8_000_000,
  maxBytes: 64 * 1024 * 1024,
  maxKeySteps: 32_000_000,
});

/**
 * The default limits with `changes` applied.
 * @throws {SallyportError} ERR_CONFIG TERM_LIMIT_INVALID for a value that is not a positive whole number, or a maxDepth
 * above 512
 */
export function resolveTermLimits(changes: Partial<TermLimits> = {}): TermLimits {
  const d = DEFAULT_TERM_LIMITS;
  return {
    maxDepth: checked("maxDepth", changes.maxDepth, d.maxDepth, d.maxDepth),
    maxIntegerBytes: checked("maxIntegerBytes", changes.maxIntegerBytes, d.maxIntegerBytes, 0xffff_ffff),
    maxAtoms: checked("maxAtoms", changes.maxAtoms, d.maxAtoms, 0xffff_ffff),
    maxElements: checked("maxElements", changes.maxElements, d.maxElements, 0xffff_ffff),
    maxBytes: checked("maxBytes", changes.maxBytes, d.maxBytes, 0xffff_ffff),
    maxKeySteps: checked("maxKeySteps", changes.maxKeySteps, d.maxKeySteps, Number.MAX_SAFE_INTEGER),
  };
}

function checked(option: keyof TermLimits, value: number | undefined, fallback: number, greatest: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= 1 && value <= greatest) return value;
  throw new SallyportError(
    "ERR_CONFIG",
    "TERM_LIMIT_INVALID",
    `term limit ${option} is ${value}; give a whole number from 1 to ${greatest}`,
    { detail: { option, value, greatest }, advice: `set ${option} to a whole number from 1 to ${greatest}` },
  );
}
