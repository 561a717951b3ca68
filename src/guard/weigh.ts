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

/** Says whether a payload keeps the bounds on one message. Looks at it once, when first asked. */
export interface PayloadMeasure {
  keeps(bounds: Bounds): boolean;
}

/** True when some bound on numbers is set: there is something to weigh. */
export function hasBounds(bounds: Bounds): boolean {
  return bounds.rate !== undefined || bounds.bytes !== undefined || bounds.inflight !== undefined || measures(bounds);
}

/** True when one message must be looked at as a whole. */
export function measures({ payloadBytes, depth, elements, newAtoms }: Bounds): boolean {
  return payloadBytes !== undefined || depth !== undefined || elements !== undefined || newAtoms !== undefined;
}

/**
 * The first grant of an allowing verdict that lets this very message through, or what it lacks: the peer's own bounds first,
 * then of each grant the shape, the bounds on one message and the rates. Only the rates of the grant that is returned, and
 * those of the peer, are used up.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_* for bytes that are no term
 */
export function weigh(
  verdict: Verdict,
  peerBounds: Bounds,
  budget: PeerBudget,
  payload: PayloadBytes,
  measure: PayloadMeasure,
  atomRefs: readonly Term[] | undefined,
  now: MonotonicMs,
): Grant | Shortfall {
  const { buffer, start, end, inner } = payload;
  const bytes = end - start;
  if (hasBounds(peerBounds) && !(measure.keeps(peerBounds) && budget.spend(null, peerBounds, bytes, now))) {
    return { kind: "shortfall", outcome: "deny-limit", rule: null, miss: null };
  }
  let short: Shortfall = { kind: "shortfall", outcome: "deny-default", rule: null, miss: null };
  for (const grant of verdict.grants) {
    const { rule, shape, limits } = grant;
    if (shape !== undefined && !shape.matches(buffer, inner, end, atomRefs)) {
      if (short.miss === null) short = { ...short, miss: { rule, why: "shape" } };
      continue;
    }
    if (limits === undefined || (measure.keeps(limits) && budget.spend(rule, limits, bytes, now))) return grant;
    short = { kind: "shortfall", outcome: "deny-limit", rule, miss: { rule, why: "limit" } };
  }
  return short;
}
