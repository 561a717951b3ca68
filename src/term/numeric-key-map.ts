import type { Term } from "./types.ts";

/** A map that decodes to at least this many number and bigint keys becomes a `NumericKeyMap`. */
export const MANY_NUMERIC_KEYS = 256;

type Entry = [Term, Term];

/**
 * A `Map` that stands up to chosen number keys. JavaScript engines place numbers and bigints in a Map by a fixed,
 * unseeded hash: 30,000 chosen integers take a second to insert, 100,000 ten. Here they are placed as strings, whose hash
 * has a seed of the process. Behaves as a Map in all its methods; `structuredClone` does not see the entries.
 */
export class NumericKeyMap extends Map<Term, Term> {
  readonly #entries: Map<unknown, Entry> = new Map();

  constructor(source: Iterable<readonly [Term, Term]> = []) {
    super();
    for (const [key, value] of source) this.set(key, value);
  }

  override get size(): number {
    return this.#entries.size;
  }

  override get(key: Term): Term {
    return this.#entries.get(placeOf(key))?.[1];
  }

  override has(key: Term): boolean {
    return this.#entries.has(placeOf(key));
  }

  override set(key: Term, value: Term): this {
    const place = placeOf(key);
    const entry = this.#entries.get(place);
    if (entry === undefined) this.#entries.set(place, [key, value]);
    else entry[1] = value;
    return this;
  }

  override delete(key: Term): boolean {
    return this.#entries.delete(placeOf(key));
  }

  override clear(): void {
    this.#entries.clear();
  }

  override forEach(visit: (value: Term, key: Term, map: Map<Term, Term>) => void, thisArg?: unknown): void {
    for (const [key, value] of this.#entries.values()) visit.call(thisArg, value, key, this);
  }

  override *entries(): MapIterator<[Term, Term]> {
    for (const [key, value] of this.#entries.values()) yield [key, value];
  }

  override *keys(): MapIterator<Term> {
    for (const entry of this.#entries.values()) yield entry[0];
  }

  override *values(): MapIterator<Term> {
    for (const entry of this.#entries.values()) yield entry[1];
  }

  override [Symbol.iterator](): MapIterator<[Term, Term]> {
    return this.entries();
  }
}

/** Where a key is kept. The letter keeps texts of digits from being taken for array indices, whose hash has no seed. */
function placeOf(key: Term): unknown {
  if (typeof key === "number") return `n${key}`;
  if (typeof key === "bigint") return `b${key.toString(16)}`;
  return typeof key === "string" ? `s${key}` : key;
}
