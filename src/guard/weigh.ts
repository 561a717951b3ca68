import type { MonotonicMs } from "../base/clock.ts";
import { isPeerAudit, plainGrant } from "../policy/authority.ts";
import type { Bounds } from "../policy/bounds.ts";
import type { Grant, NearestMiss, Verdict } from "../policy/decision.ts";
import { withinBounds } from "../policy/payload.ts";
import { inspectTerm, TermFacts, type TermQuestion } from "../term/inspect.ts";
import type { TermLimits } from "../term/limits.ts";
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

/** Longest that stands around the request of a call or the arguments of a function where those are measured, in bytes. */
const MAX_ENVELOPE_BYTES = 2_048;

/** True when some bound on numbers is set: there is something to weigh. */
export function hasBounds({ rate, bytes, inflight, payloadBytes, depth, elements, newAtoms }: Bounds): boolean {
  return [rate, bytes, inflight, payloadBytes, depth, elements, newAtoms].some((bound) => bound !== undefined);
}

/** An allowing verdict of no rule, such as for what was handed to a peer. It sets no bounds: those of the peer hold. */
export function allowedBy(what: string): Verdict {
  return Object.freeze<Verdict>({
    outcome: "allow",
    rule: what,
    grants: Object.freeze([plainGrant(what)]),
    plain: true,
    nearestMiss: null,
    validFromMs: Number.NEGATIVE_INFINITY,
    validUntilMs: Number.POSITIVE_INFINITY,
  });
}

/** What a payload is looked at with. */
export interface Scales {
  readonly limits: TermLimits;
  /** The two nodes whose identifiers may stand in it. */
  readonly nodes: readonly [string, string];
  /** Atoms that are not new. */
  readonly knownAtoms: ReadonlySet<string>;
  readonly atomRefs: readonly Term[] | undefined;
}

/**
 * The first grant of an allowing verdict that lets this very message through, or what it lacks: of each grant the shape, then
 * the bounds on one message, its own and those of the peer, then the rates. Only the rates of the grant that is returned,
 * and those of the peer, are used up.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_* for bytes that are no term
 */
export function weigh(
  verdict: Verdict,
  peerBounds: Bounds,
  budget: PeerBudget,
  payload: PayloadBytes,
  scales: Scales,
  now: MonotonicMs,
): Grant | Shortfall {
  const { buffer, start, end, inner } = payload;
  const bytes = end - start;
  let facts: TermFacts | undefined;
  let short: Shortfall = { kind: "shortfall", outcome: "deny-default", rule: null, miss: null };
  for (const grant of verdict.grants) {
    const { rule, shape, limits } = grant;
    // Audit mode of a peer stands in for rules that are missing, not for limits of those that are there.
    if (isPeerAudit(grant) && short.outcome === "deny-limit") continue;
    // What is too large is not looked through.
    if (!fits(bytes, limits) || !fits(bytes, peerBounds)) {
      short = { kind: "shortfall", outcome: "deny-limit", rule, miss: { rule, why: "limit" } };
      continue;
    }
    if (shape !== undefined && !shape.matches(buffer, inner, end, scales.atomRefs)) {
      if (short.miss === null) short = { ...short, miss: { rule, why: "shape" } };
      continue;
    }
    if (facts === undefined && mustLook(verdict, peerBounds)) {
      facts = new TermFacts();
      inspectTerm(buffer, inner, end, scales.limits, questionOf(verdict, peerBounds, scales), facts);
    }
    // Whom to answer, and the like: what stands around the part that was looked at has no use for more.
    if (facts !== undefined && inner - start + (end - facts.end) > MAX_ENVELOPE_BYTES) {
      short = { kind: "shortfall", outcome: "deny-limit", rule, miss: { rule, why: "limit" } };
      continue;
    }
    const bound = withinBounds(limits, peerBounds, facts ?? NOTHING, bytes);
    if (bound === undefined && budget.spendBoth(grant, peerBounds, bytes, now)) return grant;
    short = { kind: "shortfall", outcome: "deny-limit", rule, miss: { rule, why: "limit" } };
  }
  return short;
}

function fits(bytes: number, bounds: Bounds | undefined): boolean {
  return bounds?.payloadBytes === undefined || bytes <= bounds.payloadBytes;
}

/** Facts of a payload that nobody asks about. */
const NOTHING = new TermFacts();

/**
 * Whether more than the size of the payload counts. Funs and identifiers of third nodes are met by the decoder, at no cost of
 * its own; they must be known before only where some grants take them and others do not.
 */
function mustLook({ grants }: Verdict, peerBounds: Bounds): boolean {
  if (hasDepth(peerBounds)) return true;
  const [first] = grants;
  return grants.some(
    ({ limits }) =>
      (limits !== undefined && hasDepth(limits)) ||
      (limits?.funs ?? false) !== (first?.limits?.funs ?? false) ||
      (limits?.foreign ?? false) !== (first?.limits?.foreign ?? false),
  );
}

function hasDepth({ depth, elements, newAtoms }: Bounds): boolean {
  return depth !== undefined || elements !== undefined || newAtoms !== undefined;
}

function questionOf(verdict: Verdict, peerBounds: Bounds, { nodes, knownAtoms, atomRefs }: Scales): TermQuestion {
  const counts = [peerBounds, ...verdict.grants.map(({ limits }) => limits)].map((bounds) => bounds?.newAtoms);
  const asked = counts.filter((count) => count !== undefined);
  return { nodes, knownAtoms, maxNewAtoms: asked.length === 0 ? undefined : Math.max(...asked), atomRefs };
}
