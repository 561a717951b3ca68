import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";

/** The timer of one connection, as QUIC asks for it. */
export class QuicTimer {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #timer: Timer | undefined;
  #at: MonotonicMs | undefined;
  readonly #fire: () => void = () => {
    this.#timer = undefined;
    this.#at = undefined;
    this.#expired();
  };

  /** @param expired may find that QUIC's timer was set anew meanwhile */
  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** QUIC wants to be called in so many milliseconds; null: not at all. */
  arm(ms: number | null): void {
    if (ms === null) return;
    const at = addMs(this.#clock.now(), ms);
    // An earlier timer looks again when it fires; only a later one is of no use.
    if (this.#at !== undefined && this.#at <= at) return;
    this.#timer?.cancel();
    this.#at = at;
    this.#timer = this.#clock.at(at, this.#fire);
  }

  cancel(): void {
    this.#timer?.cancel();
  }
}
