import { refKey } from "../process/term-keys.ts";
import type { Reference } from "../term/types.ts";

/** Work for a peer that goes on. */
export interface OpenWork {
  /** The peer gave up, or is gone. */
  end(): void;
  /** The rules that allowed it may allow it no more: asks them anew, and answers the peer when they do not. */
  reconsider(): void;
}

/**
 * The work that goes on for one session. All of it is reconsidered and ended with the session; what the caller watches under
 * a reference ends also when that monitor is taken back. A reference that a peer uses twice leads to the later work only.
 */
export class OpenWorks {
  readonly #all = new Set<OpenWork>();
  readonly #byRef = new Map<string, OpenWork>();

  get size(): number {
    return this.#all.size;
  }

  /** `ref`: the caller's monitor, where it can be told. */
  add(work: OpenWork, ref: Reference | undefined): void {
    this.#all.add(work);
    if (ref !== undefined) this.#byRef.set(refKey(ref), work);
  }

  /** It is done. */
  remove(work: OpenWork, ref: Reference | undefined): void {
    this.#all.delete(work);
    if (ref === undefined) return;
    const key = refKey(ref);
    if (this.#byRef.get(key) === work) this.#byRef.delete(key);
  }

  /** The caller took its monitor back. The work stays open until it is done: its answer may still be refused. */
  abandoned(ref: Reference): void {
    if (this.#byRef.size === 0) return;
    const key = refKey(ref);
    this.#byRef.get(key)?.end();
    this.#byRef.delete(key);
  }

  /** Rules have changed. */
  reconsider(): void {
    for (const work of [...this.#all]) work.reconsider();
  }

  /** The session is over. */
  end(): void {
    const all = [...this.#all];
    this.#all.clear();
    this.#byRef.clear();
    for (const work of all) work.end();
  }
}
