import type { Health, RuleInCode, Vitals } from "../node/api.ts";
import type { Channel } from "../node/channel.ts";
import type { AuditedPart } from "../policy/audit-mode.ts";
import type { Decision } from "../policy/decision.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Term } from "../term/types.ts";

/** What `status` tells of a node. */
export interface ControlStatus {
  readonly name: string;
  readonly creation: number;
  readonly endpoints: readonly string[];
  readonly sessions: number;
  /** `SHA256:...` of the node's key, or null without identity by key. */
  readonly fingerprint: string | null;
  readonly trust: "strict" | "tofu" | null;
  /** As `Vitals.state`. */
  readonly state: string;
  /** Stable reasons of what needs a look now; empty when green. */
  readonly problems: readonly string[];
  readonly seeds: Health["seeds"];
  /** Null for a node without a policy. */
  readonly policy: ControlPolicyState | null;
  /** Unix milliseconds. */
  readonly startedMs: number;
  /** The latest, oldest first. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/** How the policy of a node stands. */
export interface ControlPolicyState {
  /** Of the policy in force. */
  readonly generation: number;
  /** Null where the policy was given in code. */
  readonly file: string | null;
  /** What is in audit mode now. */
  readonly audited: readonly AuditedPart[];
  /** Why the last policy that was to be taken was not, while that is so. */
  readonly problem: { readonly reason: string; readonly message: string } | null;
}

/** Health, and how the policy stands. */
export type ControlHealth = Health & { readonly policy: ControlPolicyState | null };

/** The same without asking peers. */
export type ControlVitals = Vitals & { readonly policy: ControlPolicyState | null };

/** All that grants something on a node. */
export interface ControlPolicy {
  readonly node: string;
  /** Null, as the document, for a node without a policy. */
  readonly generation: number | null;
  readonly document: PolicyDocument | null;
  readonly rulesInCode: readonly RuleInCode[];
  /** Labels of the registered functions. */
  readonly functions: readonly string[];
  /** Where it takes connections. */
  readonly endpoints: readonly string[];
}

/** What came of reading the policy file anew. */
export interface ControlPolicyReload {
  /** In force now. */
  readonly generation: number;
}

/** One row of `grants`. */
export interface ControlGrant {
  readonly id: string;
  /** Text of the process. */
  readonly pid: string;
  /** Fingerprint or name of who holds it. */
  readonly to: string;
  readonly verbs: readonly string[];
  /** Null without a bound. */
  readonly usesLeft: number | null;
  /** Null without a bound. */
  readonly expiresInMs: number | null;
}

/** One row of `peers`. */
export interface ControlPeer {
  readonly name: string;
  readonly protocol: string;
  readonly assurance: string;
  readonly fingerprint: string | null;
  readonly address: string;
  /** When the session came up, Unix milliseconds. */
  readonly sinceMs: number;
  /** What secures it; null when it has just ended. */
  readonly channel: Channel | null;
}

/** A stranger that waits for `trust promote`. */
export interface ControlPending {
  readonly name: string;
  /** `ed25519:...` */
  readonly key: string;
  readonly fingerprint: string;
  readonly address: string;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export interface ControlPing {
  readonly peer: string;
  readonly protocol: string;
  readonly assurance: string;
  readonly fingerprint: string | null;
  readonly rttMs: number;
}

/** What came of reading the key directory anew. */
export interface ControlReload {
  /** Of the key in use now. */
  readonly fingerprint: string;
  /** Sessions that ended. */
  readonly ended: number;
}

/** How long an operation may take, and when nobody waits for it any more. */
export interface OperationBounds {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface MessageTo {
  /** `name@host`, or `name@host:port`. */
  readonly node: string;
  /** Registered name. */
  readonly name: string;
  readonly message: Term;
}

/** The node behind a control socket. What a method throws goes to the client. */
export interface ControlTarget {
  status(): ControlStatus;
  peers(): readonly ControlPeer[];
  /** Within 8 seconds; never rejects. */
  health(): Promise<ControlHealth>;
  vitals(): ControlVitals;
  /** A decision of late; null when it is not known any more. */
  why(id: string): Decision | null;
  policy(): ControlPolicy;
  /**
   * Reads the policy file anew.
   * @throws {SallyportError} ERR_CONFIG NO_POLICY, POLICY_REJECTED; ERR_API_MISUSE POLICY_NOT_A_FILE
   */
  reloadPolicy(): ControlPolicyReload;
  /** Processes that are handed to peers. */
  grants(): readonly ControlGrant[];
  /** Takes one back. @throws {SallyportError} ERR_CONFIG GRANT_UNKNOWN */
  revokeGrant(id: string): void;
  /** Strangers that wait; empty without identity by key. */
  pending(): readonly ControlPending[];
  /**
   * The key directory was changed: takes key pair and trust anew, and ends sessions that have lost their standing.
   * @throws {SallyportError} ERR_CONFIG NO_IDENTITY, and what `NodeIdentity.reload` throws
   */
  reloadIdentity(): Promise<ControlReload>;
  ping(node: string, bounds: OperationBounds): Promise<ControlPing>;
  /** Examines a peer, stage by stage; the fields are those of `doctor connect --json`. */
  examine(node: string, bounds: OperationBounds): Promise<Readonly<Record<string, unknown>>>;
  call(to: MessageTo, bounds: OperationBounds): Promise<Term>;
  /** Resolves when the message has left. */
  cast(to: MessageTo, bounds: OperationBounds): Promise<void>;
  /** Resolves when the message has left. */
  send(to: MessageTo, bounds: OperationBounds): Promise<void>;
  rpc(
    to: { readonly node: string; readonly module: string; readonly function: string; readonly args: readonly Term[] },
    bounds: OperationBounds,
  ): Promise<Term>;
  /** Resolves with the new process. */
  spawn(
    to: { readonly node: string; readonly function: string; readonly args: readonly Term[] },
    bounds: OperationBounds,
  ): Promise<Term>;
}
