import type { Clock } from "../base/clock.ts";
import { type ChainAnchors, ChainChecker, type ChainSummary } from "./chain-checker.ts";
import { firstRecordOf } from "./log-files.ts";
import { LogReader, type LogReadFiles } from "./log-reader.ts";
import { type ChainCrypto, GENESIS } from "./record.ts";

/** Where a line of a log stands. */
export interface LogPlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** How far a check is. */
export interface VerifyProgress {
  readonly bytes: number;
  readonly records: number;
}

export interface VerifyLogParts {
  readonly files: LogReadFiles;
  readonly crypto: ChainCrypto;
  readonly clock: Pick<Clock, "now">;
}

/** How often a running check tells how far it is, milliseconds. */
export const VERIFY_PROGRESS_MS = 1_000;

/** How often a check begins anew because the log removed files under it. */
export const MAX_VERIFY_RESTARTS = 3;

/** Lines between two looks at the clock. */
const LINES_PER_LOOK = 256;

/**
 * Checks the log in a directory, file after file, in bounded memory. A node may go on writing it: what is there when the end is
 * reached counts.
 * @throws the system's error
 */
export function verifyLog(
  directory: string,
  anchors: ChainAnchors,
  parts: VerifyLogParts,
  told: (progress: VerifyProgress) => void = () => undefined,
): ChainSummary<LogPlace> {
  for (let restarts = 0; ; restarts++) {
    const { summary, isDisturbed } = verifyOnce(directory, anchors, parts, told);
    // With files gone under it that it had not read, records seem removed that the log itself removed.
    if (!isDisturbed || summary.fault === undefined || restarts >= MAX_VERIFY_RESTARTS) return summary;
  }
}

function verifyOnce(
  directory: string,
  anchors: ChainAnchors,
  { files, crypto, clock }: VerifyLogParts,
  told: (progress: VerifyProgress) => void,
): { readonly summary: ChainSummary<LogPlace>; readonly isDisturbed: boolean } {
  const reader = new LogReader(files, directory);
  const before = reader.names();
  // A file is named for its first record.
  const isWhole = firstRecordOf(before[0] ?? "") === 1;
  const checker = new ChainChecker<LogPlace>(crypto, isWhole ? { from: GENESIS, ...anchors } : anchors);
  let next = clock.now() + VERIFY_PROGRESS_MS;
  let seen = 0;
  try {
    for (const { text, file, line } of reader.lines()) {
      checker.push(text, { file, line });
      if (checker.isSettled) break;
      if (++seen % LINES_PER_LOOK !== 0 || clock.now() < next) continue;
      next = clock.now() + VERIFY_PROGRESS_MS;
      told({ bytes: reader.bytesRead, records: checker.records });
    }
    const rest = reader.rest();
    if (rest !== undefined) checker.push(rest.text, { file: rest.file, line: rest.line });
    const end = { file: reader.file ?? "", line: reader.nextLine };
    const after = new Set(reader.names());
    return { summary: checker.end(end, rest !== undefined), isDisturbed: before.some((name) => !after.has(name)) };
  } finally {
    reader.close();
  }
}
