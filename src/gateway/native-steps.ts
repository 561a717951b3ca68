import type { ArbitrationQuestion, CommitRequest, TrustAnswer, TrustQuestion } from "../auth/native-types.ts";
import type { ShownIdentity } from "../auth/otp-types.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ClaimAnswer } from "../dist/sink.ts";
import type { PendingTrust } from "../node/identity-keeper.ts";
import { newcomerOf } from "../node/standing.ts";
import { commonFlags } from "../wire/flags.ts";
import type { LegIdentity } from "./leg-identity.ts";
import type { LegSteps } from "./leg-steps.ts";
import type { Side } from "./message-filter.ts";
import { creationChanged, pairsStay, strangerRefused } from "./pair-failures.ts";
import type { PairHandshake } from "./pair-handshake.ts";

/** How a native leg asks and answers: the steps of the OTP handshake, said in those of the native one. */
export interface NativeSteps extends LegSteps {
  readonly question: ArbitrationQuestion | undefined;
  trustAsked(question: TrustQuestion): void;
  arbitrationAsked(question: ArbitrationQuestion): void;
  commitAsked(request: CommitRequest): void;
}

/** What both roles are given. */
export interface NativeLegParts {
  /** Where the peer stands. */
  readonly side: Side;
  readonly identity: LegIdentity;
  readonly connection: DistConnection;
  readonly info: CarrierInfo;
  /** What our HELLO shows. */
  readonly shown: ShownIdentity;
  readonly owner: PairHandshake;
}

/**
 * A node dials. Its key, its cookie and its name come first, then the rules for two connections; then the far node is dialled,
 * and what that shows is compared with what our HELLO has shown of it.
 */
export class NativeNearSteps implements NativeSteps {
  pending: PendingTrust | undefined;
  question: ArbitrationQuestion | undefined;
  cause: SallyportError | undefined;
  readonly #parts: NativeLegParts;
  #verdict: "go" | "alive" = "go";
  #isAnswered = false;
  #isChallenged = false;
  #request: CommitRequest | undefined;

  constructor(parts: NativeLegParts) {
    this.#parts = parts;
  }

