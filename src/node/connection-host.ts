import type { BarrelAttempt } from "../auth/barrel-types.ts";
import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { LinkNotice } from "../dist/barrel-link-owner.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import type { AdmittedPeer } from "./admitted-peer.ts";
import type { Doors } from "./doors.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import type { NodeCore } from "./node-core.ts";
import type { DialWatches } from "./node-probe.ts";
import type { Standing } from "./policy-keeper.ts";
import type { CertificateJudge } from "./ports.ts";
import type { Session } from "./session.ts";
import type { Successor } from "./session-move.ts";
import type { Sessions } from "./sessions.ts";

/** An authenticated peer on one connection. */
export interface KnownConnection {
  readonly name: NodeName;
  readonly assurance: Assurance;
  readonly protocol: ProtocolName;
  readonly publicKey: PublicKey | undefined;
  readonly info: CarrierInfo;
}

/** How sessions go over to other connections; see `SessionMoves`. */
export interface ConnectionMoves {
  pays(session: Session, info: CarrierInfo): boolean;
  take(session: Session, successor: Successor): boolean;
  moved(session: Session, connection: DistConnection): void;
  failed(session: Session, connection: DistConnection): void;
}

/** What a connection needs of its node, from its first byte to its end. */
export interface ConnectionHost {
  /** This node, and its clock. */
  readonly self: Pick<NodeCore, "name" | "clock">;
  /** Hear of dials that stand secured. */
  readonly watches: DialWatches;
  readonly sessions: Sessions;
  readonly doors: Doors;
  readonly moves: ConnectionMoves;
  readonly judgeCertificate: CertificateJudge;
  /** Undefined for a node without an identity key: it speaks OTP only. */
  readonly identity: IdentityKeeper | undefined;
  /** Whoever does not speak the native handshake is refused. */
  readonly isNativeOnly: boolean;
  /** What a policy decides on, of an authenticated peer. */
  factsOf(peer: KnownConnection): PeerFacts;
  /** Whether the policy lets it connect, and what it may do. */
  judge(facts: PeerFacts, role: "acceptor" | "dialler"): Standing;
  /** Makes the session of an admitted peer, under whose name none stands any more. Runs nobody else's code. */
  sessionUp(connection: DistConnection, peer: ProvenPeer, admitted: AdmittedPeer): Session;
  /** A stranger turned out to be the one that answers at the address of its name. */
  nameProven(session: Session): void;
  /** Tells of a new session; whoever hears of it may end it at once. */
  announce(session: Session): void;
  /** One that carries, or carried, a session has ended. */
  connectionDown(session: Session, connection: DistConnection, cause: SallyportError | undefined): void;
  /** The connection ended before it was a session. */
  failed(connection: DistConnection, address: string, error: SallyportError): void;
  /** First fragment of a large message: is it worth collecting? */
  wanted(session: Session, control: Control): boolean;
  /** A large message that was not wanted; see DistSink.refused. */
  refused(session: Session, control: Control, buffer: Buffer, start: number, end: number): void;
  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void;
  relieved(session: Session): void;
  /** Whether nothing at this end needs the session. */
  idleAsked(session: Session): boolean;
  /** See DistSink.idleKept. */
  idleKept(session: Session): void;
  /** How an exchange of keys over QUIC went. */
  barrelAttempted(attempt: BarrelAttempt): void;
  /** What a connection over QUIC tells beside it. */
  barrelNoticed(notice: LinkNotice): void;
  /** A PONG that answers no PING. */
  strayPong(): void;
  turnStarted(): void;
  /** Runs what became ready. */
  turnEnded(): void;
}
