import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import { idleUnanswered } from "../dist/connection-failures.ts";
import type { IdleOption } from "./options.ts";
import type { Session } from "./session.ts";

/** Default time without a message after which a session that nothing needs is ended, in milliseconds. */
export const DEFAULT_IDLE_AFTER_MS = 300_000;

/** Longest time between two looks at all sessions, in milliseconds. */
const MAX_SWEEP_MS = 60_000;

/** Looks per idle time: a session is ended at most this part of it late. */
const SWEEPS_PER_IDLE_TIME = 4;

/** Longest wait for the answer of a peer that lives, in milliseconds; below the time of a dial, which may wait for it. */
export const IDLE_ANSWER_MS = 5_000;

export interface IdleReaperParts {
  readonly clock: Clock;
  /** False: this node ends no session as idle, and agrees to no such end. */
  readonly option: IdleOption;
  sessions(): Iterable<Session>;
  /** Whether the owner wants this connection whether or not something needs it. */
  isKept(peer: NodeName): boolean;
  /** Whether somebody waits for a session with this peer. */
  isDialled(peer: NodeName): boolean;
}

/** Whether something at this end rides on a session: it would be lost, or be told of a loss, if it ended. */
export function isInUse(session: Session): boolean {
  const { links, monitorsIn, monitorsOut } = session.tables.sizes;
  if (links > 0 || monitorsIn > 0 || monitorsOut > 0) return true;
  if (session.openCalls > 0 || session.work.size > 0 || !session.inflight.isEmpty) return true;
  // Only BEAM processes write to the group leader of who started them; what they started may live on.
  if (session.takesOutput && session.peer.protocol === "otp") return true;
  return session.waitingBytes > 0;
}

/**
 * Ends sessions that nothing needs, so that the number of connections follows use and not the size of the cluster. Native
 * ones by agreement, so that no message is lost (docs/lifecycle.md); those with BEAM nodes are closed, where that was asked for.
 * One timer for all sessions.
 */
export class IdleReaper {
  readonly #parts: IdleReaperParts;
  readonly #afterMs: number;
  /** Messages that had gone when they were counted last, and since when it is that many. */
  readonly #seen = new WeakMap<Session, { readonly messages: number; readonly since: number }>();
  readonly #answers = new Map<Session, Timer>();
  #timer: Timer | undefined;

  constructor(parts: IdleReaperParts) {
    this.#parts = parts;
    this.#afterMs = (parts.option === false ? undefined : parts.option.afterMs) ?? DEFAULT_IDLE_AFTER_MS;
    if (parts.option !== false) this.#arm();
  }

  /** Whether this node agrees to the end of a session that the peer finds idle. It need not have been idle for long here. */
  agrees(session: Session): boolean {
    return this.#parts.option !== false && !this.#isNeeded(session);
  }

  /** The question is settled, and the session goes on. */
  kept(session: Session): void {
    this.forget(session);
    this.#seen.delete(session);
  }

  /** The session is over, or its question settled. */
  forget(session: Session): void {
    this.#answers.get(session)?.cancel();
    this.#answers.delete(session);
  }

  stop(): void {
    this.#timer?.cancel();
    for (const session of [...this.#answers.keys()]) this.forget(session);
  }

  #arm(): void {
    const { clock } = this.#parts;
    const sweepMs = Math.max(1, Math.min(MAX_SWEEP_MS, this.#afterMs / SWEEPS_PER_IDLE_TIME));
    const sweep = (): void => {
      this.#sweep(clock.now());
      this.#arm();
    };
    this.#timer = clock.at(addMs(clock.now(), sweepMs), sweep, true);
  }

  #sweep(now: number): void {
    for (const session of [...this.#parts.sessions()]) {
      const { messages } = session.connection;
      const seen = this.#seen.get(session);
      if (seen?.messages !== messages) this.#seen.set(session, { messages, since: now });
      else if (
        now - seen.since >= this.#afterMs &&
        !session.isAsking &&
        session.move === undefined &&
        !this.#isNeeded(session)
      )
        this.#end(session);
    }
  }

  #end(session: Session): void {
    if (session.peer.protocol === "otp") {
      if (this.#parts.option !== false && this.#parts.option.beam === true) session.connection.end("idle");
      return;
    }
    // Nothing is sent by itself to a stranger that does not hold its name: it is the one that asks.
    if (!session.holdsName || !session.connection.askIdle()) return;
    session.isAsking = true;
    const { clock } = this.#parts;
    // To go on instead would lose what is sent before a late goodbye.
    const giveUp = (): void => session.connection.destroy(idleUnanswered(session.peer.name, IDLE_ANSWER_MS));
    this.#answers.set(session, clock.at(addMs(clock.now(), IDLE_ANSWER_MS), giveUp, true));
  }

  #isNeeded(session: Session): boolean {
    const { name } = session.peer;
    return isInUse(session) || this.#parts.isDialled(name) || this.#parts.isKept(name);
  }
}
