import type { BarrelTrustAnswer, BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { ShownIdentity } from "../auth/otp-types.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { BarrelLink } from "../dist/barrel-link.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ClaimAnswer, PeerClaim } from "../dist/sink.ts";
import type { PendingTrust } from "../node/identity-keeper.ts";
import { commonFlags, PUBLISHED } from "../wire/flags.ts";
import type { LegIdentity } from "./leg-identity.ts";
import type { LegSteps } from "./leg-steps.ts";
import type { Side } from "./message-filter.ts";
import { creationChanged } from "./pair-failures.ts";
import type { PairHandshake } from "./pair-handshake.ts";

/** How a leg over QUIC asks and answers: keys by barrel's exchange, then the OTP handshake (barrel-auth section 4, 9). */
export interface BarrelSteps extends LegSteps {
  trustAsked(question: BarrelTrustQuestion, info: CarrierInfo): void;
  claimed(claim: PeerClaim): void;
  /** The node that dialled has given its old connection up. */
  confirmed(): void;
  /** The cookie is proven. */
  proven(): void;
}

/** What both roles are given. */
export interface BarrelLegParts {
  /** Where the peer stands. */
  readonly side: Side;
  readonly identity: LegIdentity;
  readonly connection: DistConnection;
  readonly link: BarrelLink;
  readonly owner: PairHandshake;
  /** Whether a peer lists the node that this leg stands for in `nodes()`. */
  isVisibleTo(peer: NodeName): boolean;
}

/** What both roles do about the peer's key. */
abstract class Trusting {
  pending: PendingTrust | undefined;
  protected readonly parts: BarrelLegParts;
  #info: CarrierInfo | undefined;

  constructor(parts: BarrelLegParts) {
    this.parts = parts;
  }

  trustAsked(question: BarrelTrustQuestion, info: CarrierInfo): void {
    const { identity, link } = this.parts;
    const { answer, pending } = identity.keeper.decideBarrel(question, info);
    this.pending = pending;
    this.#info = info;
    link.answerTrust(answer.kind === "granted" ? this.welcome(question, answer) : answer);
  }

  protected abstract welcome(question: BarrelTrustQuestion, granted: BarrelTrustAnswer): BarrelTrustAnswer;

  /** Why the peer may not go on, though it could when it was asked about. */
  protected lost(): SallyportError | undefined {
    if (this.pending === undefined || this.#info === undefined) return undefined;
    return this.parts.identity.keeper.lostStanding(this.pending, this.#info);
  }

  /** Makes durable what was decided; to be asked only when the cookie is proven. Why the peer may not have its session after all. */
  protected confirm(): SallyportError | undefined {
    if (this.pending === undefined || this.#info === undefined) return undefined;
    return this.parts.identity.keeper.confirmBarrel(this.pending, this.#info);
  }
}

/**
 * A node dials. The gateway answers its name and shows what it expects of the far node, so that the cookie is proven before that
 * is dialled; what the far node then shows must be the same.
 */
export class BarrelNearSteps extends Trusting implements BarrelSteps {
  cause: SallyportError | undefined;
  #claim: PeerClaim | undefined;
  #shown: ShownIdentity | undefined;

  /** Its name counts before its key does: who is in no pair learns nothing else. */
  protected welcome({ name }: BarrelTrustQuestion, granted: BarrelTrustAnswer): BarrelTrustAnswer {
    try {
      this.parts.owner.named(name);
      return granted;
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      return { kind: "refused", error };
    }
  }

  claimed(claim: PeerClaim): void {
    const { side, owner, connection } = this.parts;
    if (!owner.welcome(claim)) return;
    this.#claim = claim;
    const answer = owner.meeting.answerBarrel(side, claim.info.proven?.assurance ?? "none");
    connection.answerClaim(answer);
    if (answer === "ok") this.#challenge(claim);
  }

  confirmed(): void {
    if (this.#claim !== undefined) this.#challenge(this.#claim);
  }

  #challenge({ name }: PeerClaim): void {
    const { identity, connection, isVisibleTo } = this.parts;
    this.#shown = identity.expected.shown;
    const { creation, flags } = this.#shown;
    connection.challenge({ creation, flags: isVisibleTo(name) ? flags | PUBLISHED : flags });
  }

  proven(): void {
    const { owner, connection } = this.parts;
    const lost = this.lost();
    if (lost !== undefined) connection.destroy(lost);
    else if (this.#claim !== undefined) owner.dialFar(this.#claim);
  }

  /** The far node's status. Our own was said before it was asked. */
  answerClaim(answer: ClaimAnswer): void {
    // It holds a session of a node that has proven to be here now.
    if (answer === "alive") this.parts.owner.confirmed();
  }

  challenge({ creation, flags }: ShownIdentity): void {
    const { connection, owner } = this.parts;
    if (this.#claim === undefined || this.#shown === undefined) return;
    const { name } = this.#claim;
    if (creation === this.#shown.creation && flags === commonFlags(this.#shown.flags, this.#claim.flags)) {
      owner.nearProven();
      return;
    }
    this.cause = creationChanged(name);
    connection.destroy(this.cause);
  }

  admit(): void {
    const error = this.confirm();
    if (error === undefined) this.parts.connection.admit();
    else this.parts.connection.destroy(error);
  }

  abandon(error: SallyportError, told: SallyportError): void {
    this.cause ??= error;
    this.parts.connection.destroy(told);
  }

  reply(): void {}
}

/** The near node dials one over QUIC, which is pinned when it has proven the cookie. */
export class BarrelFarSteps extends Trusting implements BarrelSteps {
  readonly cause: undefined;

  protected welcome(_question: BarrelTrustQuestion, granted: BarrelTrustAnswer): BarrelTrustAnswer {
    return granted;
  }

  reply(): void {
    this.parts.connection.reply();
  }

  proven(): void {
    const error = this.confirm();
    if (error === undefined) this.parts.owner.farProven();
    else this.parts.connection.destroy(error);
  }

  admit(): void {
    this.parts.connection.admit();
  }

  abandon(error: SallyportError): void {
    this.parts.connection.destroy(error);
  }

  claimed(): void {}

  confirmed(): void {}

  answerClaim(): void {}

  challenge(): void {}
}
