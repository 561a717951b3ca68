import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName, sameNode } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Term } from "../term/types.ts";
import type { CallOptions, HandlerContext, ServiceHandlers } from "./api.ts";
import { aroundMs } from "./backoff.ts";
import type { Counters } from "./counters.ts";
import { ExchangeBook } from "./exchange-book.ts";
import { EXCHANGE_TTL_MS } from "./exchange-hints.ts";
import type { ExchangePlan } from "./exchange-plan.ts";
import {
  BAD_REQUEST,
  exchangeAnswer,
  exchangeRequest,
  PEERS_PROCESS,
  readExchangeAnswer,
  readExchangeRequest,
  type ToldPeer,
} from "./exchange-words.ts";
import type { Session } from "./session.ts";

/** How often each peer is asked, milliseconds, give or take a quarter. */
export const EXCHANGE_MS = 60_000;

/** The same for one that refused, or has nobody who could answer. */
export const EXCHANGE_REFUSED_MS = 600_000;

/** Longest wait for an answer, milliseconds. */
const EXCHANGE_DEADLINE_MS = 5_000;

export interface ExchangeParts {
  readonly own: NodeName;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly plan: ExchangePlan;
  /** Whether this node dials addresses of that kind at all. */
  mayDial(scheme: DialAddress["scheme"]): boolean;
  /** The session over which this node may speak to a name. */
  sessionWith(name: NodeName): Session | undefined;
  call(target: { readonly name: string; readonly node: string }, request: Term, options: CallOptions): Promise<Term>;
  /** Whether this node keeps a connection to a peer. */
  isKept(name: NodeName): boolean;
  /** What all answers tell has changed. */
  learned(names: readonly NodeName[]): void;
}

/**
 * Asks the peers that the owner names which others there are and where, and answers those who may ask. Nobody else's word counts:
 * what comes without a question is dropped as any message for nobody.
 */
export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #book: ExchangeBook;
  readonly #with: ReadonlySet<NodeName>;
  readonly #asking = new Map<NodeName, Timer>();
  #lapse: Timer | undefined;
  #isStopped = false;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#book = new ExchangeBook(parts.clock);
    this.#with = new Set(parts.plan.with.map(canonicalName));
  }

  /** Of the process that answers; who may call it is decided before. */
  readonly handlers: ServiceHandlers = { call: (request, ctx) => this.#answer(request, ctx) };

  stop(): void {
    this.#isStopped = true;
    this.#lapse?.cancel();
    for (const timer of this.#asking.values()) timer.cancel();
  }

  up(session: Session, address: DialAddress | undefined): void {
    const { name } = session.facts;
    if (!session.holdsName || this.#isStopped) return;
    if (address !== undefined && (this.#with.has(name) || this.#parts.isKept(name))) {
      this.#book.reached(session.peer, address);
    }
    if (this.#with.has(name)) this.#askAfter(session, 0);
  }

  down(session: Session, cause: SallyportError | undefined): void {
    const { name } = session.facts;
    if (this.#parts.sessionWith(name) !== undefined) return;
    this.#book.left(name, cause?.code === "ERR_DENIED");
    this.#asking.get(name)?.cancel();
    this.#asking.delete(name);
  }

  #askAfter(session: Session, waitMs: number): void {
    const { clock } = this.#parts;
    const { name } = session.facts;
    this.#asking.get(name)?.cancel();
    const at = addMs(clock.now(), waitMs);
    this.#asking.set(
      name,
      clock.at(at, () => void this.#ask(session), true),
    );
  }

  /** Never rejects. A session that is not that of the peer any more is left alone: nothing is dialled for an exchange. */
  async #ask(session: Session): Promise<void> {
    const { random, counters, plan, call } = this.#parts;
    if (!this.#isCurrent(session)) return;
    let next = EXCHANGE_MS;
    try {
      const to = { name: PEERS_PROCESS, node: session.peer.name };
      const term = await call(to, exchangeRequest(plan.advertised()), { timeoutMs: EXCHANGE_DEADLINE_MS });
      if (!this.#isCurrent(session)) return;
      const told = readExchangeAnswer(term);
      if (told === undefined) counters.add("exchange_answers_refused");
      else this.#learn(session, told);
    } catch (error) {
      counters.add("exchange_failed");
      if (isSallyportError(error) && (error.code === "ERR_DENIED" || error.reason === "NOPROC")) {
        next = EXCHANGE_REFUSED_MS;
      }
    }
    if (this.#isCurrent(session)) this.#askAfter(session, aroundMs(next, random));
  }

  #isCurrent(session: Session): boolean {
    return !this.#isStopped && this.#parts.sessionWith(session.facts.name) === session;
  }

  #learn(session: Session, told: readonly ToldPeer[]): void {
    const { own, clock, mayDial } = this.#parts;
    const { hints } = this.#parts.plan;
    const usable: ToldPeer[] = [];
    for (const { name, endpoints } of told) {
      const dialled = endpoints.filter(({ scheme }) => mayDial(scheme));
      if (dialled.length > 0 && !sameNode(name, own)) usable.push({ name, endpoints: dialled });
    }
    hints.take(session.facts.name, this.#with.size, usable);
    this.#tellLearned();
    this.#lapse?.cancel();
    this.#lapse = clock.at(addMs(clock.now(), EXCHANGE_TTL_MS), () => this.#tellLearned(), true);
  }

  #tellLearned(): void {
    this.#parts.learned(this.#parts.plan.hints.names());
  }

  #answer(request: Term, { peer }: HandlerContext): Term {
    const endpoints = readExchangeRequest(request);
    if (peer === null || endpoints === undefined) return BAD_REQUEST;
    // A stranger under somebody's name says nothing about where that one is.
    if (this.#parts.sessionWith(peer.name)?.peer === peer) this.#book.said(peer, endpoints);
    return exchangeAnswer(this.#book.tell(peer));
  }
}
