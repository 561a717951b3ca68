import type { Arbitration, ArbitrationQuestion } from "../auth/native-types.ts";
import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ClaimAnswer, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import {
  type Admission,
  answerOtpClaim,
  arbitrateNative,
  judgeOtpProof,
  mayReplaceNative,
  type StandingFacts,
} from "./arbiter.ts";
import type { Dial } from "./dial.ts";
import { Openings } from "./openings.ts";
import type { Session } from "./session.ts";
import { isSameParty, type Newcomer, outranks } from "./standing.ts";

/** Sessions at once, of all names; dials of this node itself are not refused. */
export const DEFAULT_MAX_SESSIONS = 10_000;

/** A claim that the acceptor has answered, remembered until the peer has proven itself. */
export interface AnsweredClaim {
  readonly answer: ClaimAnswer;
  /** The session that stood then, which is what `alive` spoke of. */
  readonly existing: Session | undefined;
}

/**
 * Live sessions, dials under way, and what is on its way to be a session, by canonical name; at most one session each. Which
 * connection it is, `arbiter.ts` decides. An unproven claim gets an answer but changes nothing: only a proven peer replaces a
 * session or stops a dial.
 */
export class Sessions {
  readonly #own: NodeName;
  readonly #maxSessions: number;
  readonly #sessions = new Map<string, Session>();
  /** Also under the exact bytes of the peer's name, so that the send path needs no folding. */
  readonly #byExactName = new Map<string, Session>();
  readonly #dials = new Map<string, Dial>();
  readonly #openings = new Openings<DistConnection>();

  constructor(own: NodeName, maxSessions: number = DEFAULT_MAX_SESSIONS) {
    this.#own = own;
    this.#maxSessions = maxSessions;
  }

  get size(): number {
    return this.#sessions.size;
  }

  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  dials(): IterableIterator<Dial> {
    return this.#dials.values();
  }

  /** The session of a node, whatever the case of its host. */
  get(name: string): Session | undefined {
    return this.#byExactName.get(name) ?? this.#sessions.get(canonicalName(name as NodeName));
  }

  /**
   * The session over which this node may speak to a name by itself; undefined when it has to dial. Over that of a stranger
   * it only answers: `creation` of a pid that came from there. While one is asked whether it may end, nothing is sent.
   */
  reach(name: string, creation?: number): Session | undefined {
    const session = this.get(name);
    if (session === undefined || session.isAsking) return undefined;
    return session.holdsName === false && session.creation !== creation ? undefined : session;
  }

  dial(name: NodeName): Dial | undefined {
    return this.#dials.get(canonicalName(name));
  }

  addDial(dial: Dial): void {
    this.#dials.set(canonicalName(dial.target), dial);
  }

