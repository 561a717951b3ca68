import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { PeerFacts, Verdict } from "../policy/decision.ts";
import type { Reference } from "../term/types.ts";
import { allowedBy } from "./weigh.ts";

/** Operations that a capability can allow on its process. */
export type CapabilityVerb = "send" | "call" | "cast" | "io" | "monitor" | "link" | "exit";

/**
 * Who holds a capability: a key where the peer has one, else a name and how surely it was known. Never both ways: a key is not a
 * name.
 */
export type Holder = { readonly key: string } | { readonly name: NodeName; readonly assurance: Assurance };

/** One process handed to one peer (rulings S12). `T` is the process. */
export interface Capability<T extends object> {
  /** Names it for its owner; says nothing to the peer. */
  readonly id: string;
  readonly target: T;
  readonly holder: Holder;
  readonly verbs: ReadonlySet<CapabilityVerb>;
  /** Leads to the process; made for this capability, and not to be guessed. */
  readonly alias: Reference;
  /** Uses left; Infinity without a bound. Monitors and links do not count as uses. */
  usesLeft: number;
  readonly expiresAt: MonotonicMs | undefined;
  /** What may come by it may hold funs, or identifiers of third nodes. */
  readonly funs: boolean;
  readonly foreign: boolean;
}

/**
 * The capabilities of a node: processes that were handed to a peer, each bound to its holder, bounded in use and time, and
 * gone with the process. Full, it refuses a new one; nothing is evicted but what has expired. One holder may have a quarter of
 * them. Looking one up takes as long with many as with few: what has expired is met once and removed.
 */
export class Capabilities<T extends object> {
  readonly #max: number;
  readonly #byId = new Map<string, Capability<T>>();
  readonly #byTarget = new Map<T, HoldersOfOne<T>>();
  readonly #countOf = new Map<string, number>();
  readonly #byAlias = new Map<string, Capability<T>>();
  #spent: (capability: Capability<T>) => void = () => undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Calls `spent` for each capability whose last use has been made. */
  watch(spent: (capability: Capability<T>) => void): void {
    this.#spent = spent;
  }

