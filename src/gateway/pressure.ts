import { addMs, type Clock, type Timer } from "../base/clock.ts";

/** How long a side is not read because the other has too many of its requests; then what is too much is refused. Milliseconds. */
export const MAX_PRESSED_MS = 10_000;

/**
 * Holds a side back while the other one has more of its requests than it answers, so that a burst waits instead of being
 * refused. Only for so long: who never answers may not stop the other for ever.
 */
export class Pressure {
  readonly #clock: Clock;
  readonly #changed: () => void;
  #timer: Timer | undefined;
  #isOver = false;

  /** @param changed it is given up */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  /** The side is not to be read. */
  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** @param isPressed what the filter says now. True: `isOn` is another than before */
  update(isPressed: boolean): boolean {
    if (!isPressed) {
      this.#isOver = false;
      return this.stop();
    }
    if (this.#isOver || this.#timer !== undefined) return false;
    this.#timer = this.#clock.at(addMs(this.#clock.now(), MAX_PRESSED_MS), () => {
      this.#isOver = true;
      this.stop();
      this.#changed();
    });
    return true;
  }

  /** Leaves no timer. True: it was on. */
  stop(): boolean {
    const wasOn = this.isOn;
    this.#timer?.cancel();
    this.#timer = undefined;
    return wasOn;
  }
}
