import type { Assurance } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { TlsDebug } from "../carrier/tls-debug.ts";
import type { Allow, AllowVerb } from "../guard/allow.ts";
import type { CapabilityVerb } from "../guard/capabilities.ts";
import type { CertificateExpiry } from "../health/expiry-watch.ts";
import type { Decision, DecisionWhy } from "../policy/decision.ts";
import type { Outcome, PolicyDocument } from "../policy/document.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import type { NodeAdmission } from "./admission-api.ts";
import type { CertificateReloadResult, NodeCertificate } from "./certificate-api.ts";
import type { Channel } from "./channel.ts";
import type { Health, Vitals } from "./health-api.ts";
import type { Metric } from "./metric.ts";
import type { Peer } from "./peer.ts";
import type { PeerStream, StreamHandler } from "./peer-stream.ts";

export type { CertificateReloadResult, NodeCertificate } from "./certificate-api.ts";
export type { Health, LastRefusal, PeerHealth, Vitals } from "./health-api.ts";
export type { Metric } from "./metric.ts";
export type { Peer } from "./peer.ts";
export type { PeerStream, StreamHandler } from "./peer-stream.ts";

/** What a handler knows about the message it handles. */
export interface HandlerContext {
  /** The sending peer; null for messages from this node. */
  readonly peer: Peer | null;
  /** The sending process; undefined when the sender named none. */
  readonly from: Pid | undefined;
  /** Aborts when the caller gave up, its node was lost, or this node closes. */
  readonly signal: AbortSignal;
  /** Name of this node. */
  readonly node: NodeName;
  /** The process that handles the message. */
  readonly self: Pid;
}

/** Handlers of a named service, shaped like a gen_server. A missing one refuses that kind of message. */
export interface ServiceHandlers {
  /** Answers `gen_server:call`. The value, or what a returned promise resolves to, is the reply. */
  call?(request: Term, ctx: HandlerContext): ReplyTerm | Promise<ReplyTerm>;
  /** Takes `gen_server:cast`. */
  cast?(message: Term, ctx: HandlerContext): void | Promise<void>;
  /** Takes every other message. */
  info?(message: Term, ctx: HandlerContext): void | Promise<void>;
}

/** What a call handler may return: any term. (`void` reads as the atom `undefined`.) */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing replies `undefined`
export type ReplyTerm = Term | void;

/** Where to send: a process, a registered name on this node, or a registered name on another node. */
export type Target = Pid | string | { readonly name: string; readonly node: string } | LocalProcessHandle;

/** What `onDown` receives. */
export interface Down {
  readonly ref: Reference;
  /** The pid, or `{name, node}` for a monitor by name. */
  readonly target: Pid | { readonly name: string; readonly node: string };
  /** `noproc`, `noconnection`, or the exit reason. */
  readonly reason: Term;
}

/** A process of this node. */
export interface LocalProcessHandle {
  readonly pid: Pid;
  readonly alive: boolean;
  /** Resolves with the exit reason. */
  readonly exited: Promise<Term>;
}

/** Returned by a process handler to end its process. */
export class ExitRequest {
  readonly reason: Term;
  constructor(reason: Term) {
    this.reason = reason;
  }
}

/** Return this from a process handler to end the process with `reason`. */
export function exit(reason: Term): ExitRequest {
  return new ExitRequest(reason);
}

/** Handler of a spawned process; exit signals arrive as `{'EXIT', From, Reason}` only with `trapExit`. */
export type ProcessHandler = (
  message: Term,
  ctx: HandlerContext,
  // biome-ignore lint/suspicious/noConfusingVoidType: most handlers return nothing
) => ExitRequest | void | Promise<ExitRequest | void>;

export interface SpawnOptions {
  /** Who may send to, monitor (and so on) the process; default: nobody but this node. */
  readonly allow?: Allow;
  /** Deliver exit signals as messages. Default false. */
  readonly trapExit?: boolean;
  /** Let peers see exit reasons as they are, instead of their class. Default false. */
  readonly exposeReasons?: boolean;
}

export interface RegisterOptions {
  /** Who may call, cast, send to and monitor the service; default: nobody but this node. */
  readonly allow?: Allow;
}

/** Names a function for remote spawn, or for `rpc`. */
export type FunctionName = string | { readonly module: string; readonly function: string; readonly arity: number };

/** A registered function: gets the argument list; its value is the result of `rpc`, its life the life of the spawn. */
export type RegisteredFunction = (args: readonly Term[], ctx: HandlerContext) => ReplyTerm | Promise<ReplyTerm>;

