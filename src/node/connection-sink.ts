import type { ArbitrationQuestion, CommitRequest, TrustQuestion } from "../auth/native-types.ts";
import type { Assurance } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import type { DistSink, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { Control } from "../wire/control-types.ts";
import type { Attempt, AttemptFacts } from "./attempts.ts";
import type { IdentityKeeper, PendingTrust } from "./identity-keeper.ts";
import { checkChain, checkName } from "./peer-certificate.ts";
import type { CertificateJudge } from "./ports.ts";
import type { Session } from "./session.ts";
import { type AnsweredClaim, giveWay, type Sessions } from "./sessions.ts";

/** What a connection needs of its node, from its first byte to its end. */
export interface ConnectionHost {
  readonly sessions: Sessions;
  readonly judgeCertificate: CertificateJudge;
  /** Undefined for a node without an identity key: it speaks OTP only. */
  readonly identity: IdentityKeeper | undefined;
  /** Makes the session of an admitted peer. */
  sessionUp(connection: DistConnection, peer: ProvenPeer, assurance: Assurance): Session;
  /** Tells of a new session; whoever hears of it may end it at once. */
  announce(session: Session): void;
  sessionDown(session: Session, cause: SallyportError | undefined): void;
  /** The connection ended before it was a session. */
  failed(connection: DistConnection, address: string, error: SallyportError): void;
  wanted(session: Session, control: Control): boolean;
  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void;
  relieved(session: Session): void;
  turnStarted(): void;
  /** Runs what became ready. */
  turnEnded(): void;
}

/** Upward side of one distribution connection of a node: certificate and name checks first, then its session. */
export class ConnectionSink implements DistSink {
  readonly #host: ConnectionHost;
  readonly #target: NodeName | undefined;
  readonly #settled: () => void;
  readonly #attempt: Attempt;
  #connection: DistConnection | undefined;
  #info: CarrierInfo | undefined;
  #pending: PendingTrust | undefined;
  #claim: AnsweredClaim | undefined;
  #claimed: NodeName | undefined;
  #assurance: Assurance = "none";
  #session: Session | undefined;

  /** `settled` is called once the connection is authenticated. */
  constructor(host: ConnectionHost, target: NodeName | undefined, settled: () => void, attempt: Attempt) {
    this.#host = host;
    this.#target = target;
    this.#settled = settled;
    this.#attempt = attempt;
  }

  /** To be called once, before anything can arrive. */
  attach(connection: DistConnection): void {
    this.#connection = connection;
  }

  secured(info: CarrierInfo): void {
    this.#info = info;
    const target = this.#target;
    const { identity, judgeCertificate } = this.#host;
    const isNative = info.alpn === NATIVE_ALPN && identity !== undefined;
    this.#attempt.secured(isNative ? "native" : "otp");
    // The native handshake proves the key itself, and is bound to this very TLS session.
    if (isNative) return;
    // A dialler is judged when it has said its name: only then can it be told that it may not (status not_allowed).
    if (target === undefined) return;
    if (identity?.hasPin(target) === true) throw nativeOnly(target);
    checkChain(info, "initiator", target);
    this.#assurance = checkName(info, target, judgeCertificate);
  }

  claimed(claim: PeerClaim): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#claimed = claim.name;
    try {
      checkChain(claim.info, "acceptor", undefined);
      if (this.#host.identity?.hasPin(claim.name) === true) throw nativeOnly(claim.name);
      const full = this.#host.sessions.noRoomFor(claim.name);
      if (full !== undefined) throw full;
      this.#assurance = checkName(claim.info, claim.name, this.#host.judgeCertificate);
    } catch (error) {
      connection.refuseClaim(error);
      return;
    }
    const { sessions } = this.#host;
    const answer = sessions.answerClaim(claim);
    this.#claim = { answer, existing: sessions.get(claim.name) };
    connection.answerClaim(answer);
  }

  proven(peer: ProvenPeer): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    switch (this.#host.sessions.judge(peer, this.#claim)) {
      case "admit":
        connection.admit();
        return;
      case "other-wins":
        giveWay(connection, peer.name);
        return;
      case "after-dial":
        this.#host.sessions.dial(peer.name)?.wait(
          () => giveWay(connection, peer.name),
          () => connection.admit(),
        );
    }
  }

  trustAsked(question: TrustQuestion): void {
    const { identity } = this.#host;
    if (identity === undefined || this.#info === undefined) return;
    this.#claimed = question.name;
    const { answer, pending } = identity.decide(question, this.#info);
    this.#pending = pending;
    const mayCome = answer.kind === "granted" && question.role === "acceptor";
    const full = mayCome ? this.#host.sessions.noRoomFor(question.name) : undefined;
    this.#connection?.answerTrust(full === undefined ? answer : { kind: "full", error: full });
  }

  arbitrationAsked(question: ArbitrationQuestion): void {
    const key = this.#pending?.question.publicKey;
    this.#connection?.answerArbitration(this.#host.sessions.arbitrate(question, key));
  }

  commitAsked(request: CommitRequest): void {
    const answer = this.#host.identity?.commit(request, this.#pending, this.#info?.remoteAddress ?? "");
    if (answer !== undefined) this.#connection?.answerCommit(answer);
  }

  up(peer: ProvenPeer): void {
    if (this.#connection === undefined) return;
    this.#settled();
    const { native } = peer;
    const { sessions } = this.#host;
    if (native !== undefined && !sessions.mayReplace(peer.name, native.publicKey, native.peerIncarnation)) {
      giveWay(this.#connection, peer.name);
      return;
    }
    const session = this.#host.sessionUp(this.#connection, peer, native?.assurance ?? this.#assurance);
    this.#session = session;
    this.#attempt.accepted(session.peer);
    this.#host.announce(session);
  }

  wanted(control: Control): boolean {
    return this.#session !== undefined && this.#host.wanted(this.#session, control);
  }

  message(control: Control, buffer: Buffer, start: number, end: number): void {
    if (this.#session !== undefined) this.#host.message(this.#session, control, buffer, start, end);
  }

  turnStarted(): void {
    this.#host.turnStarted();
  }

  turnEnded(): void {
    this.#host.turnEnded();
  }

  drained(): void {
    if (this.#session !== undefined) this.#host.relieved(this.#session);
  }

  down(cause: SallyportError | undefined): void {
    if (this.#session !== undefined) {
      this.#attempt.ended(cause?.reason ?? "CLOSED");
      this.#host.sessionDown(this.#session, cause);
      return;
    }
    // Its place under the listener's cap it keeps until the socket is gone: one that was refused may linger.
    const error =
      cause ??
      new SallyportError(
        "ERR_CLOSED",
        "CLOSED_DURING_HANDSHAKE",
        "the connection was closed before the session stood",
        {
          stage: "session",
          advice: "connect again",
        },
      );
    if (this.#connection === undefined) return;
    const address = this.#connection.remoteAddress;
    this.#attempt.failed(error, address, this.#facts());
    this.#host.failed(this.#connection, address, error);
  }

  #facts(): AttemptFacts {
    const { identity } = this.#host;
    const key = this.#pending?.question.publicKey;
    return { claimed: this.#claimed, fingerprint: key === undefined ? undefined : identity?.fingerprintOf(key) };
  }
}

/** A name with a pinned key is spoken to by key only, in both directions (rulings S1). */
function nativeOnly(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "NATIVE_ONLY", `${name} has a pinned key and may not connect without it`, {
    peer: name,
    stage: "identity",
    advice: "run the peer with its identity key, or remove its pin if it is a BEAM node now",
  });
}
