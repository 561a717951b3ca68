import { addMs, type Clock, type Timer } from "../base/clock.ts";

/** Longest time between two looks at the wall clock: it may have been set, milliseconds. */
export const POLICY_TIME_LOOK_MS = 60_000;

/** Shortest time to the next look: the wall clock and the timer may differ by a part of a millisecond. */
const MIN_WAIT_MS = 1;

export interface PolicyTimerParts {
  readonly clock: Clock;
  /** Unix milliseconds of the next change after `nowMs`, Infinity after the last; undefined where no rule has a time. */
  readonly nextChangeMs: (nowMs: number) => number | undefined;
  /** The time has changed what rules count. It calls `arm` when it has judged anew. */
  readonly changed: () => void;
}

/** Tells when time alone changes a policy. Between two moments at which it can change, nothing is told. */
export class PolicyTimer {
  readonly #parts: PolicyTimerParts;
  #timer: Timer | undefined;
  /** The end of the stretch of time in which sessions were judged: it tells one stretch from another. */
  #judgedUntilMs = Number.NaN;

  constructor(parts: PolicyTimerParts) {
    this.#parts = parts;
  }

  /** Sessions are judged as of now. */
  arm(): void {
    this.stop();
    const { clock, nextChangeMs } = this.#parts;
    const nowMs = clock.wallMs();
    const next = nextChangeMs(nowMs);
    if (next === undefined) return;
    this.#judgedUntilMs = next;
    this.#lookAgain(next - nowMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookAgain(leftMs: number): void {
    const { clock } = this.#parts;
    const wait = Math.min(Math.max(leftMs, MIN_WAIT_MS), POLICY_TIME_LOOK_MS);
    this.#timer = clock.at(addMs(clock.now(), wait), () => this.#look(), true);
  }

  #look(): void {
    const { clock, nextChangeMs, changed } = this.#parts;
    const nowMs = clock.wallMs();
    const next = nextChangeMs(nowMs);
    if (next === this.#judgedUntilMs) this.#lookAgain(next - nowMs);
    else changed();
  }
}