  removeDial(dial: Dial): void {
    if (this.#dials.get(canonicalName(dial.target)) === dial) this.#dials.delete(canonicalName(dial.target));
  }

  /**
   * Why a node that dials us finds no room; undefined when it does. One that has a session keeps its place, and a quarter of
   * the places is for peers that are surely who they say.
   */
  noRoomFor(name: NodeName, assurance: Assurance): SallyportError | undefined {
    const max = assuranceAtLeast(assurance, "ca")
      ? this.#maxSessions
      : this.#maxSessions - Math.floor(this.#maxSessions / 4);
    if (this.#sessions.size < max || this.#sessions.has(canonicalName(name))) return undefined;
    return new SallyportError(
      "ERR_LIMIT",
      "SESSIONS_FULL",
      `${this.#sessions.size} sessions stand, all that maxSessions ${this.#maxSessions} leaves to assurance ${assurance}`,
      {
        peer: name,
        stage: "session",
        detail: { limit: this.#maxSessions, option: "maxSessions" },
        advice: "raise maxSessions, or find out who opens so many names",
      },
    );
  }

  /** How to answer an inbound claim. */
  answerClaim({ name }: PeerClaim): ClaimAnswer {
    const existing = this.#sessions.get(canonicalName(name));
    const spelling = existing?.peer.name === name ? "same-name" : "other-spelling";
    return answerOtpClaim({
      standing: existing === undefined ? "none" : spelling,
      ownDial: this.dial(name) !== undefined,
      isOwnNameGreater: this.#own > name,
    });
  }

  /** What to do with a peer that has proven itself by OTP. May end the session it replaces. */
  judge(peer: ProvenPeer, claim: AnsweredClaim | undefined): Exclude<Admission, "replace"> {
    const existing = this.#sessions.get(canonicalName(peer.name));
    const admission = judgeOtpProof({
      role: peer.role,
      isOwnNameGreater: this.#own > peer.name,
      isDialAwaitingAck: this.dial(peer.name)?.isAwaitingAck === true,
      standing: existing && {
        isNative: existing.peer.protocol === "native",
        role: existing.connection.role,
        wasAskedAbout: claim?.answer === "alive" && claim.existing === existing,
      },
    });
    if (admission !== "replace") return admission;
    existing?.connection.destroy(sessionReplaced(peer.name));
    return "admit";
  }

  /**
   * Whether a native connection may become the session; from `go` or `alive` on it is one that others have to respect, until
   * `release`. Ends those that cannot become the session any more; whoever hears of it may end `connection` too.
   */
  arbitrate(question: ArbitrationQuestion, newcomer: Newcomer, connection: DistConnection): Arbitration {
    const { role, incarnation, isProven, peerHoldsSession } = question;
    const name = canonicalName(question.name);
    const { answer, ended } = arbitrateNative({
      role,
      incarnation,
      isProven,
      peerHoldsSession,
      isOwnNameSmaller: canonicalName(this.#own) < name,
      standing: standingFacts(this.#sessions.get(name), newcomer),
      openings: this.#openings.rivals(name, newcomer, connection),
    });
    if (answer === "go" || answer === "alive") {
      this.#openings.note(name, { connection, key: newcomer.key, role, incarnation, isProven });
    }
    for (const other of ended) giveWay(other.connection, question.name);
    return answer;
  }

  /** Whether a native connection whose handshake has just ended may take the place of what stands now. */
  mayReplace(name: NodeName, newcomer: Newcomer, incarnation: bigint): boolean {
    return mayReplaceNative(standingFacts(this.#sessions.get(canonicalName(name)), newcomer), incarnation);
  }

  /** What leads nowhere once a connection is up: those of the same party that were let in before it. */
  olderOpenings(connection: DistConnection): readonly DistConnection[] {
    return this.#openings.before(connection);
  }

  /** A connection is up, or has ended: from now on it is nothing between the two. */
  release(connection: DistConnection): void {
    this.#openings.release(connection);
  }

  /** Native connections between their verdict and their session. */
  get openings(): number {
    return this.#openings.size;
  }

  add(session: Session): void {
    this.#sessions.set(session.facts.name, session);
    this.#byExactName.set(session.peer.name, session);
  }

  /** False when another session has taken the place already. */
  remove(session: Session): boolean {
    if (this.#byExactName.get(session.peer.name) === session) this.#byExactName.delete(session.peer.name);
    if (this.#sessions.get(session.facts.name) !== session) return false;
    this.#sessions.delete(session.facts.name);
    return true;
  }
}

function standingFacts(existing: Session | undefined, newcomer: Newcomer): StandingFacts | undefined {
  if (existing === undefined) return undefined;
  return {
    isSameParty: isSameParty(existing, newcomer),
    isOutranked: outranks(newcomer, existing),
    incarnation: existing.incarnation,
  };
}

/** The failure of a connection that gives way to another one between the same nodes. */
export function otherConnectionWins(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "OTHER_CONNECTION_WINS", `another connection with ${peer} goes on`, {
    peer,
    stage: "session",
    advice: "nothing: the other connection serves both sides",
  });
}

/** Ends a connection in favour of another one. */
export function giveWay(connection: DistConnection, peer: NodeName): void {
  connection.destroy(otherConnectionWins(peer));
}

/** The end of a session whose peer came anew. */
export function sessionReplaced(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "SESSION_REPLACED", `${peer} connected anew`, {
    peer,
    stage: "session",
    advice: "nothing: the new session goes on",
  });
}
