import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { Verb } from "./verbs.ts";

/** A policy as it is written: the JSON of `policy.jsonc`, and what `definePolicy` takes (docs/policy.md). */
export interface PolicyDocument {
  readonly $schema?: string;
  readonly version: 1;
  /** The node whose policy this is; must be its name. */
  readonly node: string;
  readonly mode?: "enforce";
  /** This node's own level, for the shorthand of levels. */
  readonly level?: number;
  /** The full-trust domain this node belongs to. */
  readonly domain?: string | DomainEntry;
  /** Bounds for every peer that sets none of its own. */
  readonly limits?: LimitsEntry;
  /** Who may connect, by alias. */
  readonly peers?: Readonly<Record<string, PeerEntry>>;
  readonly rules?: readonly RuleEntry[];
  readonly tests?: readonly TestEntry[];
}

export interface DomainEntry {
  readonly name: string;
  /** Every peer of at least this assurance is a member, without an entry of its own. */
  readonly everyPeer?: Exclude<Assurance, "none">;
}

export interface PeerEntry {
  /** `SHA256:...`, `ed25519:...` (base64 of the raw key) or `spki:SHA256:...` (certificate). */
  readonly keys?: readonly string[];
  /** Names that the peer may claim. */
  readonly names: readonly string[];
  /** Least assurance. Default with keys: `tofu`, since the key is named here. Without keys it must be given. */
  readonly assurance?: Exclude<Assurance, "none">;
  readonly level?: number;
  readonly domain?: string;
  readonly limits?: LimitsEntry;
  /** `audit`: what rules refuse this peer is let through and recorded, until `until`. */
  readonly mode?: "enforce" | "audit";
  /** `2027-01-15` (its first moment, UTC) or a full ISO time. */
  readonly until?: string;
}

export interface RuleEntry {
  /** Unique in the file. */
  readonly id: string;
  /** Alias, `level:N`, `domain:X` or `*`. */
  readonly from: string | readonly string[];
  /** One of `allow` and `deny`, never both. */
  readonly allow?: Verb | readonly Verb[];
  readonly deny?: Verb | readonly Verb[];
  /** Names, `M:F/A`, `M:*` `/*`, `granted-pids`, `any-pid`, `*`. Not for `connect`. */
  readonly to?: string | readonly string[];
  readonly when?: ConditionEntry;
  /** What the message must look like; only with `allow` of send, call, cast, rpc, spawn. */
  readonly shape?: ShapeEntry;
  readonly limits?: LimitsEntry;
  readonly mode?: "enforce" | "audit";
  readonly until?: string;
}

/** All of it must hold. */
export interface ConditionEntry {
  readonly transport?: ProtocolName | readonly ProtocolName[];
  readonly assurance?: Exclude<Assurance, "none">;
  /** `203.0.113.0/24`, `2001:db8::/32`, or one address. */
  readonly source?: string | readonly string[];
  /** ISO times: not before `after`, not from `before` on. */
  readonly after?: string;
  readonly before?: string;
}

/** Bounds beside a grant, or of a peer as a whole. What is not given is bounded by docs/limits.md alone. */
export interface LimitsEntry {
  /** `20/s`, `600/min`, `5/h`: messages. */
  readonly rate?: string;
  /** `8KiB/s`, `1MiB/min`: payload bytes. */
  readonly bytes?: string;
  /** Calls, rpcs and spawned functions not answered or ended. */
  readonly inflight?: number;
  /** `8KiB` or a number of bytes: one payload. */
  readonly payload?: string | number;
  /** Nesting of one payload. */
  readonly depth?: number;
  /** Elements of lists, tuples and maps in one payload. */
  readonly elements?: number;
  /** Different atoms in one payload that the policy does not name. */
  readonly newAtoms?: number;
  /** Funs in payloads. Default false. */
  readonly funs?: boolean;
  /** Identifiers of third nodes in payloads. Default false. */
  readonly foreign?: boolean;
}

/**
 * A type word (`any atom binary bitstring boolean float fun integer list map nil number pid port reference string tuple`), another
 * word (that atom), an integer, or one of the forms below. `string` is a list of integers from 0 to 255; a JavaScript string
 * is sent as a `binary`. `nil` is the empty list; the atom is `{"atom": "nil"}`.
 */
export type ShapeEntry =
  | string
  | number
  | { readonly atom: string }
  | { readonly tuple: readonly ShapeEntry[] }
  | { readonly list: ShapeEntry; readonly max?: number }
  /** Keys are atoms; further keys are refused unless `open`. */
  | { readonly map: Readonly<Record<string, ShapeEntry>>; readonly open?: boolean }
  | { readonly oneOf: readonly ShapeEntry[] };

/** One line of a policy's own tests. */
export interface TestEntry {
  /** Alias, node name, fingerprint, or `unknown`. */
  readonly from: string;
  /** A verb, or `reply`: an answer to something of ours (`call#open`) or to nothing (`call#closed`). */
  readonly verb: Verb | "reply";
  readonly to?: string;
  readonly expect: "allow" | "deny" | Outcome;
  /** The rule that must decide. */
  readonly rule?: string;
}

/** What came of a decision. */
export type Outcome = "allow" | "deny-rule" | "deny-default" | "deny-limit" | "deny-identity" | "deny-error";