export interface CallOptions {
  /** Default 5,000; must be finite. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface RpcOptions extends CallOptions {
  /**
   * Group leader of what is run: a process of this node, which must answer the I/O protocol. Default: one that drops output. The
   * peer needs a right to send it `io`, such as a grant.
   */
  readonly groupLeader?: LocalProcessHandle;
}

export interface SpawnRemoteOptions extends RpcOptions {
  /** Sets up a monitor with the spawn itself, so that no death is missed. */
  readonly onDown?: (down: Down) => void;
  /** Links the new process to this local process. */
  readonly link?: LocalProcessHandle;
}

/** Events of a node; listener errors never reach the protocol. */
export interface NodeEvents {
  nodeup: [peer: Peer];
  nodedown: [peer: Peer, reason: string];
  /** An inbound operation was refused. */
  denied: [denied: Denied];
  /** A certificate is near its end, or past it: at 30, 14, 7 and 1 days, at its end, and daily from then on. */
  expiry: [expiry: CertificateExpiry];
  /** Something the operator should know. */
  warning: [warning: { readonly reason: string; readonly message: string }];
  /** Another policy, or other certificate files, were to be taken; `ok` says whether they were. */
  reload: [
    reload:
      | (PolicyReloadResult & { readonly what: "policy" })
      | (CertificateReloadResult & { readonly what: "certificate" }),
  ];
  tls: [TlsDebug & { readonly dropped: number }];
  /** A peer with an `io` grant on `user` wrote output of something this node started there. */
  output: [output: { readonly peer: Peer; readonly text: string }];
  /** A handler threw. `id` is what the caller was told. */
  handlerError: [failure: { readonly id: string; readonly where: string; readonly error: unknown }];
  /** A connection failed before it became a session. Of seeds that nobody waits for, `vitals()` tells. */
  refused: [
    failure: { readonly address: string; readonly role: "initiator" | "acceptor"; readonly error: SallyportError },
  ];
}

/** One refused inbound operation, or one that audit mode let through (`allow`), as the operator sees it. */
export interface Denied {
  /** The id the peer was told, when it was told anything. */
  readonly decision: string;
  readonly outcome: Outcome;
  readonly rule: string | null;
  /** Why a peer may not connect, or what else the outcome does not say. */
  readonly why?: DecisionWhy;
  readonly peer: NodeName;
  readonly verb: string;
  /** Escaped text. */
  readonly target: string;
  /** 1; above it: so many more of the same kind within a minute, of which this is the last. */
  readonly count: number;
}

/** Who may do what with a process that is handed to a peer. */
export interface GrantOptions {
  /** The peer, which must have a session; or a fingerprint, `SHA256:...`. The grant is bound to its key where it has one. */
  readonly to: string;
  /** Default `["send"]`. */
  readonly verbs?: readonly CapabilityVerb[];
  /** Messages and exit signals before it is used up. Default without a bound. */
  readonly uses?: number;
  /** Milliseconds. Default: as long as the process. */
  readonly ttlMs?: number;
  /** Messages may hold funs, opaque values. Default: where the policy lets the peer send them. */
  readonly funs?: boolean;
  /** Messages may hold identifiers of third nodes. Default: where the policy lets the peer send them. */
  readonly foreign?: boolean;
}

/** A process handed to a peer. Ends with its uses, its time, the process, or `revoke`. */
export interface ProcessGrant {
  readonly id: string;
  readonly pid: Pid;
  /** An alias that leads to the process, for this grant only and not to be guessed: the peer may send to it instead. */
  readonly alias: Reference;
  /** Fingerprint or name of who holds it. */
  readonly to: string;
  readonly verbs: readonly CapabilityVerb[];
  readonly usesLeft: number;
  /** Null without a bound. */
  readonly expiresInMs: number | null;
  /** False when it was gone. */
  revoke(): boolean;
}

/** What came of an attempt to take another policy. */
export interface PolicyReloadResult {
  readonly ok: boolean;
  /** In force now. */
  readonly generation: number;
  /** Reason and message of the error because of which the old policy stays. */
  readonly reason?: string;
  readonly message?: string;
}

/** The policy of a node (docs/policy.md). */
export interface NodePolicy {
  /** Goes up by one with each policy taken; the first is 1. */
  readonly generation: number;
  readonly document: PolicyDocument;
  /**
   * Reads the file anew, which is also done by itself within a second of a change. One that cannot be taken leaves the old one
   * in force. @throws {SallyportError} ERR_API_MISUSE POLICY_NOT_A_FILE
   */
  reload(): PolicyReloadResult;
  /** Takes another policy; sessions are judged by it before this returns. */
  replace(document: PolicyDocument): PolicyReloadResult;
}

