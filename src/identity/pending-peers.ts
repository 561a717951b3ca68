import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { Fingerprint, PublicKey } from "./public-key.ts";

/** A stranger who dialled us and proved a key. It reserves no name: several keys may wait under one. */
export interface PendingPeer {
  readonly name: NodeName;
  readonly key: PublicKey;
  readonly fingerprint: Fingerprint;
  readonly address: string;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export interface PendingLimits {
  /** Most strangers remembered. Default 256. */
  readonly maxPending?: number;
  /** Most of them from one address. Default 16. */
  readonly maxPendingPerAddress?: number;
  /** How long one is remembered after it was last seen, milliseconds. Default 24 hours. */
  readonly pendingTtlMs?: number;
}

export const MAX_PENDING = 256;
export const MAX_PENDING_PER_ADDRESS = 16;
export const PENDING_TTL_MS = 86_400_000;

/**
 * Strangers that wait for the operator, in memory only. When it is full the one not seen for the longest time goes, first
 * among those of the same address, so that one address cannot push out all others.
 */
export class PendingPeers {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #ttlMs: number;
  /** Oldest sight first. */
  readonly #peers = new Map<string, PendingPeer>();

  constructor(limits: PendingLimits = {}) {
    this.#max = limits.maxPending ?? MAX_PENDING;
    this.#maxPerAddress = limits.maxPendingPerAddress ?? MAX_PENDING_PER_ADDRESS;
    this.#ttlMs = limits.pendingTtlMs ?? PENDING_TTL_MS;
  }

  /** Remembers a stranger, or that it came again. */
  see(name: NodeName, key: PublicKey, fingerprint: Fingerprint, address: string, nowMs: number): void {
    const canonical = canonicalName(name);
    const id = identify(canonical, fingerprint);
    const before = this.#peers.get(id);
    this.#peers.delete(id);
    this.#expire(nowMs);
    if (before === undefined || hostOf(before.address) !== hostOf(address)) this.#dropOldestOf(hostOf(address));
    if (this.#peers.size >= this.#max) this.#dropOldest();
    const firstSeenMs = before?.firstSeenMs ?? nowMs;
    this.#peers.set(id, { name: canonical, key, fingerprint, address, firstSeenMs, lastSeenMs: nowMs });
  }

  find(name: NodeName, fingerprint: Fingerprint, nowMs: number): PendingPeer | undefined {
    this.#expire(nowMs);
    return this.#peers.get(identify(canonicalName(name), fingerprint));
  }

  /** Forgets all strangers under a name. */
  forget(name: NodeName): void {
    const canonical = canonicalName(name);
    this.forgetWhere((peer) => peer.name === canonical);
  }

  forgetWhere(isOver: (peer: PendingPeer) => boolean): void {
    for (const [id, peer] of this.#peers) if (isOver(peer)) this.#peers.delete(id);
  }

  /** Those that wait, the one not seen for the longest time first. */
  list(nowMs: number): readonly PendingPeer[] {
    this.#expire(nowMs);
    return [...this.#peers.values()];
  }

  #expire(nowMs: number): void {
    for (const [id, peer] of this.#peers) {
      // A wall clock that was set back must not keep one for ever.
      if (Math.abs(nowMs - peer.lastSeenMs) > this.#ttlMs) this.#peers.delete(id);
    }
  }

  #dropOldestOf(host: string): void {
    let count = 0;
    let oldest: string | undefined;
    for (const [id, peer] of this.#peers) {
      if (hostOf(peer.address) !== host) continue;
      count++;
      oldest ??= id;
    }
    if (count >= this.#maxPerAddress && oldest !== undefined) this.#peers.delete(oldest);
  }

  #dropOldest(): void {
    for (const id of this.#peers.keys()) {
      this.#peers.delete(id);
      return;
    }
  }
}

/** Each connection comes from a port of its own. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}

function identify(name: NodeName, fingerprint: Fingerprint): string {
  return `${fingerprint} ${name}`;
}
