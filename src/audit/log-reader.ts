import { systemCode } from "../base/errors.ts";
import type { ReadFile, ReadFiles } from "../base/read-files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { MAX_PIECE_BYTES } from "./chain-checker.ts";
import { firstRecordOf, logFilesIn } from "./log-files.ts";

/** Disk access of those who read a log. */
export type LogReadFiles = Pick<StoreFiles, "list"> & ReadFiles;

/** One line of a log. */
export interface LogLine {
  /** As latin1, without its line break. */
  readonly text: string;
  /** Name of its file. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** Bytes that are read at once. */
const CHUNK_BYTES = 64 * 1024;

const LINE_BREAK = 0x0a;

/** How the name of one file of records ends, such as a copy. */
export const RECORDS_END = ".jsonl";

/** The file that is read now. */
interface Current {
  readonly name: string;
  readonly file: ReadFile;
  position: number;
  line: number;
}

/**
 * Reads the lines of a log over its files, oldest first, while it may still be written: called again, `lines` goes on with what
 * came since, also in files that are new. Holds one chunk and one unfinished line of at most `MAX_PIECE_BYTES`; what is longer is
 * cut there.
 */
export class LogReader {
  readonly #files: LogReadFiles;
  readonly #directory: string;
  readonly #only: string | undefined;
  #current: Current | undefined;
  #next: string | undefined;
  #parts: Buffer[] = [];
  #waiting = 0;
  #bytesRead = 0;

  /**
   * @param path the directory of the log, or one `.jsonl` file, such as a copy
   * @param from name of the file to begin with; default: the oldest
   */
  constructor(files: LogReadFiles, path: string, from?: string) {
    const slash = path.lastIndexOf("/");
    const isFile = path.endsWith(RECORDS_END);
    this.#files = files;
    this.#directory = isFile ? path.slice(0, slash) : path;
    this.#only = isFile ? path.slice(slash + 1) : undefined;
    this.#next = from;
  }

  /** Bytes read so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Names of the files there are now, oldest first. @throws the system's error */
  names(): readonly string[] {
    return this.#list();
  }

  /** The file that is read now, or was read last. */
  get file(): string | undefined {
    return this.#current?.name;
  }

  /** Number of the line that would come next. */
  get nextLine(): number {
    return (this.#current?.line ?? 0) + 1;
  }

  /** Whether the file that is read has become shorter than what was read of it: somebody writes over it. */
  get isShortened(): boolean {
    return this.#current !== undefined && this.#current.file.size() < this.#current.position;
  }

  /** Whole lines, up to the end of what is there now. @throws the system's error */
  *lines(): Generator<LogLine> {
    for (;;) {
      const current = this.#current ?? this.#open();
      if (current === undefined) return;
      yield* this.#linesOf(current);
      const newer = this.#newerThan(current.name);
      if (newer === undefined) return;
      // A file is followed by another one only when it is complete, so this is its end.
      yield* this.#linesOf(current);
      const rest = this.#takeRest(current);
      if (rest !== undefined) yield rest;
      current.file.close();
      this.#current = undefined;
      this.#next = newer;
    }
  }

  /** The line at the end that has no line break yet; undefined when there is none. It is not read again. */
  rest(): LogLine | undefined {
    return this.#current === undefined ? undefined : this.#takeRest(this.#current);
  }

  /** Idempotent. */
  close(): void {
    this.#current?.file.close();
  }

  #open(): Current | undefined {
    let name = this.#next ?? this.#list()[0];
    while (name !== undefined) {
      try {
        const file = this.#files.openRead(`${this.#directory}/${name}`);
        this.#current = { name, file, position: 0, line: 0 };
        return this.#current;
      } catch (cause) {
        // The log has removed it since it was listed.
        if (systemCode(cause) !== "ENOENT") throw cause;
        name = this.#newerThan(name);
      }
    }
    return undefined;
  }

  #list(): readonly string[] {
    return this.#only === undefined ? logFilesIn(this.#files.list(this.#directory)) : [this.#only];
  }

  #newerThan(name: string): string | undefined {
    const number = firstRecordOf(name);
    return this.#list().find((other) => firstRecordOf(other) > number);
  }

  *#linesOf(current: Current): Generator<LogLine> {
    while (current.file.size() > current.position) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const count = current.file.read(chunk, current.position);
      if (count === 0) return;
      current.position += count;
      this.#bytesRead += count;
      let start = 0;
      for (let end = chunk.indexOf(LINE_BREAK); end >= 0 && end < count; end = chunk.indexOf(LINE_BREAK, start)) {
        yield this.#line(current, chunk.subarray(start, end));
        start = end + 1;
      }
      if (start < count) this.#keep(chunk.subarray(start, count));
      if (this.#waiting > MAX_PIECE_BYTES) yield this.#line(current, NOTHING);
    }
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#waiting += part.length;
  }

  #line(current: Current, last: Buffer): LogLine {
    const bytes = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#waiting = 0;
    current.line++;
    return { text: bytes.toString("latin1"), file: current.name, line: current.line };
  }

  #takeRest(current: Current): LogLine | undefined {
    return this.#waiting === 0 ? undefined : this.#line(current, NOTHING);
  }
}

const NOTHING = Buffer.alloc(0);
