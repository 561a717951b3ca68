import type { ChainHead } from "./record.ts";

/** Names of the files of a log: `audit-SEQUENCE-OF-FIRST-RECORD.jsonl`. */
const FILE_NAME = /^audit-(\d{12,16})\.jsonl$/;

/** The files of a log among the names in a directory, oldest first. */
export function logFilesIn(names: readonly string[]): readonly string[] {
  // By the number of the first record: as text, 10 would stand before 9.
  return names.filter((name) => FILE_NAME.test(name)).toSorted((a, b) => firstRecordOf(a) - firstRecordOf(b));
}

/** The number of the first record of a file, as its name says; NaN of another name. */
export function firstRecordOf(name: string): number {
  return Number(FILE_NAME.exec(name)?.[1]);
}

/** A file is named for its first record. */
export function logFileAfter(head: ChainHead): string {
  return `audit-${String(head.seq + 1).padStart(12, "0")}.jsonl`;
}
