import type { ShownIdentity } from "../auth/otp-types.ts";
import type { SallyportError } from "../base/errors.ts";
import type { ClaimAnswer } from "../dist/sink.ts";
import type { PendingTrust } from "../node/identity-keeper.ts";

/** What a pair says to a leg that proves keys: the steps of the OTP handshake, said in those of the leg's own. */
export interface LegSteps {
  /** What was decided about the peer's key, once it was asked. */
  readonly pending: PendingTrust | undefined;
  /** Says more than what the connection ends with. */
  readonly cause: SallyportError | undefined;
  // Accepting leg.
  answerClaim(answer: ClaimAnswer): void;
  challenge(shown: ShownIdentity): void;
  /** Nothing comes of it, because of `error`: says so in the word that is left to say, and ends with `told`. */
  abandon(error: SallyportError, told: SallyportError): void;
  // Dialling leg.
  reply(): void;
  // Either.
  admit(): void;
}
