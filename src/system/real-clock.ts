import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";

/** Longest delay one system timer takes, in milliseconds; a longer wait is made of several. */
const MAX_TIMER_MS = 0x7fff_ffff;

class SystemTimer implements Timer {
  readonly #at: MonotonicMs;
  readonly #background: boolean;
  #run: (() => void) | undefined;
  #handle: NodeJS.Timeout | undefined;

  constructor(at: MonotonicMs, run: () => void, background: boolean) {
    this.#at = at;
    this.#run = run;
    this.#background = background;
    this.#arm();
  }

  #arm(): void {
    const wait = Math.min(Math.max(Math.ceil(this.#at - performance.now()), 0), MAX_TIMER_MS);
    this.#handle = setTimeout(SystemTimer.#expired, wait, this);
    if (this.#background) this.#handle.unref();
  }

  static #expired(timer: SystemTimer): void {
    // The event loop counts whole milliseconds, so a timer can fire a moment before its time.
    if (performance.now() < timer.#at) {
      timer.#arm();
      return;
    }
    const run = timer.#run;
    timer.#run = undefined;
    timer.#handle = undefined;
    run?.();
  }

  cancel(): void {
    this.#run = undefined;
    if (this.#handle === undefined) return;
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }
}

/** The machine's time: monotonic from the process start, wall clock from the system. */
export class RealClock implements Clock {
  now(): MonotonicMs {
    return addMs(ORIGIN, performance.now());
  }

  wallMs(): number {
    return Date.now();
  }

  at(at: MonotonicMs, run: () => void, background: boolean = false): Timer {
    return new SystemTimer(at, run, background);
  }

  afterTurn(run: () => void): void {
    // A tick asked for from a promise's continuation comes after all the continuations that are due.
    void SETTLED.then(() => process.nextTick(run));
  }

  later(run: () => void): void {
    setImmediate(run);
  }
}

const SETTLED: Promise<void> = Promise.resolve();

const ORIGIN = 0 as MonotonicMs;
