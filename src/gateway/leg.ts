import type { OtpHandshakeTools, OtpIdentity, OtpSession } from "../auth/otp-types.ts";
import type { Assurance } from "../base/assurance.ts";
import type { Clock } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink } from "../carrier/carrier.ts";
import { DistConnection } from "../dist/connection.ts";
import type { HandshakeHold } from "../dist/handshake.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { DistSink, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { TickOptions } from "../dist/tick.ts";
import { checkChain, checkName } from "../node/peer-certificate.ts";
import type { CertificateJudge, CertificateReader } from "../node/ports.ts";
import type { Control } from "../wire/control-types.ts";
import type { Side } from "./message-filter.ts";

/** What all legs of a gateway share. */
export interface LegWorld {
  readonly clock: Clock;
  readonly limits: DistLimits;
  readonly ticks: TickOptions;
  readonly judgeCertificate: CertificateJudge;
  readonly readCertificate?: CertificateReader;
}

export interface LegParts {
  /** Where the peer of this leg stands. */
  readonly side: Side;
  readonly world: LegWorld;
  readonly tools: OtpHandshakeTools;
  /** The node whose part the gateway plays here. */
  readonly own: OtpIdentity;
  /** The node that is dialled; undefined on the accepting leg. */
  readonly target: NodeName | undefined;
  readonly makeCarrier: (sink: CarrierSink) => Carrier;
}

/** What a leg tells its pair. */
export interface LegOwner {
  claimed(claim: PeerClaim): void;
  confirmed(): void;
  status(status: "ok" | "ok_simultaneous" | "alive"): void;
  challenged(session: OtpSession): void;
  proven(leg: Leg): void;
  up(leg: Leg): void;
  turnStarted(): void;
  message(leg: Leg, control: Control, buffer: Buffer, start: number, end: number): void;
  drained(leg: Leg): void;
  down(leg: Leg, cause: SallyportError | undefined): void;
}

/** One of the two connections of a pair: what its transport proves, and the way up to the pair. */
export class Leg implements DistSink, HandshakeHold {
  readonly side: Side;
  readonly connection: DistConnection;
  assurance: Assurance = "none";
  /** The name that the gateway has dialled, or that was claimed here. */
  peer: NodeName | undefined;
  /** What goes to this leg is more than it takes: nothing is read from the other. */
  isFull = false;
  /** The same for answers of the gateway: nothing is read from this one. */
  answersWait = false;
  readonly #owner: LegOwner;
  readonly #target: NodeName | undefined;
  readonly #judge: CertificateJudge;
  readonly #read: CertificateReader | undefined;

  /** Throws what `makeCarrier` throws. */
  constructor({ side, world, tools, own, target, makeCarrier }: LegParts, owner: LegOwner) {
    this.side = side;
    this.peer = target;
    this.#owner = owner;
    this.#target = target;
    this.#judge = world.judgeCertificate;
    this.#read = world.readCertificate;
    const { clock, limits, ticks } = world;
    const parts = { own, target, tools, clock, limits, ticks, hold: this, passesOn: true };
    this.connection = new DistConnection(parts, this, makeCarrier);
  }

  /** `spki:SHA256:...` of a certificate. */
  spkiOf(certDer: Buffer): string | undefined {
    return this.#read?.(certDer)?.spki;
  }

  /** Judges the certificate of whoever claims a name. @throws {SallyportError} those of checkChain and checkName */
  authenticate({ name, info }: PeerClaim): void {
    checkChain(info, "acceptor", undefined);
    this.assurance = checkName(info, name, this.#judge);
  }

  secured(info: CarrierInfo): void {
    const target = this.#target;
    // Who dials is judged when it has said its name.
    if (target === undefined) return;
    checkChain(info, "initiator", target);
    this.assurance = checkName(info, target, this.#judge);
  }

  claimed(claim: PeerClaim): void {
    this.peer = claim.name;
    this.#owner.claimed(claim);
  }

  confirmed(): void {
    this.#owner.confirmed();
  }

  status(status: "ok" | "ok_simultaneous" | "alive"): void {
    this.#owner.status(status);
  }

  challenged(session: OtpSession): void {
    this.#owner.challenged(session);
  }

  proven(_peer: ProvenPeer): void {
    this.#owner.proven(this);
  }

  up(_peer: ProvenPeer): void {
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
    this.#owner.down(this, cause);
  }

  // Legs speak OTP's handshake only.

  trustAsked(): void {}

  arbitrationAsked(): void {}

  commitAsked(): void {}

  strayPong(): void {}

  /** A pair ends with its nodes, not by itself. */
  idleAsked(): boolean {
    return false;
  }

  idleKept(): void {}
}
