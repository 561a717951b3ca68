import { addMs, type MonotonicMs } from "../base/clock.ts";
import type { Liveness, LivenessVerdict } from "./liveness.ts";

/** How liveness is kept (otp-distribution section 3.4). */
export interface TickOptions {
  /** `net_ticktime` of the network, milliseconds; the same on both sides. Default 60,000. */
  readonly tickTimeMs: number;
  /** Ticks per tick time. Default 4. */
  readonly tickIntensity: number;
}

export const DEFAULT_TICK_OPTIONS: TickOptions = { tickTimeMs: 60_000, tickIntensity: 4 };

/** Longest silence of a peer that is taken for alive, milliseconds. */
export function silenceMs({ tickTimeMs, tickIntensity }: TickOptions): number {
  return tickTimeMs + tickTimeMs / tickIntensity;
}

/**
 * Liveness of one session: pure, told of bytes and of the time. We send an empty frame whenever nothing was written for
 * a quarter of the tick time, call the peer dead when no byte came for five quarters of it, and call the connection dead
 * when bytes wait to be written and none left for a whole tick time (a peer that ticks but never reads).
 */
export class TickMonitor implements Liveness {
  readonly #periodMs: number;
  readonly #silenceMs: number;
  readonly #stallMs: number;
  #lastRead: MonotonicMs;
  #lastWrite: MonotonicMs;
  #lastProgress: MonotonicMs;
  #lastSentBytes = 0;

  constructor(options: TickOptions, now: MonotonicMs) {
    this.#periodMs = options.tickTimeMs / options.tickIntensity;
    this.#silenceMs = silenceMs(options);
    this.#stallMs = options.tickTimeMs;
    this.#lastRead = now;
    this.#lastWrite = now;
    this.#lastProgress = now;
  }

  read(now: MonotonicMs): void {
    this.#lastRead = now;
  }

  wrote(now: MonotonicMs): boolean {
    this.#lastWrite = now;
    return false;
  }

  check(now: MonotonicMs, pendingBytes: number, sentBytes: number): LivenessVerdict {
    if (pendingBytes === 0 || sentBytes > this.#lastSentBytes) this.#lastProgress = now;
    this.#lastSentBytes = sentBytes;
    if (now - this.#lastRead >= this.#silenceMs) return "peer-silent";
    if (now - this.#lastProgress >= this.#stallMs) return "write-stalled";
    if (pendingBytes === 0 && now - this.#lastWrite >= this.#periodMs) return "send-tick";
    return "nothing";
  }

  /** When `check` should be called next: twice per period, so that a tick is never late by more than half of one. */
  nextCheck(now: MonotonicMs): MonotonicMs {
    return addMs(now, this.#periodMs / 2);
  }
}
