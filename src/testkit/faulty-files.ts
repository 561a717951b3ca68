import type { AppendFile, AppendFiles } from "../base/append-files.ts";
import type { ReadFile, ReadFiles } from "../base/read-files.ts";
import type { FileFacts, StoreFiles } from "../base/store-files.ts";

interface Entry {
  readonly bytes: Buffer;
  readonly mode: number;
  readonly changedMs: number;
  readonly stamp: string;
}

/** Bytes of a file that one step writes. */
const BYTES_PER_STEP = 16;

/** What is thrown at the chosen step of a write. After a `crash` every further access throws it too. */
export class InjectedFault extends Error {
  readonly code: string;

  constructor(code: string, step: string) {
    super(`injected ${code} at ${step}`);
    this.code = code;
  }
}

/**
 * A disk in memory whose every write goes through the steps of a real one: create, mode, each sixteenth byte, sync, rename
 * or link, sync of the directory. `failAt` makes one step fail; with `crash` all accesses fail from there on, as for a
 * process that was killed, and `survivor()` is what the next process finds. Links and owners are not modelled, except
 * as facts that a test sets.
 */
export class FaultyFiles implements StoreFiles, AppendFiles, ReadFiles {
  readonly #files: Map<string, Entry>;
  readonly #directories: Set<string>;
  readonly #facts = new Map<string, Partial<FileFacts>>();
  readonly #exposed = new Set<string>();
  readonly #unreadable = new Map<string, string>();
  /** Stamps of directories whose entries changed. */
  readonly #dated = new Map<string, string>();
  #counter = 0;
  #failAt = Number.POSITIVE_INFINITY;
  #code = "EIO";
  #crash = false;
  #crashed = false;
  /** Steps of writes so far. */
  steps = 0;
  /** What the clock of this disk says, Unix milliseconds. */
  wallMs: number = Date.UTC(2026, 0, 1);

  constructor(from?: FaultyFiles) {
    this.#files = new Map(from === undefined ? [] : from.#files);
    this.#directories = new Set(from === undefined ? ["/"] : from.#directories);
    this.#counter = from === undefined ? 0 : from.#counter;
    if (from !== undefined) this.wallMs = from.wallMs;
  }

  /** Lets step number `step` (the first is 0, counted from now) fail with `code`. */
  failAt(step: number, code: string = "EIO"): void {
    this.#failAt = this.steps + step;
    this.#code = code;
    this.#crash = false;
  }

  /** Ends everything at step number `step`, counted from now. */
  crashAt(step: number): void {
    this.failAt(step, "KILLED");
    this.#crash = true;
  }

  /** The disk as the next process finds it. */
  survivor(): FaultyFiles {
    return new FaultyFiles(this);
  }

  /** Makes `facts` say something else of a path. */
  pretend(path: string, facts: Partial<FileFacts>): void {
    this.#facts.set(path, { ...this.#facts.get(path), ...facts });
  }

  /** Makes `exposed` true for a path. */
  expose(path: string): void {
    this.#exposed.add(path);
  }

  /** Makes reads of a path fail with a system code. Dates a directory, as a change of its mode does. */
  forbid(path: string, code: string = "EACCES"): void {
    this.#date(path);
    this.#unreadable.set(path, code);
  }

  /** Takes `forbid` back. */
  permit(path: string): void {
    this.#date(path);
    this.#unreadable.delete(path);
  }

