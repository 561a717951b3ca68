import type { Term } from "../term/types.ts";

const INITIAL_CAPACITY = 16;

/** Rings that grew past this many messages are given back once they are empty. */
const KEEP_CAPACITY_MESSAGES = 1024;

/**
 * Messages of one process, oldest first. Parallel rings with one head, so that no object is made per message. Not bounded
 * by itself: `push` takes the bound, because signals may use a reserve that messages may not.
 */
export class Mailbox<Meta> {
  #terms: Term[] = new Array<Term>(INITIAL_CAPACITY).fill(undefined);
  #metas: (Meta | undefined)[] = new Array<Meta | undefined>(INITIAL_CAPACITY).fill(undefined);
  #sizes: number[] = new Array<number>(INITIAL_CAPACITY).fill(0);
  #head = 0;
  #length = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  /** What the waiting messages took on the wire, in bytes; messages of this node count nothing. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends one message; false, and nothing happens, when one of the bounds is reached already. */
  push(term: Term, meta: Meta, bytes: number, maxMessages: number, maxBytes: number): boolean {
    if (this.#length >= maxMessages || this.#bytes > maxBytes) return false;
    if (this.#length === this.#terms.length) this.#resize(this.#length * 2);
    const at = (this.#head + this.#length) & (this.#terms.length - 1);
    this.#terms[at] = term;
    this.#metas[at] = meta;
    this.#sizes[at] = bytes;
    this.#length++;
    this.#bytes += bytes;
    return true;
  }

  /** Hands the oldest message to `receive.message` and returns what that returns. Not to be called when empty. */
  handTo(receive: { message(term: Term, meta: Meta): void | Promise<void> }): void | Promise<void> {
    const at = this.#head;
    const term = this.#terms[at];
    // `Meta` itself may include undefined, and what is not empty has one.
    const meta = this.#metas[at] as Meta;
    this.#terms[at] = undefined;
    this.#metas[at] = undefined;
    this.#bytes -= this.#sizes[at] ?? 0;
    this.#head = (at + 1) & (this.#terms.length - 1);
    this.#length--;
    if (this.#length === 0 && this.#terms.length > KEEP_CAPACITY_MESSAGES) this.clear();
    return receive.message(term, meta);
  }

  /** Drops everything, and the memory of a former burst. */
  clear(): void {
    this.#length = 0;
    this.#bytes = 0;
    this.#resize(INITIAL_CAPACITY);
  }

  /** Moves what waits to rings of `capacity`, a power of two that holds it. */
  #resize(capacity: number): void {
    const terms = new Array<Term>(capacity).fill(undefined);
    const metas = new Array<Meta | undefined>(capacity).fill(undefined);
    const sizes = new Array<number>(capacity).fill(0);
    const mask = this.#terms.length - 1;
    for (let i = 0; i < this.#length; i++) {
      const from = (this.#head + i) & mask;
      terms[i] = this.#terms[from];
      metas[i] = this.#metas[from];
      sizes[i] = this.#sizes[from] ?? 0;
    }
    this.#terms = terms;
    this.#metas = metas;
    this.#sizes = sizes;
    this.#head = 0;
  }
}
