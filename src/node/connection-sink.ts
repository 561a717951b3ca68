import type { BarrelAttempt, BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { ArbitrationQuestion, CommitRequest, TrustQuestion } from "../auth/native-types.ts";
import type { Assurance } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo, OwnTls } from "../carrier/carrier.ts";
import type { BarrelLink } from "../dist/barrel-link.ts";
import type { BarrelLinkOwner, LinkNotice } from "../dist/barrel-link-owner.ts";
import type { DistConnection } from "../dist/connection.ts";
import { movedUnasked } from "../dist/connection-failures.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import type { DistSink, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import type { AdmittedPeer } from "./admitted-peer.ts";
import type { Attempt, AttemptFacts } from "./attempts.ts";
import type { ConnectionHost } from "./connection-host.ts";
import type { PendingTrust } from "./identity-keeper.ts";
import { nativeOnly, notNative } from "./native-only.ts";
import { closedBeforeSession } from "./node-closed.ts";
import { checkChain, checkName } from "./peer-certificate.ts";
import { dialledKeyOf } from "./peer-facts.ts";
import type { PeerStreams } from "./peer-stream.ts";
import type { Standing } from "./policy-keeper.ts";
import type { Session } from "./session.ts";
import { nothingNewer } from "./session-move.ts";
import { type AnsweredClaim, giveWay, sessionReplaced } from "./sessions.ts";
import { type EndedAttempt, explainSilentEnd } from "./silent-end.ts";
import { isSameParty, leavesAlone, newcomerOf } from "./standing.ts";

/** Upward side of one distribution connection of a node: certificate and name checks first, then its session. */
export class ConnectionSink implements DistSink, BarrelLinkOwner {
  readonly #host: ConnectionHost;
  readonly #target: NodeName | undefined;
  readonly #settled: () => void;
  readonly #attempt: Attempt;
  #connection: DistConnection | undefined;
  #info: CarrierInfo | undefined;
  #pending: PendingTrust | undefined;
  #claim: AnsweredClaim | undefined;
  #link: BarrelLink | undefined;
  #streams: PeerStreams | undefined;
  #claimed: NodeName | undefined;
  #assurance: Assurance = "none";
  readonly #moving: Session | undefined;
  #ownTls: OwnTls | undefined;
  #isProven = false;
  #session: Session | undefined;

  /** `settled` is called once the connection is authenticated; `moving` is to go over to this connection. */
  constructor(
    host: ConnectionHost,
    target: NodeName | undefined,
    settled: () => void,
    attempt: Attempt,
    moving?: Session | undefined,
  ) {
    this.#host = host;
    this.#moving = moving;
    this.#target = target;
    this.#settled = settled;
    this.#attempt = attempt;
  }

  /** To be called once, before anything can arrive. `ownTls`: what this side shows; absent without TLS. */
  attach(connection: DistConnection, ownTls?: OwnTls): void {
    this.#connection = connection;
    this.#ownTls = ownTls;
  }

  /** Instead, for a connection over QUIC: the link asks about its peer's key first. */
  attachLink(link: BarrelLink, streams: PeerStreams): void {
    this.#link = link;
    this.#streams = streams;
    this.#attempt.secured("barrel");
  }

  /** The session, from the moment it stands. */
  get session(): Session | undefined {
    return this.#session;
  }

