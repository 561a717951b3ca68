/** How full a table is. */
export interface Filled {
  /** Its limit among `GatewayLimits`. */
  readonly name: string;
  readonly limit: number;
  readonly size: number;
}

/** A table that refuses what is new when it is full. */
export class HardTable<V> implements Filled {
  readonly name: string;
  readonly limit: number;
  readonly #entries: Map<string, V> = new Map();
  readonly #filling: (table: Filled) => void;
  #told = false;

  /** @param filling called the first time that four fifths are used */
  constructor(name: string, limit: number, filling: (table: Filled) => void) {
    this.name = name;
    this.limit = limit;
    this.#filling = filling;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** True when one more fits beside `reserved` ones that are promised a place. */
  hasRoom(reserved: number = 0): boolean {
    return this.#entries.size + reserved < this.limit;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  values(): IterableIterator<V> {
    return this.#entries.values();
  }

  /** False, and nothing kept, when the key is new and the table is full. */
  set(key: string, value: V): boolean {
    if (this.#entries.size >= this.limit && !this.#entries.has(key)) return false;
    this.#entries.set(key, value);
    if (!this.#told && this.#entries.size * 5 > this.limit * 4) {
      this.#told = true;
      this.#filling(this);
    }
    return true;
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }
}

interface Kept<V> {
  readonly value: V;
  readonly until: number;
}

/** A table that forgets when it is full: what was set or used longest ago goes first. Entries may also end with time. */
export class SoftTable<V> {
  readonly limit: number;
  readonly #lifetimeMs: number;
  readonly #forgotten: (value: V) => void;
  /** In the order of last use. */
  readonly #entries: Map<string, Kept<V>> = new Map();
  /** No entry ends before. */
  #firstUntil: number = Number.POSITIVE_INFINITY;

  /**
   * @param lifetimeMs from `set` on; Infinity for no end
   * @param forgotten called for what goes by itself, not for what is deleted or replaced
   */
  constructor(
    limit: number,
    lifetimeMs: number = Number.POSITIVE_INFINITY,
    forgotten: (value: V) => void = () => undefined,
  ) {
    this.limit = limit;
    this.#lifetimeMs = lifetimeMs;
    this.#forgotten = forgotten;
  }

  get size(): number {
    return this.#entries.size;
  }

  *values(): IterableIterator<V> {
    for (const { value } of this.#entries.values()) yield value;
  }

  /** What has not ended by `now`; not a use. */
  get(key: string, now: number): V | undefined {
    const kept = this.#entries.get(key);
    return kept !== undefined && now < kept.until ? kept.value : undefined;
  }

  /** As `get`, and a use. Only for tables whose entries do not end with time. */
  use(key: string): V | undefined {
    const kept = this.#entries.get(key);
    if (kept === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, kept);
    return kept.value;
  }

  set(key: string, value: V, now: number): void {
    this.expire(now);
    if (!this.#entries.delete(key) && this.#entries.size >= this.limit) this.#forgetFirst();
    const until = now + this.#lifetimeMs;
    this.#entries.set(key, { value, until });
    if (until < this.#firstUntil) this.#firstUntil = until;
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** Forgets what has ended. Entries stand in the order of their end, so it looks at no more than goes, and one. */
  expire(now: number): void {
    if (now < this.#firstUntil) return;
    for (const [key, kept] of this.#entries) {
      if (now < kept.until) {
        this.#firstUntil = kept.until;
        return;
      }
      this.#entries.delete(key);
      this.#forgotten(kept.value);
    }
    this.#firstUntil = Number.POSITIVE_INFINITY;
  }

  #forgetFirst(): void {
    for (const [key, kept] of this.#entries) {
      this.#entries.delete(key);
      this.#forgotten(kept.value);
      return;
    }
  }
}
