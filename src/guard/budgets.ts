import type { MonotonicMs } from "../base/clock.ts";
import type { Bounds } from "../policy/bounds.ts";
import type { Grant } from "../policy/decision.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Rule under which the bounds of a peer as a whole are counted. */
const WHOLE_PEER = "";

/** What one rule's bounds have been used for. */
interface Usage {
  messages: TokenBucket | undefined;
  bytes: TokenBucket | undefined;
  inflight: number;
}

/** What one peer uses of its bounds, by rule, over all its sessions (docs/policy.md). Time is an argument. */
export class PeerBudget {
  readonly #usage = new Map<string, Usage>();
  #calls = 0;
  #functions = 0;

  /** Calls and functions of this peer that are not done. */
  get inflight(): number {
    return this.#calls + this.#functions;
  }

  /** True when nothing is in use: forgetting it changes nothing. */
  isIdle(now: MonotonicMs): boolean {
    if (this.inflight > 0) return false;
    for (const { messages, bytes } of this.#usage.values()) {
      if (messages?.isFull(now) === false || bytes?.isFull(now) === false) return false;
    }
    return true;
  }

  /** Uses the rates of a rule for one message of `bytes`; false, and nothing is used, when one of them has run out. */
  spend(rule: string | null, bounds: Bounds, bytes: number, now: MonotonicMs): boolean {
    if (!this.#has(rule, bounds, bytes, now)) return false;
    if (bounds.rate === undefined && bounds.bytes === undefined) return true;
    const usage = this.#of(rule ?? WHOLE_PEER);
    usage.messages?.take(1, now);
    usage.bytes?.take(bytes, now);
    return true;
  }

  /** The rates of a grant and of the peer as a whole, both or none. */
  spendBoth(grant: Grant, peer: Bounds, bytes: number, now: MonotonicMs): boolean {
    const { rule, limits } = grant;
    if (limits === undefined) return this.spend(null, peer, bytes, now);
    if (!this.#has(null, peer, bytes, now) || !this.spend(rule, limits, bytes, now)) return false;
    return this.spend(null, peer, bytes, now);
  }

  /** One more call or function under a rule; false when `max` are under way. */
  enter(rule: string | null, max: number): boolean {
    const usage = this.#of(rule ?? WHOLE_PEER);
    if (usage.inflight >= max) return false;
    usage.inflight++;
    return true;
  }

  /** It is done. */
  leave(rule: string | null): void {
    const usage = this.#of(rule ?? WHOLE_PEER);
    if (usage.inflight > 0) usage.inflight--;
  }

  /** One more call or function of this peer; false when `max` of both, or `maxCalls` calls, are under way. */
  enterAny(kind: "call" | "function", max: number, maxCalls: number): boolean {
    if (this.inflight >= max) return false;
    if (kind === "function") this.#functions++;
    else if (this.#calls >= maxCalls) return false;
    else this.#calls++;
    return true;
  }

  leaveAny(kind: "call" | "function"): void {
    if (kind === "function") this.#functions = Math.max(0, this.#functions - 1);
    else this.#calls = Math.max(0, this.#calls - 1);
  }

  /** The rates of an older policy count no more; what is under way still does. */
  forgetRates(): void {
    for (const usage of this.#usage.values()) {
      usage.messages = undefined;
      usage.bytes = undefined;
    }
  }

  #has(rule: string | null, bounds: Bounds, bytes: number, now: MonotonicMs): boolean {
    if (bounds.rate === undefined && bounds.bytes === undefined) return true;
    const usage = this.#of(rule ?? WHOLE_PEER);
    if (bounds.rate !== undefined) usage.messages ??= new TokenBucket(bounds.rate, now);
    if (bounds.bytes !== undefined) usage.bytes ??= new TokenBucket(bounds.bytes, now);
    return usage.messages?.has(1, now) !== false && usage.bytes?.has(bytes, now) !== false;
  }

  #of(rule: string): Usage {
    let usage = this.#usage.get(rule);
    if (usage === undefined) {
      usage = { messages: undefined, bytes: undefined, inflight: 0 };
      this.#usage.set(rule, usage);
    }
    return usage;
  }
}

/** Budgets looked at for one that can be forgotten, each time a new one finds no room. */
const LOOKS_PER_NEW = 8;

/**
 * The budgets of all peers: a peer that connects anew finds its own again. Above the bound those that are in use stay, and
 * peers that find no room have one budget together, until there is room again.
 */
export class Budgets {
  readonly #max: number;
  /** In the order in which they are looked at for one that is idle. */
  readonly #byPeer = new Map<string, PeerBudget>();
  readonly #shared = new PeerBudget();

  /** @param max budgets remembered */
  constructor(max: number) {
    this.#max = max;
  }

  /** Without the shared one. */
  get size(): number {
    return this.#byPeer.size;
  }

  /** The budget of a peer, by what does not change when it connects anew: its key, or its name where it has none. */
  of(peer: string, now: MonotonicMs): PeerBudget {
    const known = this.#byPeer.get(peer);
    if (known !== undefined) return known;
    if (this.#byPeer.size >= this.#max && !this.#forgetIdle(now)) return this.#shared;
    const budget = new PeerBudget();
    this.#byPeer.set(peer, budget);
    return budget;
  }

  forgetRates(): void {
    this.#shared.forgetRates();
    for (const budget of this.#byPeer.values()) budget.forgetRates();
  }

  /** Those that are in use go to the end of the line, so that the next time others are looked at. False: no room. */
  #forgetIdle(now: MonotonicMs): boolean {
    let looks = 0;
    for (const [peer, budget] of this.#byPeer) {
      if (++looks > LOOKS_PER_NEW) break;
      this.#byPeer.delete(peer);
      if (!budget.isIdle(now)) this.#byPeer.set(peer, budget);
    }
    return this.#byPeer.size < this.#max;
  }
}
