import { type ChainAnchors, ChainChecker, type ChainFaultKind } from "./chain-checker.ts";
import type { ChainCrypto, ChainHead } from "./record.ts";

/** What was found. `line` counts from 1. */
export type ChainVerdict =
  | {
      readonly ok: true;
      readonly records: number;
      /** The last record. */
      readonly head: ChainHead;
      /** Pieces of records that a crash or a full disk left behind. */
      readonly torn: number;
      /** Records that could not be written, as the log itself says. */
      readonly lost: number;
    }
  | { readonly ok: false; readonly line: number; readonly fault: ChainFaultKind };

/**
 * Checks the lines of a log that is in memory as a whole: those of all files in their order, read as latin1 and without line breaks.
 * Pure: an empty line at the very end is none. `ChainChecker` does the same line by line.
 */
export function verifyChain(lines: readonly string[], crypto: ChainCrypto, anchors: ChainAnchors = {}): ChainVerdict {
  const checker = new ChainChecker<number>(crypto, anchors);
  const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  for (let i = 0; i < count; i++) checker.push(lines[i] ?? "", i + 1);
  const { fault, records, head, torn, lost } = checker.end(count + 1);
  if (fault !== undefined) return { ok: false, line: fault.at, fault: fault.kind };
  return { ok: true, records, head, torn, lost };
}