/** A grant that `allow` of a registration gives, beside those of the policy. */
export interface RuleInCode {
  /** `code:TARGET`, as decisions name it. */
  readonly rule: string;
  readonly kind: "process" | "function";
  /** Registered name; of a function `worker`, or `module:function/arity`. */
  readonly target: string;
  /** With `call` comes `monitor`, also where it is not listed. */
  readonly verbs: readonly AllowVerb[];
  /** Least assurance of the peer. */
  readonly atLeast: Assurance;
  /** The only ones that may; null: every peer of that assurance. */
  readonly peers: readonly NodeName[] | null;
}

/** A stranger that dialled us, proved a key and waits for an operator; it has no rights beyond those of first use. */
export interface WaitingPeer {
  readonly name: NodeName;
  /** `SHA256:...` */
  readonly fingerprint: string;
  /** 32 bytes. */
  readonly publicKey: Buffer;
  /** `host:port` it came from. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** What `NodeIdentity.join` says of an invite that it has kept. */
export interface HeldInvite {
  /** The node that made it: connect to it to use the invite. */
  readonly acceptor: NodeName;
  /** Its fingerprint, `SHA256:...`: no other node is shown the invite. */
  readonly fingerprint: string;
  /** Unix milliseconds. */
  readonly expiresMs: number;
}

/** The node's identity by key (docs/identity.md). */
export interface NodeIdentity {
  /** `SHA256:...` of the key in use now. */
  readonly fingerprint: string;
  /** 32 bytes. */
  readonly publicKey: Buffer;
  readonly trust: "strict" | "tofu";
  /** Strangers that wait, the one not seen for the longest time first. */
  waiting(): readonly WaitingPeer[];
  /**
   * Keeps an invite of another node for the next connection to it: that one then pins both sides, also in strict mode.
   * @param invite its text, a secret
   * @throws {SallyportError} ERR_CONFIG INVITE_INVALID, INVITE_OTHER_NODE, INVITE_OWN; ERR_DENIED INVITE_EXPIRED,
   * INVITE_NOT_KEPT; ERR_LIMIT INVITES_HELD
   */
  join(invite: string): HeldInvite;
  /**
   * Takes the key pair, the trusted keys and the node's own certificate from disk as they are now, and ends sessions whose
   * key has lost its standing. Trusted keys are also looked at twice a second without being told.
   * @returns how many sessions ended
   * @throws {SallyportError} ERR_CONFIG KEY_MISSING, KEY_UNREADABLE, TRUST_UNREADABLE and the like: all goes on as before;
   * ERR_DENIED KEY_PERMISSIONS: the certificate stays as it was
   */
  reload(): Promise<number>;
}

/** A node: the whole public surface. Made by `createNode`. */
export interface Node {
  readonly name: NodeName;
  readonly creation: number;
  /** The endpoints really bound, such as `tls://127.0.0.1:9100`. Empty for a dial-only node. */
  readonly endpoints: readonly string[];
  /** Where probes ask over HTTP, such as `http://127.0.0.1:9180`; null where option `health` is not set. */
  readonly healthEndpoint: string | null;
  /** Identity by key; null for a node that runs without. */
  readonly identity: NodeIdentity | null;
  /** The certificate files of `tls`; null for a node that makes its certificate itself, or has none. */
  readonly certificate: NodeCertificate | null;
  /** The lists of who may connect. */
  readonly admission: NodeAdmission;
  /** The policy; null for a node without one. */
  readonly policy: NodePolicy | null;
  /** A refused or audited operation of late, by the id that the peer was told; undefined when it is not known any more. */
  why(decision: string): Decision | undefined;
  /**
   * Hands a process to one peer. @throws {SallyportError} ERR_API_MISUSE GRANT_INVALID, GRANT_HOLDER_UNKNOWN, ERR_LIMIT
   * GRANT_LIMIT
   */
  grant(target: Pid | LocalProcessHandle, options: GrantOptions): ProcessGrant;
  /** All grants that stand. */
  grants(): readonly ProcessGrant[];
  /** What `allow` grants on services and functions that are registered now. Processes without a name are not among them. */
  rulesInCode(): readonly RuleInCode[];
  /** Labels of the functions that are registered now, `module:function/arity` or a name: what `to` of a rule would say. */
  registeredFunctions(): readonly string[];
  /** Registers a named service. @throws {SallyportError} ERR_API_MISUSE NAME_TAKEN, NAME_RESERVED */
  register(name: string, handlers: ServiceHandlers, options?: RegisterOptions): LocalProcessHandle;
  /** Ends a service and frees its name; false when there was none. */
  unregister(name: string): boolean;
  /** Registers a function for remote spawn (a name) or for rpc ({module, function, arity}). */
  registerFunction(name: FunctionName, fn: RegisteredFunction, options?: RegisterOptions): void;
  /** Resolves once the session stands on both sides. NODE is `name@host` or `name@host:port`. Upkeep of a seed goes on with it. */
  connect(node: string, options?: CallOptions): Promise<Peer>;
  /** Ends the session with a node; false when there was none. A seed is not dialled any more, until `connect` or it dials. */
  disconnect(node: string): boolean;
  /** Round trip to the peer's node process; resolves with milliseconds. */
  ping(node: string, options?: CallOptions): Promise<{ readonly peer: Peer; readonly rttMs: number }>;
  /** Like `gen_server:call`; dials when there is no session. */
  call(target: Target, request: Term, options?: CallOptions): Promise<Term>;
  /** Like `gen_server:cast`. False means congested: wait for `drained(node)`. */
  cast(target: Target, message: Term): boolean;
  /**
   * Sends a message; accepted means on its way, not arrived. False means congested: wait for `drained(node)`. Binaries of
   * 64 KiB and more are not copied: they must not change until they have left.
   */
  send(target: Target, message: Term): boolean;
  /** Resolves when the bytes waiting for a node fell below the congestion mark, or the session ended. */
  drained(node: string): Promise<void>;
  /** Runs `module:function(args)` on a node: erpc, or rex where the peer cannot spawn. */
  rpc(node: string, module: string, fn: string, args: readonly Term[], options?: RpcOptions): Promise<Term>;
  /** Starts a local process. */
  spawn(handler: ProcessHandler, options?: SpawnOptions): LocalProcessHandle;
  /** Starts a registered function of a Sallyport node (a name) or `module:function` of any node. */
  spawnRemote(node: string, fn: string, args: readonly Term[], options?: SpawnRemoteOptions): Promise<Pid>;
  /** `onDown` is called exactly once, unless `demonitor` comes first. */
  monitor(target: Target, onDown: (down: Down) => void): Reference;
  /** False when the monitor had fired or never was. */
  demonitor(ref: Reference): boolean;
  link(process: LocalProcessHandle, remote: Target): void;
  unlink(process: LocalProcessHandle, remote: Target): void;
  /**
   * Serves streams of a tag that barrel peers open, where `allow` or the policy (verb `stream`) lets them. Returns a function that
   * stops it: open streams go on. @throws {SallyportError} ERR_API_MISUSE STREAM_TAG, NAME_TAKEN, ALLOW_INVALID
   */
  onStream(tag: string, handler: StreamHandler, options?: RegisterOptions): () => void;
  /**
   * Opens a stream to a barrel peer under a tag; dials when there is no session. Whether the peer takes it shows later, as `closed`.
   * @throws {SallyportError} as `connect`; ERR_PEER_INCOMPATIBLE STREAMS_UNSUPPORTED; ERR_API_MISUSE STREAM_TAG; ERR_LIMIT
   * STREAMS_FULL
   */
  openStream(node: string, tag: string, options?: CallOptions): Promise<PeerStream>;
  /** Sends an exit signal; `kill` (an atom) cannot be trapped. */
  exit(target: Target, reason: Term): void;
  /** A fresh unguessable reference of this node. */
  makeRef(): Reference;
  peers(): readonly Peer[];
  /** What secures a session. @throws {SallyportError} ERR_CLOSED NOT_CONNECTED */
  channel(node: string): Channel;
  /** How the node is, as far as it knows without asking anybody. Never throws, also when the node is closed. */
  vitals(): Vitals;
  /**
   * The same, and whether the peers answer: they are pinged, 32 at a time, those with a session only. Resolves within 8 seconds
   * and never rejects.
   */
  health(): Promise<Health>;
  /** Attempts: `dist.auth.attempts` by role, protocol, outcome, reason; `dist.auth.duration_ms`; `dist.audit.records` by outcome. */
  metrics(): readonly Metric[];
  on<E extends keyof NodeEvents>(event: E, listener: (...args: NodeEvents[E]) => void): this;
  off<E extends keyof NodeEvents>(event: E, listener: (...args: NodeEvents[E]) => void): this;
  /**
   * Leaves: no new connections; calls of peers are answered and what is queued leaves, for `timeoutMs` at most (default 5,000);
   * own calls that are still open fail with NODE_CLOSED; then all sessions end, with a goodbye where the protocol has one.
   * Resolves when the connections are closed, up to a second later. With 0 it waits for nothing. Idempotent.
   */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
