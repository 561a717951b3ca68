import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { PeerFacts, Verdict } from "../policy/decision.ts";
import type { Reference } from "../term/types.ts";
import { allowedBy } from "./weigh.ts";

/** Operations that a capability can allow on its process. */
export type CapabilityVerb = "send" | "call" | "cast" | "monitor" | "link" | "exit";

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
}

/**
 * The capabilities of a node: processes that were handed to a peer, each bound to its holder, bounded in use and time, and
 * gone with the process. Full, it refuses a new one; nothing is evicted but what has expired.
 */
export class Capabilities<T extends object> {
  readonly #max: number;
  readonly #byId = new Map<string, Capability<T>>();
  readonly #byTarget = new Map<T, Set<Capability<T>>>();
  readonly #byAlias = new Map<string, Capability<T>>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @throws {SallyportError} ERR_LIMIT GRANT_LIMIT */
  add(capability: Capability<T>, now: MonotonicMs): void {
    if (this.#byId.size >= this.#max) this.expire(now);
    if (this.#byId.size >= this.#max) {
      throw new SallyportError("ERR_LIMIT", "GRANT_LIMIT", `${this.#max} grants stand, which is maxGrants`, {
        detail: { limit: this.#max, option: "maxGrants" },
        advice: "revoke grants that are no longer needed, give them a ttlMs, or raise maxGrants",
      });
    }
    this.#byId.set(capability.id, capability);
    this.#byAlias.set(aliasKey(capability.alias), capability);
    const ofTarget = this.#byTarget.get(capability.target);
    if (ofTarget === undefined) this.#byTarget.set(capability.target, new Set([capability]));
    else ofTarget.add(capability);
  }

  /** All that stand at `now`. */
  list(now: MonotonicMs): readonly Capability<T>[] {
    this.expire(now);
    return [...this.#byId.values()];
  }

  /** True when `target` has been handed to this peer, for whatever it be. */
  isGranted(target: T, peer: PeerFacts, now: MonotonicMs): boolean {
    const ofTarget = this.#byTarget.get(target);
    if (ofTarget === undefined) return false;
    for (const capability of ofTarget) if (isHeld(capability, peer) && !isOver(capability, now)) return true;
    return false;
  }

  /**
   * The capability by which the peer may do `verb` to `target`; undefined: none. Uses nothing. Who may call may watch (rulings
   * U16).
   */
  find(target: T, peer: PeerFacts, verb: CapabilityVerb, now: MonotonicMs): Capability<T> | undefined {
    const ofTarget = this.#byTarget.get(target);
    if (ofTarget === undefined) return undefined;
    for (const capability of ofTarget) {
      const { verbs } = capability;
      const isGiven = verbs.has(verb) || (verb === "monitor" && verbs.has("call"));
      if (isGiven && isHeld(capability, peer) && !isOver(capability, now)) return capability;
    }
    return undefined;
  }

  /** The capability behind an alias, whoever asks: the caller checks who holds it. */
  byAlias(alias: Reference, now: MonotonicMs): Capability<T> | undefined {
    if (this.#byAlias.size === 0) return undefined;
    const capability = this.#byAlias.get(aliasKey(alias));
    return capability === undefined || isOver(capability, now) ? undefined : capability;
  }

  /** One use; the last one removes it. */
  use(capability: Capability<T>): void {
    if (--capability.usesLeft <= 0) this.#remove(capability);
  }

  /** Takes one back; false when it was gone. */
  revoke(id: string): boolean {
    const capability = this.#byId.get(id);
    if (capability !== undefined) this.#remove(capability);
    return capability !== undefined;
  }

  /** The process ended. */
  targetDied(target: T): void {
    for (const capability of [...(this.#byTarget.get(target) ?? [])]) this.#remove(capability);
  }

  /** Removes what has expired. */
  expire(now: MonotonicMs): void {
    for (const capability of [...this.#byId.values()]) if (isOver(capability, now)) this.#remove(capability);
  }

  #remove(capability: Capability<T>): void {
    this.#byId.delete(capability.id);
    this.#byAlias.delete(aliasKey(capability.alias));
    const ofTarget = this.#byTarget.get(capability.target);
    ofTarget?.delete(capability);
    if (ofTarget?.size === 0) this.#byTarget.delete(capability.target);
  }
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