  barrelSecured(info: CarrierInfo): void {
    if (this.#target !== undefined) this.#host.watches.secured(this.#target, info);
  }

  barrelTrustAsked(question: BarrelTrustQuestion, info: CarrierInfo): void {
    const { identity } = this.#host;
    if (identity === undefined) return;
    this.#claimed = question.name;
    const { answer, pending } = identity.decideBarrel(question, info);
    this.#pending = pending;
    this.#link?.answerTrust(answer);
  }

  barrelAttempted(attempt: BarrelAttempt): void {
    this.#host.barrelAttempted(attempt);
  }

  barrelNoticed(notice: LinkNotice): void {
    this.#host.barrelNoticed(notice);
  }

  secured(info: CarrierInfo): void {
    this.#info = info;
    const { identity, judgeCertificate } = this.#host;
    const isNative = info.alpn === NATIVE_ALPN && identity !== undefined;
    if (this.#host.isNativeOnly && !isNative) throw notNative(this.#target, info);
    if (info.proven !== undefined) {
      this.#assurance = info.proven.assurance;
      if (this.#target !== undefined) this.#host.watches.secured(this.#target, info);
      return;
    }
    const target = this.#target;
    this.#attempt.secured(isNative ? "native" : "otp");
    if (this.#moving !== undefined && !(isNative && this.#host.moves.pays(this.#moving, info))) {
      throw nothingNewer(this.#moving.peer.name);
    }
    // The native handshake proves the key itself, and is bound to this very TLS session.
    if (isNative) {
      if (target !== undefined) this.#host.watches.secured(target, info);
      return;
    }
    // A dialler is judged when it has said its name: only then can it be told that it may not (status not_allowed).
    if (target === undefined) return;
    this.#host.watches.secured(target, info);
    if (identity?.needsKey(target) === true) throw nativeOnly(target);
    checkChain(info, "initiator", target, this.#host.self.clock.wallMs());
    this.#assurance = checkName(info, target, judgeCertificate);
  }

  claimed(claim: PeerClaim): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#claimed = claim.name;
    try {
      const shut = this.#host.doors.refusalOf(claim.name, "acceptor");
      if (shut !== undefined) throw shut;
      // Over QUIC the key has spoken already, and the name can be no other than that in HELLO.
      if (claim.info.proven === undefined) {
        checkChain(claim.info, "acceptor", undefined, this.#host.self.clock.wallMs());
        if (this.#host.identity?.hasPin(claim.name) === true) throw nativeOnly(claim.name);
        this.#assurance = checkName(claim.info, claim.name, this.#host.judgeCertificate);
      }
      const full = this.#host.sessions.noRoomFor(claim.name, this.#assurance);
      if (full !== undefined) throw full;
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
    this.#isProven = true;
    const connection = this.#connection;
    if (connection === undefined) return;
    const { proven } = peer.info;
    // Its key may have been pinned since it was asked.
    if (proven === undefined && this.#host.identity?.hasPin(peer.name) === true) {
      connection.destroy(nativeOnly(peer.name));
      return;
    }
    const before = this.#host.sessions.get(peer.name);
    if (proven !== undefined && before !== undefined && leavesAlone(before, this.#assurance, proven.publicKey)) {
      giveWay(connection, peer.name);
      return;
    }
    const standing = this.#judge(peer.name, this.#assurance, dialledKeyOf(peer), peer.info);
    if (standing.kind === "refused") {
      connection.destroy(standing.error);
      return;
    }
    switch (this.#host.sessions.judge(peer, this.#claim)) {
      case "admit":
        this.#admit(connection, peer);
        return;
      case "other-wins":
        giveWay(connection, peer.name);
        return;
      case "after-dial":
        this.#host.sessions.dial(peer.name)?.wait(
          () => giveWay(connection, peer.name),
          () => this.#admit(connection, peer),
        );
    }
  }

  /** Over QUIC only now, with the cookie proven, the key is pinned. */
  #admit(connection: DistConnection, { info }: ProvenPeer): void {
    const { identity } = this.#host;
    const pending = info.proven === undefined ? undefined : this.#pending;
    const error = pending === undefined ? undefined : identity?.confirmBarrel(pending, info);
    if (error === undefined) connection.admit();
    else connection.destroy(error);
  }

  trustAsked(question: TrustQuestion): void {
    const { identity } = this.#host;
    if (identity === undefined || this.#info === undefined) return;
    this.#claimed = question.name;
    const shut = this.#host.doors.refusalOf(question.name, question.role);
    if (shut !== undefined) {
      // That nobody is let in now is nobody's fault, and passes: it may be told so.
      this.#connection?.answerTrust({ kind: this.#host.doors.isClosed ? "full" : "refused", error: shut });
      return;
    }
    const { answer, pending } = identity.decide(question, this.#info);
    this.#pending = pending;
    // Who has not the cookie is told so, whether the policy knows its name or there is room for it, and gets no record of its
    // own in the decisions: it could choose the names in them.
    if (answer.kind !== "granted" || question.cookieDiffers) {
      this.#connection?.answerTrust(answer);
      return;
    }
    const full =
      question.role === "acceptor" ? this.#host.sessions.noRoomFor(question.name, answer.assurance) : undefined;
    if (full !== undefined) {
      this.#connection?.answerTrust({ kind: "full", error: full });
      return;
    }
    const standing = this.#judge(question.name, answer.assurance, question.publicKey, this.#info);
    this.#connection?.answerTrust(standing.kind === "refused" ? { kind: "refused", error: standing.error } : answer);
  }

  /** What the policy says of the peer as it is known now. */
  #judge(
    name: NodeName,
    assurance: Assurance,
    publicKey: PublicKey | undefined,
    info: CarrierInfo,
  ): Standing & { readonly facts: PeerFacts } {
    const isNative = info.alpn === NATIVE_ALPN && this.#host.identity !== undefined;
    const protocol = info.proven?.protocol ?? (isNative ? "native" : "otp");
    const facts = this.#host.factsOf({ name, assurance, protocol, publicKey, info });
    return { ...this.#host.judge(facts, this.#target === undefined ? "acceptor" : "dialler"), facts };
  }

  arbitrationAsked(question: ArbitrationQuestion): void {
    const pending = this.#pending;
    const connection = this.#connection;
    if (pending === undefined || connection === undefined) return;
    const { sessions } = this.#host;
    const newcomer = newcomerOf(pending);
    const standing = sessions.get(question.name);
    if (standing !== undefined && standing === this.#moving && question.isProven && isOneLife(standing, question)) {
      connection.answerArbitration(isSameParty(standing, newcomer) ? "move" : "other-wins");
      return;
    }
    // Whoever answers at the address that we dialled is whom we meant: the stranger that came in is that one.
    const isMeant = question.role === "dialler" && standing?.holdsName === false && isSameParty(standing, newcomer);
    const answer = sessions.arbitrate(question, newcomer, connection);
    connection.answerArbitration(answer);
    // A younger life of it comes up by itself.
    if (isMeant && answer !== "go" && standing !== undefined) this.#host.nameProven(standing);
  }

  commitAsked(request: CommitRequest): void {
    const answer = this.#host.identity?.commit(request, this.#pending, this.#info?.remoteAddress ?? "");
    if (answer !== undefined) this.#connection?.answerCommit(answer);
  }

  up(peer: ProvenPeer): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#settled();
    const { sessions } = this.#host;
    let admitted = this.#admitted(peer);
    if (peer.native?.moves === true) {
      this.#takeOver(connection, peer, admitted);
      return;
    }
    const standing = sessions.get(peer.name);
    const older = sessions.olderOpenings(connection);
    if (admitted !== undefined && (standing !== undefined || older.length > 0)) {
      standing?.connection.destroy(sessionReplaced(peer.name));
      for (const opening of older) giveWay(opening, peer.name);
      // Who heard of those ends may have changed policy or keys, or closed this node: nothing that was judged before counts.
      admitted = connection.isUp ? this.#admitted(peer) : undefined;
    }
    if (admitted === undefined) return;
    sessions.release(connection);
    const session = this.#host.sessionUp(connection, peer, admitted);
    this.#session = session;
    session.streams = this.#streams;
    this.#attempt.accepted(session.peer);
    this.#host.announce(session);
    // Its own record may be the first that cannot be written.
    const { closed } = this.#host.doors;
    if (closed !== undefined) connection.destroy(closed);
  }

  /** A session that stands goes over to this connection, or stays where it is and this one ends. */
  #takeOver(connection: DistConnection, peer: ProvenPeer, admitted: AdmittedPeer | undefined): void {
    const { sessions } = this.#host;
    if (admitted === undefined) return;
    sessions.release(connection);
    const session = this.#target === undefined ? sessions.get(peer.name) : this.#moving;
    if (session === undefined || !this.#host.moves.take(session, { connection, peer, admitted })) {
      giveWay(connection, peer.name);
      return;
    }
    this.#session = session;
    this.#attempt.accepted(session.peer);
  }

  /**
   * A peer whose handshake has ended, as trust, sessions and policy are now: since it was asked about, a key may have been
   * revoked or pinned, another connection may have come up, and the policy may have changed. Undefined: it was refused.
   */
  #admitted(peer: ProvenPeer): AdmittedPeer | undefined {
    const { native } = peer;
    const { sessions, identity } = this.#host;
    const info = this.#info ?? peer.info;
    const shut = this.#host.doors.refusalOf(peer.name, this.#target === undefined ? "acceptor" : "dialler");
    if (shut !== undefined) {
      this.#connection?.destroy(shut);
      return undefined;
    }
    let holdsName = true;
    if (native === undefined && info.proven === undefined && identity?.hasPin(peer.name) === true) {
      this.#connection?.destroy(nativeOnly(peer.name));
      return undefined;
    }
    const lost = this.#pending === undefined ? undefined : identity?.lostStanding(this.#pending, info);
    if (lost !== undefined) {
      this.#connection?.destroy(lost);
      return undefined;
    }
    if (native !== undefined && this.#pending !== undefined) {
      const newcomer = newcomerOf(this.#pending);
      if (!sessions.mayReplace(peer.name, newcomer, native.peerIncarnation)) {
        if (this.#connection !== undefined) giveWay(this.#connection, peer.name);
        return undefined;
      }
      holdsName = newcomer.holdsName;
    }
    const assurance = native?.assurance ?? this.#assurance;
    const standing = this.#judge(peer.name, assurance, native?.publicKey ?? dialledKeyOf(peer), info);
    if (standing.kind === "refused") {
      this.#connection?.destroy(standing.error);
      return undefined;
    }
    return { facts: standing.facts, rules: standing.rules, holdsName };
  }

  wanted(control: Control): boolean {
    return this.#session !== undefined && this.#host.wanted(this.#session, control);
  }

  refused(control: Control, buffer: Buffer, start: number, end: number): void {
    if (this.#session !== undefined) this.#host.refused(this.#session, control, buffer, start, end);
  }

  message(control: Control, buffer: Buffer, start: number, end: number): void {
    if (this.#session !== undefined) this.#host.message(this.#session, control, buffer, start, end);
  }

  moved(): void {
    if (this.#session === undefined || this.#connection === undefined) throw movedUnasked();
    this.#host.moves.moved(this.#session, this.#connection);
  }

  strayPong(): void {
    this.#host.strayPong();
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

  idleAsked(): boolean {
    return this.#session !== undefined && this.#host.idleAsked(this.#session);
  }

  idleKept(): void {
    if (this.#session !== undefined) this.#host.idleKept(this.#session);
  }

  down(cause: SallyportError | undefined): void {
    if (this.#connection !== undefined) this.#host.sessions.release(this.#connection);
    if (this.#session !== undefined && this.#connection !== undefined) {
      this.#attempt.ended(cause?.reason ?? "CLOSED");
      this.#host.connectionDown(this.#session, this.#connection, cause);
      return;
    }
    // Its place under the listener's cap it keeps until the socket is gone: one that was refused may linger.
    const failure = cause ?? closedBeforeSession();
    if (this.#connection === undefined) return;
    const error = explainSilentEnd(failure, this.#ended(this.#connection));
    const address = this.#connection.remoteAddress;
    this.#attempt.failed(error, address, this.#facts());
    if (this.#moving === undefined) this.#host.failed(this.#connection, address, error);
    else {
      this.#host.moves.failed(this.#moving, this.#connection);
    }
  }

  #ended({ role }: DistConnection): EndedAttempt {
    const { self, judgeCertificate: judge } = this.#host;
    const hasAnswered = role === "acceptor" && this.#claim?.answer === "ok" && !this.#isProven;
    return {
      role,
      own: self.name,
      ownTls: this.#ownTls,
      info: this.#info,
      hasAnswered,
      isOverQuic: this.#link !== undefined,
      judge,
      nowMs: this.#host.self.clock.wallMs(),
    };
  }

  #facts(): AttemptFacts {
    const { identity } = this.#host;
    const key = this.#pending?.question.publicKey;
    return { claimed: this.#claimed, fingerprint: key === undefined ? undefined : identity?.fingerprintOf(key) };
  }
}

/** Whether the peer that asks is in the life in which it made the session. */
function isOneLife(standing: Session, { incarnation, creation }: ArbitrationQuestion): boolean {
  return standing.connection.isUp && standing.incarnation === incarnation && standing.creation === creation;
}
