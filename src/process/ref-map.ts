import type { Reference } from "../term/types.ts";
import { refKey } from "./term-keys.ts";

/** Something that a reference names. */
export interface Referred {
  readonly ref: Reference;
}

/**
 * Values by the reference they hold, without a string for each look-up: found by a number mixed from the reference's words,
 * then compared in full. What shares a number with another one (a peer can choose its words so) goes to a second table with
 * complete keys, so that no choice makes look-ups slow.
 */
export class RefMap<V extends Referred> {
  readonly #first: Map<number, V> = new Map();
  readonly #rest: Map<string, V> = new Map();

  get size(): number {
    return this.#first.size + this.#rest.size;
  }

  get(ref: Reference): V | undefined {
    const value = this.#first.get(mixed(ref));
    if (value !== undefined && sameReference(value.ref, ref)) return value;
    return this.#rest.size === 0 ? undefined : this.#rest.get(refKey(ref));
  }

  /** Adds a value, or replaces the one of the same reference. */
  set(value: V): void {
    const key = mixed(value.ref);
    const there = this.#first.get(key);
    if (
      there === undefined
        ? this.#rest.size > 0 && this.#rest.has(refKey(value.ref))
        : !sameReference(there.ref, value.ref)
    ) {
      this.#rest.set(refKey(value.ref), value);
    } else {
      this.#first.set(key, value);
    }
  }

  /** True when there was one. */
  delete(ref: Reference): boolean {
    const key = mixed(ref);
    const value = this.#first.get(key);
    if (value !== undefined && sameReference(value.ref, ref)) return this.#first.delete(key);
    return this.#rest.size > 0 && this.#rest.delete(refKey(ref));
  }

  *values(): IterableIterator<V> {
    yield* this.#first.values();
    yield* this.#rest.values();
  }

  clear(): void {
    this.#first.clear();
    this.#rest.clear();
  }
}

/** True when all fields are equal. */
export function sameReference(a: Reference, b: Reference): boolean {
  if (a === b) return true;
  const words = a.words;
  const others = b.words;
  if (words.length !== others.length || a.creation !== b.creation) return false;
  for (let i = 0; i < words.length; i++) if (words[i] !== others[i]) return false;
  return a.node === b.node;
}

/** 30 bits, so that the number needs no allocation. */
function mixed(ref: Reference): number {
  const words = ref.words;
  let hash = words.length;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ (words[i] as number), 0x9e37_79b1) ^ (hash >>> 15);
  return hash >>> 2;
}
