import type { AppendFile, AppendFiles } from "../base/append-files.ts";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { DIRECTORY_MODE, SECRET_MODE } from "../base/files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { findEnd, type LogEnd } from "./find-end.ts";
import type { AuditLimits } from "./limits.ts";
import { logFileAfter, logFilesIn } from "./log-files.ts";
import { type AuditFields, type ChainCrypto, type ChainHead, GENESIS, seal } from "./record.ts";

/** Disk access of the log. */
export type AuditFiles = Pick<StoreFiles, "exists" | "facts" | "list" | "read" | "remove" | "makeDirectory"> &
  AppendFiles;

export interface AuditLogParts {
  readonly files: AuditFiles;
  readonly crypto: ChainCrypto;
  readonly clock: Clock;
  /** Without a slash at its end. */
  readonly directory: string;
  readonly limits: AuditLimits;
}

/** Largest file that is read to find where the chain stands; a larger one was not made by this log. */
export const MAX_READ_FILE_BYTES: number = 256 * 1024 * 1024;

/** How long a record may wait to be synced, milliseconds. */
export const AUDIT_SYNC_MS = 1_000;

/** How often a log that cannot be written is tried again, milliseconds. */
export const AUDIT_RETRY_MS = 5_000;

interface OpenFile {
  readonly file: AppendFile;
  readonly name: string;
  /** Bytes that are in it when nobody else writes. */
  bytes: number;
  /** Its last line lacks its line break. */
  unterminated: boolean;
}

/**
 * The hash-chained log on disk (docs/audit.md). Nothing here throws: a record that cannot be written waits, a record too many is
 * counted, and the log is tried again later.
 */
export class AuditLog {
  readonly #parts: AuditLogParts;
  #head: ChainHead = GENESIS;
  #open: OpenFile | undefined;
  #written = 0;
  #lost = 0;
  /** Lost records that no `gap` record tells of yet. */
  #untold = 0;
  /** Records that wait for the log to work again, oldest first. */
  readonly #waiting: AuditFields[] = [];
  /** What was being written when writing failed, and what to do if it was written all the same. */
  #trying: { readonly head: ChainHead; readonly written: () => void } | undefined;
  #failing = false;
  #over = false;
  #failed: (cause: unknown) => void = () => undefined;
  #retry: Timer | undefined;
  #sync: Timer | undefined;

  constructor(parts: AuditLogParts) {
    this.#parts = parts;
  }

  /** Where the chain stands: keep it elsewhere to notice lines that are cut off. */
  get head(): ChainHead {
    return this.#head;
  }

  get written(): number {
    return this.#written;
  }

  /** Records that were dropped. */
  get lost(): number {
    return this.#lost;
  }

  /** Records that wait for the log to work again. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** True from a failure to the next success. */
  get isFailing(): boolean {
    return this.#failing;
  }

  /** Permission bits of the directory; undefined when the log is not there. */
  get directoryMode(): number | undefined {
    try {
      return this.#failing ? undefined : this.#parts.files.facts(this.#parts.directory)?.mode;
    } catch {
      return undefined;
    }
  }

  /** Takes up the chain and writes that it did. `failed` is called once for each time in which writing fails. */
  start(opened: AuditFields, failed: (cause: unknown) => void): void {
    this.#failed = failed;
    this.record({ kind: "log", event: "opened", ...opened });
  }

