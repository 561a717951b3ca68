import { parseNodeName } from "../base/node-name.ts";
import { NodeKey } from "../identity/node-key.ts";
import type { Fingerprint, PublicKey } from "../identity/public-key.ts";
import type { TrustCommit, TrustFacts } from "../identity/trust-decision.ts";
import { TrustStore, type TrustStoreOptions } from "../identity/trust-store.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import type { FaultyFiles } from "./faulty-files.ts";

// What the tests of the trust store share.

export const crypto: RealIdentityCrypto = new RealIdentityCrypto();
/** Unix time, milliseconds. */
export const NOW: number = Date.UTC(2026, 0, 1);
/** Where and when a peer was first seen. */
export const seen: { address: string; nowMs: number } = { address: "192.0.2.1:9100", nowMs: NOW };
/** Commits a key that nobody vouches for. */
export const FIRST_USE: TrustCommit = { kind: "first-use" };
export const name: typeof parseNodeName = parseNodeName;
/** Of the seeds 1 to 60; number 0 is the own key of the store. */
const keys = Array.from({ length: 60 }, (_, i) => new NodeKey(Buffer.alloc(32, i + 1), crypto));
/** Key pair number `i`. */
export const keyPair = (i: number): NodeKey => keys[i] ?? new NodeKey(Buffer.alloc(32, i + 1), crypto);
export const own: NodeKey = keyPair(0);
/** Public key number `i`. */
export const K = (i: number): PublicKey => keyPair(i).publicKey;
/** Fingerprint number `i`. */
export const F = (i: number): Fingerprint => keyPair(i).fingerprint;

/** The trust store of `me@h` in `/keys`, trusting on first use. */
export function open(files: FaultyFiles, change: Partial<TrustStoreOptions> = {}): TrustStore {
  return new TrustStore({
    files,
    crypto,
    directory: "/keys",
    mode: "tofu",
    ownName: name("me@h"),
    ownKey: own.publicKey,
    nowMs: NOW,
    ...change,
  });
}

/** What is asked about `peer`, dialled, that shows key number `key`. */
export function facts(peer: string, key: number, change: Partial<TrustFacts> = {}): TrustFacts {
  return {
    role: "dialler",
    name: name(peer),
    key: K(key),
    chain: [],
    caNamesPeer: false,
    inviteValid: false,
    cookieProven: false,
    nowMs: NOW,
    ...change,
  };
}

/** The assurance that the store gives, or the reason why none. */
export const outcome = (store: TrustStore, peer: string, key: number, change: Partial<TrustFacts> = {}): string => {
  const decision = store.decide(facts(peer, key, change));
  return decision.kind === "accept" ? decision.assurance : decision.reason;
};
