import type { Clock, MonotonicMs } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";

/** Nodes that are missed at once; the one lost first is forgotten. */
export const MAX_LOST_PEERS = 256;

/** How long a node is missed, milliseconds: ten minutes. */
export const LOST_PEER_MS = 600_000;

/** Reasons of ends that somebody wanted. */
const WANTED: ReadonlySet<string> = new Set(["PEER_LEFT", "IDLE", "NODE_CLOSED", "CONNECT_WITHDRAWN"]);

/** A node that was dialled and lost. */
export interface LostPeer {
  readonly name: NodeName;
  /** Why its session ended. */
  readonly reason: string;
}

/**
 * The nodes that this one has dialled and lost. Those that dialled in are not missed: whoever may connect could else make this
 * node look ill at will.
 */
export class LostPeers {
  readonly #clock: Clock;
  readonly #lost = new Map<NodeName, { readonly reason: string; readonly at: MonotonicMs }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A session has come up, or nobody wants one any more. */
  forget(name: NodeName): void {
    this.#lost.delete(name);
  }

  /** A session is over. `cause`: undefined where this node has ended it. */
  down(name: NodeName, role: "initiator" | "acceptor", cause: SallyportError | undefined): void {
    if (role !== "initiator" || cause === undefined || WANTED.has(cause.reason)) return;
    this.#lost.delete(name);
    this.#lost.set(name, { reason: cause.reason, at: this.#clock.now() });
    const [oldest] = this.#lost.keys();
    if (this.#lost.size > MAX_LOST_PEERS && oldest !== undefined) this.#lost.delete(oldest);
  }

  list(): readonly LostPeer[] {
    const now = this.#clock.now();
    for (const [name, { at }] of [...this.#lost]) if (now - at >= LOST_PEER_MS) this.#lost.delete(name);
    return [...this.#lost].map(([name, { reason }]) => ({ name, reason }));
  }
}
