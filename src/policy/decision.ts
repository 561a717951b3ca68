import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Bounds } from "./bounds.ts";
import type { Outcome } from "./document.ts";
import type { Shape } from "./shape.ts";
import type { Verb } from "./verbs.ts";

/** What is known of a peer once it is authenticated; all a policy decides on. */
export interface PeerFacts {
  /** Canonical name. */
  readonly name: NodeName;
  readonly assurance: Assurance;
  readonly protocol: ProtocolName;
  /** Of the proven key, then of the keys it follows by signed successions; empty where there is none. */
  readonly fingerprints: readonly string[];
  /** Padded base64 of the same raw keys, in the same order: a policy may name a key whole. */
  readonly publicKeys: readonly string[];
  /** `spki:SHA256:...` of the certificate that a chain vouches for; undefined where there is none. */
  readonly spki: string | undefined;
  /** Address of the other end without port; undefined when it is no IP address. */
  readonly source: string | undefined;
}

/** What an operation reaches for. */
export type Target =
  /** A registered name, as the peer wrote it. */
  | { readonly kind: "name"; readonly name: string }
  /** A pid or alias of ours; `name` when that process has one; `granted` when it was granted to this peer. */
  | { readonly kind: "pid"; readonly name: string | undefined; readonly granted: boolean }
  /** `worker`, or `module:function/arity`. */
  | { readonly kind: "function"; readonly label: string }
  /** The node itself: `connect`. */
  | { readonly kind: "node" };

/** One way in which something is allowed. */
export interface Grant {
  /** The rule's id; `level`, `domain`, `peer` and `code:...` for what no rule of the file says. */
  readonly rule: string;
  readonly shape: Shape | undefined;
  readonly limits: Bounds | undefined;
  readonly mode: "enforce" | "audit";
}

/** The rule that came nearest, and why it did not count. */
export interface NearestMiss {
  readonly rule: string;
  readonly why: "verb" | "target" | "peer" | "condition" | "expired" | "shape" | "limit";
}

/**
 * What the policy says of (peer, verb, target), before the message itself is looked at. Immutable, shared and kept: making
 * one allocates, using one does not.
 */
export interface Verdict {
  /** `allow` when some grant may let it through; the message may still fail every grant's shape and limits. */
  readonly outcome: Outcome;
  /** The deciding rule: the deny rule, or the first grant's. */
  readonly rule: string | null;
  /** In the order in which they are tried: plain ones first, then by rule id. Empty unless `outcome` is `allow`. */
  readonly grants: readonly Grant[];
  /** True when the first grant has neither shape nor limits and is enforced: nothing more is to be asked. */
  readonly plain: boolean;
  readonly nearestMiss: NearestMiss | null;
  /** A deny rule in audit mode that would have refused this. Then every grant is marked `audit`, and the record names this rule. */
  readonly auditedDeny?: string | undefined;
  /** Unix milliseconds before which it must be asked again: when it was made; -Infinity when no rule has a time. */
  readonly validFromMs: number;
  /** Unix milliseconds from which on it must be asked again; Infinity when no rule has a time, and only then. */
  readonly validUntilMs: number;
}

/** Why a peer may not connect. */
export type RefusedWhy =
  /** It is in no entry. */
  | "no-entry"
  /** The same of one that dialled in over QUIC, where an entry with its key would not do. */
  | "no-entry-over-quic"
  /** Its key is one of an entry that has not this name. */
  | "name"
  /** Its name is one of an entry that has not this key. */
  | "key"
  /** It dialled in over QUIC, so its key does not count and its assurance is `cookie`: the entry asks for more. */
  | "over-quic"
  /** Less assurance than the entry asks for. */
  | "assurance"
  /** A rule denies `connect`. */
  | "rule"
  /** The policy failed to evaluate. */
  | "error";

/** What a refusal has to say beyond its outcome. */
export type DecisionWhy =
  | RefusedWhy
  /** Rules grant it, and no function of this name is registered in the node. */
  | "not-registered";

/** A refused or audited operation as the operator sees it. */
export interface Decision {
  readonly id: string;
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly outcome: Outcome;
  readonly rule: string | null;
  /** Why a peer may not connect, or what else the outcome does not say. */
  readonly why?: DecisionWhy;
  readonly nearestMiss: NearestMiss | null;
  /** Alias in the policy, or null. */
  readonly alias: string | null;
  readonly peer: NodeName;
  /** The node that it was for, where that is not the one that decided: behind a gateway. */
  readonly node?: NodeName;
  /** `SHA256:...` or null. */
  readonly key: string | null;
  readonly verb: Verb | "reply";
  /** Escaped text. */
  readonly target: string;
  readonly generation: number;
  readonly mode: "enforce" | "audit";
}
