import type { Duplex } from "node:stream";
import type { Clock } from "../../base/clock.ts";

/** What a turn has written is copied together up to so many octets: a write of several pieces costs more than that. */
const COPIED_BYTES = 4096;

/** Gathers what is written to a pipe in one turn. */
export class TurnWriter {
  readonly #pipe: Duplex;
  readonly #clock: Clock;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #isHeld = false;
  readonly #flush: () => void = () => this.flush();

  constructor(pipe: Duplex, clock: Clock) {
    this.#pipe = pipe;
    this.#clock = clock;
  }

  /** True while something waits for the end of the turn: another piece makes no further write. */
  get isGathering(): boolean {
    return this.#bytes > 0;
  }

  /** Bytes, which must not change until they have left. */
  write(bytes: Uint8Array): void {
    if (this.#bytes === 0 && !this.#isHeld) this.#clock.afterTurn(this.#flush);
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
  }

  /** What is written from here on waits for `release` in the same turn, which costs less than to wait for the turn's end. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.flush();
  }

  flush(): void {
    const [pieces, bytes] = [this.#pieces, this.#bytes];
    const [first] = pieces;
    if (first === undefined) return;
    this.#pieces = [];
    this.#bytes = 0;
    if (!this.#pipe.writable) return;
    if (pieces.length === 1) this.#pipe.write(first);
    else if (bytes <= COPIED_BYTES) this.#pipe.write(Buffer.concat(pieces, bytes));
    else {
      this.#pipe.cork();
      for (const piece of pieces) this.#pipe.write(piece);
      this.#pipe.uncork();
    }
  }
}
