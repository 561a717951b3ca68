import type { MonotonicMs, Timer } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { DialTarget, NodeName } from "../base/node-name.ts";

/** Failed dials in a row after which a seed that is not joined counts as a problem of the node. */
export const SEED_TROUBLE_ATTEMPTS = 3;

/** How a seed stands. `stopped`: its owner ended the session; it is dialled again after `connect`, or when it comes by itself. */
export type SeedState = "joined" | "dialling" | "waiting" | "stopped";

/** One seed in `vitals()`. */
export interface SeedHealth {
  readonly name: NodeName;
  readonly state: SeedState;
  /** Who named it: `seeds` for the configuration, the label of a source, or `peer exchange`. */
  readonly from: string;
  /** Dials that failed since it was joined last. */
  readonly attempts: number;
  /** Why the last dial or session ended; null before the first. */
  readonly lastReason: string | null;
  /** Null when no dial is due. */
  readonly nextDialInMs: number | null;
}

/** A node that is to be connected, and how far that is. Changed by `Upkeep` alone. */
export class Seed {
  readonly target: DialTarget;
  readonly from: string;
  state: SeedState = "waiting";
  /** False when its source names it no more: it goes when it is not connected. */
  isListed = true;
  attempts = 0;
  lastReason: string | null = null;
  /** It said no since it was joined last. */
  isRefused = false;
  /** How often the wait has doubled. */
  doublings = 0;
  joinedAt: MonotonicMs | undefined;
  dueAt: MonotonicMs | undefined;
  timer: Timer | undefined;
  /** Takes back the wish for the dial under way. */
  takeBack: (() => void) | undefined;

  constructor(target: DialTarget, from: string) {
    this.target = target;
    this.from = from;
  }

  get isTroubled(): boolean {
    const isAway = this.state === "waiting" || this.state === "dialling";
    return isAway && (this.isRefused || this.attempts >= SEED_TROUBLE_ATTEMPTS);
  }

  /** Neither timer nor dial of its own. */
  rest(state: SeedState): void {
    this.state = state;
    if (state !== "joined") this.joinedAt = undefined;
    this.timer?.cancel();
    this.timer = undefined;
    this.dueAt = undefined;
    this.takeBack?.();
    this.takeBack = undefined;
  }

  shown(now: MonotonicMs): SeedHealth {
    const { target, state, from, attempts, lastReason, dueAt } = this;
    const nextDialInMs = dueAt === undefined ? null : Math.max(0, Math.round(dueAt - now));
    return { name: target.name, state, from, attempts, lastReason, nextDialInMs };
  }
}

/** What a peer says when it ends a session because of who we are. */
const REFUSALS: ReadonlySet<unknown> = new Set(["version", "method", "cert", "wrong-node", "auth", "secret"]);

/** Whether somebody said no: it will not be otherwise soon. */
export function isNo(error: SallyportError | undefined): boolean {
  if (error === undefined) return false;
  switch (error.code) {
    case "ERR_DENIED":
    case "ERR_PEER_INCOMPATIBLE":
    case "ERR_PEER_MISBEHAVED":
    case "ERR_CONFIG":
      return error.reason !== "STALE_INCARNATION";
    default:
      return error.reason === "ENDED_BY_PEER" && REFUSALS.has(error.detail["reason"]);
  }
}

/** Whether the owner of the peer ended the session on purpose. */
export function isDismissal(error: SallyportError | undefined): boolean {
  return error?.reason === "PEER_LEFT" && error.detail["reason"] === "disconnect";
}
