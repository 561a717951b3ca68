import { ByteParts } from "../base/byte-parts.ts";
import { SallyportError } from "../base/errors.ts";

const PREFIX_BYTES = 4;

/** Bytes of unfinished frames of all lanes of one connection. */
export class LaneBudget {
  readonly #maxBytes: number;
  bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws {SallyportError} ERR_LIMIT LANES_FULL */
  add(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes <= this.#maxBytes) return;
    throw new SallyportError(
      "ERR_LIMIT",
      "LANES_FULL",
      `${this.bytes} bytes of unfinished frames on all streams; maxMessageBytes is ${this.#maxBytes}`,
      {
        stage: "session",
        detail: { value: this.bytes, limit: this.#maxBytes, option: "maxMessageBytes" },
        advice: "let the peer send in fragments, or raise maxMessageBytes",
      },
    );
  }
}

/**
 * Puts the frames of one stream together. Whole frames go up in one piece with what lies beside them in the chunk, uncopied;
 * one that spans chunks waits here, so that other streams are not held up, and goes up joined.
 */
export class LaneReader {
  readonly #budget: LaneBudget;
  readonly #maxFrameBytes: number;
  readonly #parts: ByteParts = new ByteParts();
  /** The prefix as far as it was read. */
  #length = 0;

  /** @param maxFrameBytes a longer one goes up with its length alone, which ends the connection there */
  constructor(budget: LaneBudget, maxFrameBytes: number) {
    this.#budget = budget;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of a frame that is not whole, its length included. */
  get partialBytes(): number {
    return this.#parts.bytes;
  }

  /** Takes the next bytes of the stream; `up` gets whole frames, each with its length. @throws as `LaneBudget.add` */
  receive(chunk: Buffer, up: (frames: Buffer) => void): void {
    let at = 0;
    if (this.#parts.bytes > 0) {
      at = this.#complete(chunk, up);
      if (at < 0) return;
    }
    const from = at;
    while (chunk.length - at >= PREFIX_BYTES) {
      const length = chunk.readUInt32BE(at);
      if (length > this.#maxFrameBytes) {
        up(chunk.subarray(from, at + PREFIX_BYTES));
        return;
      }
      if (chunk.length - at - PREFIX_BYTES < length) break;
      at += PREFIX_BYTES + length;
    }
    if (at > from) up(chunk.subarray(from, at));
    if (at < chunk.length) this.#hold(chunk, at, chunk.length);
  }

  /** Lets go of what was held. */
  clear(): void {
    this.#budget.bytes -= this.#parts.bytes;
    this.#parts.clear();
  }

  /** Goes on with the frame under way; returns where the next begins in the chunk, -1 when the chunk is used up. */
  #complete(chunk: Buffer, up: (frames: Buffer) => void): number {
    let at = 0;
    while (this.#parts.bytes < PREFIX_BYTES) {
      if (at === chunk.length) return -1;
      this.#hold(chunk, at, at + 1);
      at++;
    }
    if (this.#length > this.#maxFrameBytes) {
      up(this.#join(chunk, at, at));
      return -1;
    }
    const missing = PREFIX_BYTES + this.#length - this.#parts.bytes;
    if (chunk.length - at < missing) {
      this.#hold(chunk, at, chunk.length);
      return -1;
    }
    up(this.#join(chunk, at, at + missing));
    return at + missing;
  }

  #join(chunk: Buffer, from: number, to: number): Buffer {
    this.#budget.bytes -= this.#parts.bytes;
    return this.#parts.joinWith(chunk, from, to);
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    for (let i = from; i < to && this.#parts.bytes + (i - from) < PREFIX_BYTES; i++) {
      const isFirst = this.#parts.bytes + (i - from) === 0;
      // Multiplied, not shifted: a claimed length of 2 GiB and more must stay positive.
      this.#length = (isFirst ? 0 : this.#length * 256) + (chunk[i] as number);
    }
    this.#parts.add(chunk, from, to);
    this.#budget.add(to - from);
  }
}