  trustAsked(question: TrustQuestion): void {
    const { identity, info, connection, owner } = this.#parts;
    const { answer, pending } = identity.keeper.decide(question, info);
    this.pending = pending;
    // Who has not the cookie is told so, and learns nothing else.
    if (answer.kind !== "granted" || question.cookieDiffers) connection.answerTrust(answer);
    else connection.answerTrust(this.#welcome(question, answer, owner));
  }

  #welcome(question: TrustQuestion, answer: TrustAnswer, owner: PairHandshake): TrustAnswer {
    try {
      owner.named(question.name);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      return { kind: "refused", error };
    }
    if (this.pending?.decision?.commit.kind !== "pending" || answer.kind !== "granted") return answer;
    // It reserves no name, and a BEAM node can not be told so. It waits for the operator.
    const { keeper } = this.#parts.identity;
    const request = { trust: question, assurance: answer.assurance, inviteId: undefined, moves: false };
    keeper.commit(request, this.pending, this.#parts.info.remoteAddress);
    return { kind: "refused", error: strangerRefused(question.name) };
  }

  arbitrationAsked(question: ArbitrationQuestion): void {
    const { side, connection, info, owner } = this.#parts;
    if (this.pending === undefined) return;
    this.question = question;
    const verdict = owner.meeting.arbitrate(side, question, newcomerOf(this.pending));
    if (verdict !== "go" && verdict !== "alive") {
      connection.answerArbitration(verdict);
      return;
    }
    this.#verdict = verdict;
    const { name, creation, flags } = question;
    owner.claimed({ name, creation, flags, info });
  }

  answerClaim(answer: ClaimAnswer): void {
    const { connection } = this.#parts;
    if (this.#isAnswered) return;
    if (answer === "ok" || answer === "ok_simultaneous") return;
    this.#isAnswered = true;
    connection.answerArbitration(answer === "alive" ? "alive" : "other-wins");
  }

  challenge({ creation, flags }: ShownIdentity): void {
    const { connection, shown, owner } = this.#parts;
    const { question } = this;
    if (question === undefined) return;
    if (creation !== shown.creation || flags !== commonFlags(shown.flags, question.flags)) {
      this.cause = creationChanged(question.name);
      if (this.#request !== undefined) connection.answerCommit({ ok: false, error: this.cause });
      else this.answerClaim("nok");
      return;
    }
    this.#isChallenged = true;
    if (!this.#isAnswered) {
      this.#isAnswered = true;
      connection.answerArbitration(this.#verdict);
    } else if (this.#request !== undefined) owner.nearProven();
  }

  commitAsked(request: CommitRequest): void {
    if (request.moves) {
      this.cause = pairsStay(request.trust.name);
      this.#parts.connection.answerCommit({ ok: false, error: this.cause });
      return;
    }
    this.#request = request;
    if (this.#isChallenged) this.#parts.owner.nearProven();
    else this.#parts.owner.confirmed();
  }

  admit(): void {
    const { identity, connection, info } = this.#parts;
    if (this.#request === undefined) return;
    connection.answerCommit(identity.keeper.commit(this.#request, this.pending, info.remoteAddress));
  }

  abandon(error: SallyportError, told: SallyportError): void {
    const { connection } = this.#parts;
    this.cause ??= error;
    if (this.#request !== undefined) connection.answerCommit({ ok: false, error: told });
    else if (this.question !== undefined && !this.#isAnswered) {
      this.#isAnswered = true;
      connection.answerArbitration({ kind: error.code === "ERR_DENIED" ? "refused" : "full", error: told });
    }
    // Nothing was left to say.
    connection.destroy(told);
  }

  reply(): void {}
}

/** The near node dials one that has a key: our proof waits for the near node's. */
export class NativeFarSteps implements NativeSteps {
  pending: PendingTrust | undefined;
  question: ArbitrationQuestion | undefined;
  readonly cause: undefined;
  readonly #parts: NativeLegParts;
  #isCommitted = false;

  constructor(parts: NativeLegParts) {
    this.#parts = parts;
  }

  trustAsked(question: TrustQuestion): void {
    const { identity, connection, info } = this.#parts;
    const { answer, pending } = identity.keeper.decide(question, info);
    this.pending = pending;
    connection.answerTrust(answer);
  }

  arbitrationAsked(question: ArbitrationQuestion): void {
    const { connection, shown, owner } = this.#parts;
    if (this.question !== undefined) {
      // It holds a session that the near node knows nothing of; or, by cookie only, has shown its proof now.
      connection.answerArbitration("go");
      return;
    }
    this.question = question;
    const { name: peer, creation: peerCreation, flags } = question;
    owner.status("ok");
    owner.challenged({ peer, peerCreation, flags: commonFlags(shown.flags, flags) }, flags);
  }

  reply(): void {
    const { side, connection, owner } = this.#parts;
    if (this.question === undefined || this.pending === undefined) return;
    const go = (): void => connection.answerArbitration("go");
    owner.meeting.whenFree(side, this.question, newcomerOf(this.pending), go);
  }

  commitAsked(request: CommitRequest): void {
    const { identity, connection, info, owner } = this.#parts;
    const answer = identity.keeper.commit(request, this.pending, info.remoteAddress);
    if (!answer.ok) {
      connection.answerCommit(answer);
      return;
    }
    this.#isCommitted = true;
    owner.farProven();
  }

  admit(): void {
    if (this.#isCommitted) this.#parts.connection.answerCommit({ ok: true });
  }

  abandon(error: SallyportError): void {
    this.#parts.connection.destroy(error);
  }

  answerClaim(): void {}

  challenge(): void {}
}
