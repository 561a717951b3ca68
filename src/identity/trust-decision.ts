import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, sameNode } from "../base/node-name.ts";
import type { Pin, PinPlace, PinTable } from "./pin-table.ts";
import { type Fingerprint, fingerprintOf, type PublicKey, sameKey } from "./public-key.ts";
import { judgeChain, type SuccessionChain, type SuccessionFault } from "./succession.ts";

/** `tofu` takes unknown keys on first use; `strict` takes only what was provisioned. */
export type TrustMode = "tofu" | "strict";

/** What a handshake knows of a peer when it asks. The key is proven: its signature over the transcript verified. */
export interface TrustFacts {
  /** Our part in the handshake. */
  readonly role: "dialler" | "acceptor";
  readonly name: NodeName;
  readonly key: PublicKey;
  /** Statements the peer sent; empty when none. */
  readonly chain: SuccessionChain;
  /** Whether a configured CA's certificate names this peer (rulings U6). */
  readonly caNamesPeer: boolean;
  /** Whether an invite for this name was proven: by the peer to us, or held by us for this acceptor's key. */
  readonly inviteValid: boolean;
  /** Whether a cookie is set and the peer proved it. */
  readonly cookieProven: boolean;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** The last succession that was accepted for a name; `unreadable` when its record is broken. */
export type AcceptedSuccession =
  | { readonly kind: "none" }
  | { readonly kind: "unreadable" }
  | { readonly kind: "known"; readonly serial: number; readonly key: Fingerprint };

/** What the decision reads. */
export interface TrustView {
  readonly mode: TrustMode;
  readonly ownName: NodeName;
  readonly ownKey: PublicKey;
  readonly allowReusedKeys: boolean;
  readonly table: PinTable;
  /** Why the pin file of this name is broken; undefined when it is not. */
  brokenPin(name: NodeName): string | undefined;
  acceptedSuccession(name: NodeName): AcceptedSuccession;
}

/** Why a peer is refused. The peer itself learns only `auth` (docs/protocol.md). */
export type TrustRefusal =
  | "OWN_NAME"
  | "OWN_KEY"
  | "KEY_REVOKED"
  | "PIN_BROKEN"
  | "KEY_MISMATCH"
  | "KEY_REUSED"
  | "KEY_UNTRUSTED";

/** What must be made durable before the session counts. */
export type TrustCommit =
  /** Nothing; the session rests on a pin that stands, or on a CA. */
  | { readonly kind: "none"; readonly rests: "pin" | "ca" }
  /** Remember as pending: in memory, reserving no name. */
  | { readonly kind: "pending" }
  /** Pin in `first-use/`. */
  | { readonly kind: "first-use" }
  /** Pin in `trusted/`, because of an invite. */
  | { readonly kind: "invite" }
  /** Replace the pin where it is. */
  | { readonly kind: "succession"; readonly place: PinPlace; readonly from: PublicKey; readonly serial: number };

export type TrustDecision =
  | { readonly kind: "accept"; readonly assurance: "pinned" | "tofu" | "ca"; readonly commit: TrustCommit }
  | {
      readonly kind: "refuse";
      readonly reason: TrustRefusal;
      /** The key that is pinned instead, for the audit record. */
      readonly pinned?: Fingerprint;
      /** The name under which this key is pinned. */
      readonly otherName?: NodeName;
      /** Why the statements of succession did not help. */
      readonly fault?: SuccessionFault;
    };

/**
 * The trust table of docs/identity.md, for both roles. Pure: it changes nothing, and an acceptance is worth nothing
 * before its `commit` was carried out.
 */
export function decideTrust(view: TrustView, facts: TrustFacts, crypto: IdentityCrypto): TrustDecision {
  const { table } = view;
  const name = canonicalName(facts.name);
  const fingerprint = fingerprintOf(facts.key, crypto);
  if (sameNode(name, view.ownName)) return refuse("OWN_NAME");
  if (sameKey(facts.key, view.ownKey)) return refuse("OWN_KEY");
  if (table.revoked.has(fingerprint)) return refuse("KEY_REVOKED");
  if (view.brokenPin(name) !== undefined) return refuse("PIN_BROKEN");
  const pin = table.get(name);
  const otherName = view.allowReusedKeys ? undefined : table.otherName(fingerprint, name);
  if (pin !== undefined && sameKey(pin.key, facts.key)) return decidePinned(view.mode, pin, facts, otherName);
  if (pin !== undefined) return decideSuccession(view, pin, facts, otherName, crypto);
  if (otherName !== undefined) return { kind: "refuse", reason: "KEY_REUSED", otherName };
  // Before the CA: an invite is the operator's word about this very peer, and what it gives ranks higher.
  if (facts.inviteValid) return { kind: "accept", assurance: "pinned", commit: { kind: "invite" } };
  if (facts.caNamesPeer) return { kind: "accept", assurance: "ca", commit: { kind: "none", rests: "ca" } };
  if (view.mode === "strict") return refuse("KEY_UNTRUSTED");
  const reserves = facts.role === "dialler" || facts.cookieProven;
  return { kind: "accept", assurance: "tofu", commit: { kind: reserves ? "first-use" : "pending" } };
}

function refuse(reason: TrustRefusal): TrustDecision {
  return { kind: "refuse", reason };
}

function decidePinned(mode: TrustMode, pin: Pin, facts: TrustFacts, otherName: NodeName | undefined): TrustDecision {
  const nothing: TrustCommit = { kind: "none", rests: "pin" };
  // The operator put this key there, under each of its names.
  if (pin.place === "trusted") return { kind: "accept", assurance: "pinned", commit: nothing };
  if (otherName !== undefined) return { kind: "refuse", reason: "KEY_REUSED", otherName };
  if (facts.inviteValid) return { kind: "accept", assurance: "pinned", commit: { kind: "invite" } };
  return mode === "tofu" ? { kind: "accept", assurance: "tofu", commit: nothing } : refuse("KEY_UNTRUSTED");
}

function decideSuccession(
  view: TrustView,
  pin: Pin,
  facts: TrustFacts,
  otherName: NodeName | undefined,
  crypto: IdentityCrypto,
): TrustDecision {
  const pinned = pin.fingerprint;
  if (facts.chain.length === 0) return { kind: "refuse", reason: "KEY_MISMATCH", pinned };
  const accepted = view.acceptedSuccession(pin.name);
  // Without the record nobody can tell an old statement from a new one.
  if (accepted.kind === "unreadable") return { kind: "refuse", reason: "KEY_MISMATCH", pinned, fault: "replayed" };
  const verdict = judgeChain(
    facts.chain,
    {
      name: pin.name,
      pinned: pin.key,
      shown: facts.key,
      nowMs: facts.nowMs,
      accepted: accepted.kind === "known" ? accepted : undefined,
      isRevoked: (fingerprint) => view.table.revoked.has(fingerprint),
    },
    crypto,
  );
  if (verdict.kind === "fails") return { kind: "refuse", reason: "KEY_MISMATCH", pinned, fault: verdict.fault };
  if (otherName !== undefined) return { kind: "refuse", reason: "KEY_REUSED", otherName };
  const { place } = pin;
  if (place === "first-use" && view.mode === "strict") return refuse("KEY_UNTRUSTED");
  const commit: TrustCommit = { kind: "succession", place, from: pin.key, serial: verdict.serial };
  return { kind: "accept", assurance: place === "trusted" ? "pinned" : "tofu", commit };
}
