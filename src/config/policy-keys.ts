import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { fingerprintOf, parseKeyText } from "../identity/public-key.ts";
import type { PolicyDocument } from "../policy/document.ts";

/**
 * A checked document with every key written as its fingerprint: a key that follows another by a signed succession is known by
 * the fingerprints of both, so rules on a key that was written whole hold for its successor too (rulings U7).
 */
export function withFingerprints(document: PolicyDocument, crypto: IdentityCrypto): PolicyDocument {
  const { peers } = document;
  if (peers === undefined) return document;
  const entries = Object.entries(peers).map(([alias, entry]) => {
    if (entry.keys === undefined) return [alias, entry] as const;
    return [alias, { ...entry, keys: entry.keys.map((text) => asFingerprint(text, crypto)) }] as const;
  });
  return { ...document, peers: Object.fromEntries(entries) };
}

function asFingerprint(text: string, crypto: IdentityCrypto): string {
  if (!text.startsWith("ed25519:")) return text;
  const key = parseKeyText(text);
  return key.kind === "fingerprint" ? key.fingerprint : fingerprintOf(key.key, crypto);
}
