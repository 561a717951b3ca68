import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, tryNodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import {
  DIRECTORY_MODE,
  FIRST_USE_DIRECTORY,
  type IdentityWarning,
  META_DIRECTORY,
  PUBLIC_MODE,
  quotePath,
  REVOKED_DIRECTORY,
  SECRET_MODE,
  systemCode,
  TRUSTED_DIRECTORY,
} from "./key-layout.ts";
import { formatMeta, type PinMeta, parseMeta } from "./pin-meta.ts";
import { type Pin, type PinPlace, PinTable } from "./pin-table.ts";
import {
  type Fingerprint,
  fingerprintHex,
  fingerprintOf,
  fingerprintOfHex,
  keyFault,
  type PublicKey,
  tryPublicKey,
} from "./public-key.ts";

/** Most files that one directory of pins or revocations may hold. */
export const MAX_TRUST_FILES = 16_384;

/** Longest name that is used as a file name as it is, octets. */
const MAX_PLAIN_NAME_BYTES = 200;

/** A file changed this shortly before it was read is read again: its next change might show the same time. */
const SETTLED_MS = 2000;

const HASHED = /^sha256-[0-9a-f]{64}$/;

interface CachedPin {
  readonly stamp: string;
  readonly settled: boolean;
  readonly found: Found;
}

type Found =
  | { readonly kind: "pin"; readonly name: NodeName; readonly key: PublicKey }
  | { readonly kind: "broken"; readonly stem: string; readonly why: string }
  | { readonly kind: "foreign"; readonly why: string };

/** The file name of a pin without `.pub`: the name, or its hash when a file system could fold or cut it (rulings C3). */
export function pinStem(name: NodeName, crypto: IdentityCrypto): string {
  const canonical = canonicalName(name);
  if (canonical.length <= MAX_PLAIN_NAME_BYTES && canonical === canonical.toLowerCase()) return canonical;
  return `sha256-${crypto.sha256(Buffer.from(canonical, "latin1")).toString("hex")}`;
}

/** The disk side of the trust store. Two processes may use one directory: each write is a whole file or none. */
export class PinFiles {
  readonly #files: StoreFiles;
  readonly #crypto: IdentityCrypto;
  readonly #directory: string;
  #cache = new Map<string, CachedPin>();

  constructor(files: StoreFiles, crypto: IdentityCrypto, directory: string) {
    this.#files = files;
    this.#crypto = crypto;
    this.#directory = directory;
  }

  /**
   * Reads all pins and revocations. A bad file stops nothing: its name is marked broken and a warning names the file.
   * @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES
   */
  read(nowMs: number, warnings: IdentityWarning[]): PinTable {
    const table = new PinTable();
    const cache = new Map<string, CachedPin>();
    this.#readRevoked(table, warnings);
    this.#readPlace("trusted", table, cache, nowMs, warnings);
    this.#readPlace("first-use", table, cache, nowMs, warnings);
    this.#cache = cache;
    for (const pin of table.pins()) {
      const other = table.otherName(pin.fingerprint, pin.name);
      if (other === undefined) continue;
      warnings.push({ reason: "KEY_REUSED", message: `${pin.name} and ${other} have the same key ${pin.fingerprint}` });
    }
    return table;
  }

  /** The key in the pin file of a name as it is now; undefined when there is none. @throws what reading throws. */
  keyOnDisk(place: PinPlace, name: NodeName): Buffer | undefined {
    const path = this.#pinPath(place, name);
    return this.#files.facts(path) === undefined ? undefined : this.#files.read(path);
  }

