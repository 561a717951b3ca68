import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { systemCode } from "../base/errors.ts";
import type { ClosedFacts } from "../carrier/quic/engine-frames.ts";
import { type Asking, DialCandidate } from "./dial-candidate.ts";
import { systemEnd } from "./session-facts.ts";
import type { DatagramHandler } from "./udp.ts";
import type { Knock } from "./udp-knock.ts";

/** Before the next address is asked beside those that have not answered, milliseconds. RFC 8305 section 5. */
export const NEXT_ADDRESS_MS = 250;

/** A connection that was answered; QUIC has taken the answer. */
export interface Answered extends Asking {
  /** Size of the answer. */
  readonly octets: number;
  /** The node wants to read nothing for now. */
  readonly isPaused: boolean;
  /** Hears the socket from now on. */
  hear(datagram: DatagramHandler["datagram"]): void;
}

export interface DialRaceParts {
  readonly clock: Clock;
  readonly knock: Knock;
  /** Without an answer in so long it is over, milliseconds. */
  readonly answerMs: number;
  /** The addresses to ask, in that order; rejects when there is none. */
  find(): Promise<readonly string[]>;
  /** Binds a socket, and makes a connection that asks at this address. */
  ask(host: string, handler: DatagramHandler): Promise<Asking>;
  /** One address has answered. Called once, or `failed` is. */
  won(answered: Answered): void;
  failed(facts: ClosedFacts): void;
}

/**
 * A dial until the first answer: asks at one address of a name after the other, a quarter of a second apart, and goes on with the one
 * that answers first (RFC 8305), for a name may have addresses at which nobody listens.
 */
export class DialRace {
  readonly #parts: DialRaceParts;
  readonly #candidates: Set<DialCandidate> = new Set<DialCandidate>();
  readonly #deadline: Timer;
  #left: readonly string[] = [];
  /** Addresses whose socket is being bound. */
  #binding = 0;
  #next: Timer | undefined;
  /** Why it fails, as far as is known. */
  #reason = "";
  #isPaused = false;
  #isOver = false;

  constructor(parts: DialRaceParts) {
    const { clock, answerMs } = parts;
    this.#parts = parts;
    this.#deadline = clock.at(addMs(clock.now(), answerMs), () => this.#fail({ ...systemEnd(""), by: "timeout" }));
    void this.#start();
  }

  /** Orders of the node for what is not there yet. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
  }

  /** The node has changed its mind. */
  destroy(): void {
    this.#fail(systemEnd("DESTROYED"));
  }

  async #start(): Promise<void> {
    try {
      this.#left = await this.#parts.find();
      this.#askNext();
    } catch (error) {
      this.#fail(systemEnd(wordOf(error)));
    }
  }

  #askNext(): void {
    this.#next?.cancel();
    this.#next = undefined;
    const [host, ...left] = this.#left;
    if (this.#isOver || host === undefined) return;
    this.#left = left;
    void this.#ask(host);
    const { clock } = this.#parts;
    if (left.length > 0) this.#next = clock.at(addMs(clock.now(), NEXT_ADDRESS_MS), () => this.#askNext());
  }

  async #ask(host: string): Promise<void> {
    const { clock, knock, won } = this.#parts;
    let candidate: DialCandidate | undefined;
    let hear: DatagramHandler["datagram"] = (bytes, from) => {
      if (candidate?.answers(bytes, from) !== true) return;
      this.#finish(candidate);
      const isPaused = this.#isPaused;
      won({ ...candidate.asking, octets: bytes.length, isPaused, hear: (datagram) => (hear = datagram) });
    };
    let asking: Asking;
    this.#binding++;
    try {
      asking = await this.#parts.ask(host, { datagram: (bytes, from) => hear(bytes, from) });
    } catch (error) {
      this.#binding--;
      this.#lost(wordOf(error));
      return;
    }
    this.#binding--;
    if (this.#isOver) {
      asking.socket.close();
      return;
    }
    const own = new DialCandidate(clock, asking, knock, (system) => {
      this.#candidates.delete(own);
      own.drop();
      this.#lost(system);
    });
    candidate = own;
    this.#candidates.add(own);
  }

  /** One address is out. The next is asked at once; without one, the others still may answer. */
  #lost(system: string): void {
    // A port that is closed says more than a route that is missing.
    if (this.#reason !== "ECONNREFUSED") this.#reason = system;
    if (this.#left.length > 0) this.#askNext();
    else if (this.#candidates.size === 0 && this.#binding === 0) this.#fail(systemEnd(this.#reason));
  }

  #fail(facts: ClosedFacts): void {
    if (this.#isOver) return;
    this.#finish(undefined);
    this.#parts.failed(facts);
  }

  #finish(winner: DialCandidate | undefined): void {
    this.#isOver = true;
    this.#deadline.cancel();
    this.#next?.cancel();
    for (const candidate of this.#candidates) {
      if (candidate === winner) candidate.letGo();
      else candidate.leave();
    }
    this.#candidates.clear();
  }
}

/** The system's code of a failure, or the engine's own word. */
export function wordOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.message.slice(0, 100) : "");
}