  /** Adds one record; `at` is added here. */
  record(fields: AuditFields): void {
    const dated = { ...fields, at: new Date(this.#parts.clock.wallMs()).toISOString() };
    if (this.#failing) {
      this.#wait(dated);
      return;
    }
    try {
      this.#append(dated);
      this.#tellLost();
      if (this.#over) this.#letGo();
    } catch (cause) {
      this.#wait(dated);
      this.#fail(cause);
    }
  }

  /** Writes what is pending and closes the file. A record that comes later is still written. */
  close(): void {
    if (this.#failing) this.#tryAgain();
    this.record({ kind: "log", event: "closed" });
    this.#over = true;
    for (const _ of this.#waiting.splice(0)) this.#lose();
    this.#retry?.cancel();
    try {
      this.#syncNow();
    } catch (cause) {
      this.#fail(cause);
    }
    this.#letGo();
  }

  #append(dated: AuditFields): void {
    const open = this.#ready();
    const sealed = this.#sealed(dated);
    const isFull = open.bytes > 0 && open.bytes + (sealed?.line.length ?? 0) + 2 > this.#parts.limits.maxFileBytes;
    if (sealed !== undefined && isFull) this.#rotate(open);
    const record = isFull ? this.#sealed(dated) : sealed;
    if (record !== undefined) {
      this.#put(this.#ready(), record, () => this.#leaveQueue(dated));
      return;
    }
    // No disk could take it: it must not be tried again and again.
    this.#leaveQueue(dated);
    this.#lose();
  }

  /** Undefined where it is no record: a number that is none, or more than fits a line. */
  #sealed(dated: AuditFields): ReturnType<typeof seal> | undefined {
    try {
      return seal(this.#head, dated, this.#parts.crypto);
    } catch {
      return undefined;
    }
  }

  /** A record of what happened to the log itself. */
  #seal(fields: AuditFields): ReturnType<typeof seal> {
    const at = new Date(this.#parts.clock.wallMs()).toISOString();
    return seal(this.#head, { kind: "log", ...fields, at }, this.#parts.crypto);
  }

  #put(open: OpenFile, { line, head }: ReturnType<typeof seal>, written: () => void = () => undefined): void {
    const text = `${open.unterminated ? "\n" : ""}${line}\n`;
    this.#trying = { head, written };
    open.file.append(text);
    this.#trying = undefined;
    open.bytes += text.length;
    open.unterminated = false;
    this.#head = head;
    this.#written++;
    written();
    this.#syncSoon();
  }

  /** The file to write to. The chain is taken up from disk at first, and when somebody else changed the file. */
  #ready(): OpenFile {
    if (this.#open !== undefined && this.#open.file.size() === this.#open.bytes) return this.#open;
    this.#letGo();
    return this.#takeUp();
  }

  #takeUp(): OpenFile {
    const { files, directory } = this.#parts;
    if (!files.exists(directory)) files.makeDirectory(directory, DIRECTORY_MODE);
    const names = this.#names();
    const ends: LogEnd[] = [];
    while (ends.length < names.length && ends.at(-1)?.head === undefined) {
      ends.push(this.#readEnd(names[names.length - 1 - ends.length] ?? ""));
    }
    const found = ends.at(-1)?.head ?? GENESIS;
    // Records removed from under a running node leave a hole in the chain: it goes on from the last one written.
    if (found.seq >= this.#head.seq) this.#head = found;
    this.#recognise(found);
    const name = names.at(-1) ?? logFileAfter(this.#head);
    const open = this.#openFile(name, ends[0]?.unterminated ?? false);
    const piece = ends[0]?.piece;
    if (piece !== undefined) {
      const sha256 = this.#parts.crypto.sha256(piece).toString("hex");
      this.#put(open, this.#seal({ event: "torn", bytes: piece.length, sha256 }));
    }
    return open;
  }

  /** An append that failed may have reached the disk as a whole. */
  #recognise(found: ChainHead): void {
    const trying = this.#trying;
    this.#trying = undefined;
    if (trying === undefined || found.seq !== trying.head.seq || found.hash !== trying.head.hash) return;
    this.#written++;
    trying.written();
  }

  /** Writes what waits, and then how much was lost after it. */
  #catchUp(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) this.#append(next);
    this.#tellLost();
  }

  #tellLost(): void {
    if (this.#untold === 0) return;
    const told = (): void => {
      this.#untold = 0;
    };
    this.#put(this.#ready(), this.#seal({ event: "gap", lost: this.#untold }), told);
  }

  #leaveQueue(dated: AuditFields): void {
    if (this.#waiting[0] === dated) this.#waiting.shift();
  }

  #names(): readonly string[] {
    return logFilesIn(this.#parts.files.list(this.#parts.directory));
  }

  #readEnd(name: string): LogEnd {
    const { files, crypto } = this.#parts;
    const path = this.#path(name);
    const facts = files.facts(path);
    if (facts?.kind !== "file" || facts.link) throw new Error(`${name} is no regular file`);
    if (facts.bytes > MAX_READ_FILE_BYTES) throw new Error(`${name} is too large to be one of this log`);
    return findEnd(files.read(path), crypto);
  }

  #openFile(name: string, unterminated: boolean): OpenFile {
    const file = this.#parts.files.openAppend(this.#path(name), SECRET_MODE);
    this.#open = { file, name, bytes: file.size() ?? 0, unterminated };
    return this.#open;
  }

  /** Goes on in a new file, and removes the oldest ones. */
  #rotate(old: OpenFile): void {
    this.#syncNow();
    this.#letGo();
    const open = this.#openFile(logFileAfter(this.#head), false);
    this.#put(open, this.#seal({ event: "rotated", previous: old.name }));
    const names = this.#names();
    for (const name of names.slice(0, Math.max(0, names.length - this.#parts.limits.maxFiles))) {
      this.#parts.files.remove(this.#path(name));
      this.#put(open, this.#seal({ event: "removed", file: name }));
    }
  }

  #path(name: string): string {
    return `${this.#parts.directory}/${name}`;
  }

  #syncSoon(): void {
    if (this.#sync !== undefined) return;
    const { clock } = this.#parts;
    const run = (): void => {
      try {
        this.#syncNow();
      } catch (cause) {
        this.#fail(cause);
      }
    };
    this.#sync = clock.at(addMs(clock.now(), AUDIT_SYNC_MS), run, true);
  }

  #syncNow(): void {
    this.#sync?.cancel();
    this.#sync = undefined;
    this.#open?.file.sync();
  }

  #letGo(): void {
    this.#sync?.cancel();
    this.#sync = undefined;
    const open = this.#open;
    this.#open = undefined;
    try {
      open?.file.close();
    } catch {
      // What was written is written; a later failure will show itself.
    }
  }

  #wait(dated: AuditFields): void {
    if (this.#over || this.#waiting.length >= this.#parts.limits.maxWaiting) this.#lose();
    else this.#waiting.push(dated);
  }

  #lose(): void {
    this.#lost++;
    this.#untold++;
  }

  #fail(cause: unknown): void {
    this.#letGo();
    const isNew = !this.#failing;
    this.#failing = !this.#over;
    if (!this.#over) this.#tryLater();
    if (isNew) this.#failed(cause);
  }

  #tryLater(): void {
    const { clock } = this.#parts;
    const run = (): void => {
      if (!this.#tryAgain()) this.#tryLater();
    };
    this.#retry = clock.at(addMs(clock.now(), AUDIT_RETRY_MS), run, true);
  }

  #tryAgain(): boolean {
    try {
      this.#takeUp();
      this.#catchUp();
      this.#syncNow();
      this.#failing = false;
    } catch {
      this.#letGo();
    }
    return !this.#failing;
  }
}
