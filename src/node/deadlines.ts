import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";

/** Something that ends at a point in time. Kept in a list of its duration; the fields belong to `Deadlines`. */
export interface Deadline {
  /** Called once, when the time has come. */
  expired(): void;
  at: MonotonicMs;
  durationMs: number;
  previous: Deadline | undefined;
  next: Deadline | undefined;
}

interface DeadlineList {
  first: Deadline | undefined;
  last: Deadline | undefined;
}

/**
 * Many deadlines on one timer. Deadlines of the same duration expire in the order they were set, so each duration has a
 * list: setting and clearing one costs a few assignments, however many there are.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #lists = new Map<number, DeadlineList>();
  readonly #fire: () => void;
  #timer: Timer | undefined;
  #armedAt: MonotonicMs | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#fire = (): void => this.#expire();
  }

  /** Calls `expired` once after `durationMs`, unless `clear` comes first. */
  set(durationMs: number, expired: () => void): Deadline {
    const at = addMs(this.#clock.now(), durationMs);
    const deadline: Deadline = { expired, at, durationMs, previous: undefined, next: undefined };
    this.add(deadline, durationMs);
    return deadline;
  }

  /** Sets a deadline that is part of an object of the caller's; it must not be set already. */
  add(deadline: Deadline, durationMs: number): void {
    const at = addMs(this.#clock.now(), durationMs);
    deadline.at = at;
    deadline.durationMs = durationMs;
    let list = this.#lists.get(durationMs);
    if (list === undefined) {
      list = { first: undefined, last: undefined };
      this.#lists.set(durationMs, list);
    }
    deadline.previous = list.last;
    if (list.last === undefined) list.first = deadline;
    else list.last.next = deadline;
    list.last = deadline;
    if (this.#armedAt === undefined || at < this.#armedAt) this.#arm(at);
  }

  /** Idempotent. */
  clear(deadline: Deadline): void {
    this.#remove(deadline);
  }

  /** False when it was not set any more. */
  #remove(deadline: Deadline): boolean {
    const list = this.#lists.get(deadline.durationMs);
    if (list === undefined) return false;
    const { previous, next } = deadline;
    if (previous === undefined && next === undefined && list.first !== deadline) return false;
    if (previous === undefined) list.first = next;
    else previous.next = next;
    if (next === undefined) list.last = previous;
    else next.previous = previous;
    deadline.previous = undefined;
    deadline.next = undefined;
    if (list.first === undefined) this.#lists.delete(deadline.durationMs);
    return true;
  }

  /** Disarms the timer; what is set stays set and never fires. */
  stop(): void {
    this.#timer?.cancel();
    this.#lists.clear();
  }

  #arm(at: MonotonicMs): void {
    this.#timer?.cancel();
    this.#armedAt = at;
    this.#timer = this.#clock.at(at, this.#fire);
  }

  #expire(): void {
    this.#armedAt = undefined;
    const now = this.#clock.now();
    const due: Deadline[] = [];
    for (const list of this.#lists.values()) {
      for (let next = list.first; next !== undefined && next.at <= now; next = next.next) due.push(next);
    }
    try {
      // One that is due may clear another that is due.
      for (const deadline of due) if (this.#remove(deadline)) deadline.expired();
    } finally {
      this.#armNext();
    }
  }

  #armNext(): void {
    let earliest: MonotonicMs | undefined;
    for (const { first } of this.#lists.values()) {
      if (first !== undefined && (earliest === undefined || first.at < earliest)) earliest = first.at;
    }
    if (earliest !== undefined && (this.#armedAt === undefined || earliest < this.#armedAt)) this.#arm(earliest);
  }
}
