import { SallyportError, systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { StoreFiles } from "../base/store-files.ts";
import {
  FIRST_USE_DIRECTORY,
  type IdentityWarning,
  quotePath,
  REVOKED_DIRECTORY,
  TRUSTED_DIRECTORY,
} from "./key-layout.ts";
import { type Found, PinFileReader } from "./pin-file-reader.ts";
import { isHashedStem } from "./pin-stem.ts";
import { type Pin, type PinPlace, PinTable } from "./pin-table.ts";
import { fingerprintOfHex } from "./public-key.ts";

/** Most files that one directory of pins or revocations may hold. */
export const MAX_TRUST_FILES = 16_384;

/** Pin files whose stamps one look compares: with two looks a second, 256 pins are all seen within a second. */
export const FILES_PER_LOOK = 128;

/** All is read anew this often, milliseconds, whatever the stamps say: some file systems do not date directories. */
export const READ_ALL_MS = 60_000;

/** What changed this shortly before it was read is read again: its next change might show the same time. */
const SETTLED_MS = 2000;

const DIRECTORIES = [REVOKED_DIRECTORY, TRUSTED_DIRECTORY, FIRST_USE_DIRECTORY] as const;

/** A pin file as it was read last. */
interface ReadFile {
  readonly stamp: string;
  readonly isSettled: boolean;
  readonly found: Found;
}

/** One of the directories. */
interface SeenDirectory {
  readonly stamp: string;
  /** When this stamp was first seen, by our own clock: a file server's may be another. */
  readonly sinceMs: number;
}

/**
 * Reads the directories of pins and revocations. Files that did not change since are taken from memory, and a look at a
 * few stamps tells whether reading is worth it.
 */
export class PinReader {
  readonly #disk: StoreFiles;
  readonly #pins: PinFileReader;
  readonly #directory: string;
  #directories: readonly SeenDirectory[] = [];
  #files: ReadonlyMap<string, ReadFile> = new Map();
  #paths: readonly string[] = [];
  /** Index into the paths, where the next look goes on. */
  #next = 0;
  #readMs = 0;
  /** False while the same stamps might hide a change. */
  #isSettled = false;

  constructor(disk: StoreFiles, crypto: IdentityCrypto, directory: string) {
    this.#disk = disk;
    this.#pins = new PinFileReader(disk, crypto);
    this.#directory = directory;
  }

  /**
   * Whether `read` could find something new. Every call sees files that were made, renamed or removed, and any change of
   * the next `FILES_PER_LOOK` pin files; other files that somebody writes over in place have their turn later.
   */
  mayHaveChanged(nowMs: number): boolean {
    const sinceRead = nowMs - this.#readMs;
    if (!this.#isSettled || sinceRead < 0 || sinceRead >= READ_ALL_MS) return true;
    if (DIRECTORIES.some((inner, i) => this.#directoryStamp(inner) !== this.#directories[i]?.stamp)) return true;
    for (let looks = Math.min(FILES_PER_LOOK, this.#paths.length); looks > 0; looks--) {
      const path = this.#paths[this.#next] ?? "";
      this.#next = (this.#next + 1) % this.#paths.length;
      if (this.#pins.look(path)?.stamp !== this.#files.get(path)?.stamp) return true;
    }
    return false;
  }

  /**
   * Reads all pins and revocations. A bad file stops nothing: its name is marked broken and a warning names the file.
   * @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES
   */
  read(nowMs: number, warnings: IdentityWarning[]): PinTable {
    this.#isSettled = false;
    // Before their names are listed: what changes meanwhile shows at the next look.
    const directories = DIRECTORIES.map((inner, i) => this.#see(inner, this.#directories[i], nowMs));
    this.#directories = directories;
    const table = new PinTable();
    const files = new Map<string, ReadFile>();
    this.#readRevoked(table, warnings);
    this.#readPlace("trusted", table, files, nowMs, warnings);
    this.#readPlace("first-use", table, files, nowMs, warnings);
    this.#files = files;
    this.#paths = [...files.keys()];
    this.#next = 0;
    this.#readMs = nowMs;
    this.#isSettled =
      directories.every(({ sinceMs }) => nowMs - sinceMs > SETTLED_MS) &&
      [...files.values()].every(({ isSettled }) => isSettled);
    for (const pin of table.pins()) {
      const other = table.otherName(pin.fingerprint, pin.name);
      if (other === undefined) continue;
      warnings.push({ reason: "KEY_REUSED", message: `${pin.name} and ${other} have the same key ${pin.fingerprint}` });
    }
    return table;
  }

  #see(inner: string, before: SeenDirectory | undefined, nowMs: number): SeenDirectory {
    const stamp = this.#directoryStamp(inner);
    return before?.stamp === stamp && before.sinceMs <= nowMs ? before : { stamp, sinceMs: nowMs };
  }

  #directoryStamp(inner: string): string {
    try {
      return this.#disk.facts(`${this.#directory}/${inner}`)?.stamp ?? "";
    } catch (cause) {
      return systemCode(cause);
    }
  }

  #list(inner: string): readonly string[] {
    const path = `${this.#directory}/${inner}`;
    let names: readonly string[];
    try {
      names = this.#disk.list(path);
    } catch (cause) {
      throw new SallyportError("ERR_CONFIG", "TRUST_UNREADABLE", `cannot read ${quotePath(path)}`, {
        stage: "identity",
        detail: { path: quotePath(path), system: systemCode(cause) },
        advice: "let this process's user read the directory; without it no peer can be told from another",
        cause,
      });
    }
    if (names.length <= MAX_TRUST_FILES) return names;
    const message = `${quotePath(path)} holds ${names.length} files, more than ${MAX_TRUST_FILES}`;
    throw new SallyportError("ERR_LIMIT", "TRUST_FILES", message, {
      stage: "identity",
      detail: { limit: MAX_TRUST_FILES, value: names.length },
      advice: "remove pins of nodes that are gone",
    });
  }

  #readRevoked(table: PinTable, warnings: IdentityWarning[]): void {
    for (const name of this.#list(REVOKED_DIRECTORY)) {
      if (name.startsWith(".")) continue;
      const fingerprint = fingerprintOfHex(name);
      if (fingerprint !== undefined) table.revoked.add(fingerprint);
      else {
        const message = `${quotePath(name)} in ${REVOKED_DIRECTORY}/ revokes nothing: a file there is named by 64 hexadecimal digits`;
        warnings.push({ reason: "REVOKED_FILE_NAME", message });
      }
    }
  }

  #readPlace(
    place: PinPlace,
    table: PinTable,
    files: Map<string, ReadFile>,
    nowMs: number,
    warnings: IdentityWarning[],
  ): void {
    const inner = place === "trusted" ? TRUSTED_DIRECTORY : FIRST_USE_DIRECTORY;
    for (const file of this.#list(inner)) {
      // Mounted secrets are links into directories with such names.
      if (file.startsWith(".") || (file.endsWith(".name") && isHashedStem(file.slice(0, -5)))) continue;
      const path = `${this.#directory}/${inner}/${file}`;
      const found = this.#readFile(place, path, file, files, nowMs);
      if (found === undefined) continue;
      if (found.kind === "pin") {
        take(found.pin, path, table, warnings);
        continue;
      }
      warnings.push({ reason: "PIN_SKIPPED", message: `${quotePath(path)} is not used: ${found.why}` });
      if (found.kind === "foreign") continue;
      table.setBroken({ stem: found.stem, path, place, why: found.why });
    }
  }

  /** One file, from memory when it did not change. Undefined when it vanished meanwhile. */
  #readFile(
    place: PinPlace,
    path: string,
    file: string,
    files: Map<string, ReadFile>,
    nowMs: number,
  ): Found | undefined {
    if (!file.endsWith(".pub")) return { kind: "foreign", why: "its name does not end in .pub" };
    const sight = this.#pins.look(path);
    if (sight === undefined) return undefined;
    const before = this.#files.get(path);
    if (before?.isSettled === true && before.stamp === sight.stamp) {
      files.set(path, before);
      return before.found;
    }
    const { found, isRead } = this.#pins.judge(place, path, file.slice(0, -4), sight.fault);
    const isSettled = isRead && nowMs - sight.changedMs > SETTLED_MS;
    files.set(path, { stamp: sight.stamp, isSettled, found });
    return found;
  }
}

/** Puts a pin into the table, unless a trusted one of its name stands there. */
function take(pin: Pin, path: string, table: PinTable, warnings: IdentityWarning[]): void {
  const trusted = pin.place === "first-use" ? table.get(pin.name) : undefined;
  if (trusted === undefined) {
    table.set(pin);
    return;
  }
  // Equal ones are what a promotion leaves when it is killed.
  if (trusted.key.equals(pin.key)) return;
  const message = `${quotePath(path)} is not used: ${pin.name} has another key in ${TRUSTED_DIRECTORY}/`;
  warnings.push({ reason: "PIN_SKIPPED", message });
}
