import type { BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { ArbitrationQuestion, CommitRequest, TrustQuestion } from "../auth/native-types.ts";
import type { OtpHandshakeTools, OtpIdentity, OtpSession, ShownIdentity } from "../auth/otp-types.ts";
import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { Clock } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo, CarrierSink } from "../carrier/carrier.ts";
import { BarrelLink } from "../dist/barrel-link.ts";
import type { BarrelLinkOwner } from "../dist/barrel-link-owner.ts";
import { DistConnection } from "../dist/connection.ts";
import { type HandshakeHold, NATIVE_ALPN, type NativeParts } from "../dist/handshake.ts";
import type { HeartbeatOptions } from "../dist/heartbeat.ts";
import type { DistLimits } from "../dist/limits.ts";
import { limitsAboveLink } from "../dist/link-limits.ts";
import type { ClaimAnswer, DistSink, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { TickOptions } from "../dist/tick.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import { type IdentityKeeper, isCut } from "../node/identity-keeper.ts";
import { nativeOnly } from "../node/native-only.ts";
import { checkChain, checkName } from "../node/peer-certificate.ts";
import type { CertificateJudge, CertificateReader } from "../node/ports.ts";
import { newcomerOf } from "../node/standing.ts";
import { trustWithdrawn } from "../node/trust-failures.ts";
import type { Control } from "../wire/control-types.ts";
import { PUBLISHED } from "../wire/flags.ts";
import { BarrelFarSteps, BarrelNearSteps, type BarrelSteps } from "./barrel-steps.ts";
import type { LegParty } from "./connection-book.ts";
import type { LegCarrier } from "./leg-carrier.ts";
import type { LegIdentity } from "./leg-identity.ts";
import type { LegSteps } from "./leg-steps.ts";
import { otherSide, type Side } from "./message-filter.ts";
import { NativeFarSteps, NativeNearSteps, type NativeSteps } from "./native-steps.ts";
import { otherLegEnded } from "./pair-failures.ts";
import type { PairHandshake } from "./pair-handshake.ts";
import { Pressure } from "./pressure.ts";

/** What all legs of a gateway share. */
export interface LegWorld {
  readonly clock: Clock;
  readonly limits: DistLimits;
  readonly ticks: TickOptions;
  /** Liveness of native legs. Default profile `lan`. */
  readonly heartbeat?: HeartbeatOptions;
  readonly judgeCertificate: CertificateJudge;
  readonly readCertificate?: CertificateReader;
  /** Hears of certificates that a CA vouches for, while the session of their leg stands. */
  readonly shown?: (leg: Leg, peer: NodeName, certDer: Buffer | undefined) => void;
}

export interface LegParts {
  /** Where the peer of this leg stands. */
  readonly side: Side;
  readonly world: LegWorld;
  readonly tools: OtpHandshakeTools;
  /** Undefined where the leg speaks OTP only. */
  readonly identity: LegIdentity | undefined;
  /** The node whose part the gateway plays here. */
  readonly own: OtpIdentity;
  /** The node that is dialled; undefined on the accepting leg. */
  readonly target: NodeName | undefined;
  readonly carrier: LegCarrier;
  /** No TLS session is resumed. */
  readonly isFull: boolean;
  /** Over QUIC: whether what is shown takes part in `nodes()` of that Erlang node (rulings C23). */
  isVisibleTo(peer: NodeName): boolean;
}

/** What a leg tells its pair. */
export interface LegOwner extends PairHandshake {
  up(leg: Leg): void;
  turnStarted(): void;
  message(leg: Leg, control: Control, buffer: Buffer, start: number, end: number): void;
  drained(leg: Leg): void;
  pressureOver(leg: Leg): void;
  down(leg: Leg, cause: SallyportError | undefined): void;
}

/** One of the two connections of a pair: what its transport and its key prove, and the way up to the pair. */
export class Leg implements DistSink, HandshakeHold, BarrelLinkOwner {
  readonly side: Side;
  readonly connection: DistConnection;
  assurance: Assurance = "none";
  /** The name that the gateway has dialled, or that was claimed here. */
  peer: NodeName | undefined;
  /** What goes to this leg is more than it takes: nothing is read from the other. */
  isFull = false;
  /** The same for answers of the gateway: nothing is read from this one. */
  answersWait = false;
  /** The same for requests that the other one has not answered. */
  readonly pressure: Pressure;
  readonly #owner: LegOwner;
  readonly #parts: LegParts;
  /** What the HELLO of this leg shows. */
  #shown: ShownIdentity;
  #native: NativeSteps | undefined;
  #barrel: BarrelSteps | undefined;
  /** Over QUIC, what stands between its streams and the connection. */
  #link: BarrelLink | undefined;

  /** Throws what the carrier's `make` throws; a leg over QUIC has an identity. */
  constructor(parts: LegParts, owner: LegOwner) {
    const { side, world, tools, target, carrier, isFull, identity } = parts;
    this.side = side;
    this.peer = target;
    this.#owner = owner;
    this.#parts = parts;
    this.#shown = parts.own;
    const { clock, ticks, heartbeat } = world;
    this.pressure = new Pressure(clock, () => owner.pressureOver(this));
    const native = identity === undefined ? undefined : this.#nativeParts(identity);
    const isLinked = carrier.kind === "channels";
    const { own, isVisibleTo } = parts;
    const ownFor = isLinked
      ? (peer: NodeName): OtpIdentity => (isVisibleTo(peer) ? { ...own, flags: own.flags | PUBLISHED } : own)
      : undefined;
    const limits = isLinked
      ? limitsAboveLink(world.limits, target === undefined ? "acceptor" : "initiator")
      : world.limits;
    const connection = {
      own,
      ownFor,
      target,
      tools,
      native,
      clock,
      limits,
      ticks,
      heartbeat,
      hold: this,
      passesOn: true,
    };
    const make = (sink: CarrierSink) => (isLinked ? this.#linked(sink, carrier) : carrier.make(sink, isFull));
    this.connection = new DistConnection(connection, this, make);
    if (identity === undefined || this.#link === undefined) return;
    const barrel = { side, identity, connection: this.connection, link: this.#link, owner, isVisibleTo };
    this.#barrel = target === undefined ? new BarrelNearSteps(barrel) : new BarrelFarSteps(barrel);
  }

  #linked(sink: CarrierSink, { make }: Extract<LegCarrier, { kind: "channels" }>): BarrelLink {
    const { target, world, identity } = this.#parts;
    if (identity === undefined) throw new Error("a leg over QUIC without an identity");
    const { clock, limits } = world;
    const { keeper } = identity;
    const keys = { identity: () => keeper.barrelIdentity, tools: keeper.native.tools };
    this.#link = new BarrelLink({ target, ...keys, clock, limits, owner: this }, sink, make);
    return this.#link;
  }

  /** For the listener's carrier, over QUIC. */
  get link(): BarrelLink | undefined {
    return this.#link;
  }

  get #steps(): LegSteps | undefined {
    return this.#native ?? this.#barrel;
  }

  /** The key is that of the node that this leg stands for; creation and capabilities are that node's own, or expected of it. */
  #nativeParts({ keeper, expected }: LegIdentity): NativeParts {
    return {
      ...keeper.native,
      identity: () => {
        const { own, target } = this.#parts;
        if (target === undefined) this.#shown = expected.shown;
        const { creation, flags } = this.#shown;
        return { ...keeper.native.identity(), name: own.name, creation, flags };
      },
    };
  }

  /** Its peer proves a key before a name, so it may be told otherwise than by OTP's status. */
  get provesKeys(): boolean {
    return this.#steps !== undefined;
  }

  /** Its peer dials again by itself when it is told, before it was answered, that another connection goes on. */
  get dialsAgain(): boolean {
    return this.#native !== undefined;
  }

  /** Judges the certificate of whoever claims a name. @throws {SallyportError} those of checkChain and checkName; NATIVE_ONLY */
  authenticate({ name, info }: PeerClaim): void {
    // Its key has said who it is.
    if (this.#steps !== undefined) return;
    checkChain(info, "acceptor", undefined, this.#parts.world.clock.wallMs());
    if (this.#parts.identity?.keeper.hasPin(name) === true) throw nativeOnly(name);
    this.assurance = checkName(info, name, this.#parts.world.judgeCertificate);
  }

  secured(info: CarrierInfo): void {
    const { identity, target, world } = this.#parts;
    if (info.proven !== undefined) {
      this.assurance = info.proven.assurance;
      return;
    }
    if (info.alpn === NATIVE_ALPN && identity !== undefined) {
      const leg = this;
      const parts = {
        side: this.side,
        identity,
        connection: this.connection,
        info,
        owner: this.#owner,
        get shown() {
          return leg.#shown;
        },
      };
      this.#native = target === undefined ? new NativeNearSteps(parts) : new NativeFarSteps(parts);
      return;
    }
    // Who dials is judged when it has said its name.
    if (target === undefined) return;
    if (identity?.keeper.needsKey(target) === true) throw nativeOnly(target);
    checkChain(info, "initiator", target, world.clock.wallMs());
    this.assurance = checkName(info, target, world.judgeCertificate);
  }

  // What the pair says.

  /** Accepting leg: the status for the claim. */
  answerClaim(answer: ClaimAnswer): void {
    (this.#steps ?? this.connection).answerClaim(answer);
  }

  /** Trust has changed in these keys' directory: why this leg ends, when it rests on what is gone. */
  withdrawn(keeper: IdentityKeeper, changes: readonly TrustChange[]): SallyportError | undefined {
    const { peer } = this.connection;
    if (this.#parts.identity?.keeper !== keeper || peer === undefined) return undefined;
    // Also one that no rule goes by: what it has proven is that key's word.
    const key = peer.native?.publicKey ?? peer.info.proven?.publicKey;
    const fingerprint = key === undefined ? undefined : keeper.fingerprintOf(key);
    return isCut(changes, peer.name, fingerprint) ? trustWithdrawn(peer.name) : undefined;
  }

  /** Accepting leg: shows whom the peer has reached. */
  challenge(shown: ShownIdentity): void {
    (this.#steps ?? this.connection).challenge(shown);
  }

  /** Accepting leg: the claim is refused for this reason. */
  refuseClaim(error: unknown): void {
    // Over QUIC it is OTP's handshake that refuses a name.
    if (this.#native === undefined) this.connection.refuseClaim(error);
    else if (isSallyportError(error)) this.abandon(error);
    else throw error;
  }

  /** Accepting leg: the other one came to nothing. */
  abandon(error: SallyportError): void {
    const steps = this.#steps;
    if (steps === undefined) this.connection.destroy(error);
    else steps.abandon(error, otherLegEnded(otherSide(this.side), this.#parts.own.name, error.reason));
  }

  /** Dialling leg: our proof. */
  reply(): void {
    (this.#steps ?? this.connection).reply();
  }

  /** The last word of the handshake. A native leg that was dialled stands only with the peer's answer to it. */
  admit(): void {
    (this.#steps ?? this.connection).admit();
  }

  // What the connection says.

  claimed(claim: PeerClaim): void {
    this.peer = claim.name;
    (this.#barrel ?? this.#owner).claimed(claim);
  }

  confirmed(): void {
    (this.#barrel ?? this.#owner).confirmed();
  }

  status(status: "ok" | "ok_simultaneous" | "alive"): void {
    this.#owner.status(status);
  }

  challenged(session: OtpSession, peerFlags: bigint): void {
    this.#owner.challenged(session, peerFlags);
  }

  proven({ name }: ProvenPeer): void {
    if (this.#barrel !== undefined) this.#barrel.proven();
    // Its key may have been pinned since it was asked.
    else if (this.#parts.identity?.keeper.hasPin(name) === true) this.connection.destroy(nativeOnly(name));
    else if (this.#parts.target === undefined) this.#owner.nearProven();
    else this.#owner.farProven();
  }

  barrelSecured(): void {}

  barrelTrustAsked(question: BarrelTrustQuestion, info: CarrierInfo): void {
    this.peer = question.name;
    this.#barrel?.trustAsked(question, info);
  }

  barrelAttempted(): void {}

  barrelNoticed(): void {}

  trustAsked(question: TrustQuestion): void {
    this.peer = question.name;
    this.#native?.trustAsked(question);
  }

  arbitrationAsked(question: ArbitrationQuestion): void {
    this.#native?.arbitrationAsked(question);
  }

  commitAsked(request: CommitRequest): void {
    this.#native?.commitAsked(request);
  }

  up({ native, info }: ProvenPeer): void {
    if (native !== undefined) this.assurance = native.assurance;
    const pending = this.#steps?.pending;
    const lost = pending === undefined ? undefined : this.#parts.identity?.keeper.lostStanding(pending, info);
    if (lost !== undefined) {
      this.connection.destroy(lost);
      return;
    }
    if (info.chainTrusted && this.peer !== undefined) this.#parts.world.shown?.(this, this.peer, info.peerCertDer);
    this.#owner.up(this);
  }

  /** Whole messages are judged, so all are put together within the limits. */
  wanted(_control: Control): boolean {
    return true;
  }

  refused(): void {}

  message(control: Control, buffer: Buffer, start: number, end: number): void {
    this.#owner.message(this, control, buffer, start, end);
  }

  turnStarted(): void {
    this.#owner.turnStarted();
  }

  turnEnded(): void {}

  drained(): void {
    this.#owner.drained(this);
  }

  down(cause: SallyportError | undefined): void {
    if (this.peer !== undefined) this.#parts.world.shown?.(this, this.peer, undefined);
    this.#owner.down(this, this.#steps?.cause ?? cause);
  }

  strayPong(): void {}

  /** A pair ends with its nodes, not by itself. */
  idleAsked(): boolean {
    return false;
  }

  idleKept(): void {}

  // What is known of the peer, once its session stands.

  /** `spki:SHA256:...` of a certificate. */
  spkiOf(certDer: Buffer): string | undefined {
    return this.#parts.world.readCertificate?.(certDer)?.spki;
  }

  /** Of the proven key, then of those it follows. Reads the trust store. */
  fingerprintsOf(name: NodeName, key: PublicKey): readonly string[] {
    return this.#parts.identity?.keeper.fingerprintsOf(name, key) ?? [];
  }

  fingerprintOf(key: PublicKey): string | undefined {
    return this.#parts.identity?.keeper.fingerprintOf(key);
  }

  /** As which party it competes with other connections of its name. */
  partyOf(peer: ProvenPeer): LegParty {
    const { name, native, info } = peer;
    const newcomer = this.#native?.pending === undefined ? undefined : newcomerOf(this.#native.pending);
    return {
      name,
      protocol: protocolOf(peer),
      key: native?.publicKey ?? info.proven?.publicKey,
      assurance: this.assurance,
      incarnation: native?.peerIncarnation,
      succeeds: newcomer?.succeeds,
    };
  }
}

/** How a peer has proven itself. */
export function protocolOf({ native, info }: ProvenPeer): ProtocolName {
  return info.proven?.protocol ?? (native === undefined ? "otp" : "native");
}
