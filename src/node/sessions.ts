import type { Arbitration, ArbitrationQuestion } from "../auth/native-types.ts";
import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ClaimAnswer, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { Dial } from "./dial.ts";
import type { Session } from "./session.ts";
import { isSameParty, type Newcomer, outranks } from "./standing.ts";

/** Sessions at once, of all names; dials of this node itself are not refused. */
export const DEFAULT_MAX_SESSIONS = 10_000;

/** What is to be done with a proven peer. `after-dial`: our own dial goes first; admit the peer if that one fails. */
export type Admission = "admit" | "other-wins" | "after-dial";

/** A claim that the acceptor has answered, remembered until the peer has proven itself. */
export interface AnsweredClaim {
  readonly answer: ClaimAnswer;
  /** The session that stood then, which is what `alive` spoke of. */
  readonly existing: Session | undefined;
}

/**
 * Live sessions and dials under way, by canonical name; at most one session each. Crossing dials are settled by OTP's own
 * rule (otp-distribution section 2.3): the connection that the node with the greater name dialled survives. An unproven
 * claim gets an answer but changes nothing: only a proven peer replaces a session or stops a dial.
 */
export class Sessions {
  readonly #own: NodeName;
  readonly #maxSessions: number;
  readonly #sessions = new Map<string, Session>();
  /** Also under the exact bytes of the peer's name, so that the send path needs no folding. */
  readonly #byExactName = new Map<string, Session>();
  readonly #dials = new Map<string, Dial>();

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
  answerClaim(claim: PeerClaim): ClaimAnswer {
    const existing = this.#sessions.get(canonicalName(claim.name));
    if (existing !== undefined) return existing.peer.name === claim.name ? "alive" : "not_allowed";
    if (this.dial(claim.name) === undefined) return "ok";
    return this.#own > claim.name ? "nok" : "ok_simultaneous";
  }

  /** What to do with a peer that has proven itself. May end the session it replaces. */
  judge(peer: ProvenPeer, claim: AnsweredClaim | undefined): Admission {
    const existing = this.#sessions.get(canonicalName(peer.name));
    if (existing === undefined) {
      // Each side could let the other in over the connection that the other one is about to drop. Where our proof is out
      // already, the connection that wins a crossing is waited for.
      const crosses = peer.role === "acceptor" && this.#own > peer.name && this.dial(peer.name)?.isAwaitingAck === true;
      return crosses ? "after-dial" : "admit";
    }
    // A key was proven there, for this very life of the peer; the cookie is no reason to end that.
    if (existing.peer.protocol === "native") return "other-wins";
    const isReplacement = claim?.answer === "alive" && claim.existing === existing;
    const theirsByRule = peer.role === "acceptor" && (existing.connection.role === "acceptor" || peer.name > this.#own);
    const oursByRule = peer.role === "initiator" && this.#own > peer.name;
    if (!isReplacement && !theirsByRule && !oursByRule) return "other-wins";
    existing.connection.destroy(sessionReplaced(peer.name));
    return "admit";
  }

  /**
   * Whether a native connection may become the session. The acceptor decides: a younger life of the peer replaces its
   * leftover, an older one is refused, the same one is asked whether it still wants this connection; of crossing dials the
   * one of the smaller name goes on (docs/protocol.md). Another party takes the place only of one that it outranks.
   */
  arbitrate(question: ArbitrationQuestion, newcomer: Newcomer): Arbitration {
    const existing = this.#sessions.get(canonicalName(question.name));
    const known = existing?.incarnation;
    if (existing !== undefined && !isSameParty(existing, newcomer))
      return outranks(newcomer, existing) ? "go" : "other-wins";
    if (question.role === "dialler") {
      if (existing === undefined) return "go";
      return question.peerHoldsSession ? "alive" : "other-wins";
    }
    if (existing !== undefined) {
      if (known === undefined || question.incarnation === known) return "alive";
      return question.incarnation > known ? "go" : "stale";
    }
    if (this.dial(question.name) === undefined) return "go";
    return canonicalName(this.#own) < canonicalName(question.name) ? "other-wins" : "go";
  }

  /**
   * Whether a native connection whose handshake has just ended may take the place of what stands now: since it was asked
   * about, another one may have come up. Neither a party that does not outrank it nor an older life of the peer may.
   */
  mayReplace(name: NodeName, newcomer: Newcomer, incarnation: bigint): boolean {
    const existing = this.#sessions.get(canonicalName(name));
    if (existing === undefined) return true;
    if (!isSameParty(existing, newcomer)) return outranks(newcomer, existing);
    return (existing.incarnation ?? 0n) <= incarnation;
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
