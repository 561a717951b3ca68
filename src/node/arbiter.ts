import type { Arbitration, NativeRole } from "../auth/native-types.ts";
import type { ClaimAnswer, Role } from "../dist/sink.ts";

// Who becomes the one connection between two nodes. All of it is decided on plain values, so that the model checker of the
// tests runs these very functions. "Party" is whoever holds a key, or is known by the cookie alone.

/** What stands under the name, as a native newcomer finds it. */
export interface StandingFacts {
  /** The newcomer is the same party. */
  readonly isSameParty: boolean;
  /** Another party that may take the place: see `outranks`. */
  readonly isOutranked: boolean;
  /** The peer's life; undefined where the protocol has no order of lives. */
  readonly incarnation: bigint | undefined;
}

/** Another connection with the same party that may still become the session: it was told `go`, or `alive`. */
export interface Opening {
  /** Ours in it. */
  readonly role: NativeRole;
  /** The life that the peer has proven, or only claims. */
  readonly incarnation: bigint;
  /** False for one that we dialled in cookie-only mode, until its CONFIRM. */
  readonly isProven: boolean;
}

/** A native connection that asks, and all that its fate depends on. */
export interface NativeFacts<O extends Opening> {
  /** Ours in this connection. */
  readonly role: NativeRole;
  readonly incarnation: bigint;
  /** False for one that we dialled in cookie-only mode, until its CONFIRM. */
  readonly isProven: boolean;
  /** We dialled, and the acceptor says that a session with us stands there, or comes up. */
  readonly peerHoldsSession: boolean;
  /** Our canonical name is before the peer's, byte by byte. */
  readonly isOwnNameSmaller: boolean;
  readonly standing: StandingFacts | undefined;
  /** Never the connection that asks. */
  readonly openings: readonly O[];
}

/** The verdict, and the openings that cannot become a session any more: end them before it is told. */
export interface NativeVerdict<O extends Opening> {
  readonly answer: Arbitration;
  readonly ended: readonly O[];
}

/**
 * Whether a native connection may become the session.
 *
 * A younger life of the peer takes the place of all that an older one left; an older life is `stale`. Of crossing dials the
 * node with the smaller name alone decides: once its own dial is told `go` it takes no other, and once it took another its
 * own dial gives way. The larger name follows: what it accepts ends its own dial. Where the acceptor has a session or an
 * opening of this very life, only the peer knows which one still lives: the dialler is asked (`alive`).
 */
export function arbitrateNative<O extends Opening>(facts: NativeFacts<O>): NativeVerdict<O> {
  const { standing, isProven, openings } = facts;
  const isOther = standing !== undefined && !standing.isSameParty;
  if (isOther && !standing.isOutranked) return refused("other-wins");
  // An incarnation that nobody has proven is neither younger nor older than another.
  const isYounger = (than: bigint): boolean => isProven && facts.incarnation > than;
  const isOlder = (than: bigint): boolean => isProven && facts.incarnation < than;
  const known = isOther ? undefined : standing?.incarnation;
  if (known !== undefined && isOlder(known)) return refused("stale");
  if (openings.some((opening) => opening.isProven && isOlder(opening.incarnation))) return refused("stale");
  const ended = openings.filter((opening) => opening.isProven && isYounger(opening.incarnation));
  const rivals = openings.filter((opening) => !ended.includes(opening));
  const isThere = !isOther && standing !== undefined && !(known !== undefined && isYounger(known));
  return facts.role === "dialler"
    ? askedByDialler(facts, isThere, rivals, ended)
    : askedByAcceptor(facts, isThere, rivals, ended);
}

function askedByDialler<O extends Opening>(
  facts: NativeFacts<O>,
  isThere: boolean,
  rivals: readonly O[],
  ended: readonly O[],
): NativeVerdict<O> {
  if (isThere) return refused(facts.peerHoldsSession ? "alive" : "other-wins");
  // We let the peer in, and it may stand on that connection already.
  if (rivals.some(({ role }) => role === "acceptor")) return refused("other-wins");
  return { answer: "go", ended };
}

function askedByAcceptor<O extends Opening>(
  facts: NativeFacts<O>,
  isThere: boolean,
  rivals: readonly O[],
  ended: readonly O[],
): NativeVerdict<O> {
  const dials = rivals.filter(({ role }) => role === "dialler");
  if (dials.length > 0 && facts.isOwnNameSmaller) return refused("other-wins");
  const isAsked = isThere || rivals.length > dials.length;
  return { answer: isAsked ? "alive" : "go", ended: [...ended, ...dials] };
}

function refused<O extends Opening>(answer: Arbitration): NativeVerdict<O> {
  return { answer, ended: [] };
}

/**
 * Whether a native connection whose handshake has just ended may take the place of what stands by now. Neither a party that
 * does not outrank it nor an older life of the peer may.
 */
export function mayReplaceNative(standing: StandingFacts | undefined, incarnation: bigint): boolean {
  if (standing === undefined) return true;
  if (!standing.isSameParty) return standing.isOutranked;
  return (standing.incarnation ?? 0n) <= incarnation;
}

/** What an OTP acceptor knows when a name was claimed and nothing proven. */
export interface OtpClaimFacts {
  /** `other-spelling`: the session's name differs in the case of its host, which for a BEAM is another node. */
  readonly standing: "none" | "same-name" | "other-spelling";
  readonly ownDial: boolean;
  /** Our name is after the peer's, as text. */
  readonly isOwnNameGreater: boolean;
}

/** OTP's own rule (otp-distribution section 2.3): of crossing dials the one of the greater name goes on. */
export function answerOtpClaim({ standing, ownDial, isOwnNameGreater }: OtpClaimFacts): ClaimAnswer {
  if (standing === "same-name") return "alive";
  if (standing === "other-spelling") return "not_allowed";
  if (!ownDial) return "ok";
  return isOwnNameGreater ? "nok" : "ok_simultaneous";
}

/** What is to be done with a peer that has proven itself by OTP. `after-dial`: admit it if our own dial fails. */
export type Admission = "admit" | "replace" | "other-wins" | "after-dial";

/** What is known when a peer has proven itself by OTP. */
export interface OtpProofFacts {
  /** Ours in this connection. */
  readonly role: Role;
  readonly isOwnNameGreater: boolean;
  /** Our own dial has answered the peer's challenge and waits for the acknowledgement. */
  readonly isDialAwaitingAck: boolean;
  readonly standing:
    | undefined
    | {
        readonly isNative: boolean;
        /** Ours in the standing session. */
        readonly role: Role;
        /** The claim was answered `alive`, and spoke of this very session. */
        readonly wasAskedAbout: boolean;
      };
}

/** Only a proven peer replaces a session, and none where a key was proven: the cookie is no reason to end that. */
export function judgeOtpProof(facts: OtpProofFacts): Admission {
  const { role, isOwnNameGreater, isDialAwaitingAck, standing } = facts;
  if (standing === undefined) {
    // Each side could let the other in over the connection that the other one is about to drop. Where our proof is out
    // already, the connection that wins a crossing is waited for.
    return role === "acceptor" && isOwnNameGreater && isDialAwaitingAck ? "after-dial" : "admit";
  }
  if (standing.isNative) return "other-wins";
  const theirsByRule = role === "acceptor" && (standing.role === "acceptor" || !isOwnNameGreater);
  const oursByRule = role === "initiator" && isOwnNameGreater;
  return standing.wasAskedAbout || theirsByRule || oursByRule ? "replace" : "other-wins";
}
