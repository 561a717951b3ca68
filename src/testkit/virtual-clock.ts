import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";

class VirtualTimer implements Timer {
  readonly at: MonotonicMs;
  readonly order: number;
  run: (() => void) | undefined;

  constructor(at: MonotonicMs, order: number, run: () => void) {
    this.at = at;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

/** Most afterTurn callbacks one `runTurn` runs; more means that they keep making each other. */
const MAX_TURN_CALLBACKS = 1_000_000;

/**
 * Time that moves only when a test says so. Timers that are due run in the order of their times, those of one time in
 * the order they were armed; after each, and at the start, waiting `afterTurn` callbacks run first.
 */
export class VirtualClock implements Clock {
  #now: MonotonicMs;
  #wallMs: number;
  #order = 0;
  #timers: VirtualTimer[] = [];
  #turn: (() => void)[] = [];

  /** @param wallMs Unix milliseconds of the start; default 2026-01-01T00:00:00Z. */
  constructor(wallMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = 0 as MonotonicMs;
    this.#wallMs = wallMs;
  }

  now(): MonotonicMs {
    return this.#now;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  at(at: MonotonicMs, run: () => void, _background?: boolean): Timer {
    const timer = new VirtualTimer(at, this.#order++, run);
    this.#timers.push(timer);
    return timer;
  }

  afterTurn(run: () => void): void {
    this.#turn.push(run);
  }

  later(run: () => void): void {
    this.#turn.push(run);
  }

  /** Armed timers. */
  get pendingTimers(): number {
    return this.#timers.filter((timer) => timer.run !== undefined).length;
  }

  /** Runs the waiting `afterTurn` callbacks, and those that they add. Returns how many ran. */
  runTurn(): number {
    let ran = 0;
    while (this.#turn.length > 0) {
      const batch = this.#turn;
      this.#turn = [];
      for (const run of batch) {
        if (++ran > MAX_TURN_CALLBACKS)
          throw new Error(`more than ${MAX_TURN_CALLBACKS} afterTurn callbacks in one turn`);
        run();
      }
    }
    return ran;
  }

  /** Moves time forward by `ms`, running what falls due on the way at its own time. */
  advance(ms: number): void {
    const end = addMs(this.#now, ms);
    this.runTurn();
    for (let timer = this.#takeDue(end); timer !== undefined; timer = this.#takeDue(end)) {
      if (timer.at > this.#now) this.#moveTo(timer.at);
      const run = timer.run;
      timer.run = undefined;
      run?.();
      this.runTurn();
    }
    this.#moveTo(end);
  }

  /** Sets the wall clock alone, as an operator or NTP does. */
  setWallMs(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  #moveTo(at: MonotonicMs): void {
    this.#wallMs += at - this.#now;
    this.#now = at;
  }

  #takeDue(end: MonotonicMs): VirtualTimer | undefined {
    this.#timers = this.#timers.filter((timer) => timer.run !== undefined);
    let first: VirtualTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}