  /** Puts bytes in place without steps, as an editor does that writes over what is there. */
  put(path: string, data: Uint8Array | string, mode: number = 0o600): void {
    for (let at = path.indexOf("/", 1); at !== -1; at = path.indexOf("/", at + 1)) {
      this.#directories.add(path.slice(0, at));
    }
    if (!this.#files.has(path)) this.#date(directoryOf(path));
    this.#files.set(path, this.#entry(data, mode));
  }

  /** Removes a path without steps. */
  take(path: string): void {
    this.#date(directoryOf(path));
    this.#files.delete(path);
  }

  /** All paths, sorted. */
  get paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  read(path: string): Buffer {
    this.#alive();
    const code = this.#unreadable.get(path);
    if (code !== undefined) throw new InjectedFault(code, `read of ${path}`);
    const entry = this.#files.get(path);
    if (entry === undefined) throw new InjectedFault(this.#directories.has(path) ? "EISDIR" : "ENOENT", path);
    return Buffer.from(entry.bytes);
  }

  readText(path: string): string {
    return this.read(path).toString("utf8");
  }

  exists(path: string): boolean {
    this.#alive();
    return this.#files.has(path) || this.#directories.has(path);
  }

  mode(path: string): number {
    return this.facts(path)?.mode ?? 0;
  }

  makeDirectory(path: string, mode: number): void {
    this.#step(`mkdir ${path}`);
    for (let at = path.indexOf("/", 1); at !== -1; at = path.indexOf("/", at + 1)) {
      this.#directories.add(path.slice(0, at));
    }
    if (!this.#directories.has(path)) this.#facts.set(path, { mode });
    this.#directories.add(path);
  }

  writeAtomic(path: string, data: Uint8Array | string, mode: number): void {
    const temporary = this.#writeTemporary(path, data, mode);
    this.#cleaningUp(temporary, () => this.#step(`rename to ${path}`));
    const entry = this.#files.get(temporary);
    this.#files.delete(temporary);
    if (entry !== undefined) this.#files.set(path, entry);
    this.#date(directoryOf(path));
    this.#step(`sync of the directory of ${path}`);
  }

  writeNew(path: string, data: Uint8Array | string, mode: number): void {
    const temporary = this.#writeTemporary(path, data, mode);
    this.#cleaningUp(temporary, () => {
      this.#step(`link to ${path}`);
      if (this.#files.has(path)) throw new InjectedFault("EEXIST", `link to ${path}`);
    });
    const entry = this.#files.get(temporary);
    if (entry !== undefined) this.#files.set(path, entry);
    this.#date(directoryOf(path));
    // A failed unlink is ignored, as the real disk's is; a process can be killed here all the same.
    if (this.#crash) this.#step(`unlink of ${temporary}`);
    this.#files.delete(temporary);
    this.#step(`sync of the directory of ${path}`);
  }

  facts(path: string): FileFacts | undefined {
    this.#alive();
    const entry = this.#files.get(path);
    const directory = this.#directories.has(path);
    if (entry === undefined && !directory) return undefined;
    const mode = directory ? 0o700 : (entry?.mode ?? 0);
    return {
      kind: directory ? "directory" : "file",
      bytes: entry?.bytes.length ?? 0,
      mode,
      changedMs: entry?.changedMs ?? this.wallMs,
      stamp: entry?.stamp ?? this.#dated.get(path) ?? "undated",
      link: false,
      foreign: false,
      ...this.#facts.get(path),
    };
  }

  list(path: string): readonly string[] {
    this.#alive();
    const code = this.#unreadable.get(path);
    if (code !== undefined) throw new InjectedFault(code, `list of ${path}`);
    const names = new Set<string>();
    for (const known of [...this.#files.keys(), ...this.#directories]) {
      if (known.startsWith(`${path}/`)) names.add(known.slice(path.length + 1).split("/")[0] ?? "");
    }
    return [...names].sort();
  }

  remove(path: string): void {
    this.#step(`unlink of ${path}`);
    if (!this.#files.delete(path)) return;
    this.#date(directoryOf(path));
    this.#step(`sync of the directory of ${path}`);
  }

  exposed(path: string): boolean {
    this.#alive();
    return this.#exposed.has(path);
  }

  openAppend(path: string, mode: number): AppendFile {
    this.#step(`open ${path}`);
    if (this.#directories.has(path)) throw new InjectedFault("EISDIR", path);
    const directory = directoryOf(path);
    if (!this.#directories.has(directory)) throw new InjectedFault("ENOENT", directory);
    if (!this.#files.has(path)) this.#files.set(path, this.#entry("", mode));
    return {
      append: (data) => this.#grow(path, Buffer.from(data)),
      size: () => this.facts(path)?.bytes,
      sync: () => this.#step(`sync of ${path}`),
      close: () => this.#alive(),
    };
  }

  /** What is open stays readable as it was last, also when its name is gone. */
  openRead(path: string): ReadFile {
    let last = this.read(path);
    const now = (): Buffer => {
      last = this.#files.get(path)?.bytes ?? last;
      return last;
    };
    return {
      read: (into, position) => now().copy(into, 0, position),
      size: () => now().length,
      close: () => undefined,
    };
  }

  /** Adds to a file, sixteen bytes with each step. */
  #grow(path: string, data: Buffer): void {
    const before = this.#files.get(path);
    const written = (end: number): void => {
      const bytes = Buffer.concat([before?.bytes ?? Buffer.alloc(0), data.subarray(0, end)]);
      this.#files.set(path, this.#entry(bytes, before?.mode ?? 0));
    };
    for (let end = 0; end < data.length; end += BYTES_PER_STEP) {
      if (end > 0) written(end);
      this.#step(`byte ${end} for ${path}`);
    }
    written(data.length);
    this.#step(`end of an append to ${path}`);
  }

  #writeTemporary(path: string, data: Uint8Array | string, mode: number): string {
    const directory = directoryOf(path);
    const temporary = `${directory}/.tmp-${(this.#counter++).toString(16).padStart(24, "0")}`;
    this.#step(`create for ${path}`);
    if (!this.#directories.has(directory)) throw new InjectedFault("ENOENT", directory);
    const bytes = Buffer.from(data);
    this.#files.set(temporary, this.#entry("", mode));
    this.#date(directory);
    this.#cleaningUp(temporary, () => {
      this.#step(`mode for ${path}`);
      for (let end = 0; end < bytes.length; end += BYTES_PER_STEP) {
        this.#files.set(temporary, this.#entry(bytes.subarray(0, end), mode));
        this.#step(`byte ${end} for ${path}`);
      }
      this.#files.set(temporary, this.#entry(bytes, mode));
      this.#step(`sync for ${path}`);
    });
    return temporary;
  }

  #cleaningUp(temporary: string, run: () => void): void {
    try {
      run();
    } catch (cause) {
      // A killed process cleans up nothing.
      if (!this.#crashed) this.#files.delete(temporary);
      throw cause;
    }
  }

  #date(directory: string): void {
    this.#dated.set(directory, `dated-${this.#counter++}`);
  }

  #entry(data: Uint8Array | string, mode: number): Entry {
    return { bytes: Buffer.from(data), mode, changedMs: this.wallMs, stamp: `stamp-${this.#counter++}` };
  }

  #alive(): void {
    if (this.#crashed) throw new InjectedFault("KILLED", "a step after the end");
  }

  #step(what: string): void {
    this.#alive();
    if (this.steps++ !== this.#failAt) return;
    this.#crashed = this.#crash;
    throw new InjectedFault(this.#code, what);
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
