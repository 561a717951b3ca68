import { systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, tryNodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { isHashedStem, pinStem } from "./pin-stem.ts";
import type { Pin, PinPlace } from "./pin-table.ts";
import { fingerprintOf, keyFault, tryPublicKey } from "./public-key.ts";

const KEY_BYTES = 32;

/** What a file in a directory of pins is. */
export type Found =
  | { readonly kind: "pin"; readonly pin: Pin }
  | { readonly kind: "broken"; readonly stem: string; readonly why: string }
  | { readonly kind: "foreign"; readonly why: string };

/** What can be said of a pin file without opening it. */
export interface Sight {
  /** Differs when anything about the file changed. */
  readonly stamp: string;
  readonly changedMs: number;
  /** Why it holds no pin, when that shows from outside. */
  readonly fault: string | undefined;
}

/** Looks at and reads single files of pins. */
export class PinFileReader {
  readonly #disk: StoreFiles;
  readonly #crypto: IdentityCrypto;

  constructor(disk: StoreFiles, crypto: IdentityCrypto) {
    this.#disk = disk;
    this.#crypto = crypto;
  }

  /** Undefined when there is no such file. */
  look(path: string): Sight | undefined {
    try {
      const facts = this.#disk.facts(path);
      if (facts === undefined) return undefined;
      const name = isHashedStem(stemOf(path)) ? this.#disk.facts(nameFile(path)) : undefined;
      const fault =
        facts.kind !== "file"
          ? "it is not a plain file"
          : facts.link && this.#disk.exposed(path)
            ? "it is a link that others could redirect"
            : facts.bytes === KEY_BYTES
              ? undefined
              : `it does not have ${KEY_BYTES} bytes`;
      return {
        stamp: `${facts.stamp} ${name?.stamp ?? ""} ${fault ?? ""}`,
        changedMs: Math.max(facts.changedMs, name?.changedMs ?? 0),
        fault,
      };
    } catch (cause) {
      const fault = `it cannot be read (${systemCode(cause)})`;
      return { stamp: fault, changedMs: 0, fault };
    }
  }

  /** What a file is, and whether that could be read; what could not is tried again. */
  judge(
    place: PinPlace,
    path: string,
    stem: string,
    fault: string | undefined,
  ): { readonly found: Found; readonly isRead: boolean } {
    const expected = this.#expect(path, stem);
    if (expected.kind !== "name") return { found: expected, isRead: true };
    const { name } = expected;
    const broken = (why: string): Found => ({ kind: "broken", stem: pinStem(name, this.#crypto), why });
    if (fault !== undefined) return { found: broken(fault), isRead: true };
    try {
      const bytes = this.#disk.read(path);
      const key = tryPublicKey(bytes);
      if (key === undefined) return { found: broken(`${keyFault(bytes)}`), isRead: true };
      const pin = { name, key, fingerprint: fingerprintOf(key, this.#crypto), place };
      return { found: { kind: "pin", pin }, isRead: true };
    } catch (cause) {
      return { found: broken(`it cannot be read (${systemCode(cause)})`), isRead: false };
    }
  }

  /** Which name a file in a directory of pins is about. */
  #expect(
    path: string,
    stem: string,
  ): Exclude<Found, { kind: "pin" }> | { readonly kind: "name"; readonly name: NodeName } {
    const isHashed = isHashedStem(stem);
    const name = isHashed ? this.#nameBeside(path) : tryNodeName(stem);
    if (name === undefined) {
      return isHashed
        ? { kind: "broken", stem, why: "the file with its name beside it is missing or wrong" }
        : { kind: "foreign", why: "its name is not a node name" };
    }
    const right = pinStem(name, this.#crypto);
    if (right === stem) return { kind: "name", name: canonicalName(name) };
    // Blocked under both, since the name that was meant must not count as unknown.
    return { kind: "broken", stem: isHashed ? stem : right, why: `a pin of this name is called ${right}.pub` };
  }

  #nameBeside(path: string): NodeName | undefined {
    try {
      return tryNodeName(this.#disk.readText(nameFile(path)).trim());
    } catch {
      return undefined;
    }
  }
}

function stemOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1, -4);
}

/** Where the name of a hashed pin stands. */
function nameFile(path: string): string {
  return `${path.slice(0, -4)}.name`;
}
