import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";

/** Longest name that is used as a file name as it is, octets. */
const MAX_PLAIN_NAME_BYTES = 200;

const HASHED = /^sha256-[0-9a-f]{64}$/;

/** The file name of a pin without `.pub`: the name, or its hash when a file system could fold or cut it (rulings C3). */
export function pinStem(name: NodeName, crypto: Pick<IdentityCrypto, "sha256">): string {
  const canonical = canonicalName(name);
  if (canonical.length <= MAX_PLAIN_NAME_BYTES && canonical === canonical.toLowerCase()) return canonical;
  return `sha256-${crypto.sha256(Buffer.from(canonical, "latin1")).toString("hex")}`;
}

/** Whether a stem is a hash, so that the name stands in a file beside the pin. */
export function isHashedStem(stem: string): boolean {
  return HASHED.test(stem);
}