  /** Writes a pin durably; `exclusive` fails with EEXIST when the file exists. @throws the system's error. */
  writePin(place: PinPlace, name: NodeName, key: PublicKey, exclusive: boolean): void {
    const path = this.#pinPath(place, name);
    const stem = pinStem(name, this.#crypto);
    this.#files.makeDirectory(`${this.#directory}/${place}`, DIRECTORY_MODE);
    // The name first: a key without its name would be a broken pin.
    if (HASHED.test(stem)) {
      this.#files.writeAtomic(`${this.#directory}/${place}/${stem}.name`, canonicalName(name), PUBLIC_MODE);
    }
    if (exclusive) this.#files.writeNew(path, key, PUBLIC_MODE);
    else this.#files.writeAtomic(path, key, PUBLIC_MODE);
  }

  /** Removes a pin file and what belongs to it. Nothing there is no error. */
  removePin(place: PinPlace, name: NodeName): void {
    const stem = pinStem(name, this.#crypto);
    this.#files.remove(this.#pinPath(place, name));
    if (HASHED.test(stem)) this.#files.remove(`${this.#directory}/${place}/${stem}.name`);
  }

  /** What is kept about a pin: undefined when there is nothing, `broken` when it cannot be read. */
  readMeta(name: NodeName): PinMeta | "broken" | undefined {
    const path = this.#metaPath(name);
    try {
      if (this.#files.facts(path) === undefined) return undefined;
      return parseMeta(this.#files.readText(path)) ?? "broken";
    } catch {
      return "broken";
    }
  }

  writeMeta(name: NodeName, meta: PinMeta): void {
    this.#files.makeDirectory(`${this.#directory}/${META_DIRECTORY}`, DIRECTORY_MODE);
    this.#files.writeAtomic(this.#metaPath(name), formatMeta(meta), SECRET_MODE);
  }

  removeMeta(name: NodeName): void {
    this.#files.remove(this.#metaPath(name));
  }

  /** Records that a key is revoked. Recording it twice is no error. */
  writeRevoked(fingerprint: Fingerprint, text: string): void {
    const directory = `${this.#directory}/${REVOKED_DIRECTORY}`;
    this.#files.makeDirectory(directory, DIRECTORY_MODE);
    try {
      this.#files.writeNew(`${directory}/${fingerprintHex(fingerprint)}`, text, PUBLIC_MODE);
    } catch (cause) {
      if (systemCode(cause) !== "EEXIST") throw cause;
    }
  }

  #pinPath(place: PinPlace, name: NodeName): string {
    return `${this.#directory}/${place}/${pinStem(name, this.#crypto)}.pub`;
  }

  #metaPath(name: NodeName): string {
    return `${this.#directory}/${META_DIRECTORY}/${pinStem(name, this.#crypto)}.json`;
  }

  #list(inner: string): readonly string[] {
    const path = `${this.#directory}/${inner}`;
    let names: readonly string[];
    try {
      names = this.#files.list(path);
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
    cache: Map<string, CachedPin>,
    nowMs: number,
    warnings: IdentityWarning[],
  ): void {
    const inner = place === "trusted" ? TRUSTED_DIRECTORY : FIRST_USE_DIRECTORY;
    for (const file of this.#list(inner)) {
      // Mounted secrets are links into directories with such names.
      if (file.startsWith(".") || (file.endsWith(".name") && HASHED.test(file.slice(0, -5)))) continue;
      const path = `${this.#directory}/${inner}/${file}`;
      const found = this.#readPin(path, file, cache, nowMs);
      if (found === undefined) continue;
      if (found.kind === "pin") {
        this.#take(place, path, found, table, warnings);
        continue;
      }
      warnings.push({ reason: "PIN_SKIPPED", message: `${quotePath(path)} is not used: ${found.why}` });
      if (found.kind === "foreign") continue;
      table.setBroken({ stem: found.stem, path, place, why: found.why });
    }
  }

  #take(
    place: PinPlace,
    path: string,
    { name, key }: { readonly name: NodeName; readonly key: PublicKey },
    table: PinTable,
    warnings: IdentityWarning[],
  ): void {
    if (place === "first-use") {
      const trusted = table.get(name);
      if (trusted !== undefined) {
        // Equal ones are what a promotion leaves when it is killed.
        if (!trusted.key.equals(key)) {
          const message = `${quotePath(path)} is not used: ${name} has another key in ${TRUSTED_DIRECTORY}/`;
          warnings.push({ reason: "PIN_SKIPPED", message });
        }
        return;
      }
    }
    const pin: Pin = { name, key, fingerprint: fingerprintOf(key, this.#crypto), place };
    table.set(pin);
  }

  /** One file, from memory when it did not change. Undefined when it vanished meanwhile. */
  #readPin(path: string, file: string, cache: Map<string, CachedPin>, nowMs: number): Found | undefined {
    const expected = this.#expect(path, file);
    if (expected.kind !== "name") return expected;
    const { name } = expected;
    const broken = (why: string): Found => ({ kind: "broken", stem: pinStem(name, this.#crypto), why });
    try {
      const facts = this.#files.facts(path);
      if (facts === undefined) return undefined;
      if (facts.kind !== "file") return broken("it is not a plain file");
      if (facts.link && this.#files.exposed(path)) return broken("it is a link that others could redirect");
      const cached = this.#cache.get(path);
      if (cached?.settled === true && cached.stamp === facts.stamp) {
        cache.set(path, cached);
        return cached.found;
      }
      const bytes = facts.bytes === 32 ? this.#files.read(path) : undefined;
      const key = bytes === undefined ? undefined : tryPublicKey(bytes);
      const fault = bytes === undefined ? "KEY_SIZE" : keyFault(bytes);
      const found: Found =
        key === undefined
          ? broken(fault === "KEY_SIZE" ? "it does not have 32 bytes" : `${fault}`)
          : { kind: "pin", name, key };
      cache.set(path, { stamp: facts.stamp, settled: nowMs - facts.changedMs > SETTLED_MS, found });
      return found;
    } catch (cause) {
      return broken(`it cannot be read (${systemCode(cause)})`);
    }
  }

  /** Which name a file in a directory of pins is about. */
  #expect(
    path: string,
    file: string,
  ): Exclude<Found, { kind: "pin" }> | { readonly kind: "name"; readonly name: NodeName } {
    if (!file.endsWith(".pub")) return { kind: "foreign", why: "its name does not end in .pub" };
    const stem = file.slice(0, -4);
    const name = HASHED.test(stem) ? this.#nameBeside(path) : tryNodeName(stem);
    if (name === undefined) {
      return HASHED.test(stem)
        ? { kind: "broken", stem, why: "the file with its name beside it is missing or wrong" }
        : { kind: "foreign", why: "its name is not a node name" };
    }
    const right = pinStem(name, this.#crypto);
    if (right === stem) return { kind: "name", name: canonicalName(name) };
    // Blocked under both, since the name that was meant must not count as unknown.
    return { kind: "broken", stem: HASHED.test(stem) ? stem : right, why: `a pin of this name is called ${right}.pub` };
  }

  #nameBeside(path: string): NodeName | undefined {
    try {
      return tryNodeName(this.#files.readText(`${path.slice(0, -4)}.name`).trim());
    } catch {
      return undefined;
    }
  }
}
