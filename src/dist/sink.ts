import type { ArbitrationQuestion, CommitRequest, NativeSession, TrustQuestion } from "../auth/native-types.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { Control } from "../wire/control-types.ts";

/** Who dialled. */
export type Role = "initiator" | "acceptor";

/** What an acceptor's peer says of itself before it has proven anything. */
export interface PeerClaim {
  readonly name: NodeName;
  readonly creation: number;
  readonly flags: bigint;
  readonly info: CarrierInfo;
}

/** Answer to a claim (otp-distribution section 2.3). `refuse` closes after `not_allowed`. */
export type ClaimAnswer = "ok" | "ok_simultaneous" | "nok" | "alive" | "not_allowed";

/** An authenticated peer, before the session is up. */
export interface ProvenPeer {
  readonly name: NodeName;
  readonly creation: number;
  readonly flags: bigint;
  readonly info: CarrierInfo;
  readonly role: Role;
  /** What the native handshake proved; undefined after the OTP handshake. */
  readonly native: NativeSession | undefined;
}

/**
 * Upward side of one distribution connection; implemented by the node and by the gateway.
 * Questions are answered later or at once through the connection: `answerClaim`, `admit`.
 */
export interface DistSink {
  /** The transport is secured, nothing of the protocol was exchanged. Throw to refuse. */
  secured(info: CarrierInfo): void;
  /** Acceptor only: a name was claimed and reserves nothing. Answer with `connection.answerClaim`. */
  claimed(claim: PeerClaim): void;
  /** The peer has proven what it must. Answer with `connection.admit()` or `connection.destroy(error)`. */
  proven(peer: ProvenPeer): void;
  /** Native: the peer's key is proven. Answer with `connection.answerTrust`; nothing may be written yet. */
  trustAsked(question: TrustQuestion): void;
  /** Native: may this connection become the session? Answer with `connection.answerArbitration`. */
  arbitrationAsked(question: ArbitrationQuestion): void;
  /** Native: make it durable, then answer with `connection.answerCommit`. */
  commitAsked(request: CommitRequest): void;
  /** The session stands on both sides. */
  up(peer: ProvenPeer): void;
  /** First fragment of a large message: false refuses it, and drops the rest unbuffered. */
  wanted(control: Control): boolean;
  /**
   * A message in fragments that was not wanted, once: `buffer[start..end)` is the part of its payload in the first
   * fragment, which may end anywhere. Only for the duration of the call. Throw to close the connection.
   */
  refused(control: Control, buffer: Buffer, start: number, end: number): void;
  /**
   * One message. The payload term (without version byte) is `buffer[start..end)`; `start === end` when the control has
   * none. The buffer may be kept. Throw to close the connection.
   */
  message(control: Control, buffer: Buffer, start: number, end: number): void;
  /** A PONG that answers no PING of ours. It changes nothing. */
  strayPong(): void;
  /** A chunk from the carrier is about to be worked off: collect what becomes ready. `turnEnded` follows. */
  turnStarted(): void;
  /** The chunk is used up: run what became ready. */
  turnEnded(): void;
  /** Waiting bytes fell below the congestion mark. */
  drained(): void;
  /** The peer asks whether the session may end as idle, and nothing of ours is on its way: whether nothing needs it here. */
  idleAsked(): boolean;
  /** The peer needs the session, or has just sent something: the question of `askIdle` is settled. */
  idleKept(): void;
  /** Native: all that the peer sends from now on comes over another connection. Throw to refuse, as is done where it is absent. */
  moved?(): void;
  /** Exactly once, whatever the cause. `cause` is undefined when the peer or we ended in good order. */
  down(cause: SallyportError | undefined): void;
}
