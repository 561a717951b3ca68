import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import type { PendingTrust } from "./identity-keeper.ts";
import type { Session } from "./session.ts";

/** A native connection whose peer is proven and trusted, as it asks to become the session of a name. */
export interface Newcomer {
  /** The proven key; undefined in cookie-only mode. */
  readonly key: Uint8Array | undefined;
  readonly assurance: Assurance;
  /** False for a stranger that dialled in on first use: it waits for an operator and reserves no name (rulings S4). */
  readonly holdsName: boolean;
  /** The key it follows by a signed succession, if it does. */
  readonly succeeds: Uint8Array | undefined;
}

/** What was decided of a peer, as it asks to become the session. */
export function newcomerOf({ question, decision }: PendingTrust): Newcomer {
  const commit = decision?.commit;
  return {
    key: question.publicKey,
    assurance: decision?.assurance ?? "cookie",
    holdsName: commit?.kind !== "pending",
    succeeds: commit?.kind === "succession" ? commit.from : undefined,
  };
}

/** Whether the standing session is with the same party: the same key, or both known by the cookie alone. */
export function isSameParty({ peer }: Session, { key }: Newcomer): boolean {
  return peer.protocol === "native" && sameKeys(peer.publicKey ?? undefined, key);
}

/** Whether two keys are one; two parties without any are known by the same cookie. */
export function sameKeys(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : Buffer.compare(one, other) === 0;
}

/**
 * Whether one that came over QUIC leaves a session alone: it may be relayed, so it takes the place of none of which we are surer, nor,
 * where we are as sure of both, of one that another key has proven. Equals stay here too.
 */
export function leavesAlone({ peer, facts }: Session, assurance: Assurance, key: Uint8Array | undefined): boolean {
  if (!assuranceAtLeast(assurance, facts.assurance)) return true;
  const isOther = peer.publicKey !== null && key !== undefined && !sameKeys(peer.publicKey, key);
  return isOther && assurance === facts.assurance;
}

/**
 * Whether another party may take the place of a standing session. Only one that holds the name may: from a stranger that
 * does not, from the key that it follows, or from somebody of whom we are less sure. Equals stay.
 */
export function outranks(newcomer: Newcomer, standing: Session): boolean {
  if (!newcomer.holdsName) return false;
  if (!standing.holdsName) return true;
  const { publicKey, assurance } = standing.peer;
  if (newcomer.succeeds !== undefined && publicKey?.equals(newcomer.succeeds) === true) return true;
  return newcomer.assurance !== assurance && assuranceAtLeast(newcomer.assurance, assurance);
}
