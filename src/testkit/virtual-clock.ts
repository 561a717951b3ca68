import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";

/** Cancelled timers are taken out of the heap when there are this many, and more of them than armed ones. */
const MANY_CANCELLED = 1_000;

class VirtualTimer implements Timer {
  readonly at: MonotonicMs;
  readonly order: number;
  run: (() => void) | undefined;
  readonly #heap: TimerHeap;

  constructor(at: MonotonicMs, order: number, run: () => void, heap: TimerHeap) {
    this.at = at;
    this.order = order;
    this.run = run;
    this.#heap = heap;
  }

  cancel(): void {
    if (this.run === undefined) return;
    this.run = undefined;
    this.#heap.cancelled();
  }

  comesBefore(other: VirtualTimer): boolean {
    return this.at < other.at || (this.at === other.at && this.order < other.order);
  }
}

/** Armed timers, first due first; cancelled ones stay until they come up or are many. */
class TimerHeap {
  #timers: VirtualTimer[] = [];
  #cancelled = 0;

  get armed(): number {
    return this.#timers.length - this.#cancelled;
  }

  add(timer: VirtualTimer): void {
    this.#rise(timer);
  }

  cancelled(): void {
    this.#cancelled++;
    if (this.#cancelled < MANY_CANCELLED || this.#cancelled * 2 < this.#timers.length) return;
    // A sorted list is a heap.
    this.#timers = this.#timers.filter((timer) => timer.run !== undefined);
    this.#timers.sort((a, b) => (a.comesBefore(b) ? -1 : 1));
    this.#cancelled = 0;
  }

  /** Takes out what is due first, if that is at `end` or before, and gives what it runs. */
  takeDue(end: MonotonicMs): { readonly at: MonotonicMs; readonly run: () => void } | undefined {
    for (let first = this.#timers[0]; first !== undefined; first = this.#timers[0]) {
      const { at, run } = first;
      if (run !== undefined && at > end) return undefined;
      this.#removeFirst();
      if (run !== undefined) {
        first.run = undefined;
        return { at, run };
      }
      this.#cancelled--;
    }
    return undefined;
  }

  #removeFirst(): void {
    const last = this.#timers.pop();
    if (last !== undefined && this.#timers.length > 0) this.#sink(last);
  }

  /** Puts a timer at the end, and then as far up as it belongs. */
  #rise(timer: VirtualTimer): void {
    let at = this.#timers.length;
    while (at > 0) {
      const aboveAt = (at - 1) >>> 1;
      const above = this.#timers[aboveAt];
      if (above === undefined || !timer.comesBefore(above)) break;
      this.#timers[at] = above;
      at = aboveAt;
    }
    this.#timers[at] = timer;
  }

  /** Puts a timer at the top, and then as far down as it belongs. */
  #sink(timer: VirtualTimer): void {
    let at = 0;
    for (;;) {
      let belowAt = 2 * at + 1;
      let below = this.#timers[belowAt];
      const right = this.#timers[belowAt + 1];
      if (below !== undefined && right?.comesBefore(below) === true) {
        below = right;
        belowAt++;
      }
      if (below === undefined || !below.comesBefore(timer)) break;
      this.#timers[at] = below;
      at = belowAt;
    }
    this.#timers[at] = timer;
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
  readonly #timers = new TimerHeap();
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
    const timer = new VirtualTimer(at, this.#order++, run, this.#timers);
    this.#timers.add(timer);
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
    return this.#timers.armed;
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
    for (let due = this.#timers.takeDue(end); due !== undefined; due = this.#timers.takeDue(end)) {
      if (due.at > this.#now) this.#moveTo(due.at);
      due.run();
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
}
