import { type LogLine, LogReader, type LogReadFiles } from "./log-reader.ts";
import { type AuditFields, type ChainCrypto, type SealedRecord, unseal } from "./record.ts";

/** What a tail finds. */
export type TailEntry =
  | { readonly kind: "record"; readonly record: SealedRecord }
  /** A line that is no record, or was changed. */
  | { readonly kind: "unreadable"; readonly line: LogLine }
  /** Records that were removed before they could be read. */
  | { readonly kind: "skipped"; readonly count: number }
  /** The file became shorter: somebody writes over it. It is read anew. */
  | { readonly kind: "shortened"; readonly file: string };

export interface LogTailParts {
  readonly files: LogReadFiles;
  readonly crypto: ChainCrypto;
  /** The directory of the log, or one `.jsonl` file. */
  readonly path: string;
}

/** What is there when a tail begins. */
export interface TailBegin {
  /** Oldest first. */
  readonly records: readonly SealedRecord[];
  /** Lines that are no records, or were changed, in what was read for it. */
  readonly unreadable: number;
}

/** The end of a log, and what comes. Reads no more files than it must. */
export class LogTail {
  readonly #parts: LogTailParts;
  #reader: LogReader;
  /** Number of the last record that was read. */
  #last = 0;

  constructor(parts: LogTailParts) {
    this.#parts = parts;
    const { files, path } = parts;
    const newest = new LogReader(files, path).names().at(-1);
    this.#reader = new LogReader(files, path, newest);
  }

  /**
   * The last `max` records that `wanted` takes. To be called once, before `more`.
   * @param fromMs older records are not looked for, Unix milliseconds
   * @throws the system's error
   */
  begin(max: number, wanted: (fields: AuditFields) => boolean, fromMs: number | undefined): TailBegin {
    const names = this.#reader.names();
    const newest = this.#read(this.#reader.lines(), max, wanted);
    let { records, unreadable } = newest;
    let { startMs } = newest;
    for (let i = names.length - 2; i >= 0; i--) {
      if (records.length >= max || (fromMs !== undefined && startMs !== undefined && startMs < fromMs)) break;
      const older = this.#readFile(names[i] ?? "", max - records.length, wanted);
      records = [...older.records, ...records];
      unreadable += older.unreadable;
      startMs = older.startMs ?? startMs;
    }
    return { records, unreadable };
  }

  /** What was written since. @throws the system's error */
  *more(): Generator<TailEntry> {
    if (this.#reader.isShortened) yield* this.#startAnew();
    for (const line of this.#reader.lines()) {
      const record = unseal(line.text, this.#parts.crypto);
      if (record === undefined) {
        yield { kind: "unreadable", line };
        continue;
      }
      // Read a second time after the file was written over.
      if (record.seq <= this.#last) continue;
      const skipped = record.seq - this.#last - 1;
      if (this.#last > 0 && skipped > 0) yield { kind: "skipped", count: skipped };
      this.#last = record.seq;
      yield { kind: "record", record };
    }
  }

  /** Idempotent. */
  close(): void {
    this.#reader.close();
  }

  *#startAnew(): Generator<TailEntry> {
    const file = this.#reader.file ?? "";
    this.#reader.close();
    this.#reader = new LogReader(this.#parts.files, this.#parts.path, file);
    yield { kind: "shortened", file };
  }

  /** Of one file that is not the newest. */
  #readFile(name: string, max: number, wanted: (fields: AuditFields) => boolean): ReadPart {
    const slash = this.#parts.path.endsWith("/") ? "" : "/";
    const reader = new LogReader(this.#parts.files, `${this.#parts.path}${slash}${name}`);
    try {
      return this.#read(reader.lines(), max, wanted);
    } finally {
      reader.close();
    }
  }

  #read(lines: Iterable<LogLine>, max: number, wanted: (fields: AuditFields) => boolean): ReadPart {
    const records: SealedRecord[] = [];
    let unreadable = 0;
    let startMs: number | undefined;
    for (const { text } of lines) {
      const record = unseal(text, this.#parts.crypto);
      if (record === undefined) {
        unreadable++;
        continue;
      }
      startMs ??= Date.parse(String(record.fields["at"]));
      this.#last = Math.max(this.#last, record.seq);
      if (!wanted(record.fields)) continue;
      records.push(record);
      // Cut seldom, so that it costs little.
      if (records.length > max * 2 + KEPT_SPARE) records.splice(0, records.length - max);
    }
    return { records: max === 0 ? [] : records.slice(-max), unreadable, startMs };
  }
}

const KEPT_SPARE = 64;

interface ReadPart {
  readonly records: readonly SealedRecord[];
  readonly unreadable: number;
  /** When its first record was written. */
  readonly startMs: number | undefined;
}
