import type { MonotonicMs } from "../base/clock.ts";
import type { Bounds } from "../policy/bounds.ts";
import type { Grant, NearestMiss, Verdict } from "../policy/decision.ts";
import type { Term } from "../term/types.ts";
import type { PeerBudget } from "./budgets.ts";

/** Where a payload stands, and in it the part that shapes are about: the request of a call, the message of a cast. */
export interface PayloadBytes {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly inner: number;
}

/** Why a message that rules allow in general is refused all the same. */
export interface Shortfall {
  readonly kind: "shortfall";
  readonly outcome: "deny-limit" | "deny-default";
  /** The rule whose limit it was, else null. */
  readonly rule: string | null;
  readonly miss: NearestMiss | null;
}

/** Says whether a payload keeps bounds on one message; made once for each message. */
export interface PayloadJudge {
  keeps(bounds: Bounds): boolean;
}

/** Placeholder until bounds are joined in. */
export function weigh(
  verdict: Verdict,
  peerBounds: Bounds | undefined,
  budget: PeerBudget,
  payload: PayloadBytes,
  atomRefs: readonly Term[] | undefined,
  now: MonotonicMs,
): Grant | Shortfall {
  void [peerBounds, budget, payload, atomRefs, now];
  return verdict.grants[0] as Grant;
}
