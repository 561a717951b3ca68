import { RingQueue } from "../base/ring-queue.ts";
import type { Term } from "../term/types.ts";

/** Rings that grew past this many messages are given back once they are empty. */
const KEEP_CAPACITY_MESSAGES = 1024;

/**
 * Messages of one process, oldest first. Parallel rings, so that no object is made per message. Not bounded by
 * itself: `push` takes the bound, because signals may use a reserve that messages may not.
 */
export class Mailbox<Meta> {
  readonly #terms: RingQueue<Term> = new RingQueue<Term>();
  readonly #metas: RingQueue<Meta> = new RingQueue<Meta>();
  readonly #sizes: RingQueue<number> = new RingQueue<number>();
  #bytes = 0;
  #highWater = 0;

  get length(): number {
    return this.#terms.length;
  }

  /** What the waiting messages took on the wire, in bytes; messages of this node count nothing. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends one message; false, and nothing happens, when one of the bounds is reached already. */
  push(term: Term, meta: Meta, bytes: number, maxMessages: number, maxBytes: number): boolean {
    if (this.#terms.length >= maxMessages || this.#bytes > maxBytes) return false;
    this.#terms.push(term);
    this.#metas.push(meta);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    if (this.#terms.length > this.#highWater) this.#highWater = this.#terms.length;
    return true;
  }

  /** Hands the oldest message to `receive.message` and returns what that returns. Not to be called when empty. */
  handTo(receive: { message(term: Term, meta: Meta): void | Promise<void> }): void | Promise<void> {
    const term = this.#terms.shift();
    // The rings move together, so a message that exists has its meta; `Meta` itself may include undefined.
    const meta = this.#metas.shift() as Meta;
    this.#bytes -= this.#sizes.shift() ?? 0;
    if (this.#terms.length === 0 && this.#highWater > KEEP_CAPACITY_MESSAGES) this.clear();
    return receive.message(term, meta);
  }

  /** Drops everything, and the memory of a former burst. */
  clear(): void {
    this.#terms.clear();
    this.#metas.clear();
    this.#sizes.clear();
    this.#bytes = 0;
    this.#highWater = 0;
  }
}
