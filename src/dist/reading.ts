import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";
import type { Carrier } from "../carrier/carrier.ts";

/**
 * Whether a connection reads, and since when what it has begun to read is unfinished. Time in which its owner lets it
 * read nothing does not count against the peer.
 */
export class Reading {
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  #pause: Timer | undefined;
  #isHeld = false;
  #stoppedAt: MonotonicMs | undefined;
  #stoppedMs = 0;
  #partialSince: MonotonicMs | undefined;
  #isOver = false;

  constructor(carrier: Carrier, clock: Clock) {
    this.#carrier = carrier;
    this.#clock = clock;
  }

  /** Nothing is read at the moment. */
  get isStopped(): boolean {
    return this.#stoppedAt !== undefined;
  }

  /** Reads nothing for `ms` milliseconds. */
  pauseFor(ms: number): void {
    if (this.#isOver || this.#pause !== undefined) return;
    this.#pause = this.#clock.at(addMs(this.#clock.now(), ms), () => {
      this.#pause = undefined;
      this.#settle();
    });
    this.#settle();
  }

  /** Reads nothing until `release`. Idempotent, as is that. */
  hold(): void {
    this.#isHeld = true;
    this.#settle();
  }

  release(): void {
    this.#isHeld = false;
    this.#settle();
  }

  /** The time as the peer's bytes have it: it stands still while nothing is read. */
  time(now: MonotonicMs): MonotonicMs {
    return addMs(this.#stoppedAt ?? now, -this.#stoppedMs);
  }

  /** A chunk was used up and left so many bytes of an unfinished frame. */
  left(partialBytes: number, now: MonotonicMs): void {
    this.#partialSince = partialBytes === 0 ? undefined : (this.#partialSince ?? this.time(now));
  }

  /** A frame is whole. */
  finished(): void {
    this.#partialSince = undefined;
  }

  /** How long the unfinished frame has taken up to now, milliseconds; 0 without one. */
  partialMs(now: MonotonicMs): number {
    return this.#partialSince === undefined ? 0 : this.time(now) - this.#partialSince;
  }

  /** The connection is over: the carrier is not touched any more. */
  stop(): void {
    this.#isOver = true;
    this.#pause?.cancel();
  }

  #settle(): void {
    if (this.#isOver) return;
    const stops = this.#isHeld || this.#pause !== undefined;
    if (stops === (this.#stoppedAt !== undefined)) return;
    const now = this.#clock.now();
    if (this.#stoppedAt === undefined) {
      this.#stoppedAt = now;
      this.#carrier.pause();
    } else {
      this.#stoppedMs += now - this.#stoppedAt;
      this.#stoppedAt = undefined;
      this.#carrier.resume();
    }
  }
}
