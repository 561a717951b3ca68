import type { Clock, MonotonicMs } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Admission } from "./carrier.ts";
import { isLoopbackHost } from "./socket-address.ts";
import { networkOf } from "./source-list.ts";

/** Bounds of connections that are accepted and not yet authenticated. */
export interface AcceptGateLimits {
  /** Half-open connections in all; default 1024. A quarter is reserved for addresses of known peers. */
  readonly maxHalfOpen?: number;
  /** Half-open connections per source: an IPv4 /24 or an IPv6 /56; default 16. */
  readonly maxHalfOpenPerSource?: number;
  /** The same for one loopback address, where many local peers share it; default 64. */
  readonly maxHalfOpenPerLoopback?: number;
  /** A half-open connection younger than this is never dropped for another, milliseconds; default 250. */
  readonly minAgeMs?: number;
}

export interface AcceptGateParts {
  readonly clock: Clock;
  readonly random: Random;
  /** True for an address from which a known peer connected before; default never. */
  readonly isKnown?: (address: string) => boolean;
}

/** What the gate did since it was made. */
export interface AcceptGateCounters {
  readonly admitted: number;
  /** Newcomers refused because their source had too many half open. */
  readonly refusedSource: number;
  /** Newcomers refused because all places were taken by connections too young to drop. */
  readonly refusedFull: number;
  /** Half-open connections dropped to make room. */
  readonly dropped: number;
}

const DEFAULT_MAX_HALF_OPEN = 1024;
const DEFAULT_PER_SOURCE = 16;
const DEFAULT_PER_LOOPBACK = 64;
const DEFAULT_MIN_AGE_MS = 250;

/** The victim is drawn among this many of the oldest, so that nobody can compute whose turn it is. */
const OLDEST_DRAWN = 32;

class Place implements Admission {
  readonly source: string;
  readonly known: boolean;
  readonly since: MonotonicMs;
  readonly drop: () => void;
  readonly #gate: AcceptGate;

  constructor(gate: AcceptGate, source: string, known: boolean, since: MonotonicMs, drop: () => void) {
    this.#gate = gate;
    this.source = source;
    this.known = known;
    this.since = since;
    this.drop = drop;
  }

  release(): void {
    this.#gate.forget(this);
  }
}

/**
 * Decides which accepted sockets may begin TLS at all (rulings S6). Each takes a place until it is authenticated or
 * closed. One source can hold only a few places. When the places are full, one of the oldest unauthenticated
 * connections is dropped at random: an attacker's silent ones are old, an honest newcomer is young and soon done.
 * Addresses of known peers have a quarter of the places to themselves, and only known peers displace known peers.
 * The gate has no timers: the owner of a connection ends it when TLS takes more than 5 seconds.
 */
export class AcceptGate {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #isKnown: (address: string) => boolean;
  readonly #max: number;
  readonly #maxUnknown: number;
  readonly #perSource: number;
  readonly #perLoopback: number;
  readonly #minAgeMs: number;
  /** In the order of admission. */
  readonly #unknown: Set<Place> = new Set<Place>();
  readonly #known: Set<Place> = new Set<Place>();
  readonly #sources: Map<string, number> = new Map<string, number>();
  #admitted = 0;
  #refusedSource = 0;
  #refusedFull = 0;
  #dropped = 0;

  constructor(parts: AcceptGateParts, limits: AcceptGateLimits = {}) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#isKnown = parts.isKnown ?? (() => false);
    this.#max = limits.maxHalfOpen ?? DEFAULT_MAX_HALF_OPEN;
    this.#maxUnknown = this.#max - Math.floor(this.#max / 4);
    this.#perSource = limits.maxHalfOpenPerSource ?? DEFAULT_PER_SOURCE;
    this.#perLoopback = limits.maxHalfOpenPerLoopback ?? DEFAULT_PER_LOOPBACK;
    this.#minAgeMs = limits.minAgeMs ?? DEFAULT_MIN_AGE_MS;
  }

  /** Half-open connections now. */
  get size(): number {
    return this.#unknown.size + this.#known.size;
  }

  get counters(): AcceptGateCounters {
    return {
      admitted: this.#admitted,
      refusedSource: this.#refusedSource,
      refusedFull: this.#refusedFull,
      dropped: this.#dropped,
    };
  }

  /**
   * Asks for a place for a connection from `address`. `undefined`: close it at once. `drop` is called, at most once, when
   * the place is given to another: close the connection then.
   */
  admit(address: string, drop: () => void): Admission | undefined {
    const source = sourceOf(address);
    const held = this.#sources.get(source.key) ?? 0;
    if (held >= (source.loopback ? this.#perLoopback : this.#perSource)) {
      this.#refusedSource++;
      return undefined;
    }
    const known = this.#isKnown(address);
    if (!this.#makeRoom(known)) {
      this.#refusedFull++;
      return undefined;
    }
    const place = new Place(this, source.key, known, this.#clock.now(), drop);
    (known ? this.#known : this.#unknown).add(place);
    // Read anew: making room may have freed a place of this very source.
    this.#sources.set(source.key, (this.#sources.get(source.key) ?? 0) + 1);
    this.#admitted++;
    return place;
  }

  /** Takes a place back; `Admission.release` calls it. */
  forget(place: Place): void {
    if (!(place.known ? this.#known : this.#unknown).delete(place)) return;
    const held = (this.#sources.get(place.source) ?? 1) - 1;
    if (held === 0) this.#sources.delete(place.source);
    else this.#sources.set(place.source, held);
  }

  #makeRoom(known: boolean): boolean {
    const full = this.size >= this.#max;
    if (known) return !full || this.#dropOld(this.#unknown) || this.#dropOld(this.#known);
    return (!full && this.#unknown.size < this.#maxUnknown) || this.#dropOld(this.#unknown);
  }

  /** Drops one of the oldest places at random; false when all are too young, or there is none. */
  #dropOld(places: Set<Place>): boolean {
    const youngest = this.#clock.now() - this.#minAgeMs;
    const drawn: Place[] = [];
    for (const place of places) {
      if (place.since > youngest || drawn.length === OLDEST_DRAWN) break;
      drawn.push(place);
    }
    const victim = drawn[drawn.length === 0 ? 0 : this.#random.uint32() % drawn.length];
    if (victim === undefined) return false;
    this.forget(victim);
    this.#dropped++;
    victim.drop();
    return true;
  }
}

/** The network a connection is counted under. A loopback address counts for itself, as does text that is no address. */
function sourceOf(address: string): { readonly key: string; readonly loopback: boolean } {
  const key = networkOf(address);
  return { key, loopback: isLoopbackHost(key) || isLoopbackHost(address) };
}
