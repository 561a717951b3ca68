import { systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { META_DIRECTORY, REVOKED_DIRECTORY } from "./key-layout.ts";
import { formatMeta, type PinMeta, parseMeta } from "./pin-meta.ts";
import { isHashedStem, pinStem } from "./pin-stem.ts";
import type { PinPlace } from "./pin-table.ts";
import { type Fingerprint, fingerprintHex, type PublicKey } from "./public-key.ts";

/** What the trust store writes, and reads of single names. Two processes may use one directory: each write is a whole file or none. */
export class PinFiles {
  readonly #files: StoreFiles;
  readonly #crypto: IdentityCrypto;
  readonly #directory: string;

  constructor(files: StoreFiles, crypto: IdentityCrypto, directory: string) {
    this.#files = files;
    this.#crypto = crypto;
    this.#directory = directory;
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
    if (isHashedStem(stem)) {
      this.#files.writeAtomic(`${this.#directory}/${place}/${stem}.name`, canonicalName(name), PUBLIC_MODE);
    }
    if (exclusive) this.#files.writeNew(path, key, PUBLIC_MODE);
    else this.#files.writeAtomic(path, key, PUBLIC_MODE);
  }

  /** Removes a pin file and what belongs to it. Nothing there is no error. */
  removePin(place: PinPlace, name: NodeName): void {
    const stem = pinStem(name, this.#crypto);
    this.#files.remove(this.#pinPath(place, name));
    if (isHashedStem(stem)) this.#files.remove(`${this.#directory}/${place}/${stem}.name`);
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
}