  /** @throws {SallyportError} ERR_LIMIT GRANT_LIMIT */
  add(capability: Capability<T>, now: MonotonicMs): void {
    const holder = holderKey(capability.holder);
    const maxOfHolder = Math.ceil(this.#max * HOLDER_SHARE);
    if (this.#byId.size >= this.#max || (this.#countOf.get(holder) ?? 0) >= maxOfHolder) this.expire(now);
    if (this.#byId.size >= this.#max) throw tooMany(`${this.#max} grants stand, which is maxGrants`, this.#max);
    const count = this.#countOf.get(holder) ?? 0;
    if (count >= maxOfHolder) {
      throw tooMany(`${count} grants stand for this holder, which is a quarter of maxGrants`, maxOfHolder);
    }
    this.#countOf.set(holder, count + 1);
    this.#byId.set(capability.id, capability);
    this.#byAlias.set(aliasKey(capability.alias), capability);
    let holders = this.#byTarget.get(capability.target);
    if (holders === undefined) {
      holders = new Map();
      this.#byTarget.set(capability.target, holders);
    }
    let byUse = holders.get(holder);
    if (byUse === undefined) {
      byUse = new Map();
      holders.set(holder, byUse);
    }
    for (const use of usesOf(capability)) {
      const set = byUse.get(use);
      if (set === undefined) byUse.set(use, new Set([capability]));
      else set.add(capability);
    }
  }

  /** When the next one expires; undefined when none of those that stand has an end. */
  nextExpiry(): MonotonicMs | undefined {
    let next: MonotonicMs | undefined;
    for (const { expiresAt } of this.#byId.values()) {
      if (expiresAt !== undefined && (next === undefined || expiresAt < next)) next = expiresAt;
    }
    return next;
  }

  /** All that stand at `now`. */
  list(now: MonotonicMs): readonly Capability<T>[] {
    this.expire(now);
    return [...this.#byId.values()];
  }

  /** True when `target` has been handed to this peer, for whatever it be. */
  isGranted(target: T, peer: PeerFacts, now: MonotonicMs): boolean {
    return this.#standing(target, peer, "any", now) !== undefined;
  }

  /**
   * The capability by which the peer may do `verb` to `target`; undefined: none. Uses nothing. Who may call may watch (rulings
   * U16).
   */
  find(target: T, peer: PeerFacts, verb: CapabilityVerb, now: MonotonicMs): Capability<T> | undefined {
    return this.#standing(target, peer, verb, now);
  }

  #standing(target: T, peer: PeerFacts, use: Use, now: MonotonicMs): Capability<T> | undefined {
    const holders = this.#byTarget.get(target);
    if (holders === undefined) return undefined;
    for (const holder of holderKeysOf(peer)) {
      for (const capability of holders.get(holder)?.get(use) ?? []) {
        if (!isOver(capability, now)) return capability;
        this.#remove(capability);
      }
    }
    return undefined;
  }

  /** The capability behind an alias, whoever asks: the caller checks who holds it. */
  byAlias(alias: Reference, now: MonotonicMs): Capability<T> | undefined {
    if (this.#byAlias.size === 0) return undefined;
    const capability = this.#byAlias.get(aliasKey(alias));
    if (capability === undefined || !isOver(capability, now)) return capability;
    this.#remove(capability);
    return undefined;
  }

  /** One use; the last one removes it. */
  use(capability: Capability<T>): void {
    if (--capability.usesLeft > 0) return;
    this.#remove(capability);
    this.#spent(capability);
  }

  /** Takes one back; false when it was gone. */
  revoke(id: string): boolean {
    const capability = this.#byId.get(id);
    if (capability !== undefined) this.#remove(capability);
    return capability !== undefined;
  }

  /** The process ended. */
  targetDied(target: T): void {
    const holders = [...(this.#byTarget.get(target)?.values() ?? [])];
    for (const byUse of holders) for (const capability of [...(byUse.get("any") ?? [])]) this.#remove(capability);
  }

  /** Removes what has expired. */
  expire(now: MonotonicMs): void {
    for (const capability of [...this.#byId.values()]) if (isOver(capability, now)) this.#remove(capability);
  }

  /** Idempotent. */
  #remove(capability: Capability<T>): void {
    if (!this.#byId.delete(capability.id)) return;
    this.#byAlias.delete(aliasKey(capability.alias));
    const holder = holderKey(capability.holder);
    const count = (this.#countOf.get(holder) ?? 0) - 1;
    if (count > 0) this.#countOf.set(holder, count);
    else this.#countOf.delete(holder);
    const holders = this.#byTarget.get(capability.target);
    const byUse = holders?.get(holder);
    if (holders === undefined || byUse === undefined) return;
    for (const use of usesOf(capability)) {
      const set = byUse.get(use);
      set?.delete(capability);
      if (set?.size === 0) byUse.delete(use);
    }
    if (byUse.size === 0) holders.delete(holder);
    if (holders.size === 0) this.#byTarget.delete(capability.target);
  }
}

/** What a capability is found by: one of its verbs, or whatever it gives. */
type Use = CapabilityVerb | "any";

/** The capabilities on one process, by holder and use. */
type HoldersOfOne<T extends object> = Map<string, Map<Use, Set<Capability<T>>>>;

const ASSURANCES: readonly Assurance[] = ["none", "cookie", "tofu", "ca", "pinned"];

/** Part of all capabilities that one holder may have. */
const HOLDER_SHARE = 0.25;

function usesOf<T extends object>({ verbs }: Capability<T>): ReadonlySet<Use> {
  const uses = new Set<Use>(verbs).add("any");
  if (verbs.has("call")) uses.add("monitor");
  return uses;
}

/** One text for each holder; no fingerprint has a space. */
function holderKey(holder: Holder): string {
  return "key" in holder ? holder.key : `${holder.assurance} ${holder.name}`;
}

/** The holders that a peer is (see `isHeld`). */
function holderKeysOf({ fingerprints, name, assurance }: PeerFacts): readonly string[] {
  if (fingerprints.length > 0) return fingerprints;
  return ASSURANCES.filter((least) => assuranceAtLeast(assurance, least)).map((least) => `${least} ${name}`);
}

function tooMany(message: string, limit: number): SallyportError {
  return new SallyportError("ERR_LIMIT", "GRANT_LIMIT", message, {
    detail: { limit, option: "maxGrants" },
    advice: "revoke grants that are no longer needed, give them a ttlMs, or raise maxGrants",
  });
}

/** What a capability allows where no rule does: anything, within the bounds of the peer. */
export const BY_CAPABILITY: Verdict = allowedBy("grant");

/** All of a reference: aliases are of this node, but a peer may write what it likes. */
function aliasKey(alias: Reference): string {
  return `${alias.words.join(".")}/${alias.creation}@${alias.node}`;
}

/**
 * True when the peer is the one the capability was given to. A name counts only for a peer that has no key, and that is known at
 * least as surely: whoever knows the cookie can claim a name that a certificate vouched for.
 */
export function isHeld(capability: { readonly holder: Holder }, peer: PeerFacts): boolean {
  const { holder } = capability;
  if ("key" in holder) return peer.fingerprints.includes(holder.key);
  if (peer.fingerprints.length > 0 || peer.name !== holder.name) return false;
  return assuranceAtLeast(peer.assurance, holder.assurance);
}

function isOver(capability: { readonly expiresAt: MonotonicMs | undefined }, now: MonotonicMs): boolean {
  return capability.expiresAt !== undefined && now >= capability.expiresAt;
}
