import type { Bounds } from "./bounds.ts";
import type { CompiledRule } from "./compiled-rule.ts";
import type { Grant, NearestMiss, Target, Verdict } from "./decision.ts";
import { changesAt, denyTiming, grantTiming, isTimed } from "./rule-timing.ts";
import type { TargetIndex } from "./target-index.ts";
import { RESERVED_VERBS, type Verb } from "./verbs.ts";

/** A rule written in code and whether it permits what is asked: a grant beside those of the file. */
export interface CodeRule {
  /** `code:NAME`. */
  readonly rule: string;
  readonly permits: boolean;
}

/** A way in which something is granted, and the rule whose times bound it; none for a shorthand. */
export interface TimedGrant {
  readonly grant: Grant;
  readonly rule: CompiledRule | undefined;
}

/** A grant that does not count for this session, and why. */
export interface Miss {
  readonly rule: string;
  readonly why: NearestMiss["why"];
}

/** The rules that can concern one session, by verb. Missing verbs have none. */
export interface AuthorityParts {
  readonly alias: string | null;
  readonly generation: number;
  readonly peerBounds: Bounds;
  /** What lets it connect: `peer`, `domain`; undefined for a stranger, whom nothing is granted. */
  readonly admittedBy: string | undefined;
  /** Unix milliseconds until which what rules refuse is let through; -Infinity when this peer is not in audit mode. */
  readonly auditUntilMs: number;
  readonly denies: ReadonlyMap<Verb, TargetIndex<CompiledRule>>;
  readonly grants: ReadonlyMap<Verb, TargetIndex<TimedGrant>>;
  /** Grants of this peer of which a condition on facts does not hold. */
  readonly unmet: ReadonlyMap<Verb, TargetIndex<Miss>>;
  /** Grants of this peer by target, whatever their verb. */
  readonly otherVerbs: TargetIndex<Miss>;
  /** The first grant of this peer with the verb, whatever its target. */
  readonly otherTargets: ReadonlyMap<Verb, Miss>;
  /** Grants of the whole policy. */
  readonly otherPeers: ReadonlyMap<Verb, TargetIndex<Miss>>;
  /** The first grant of this peer at all. */
  readonly anyGrant: Miss | null;
}

/** The last moment that a wall clock can show, Unix milliseconds. */
const LAST_TIME_MS = 8.64e15;

const AUDITED_PEER: Grant = Object.freeze({ rule: "peer", shape: undefined, limits: undefined, mode: "audit" });

/** What one session may do here: the policy, reduced to the rules that can ever concern this peer with its facts. Immutable. */
export class Authority {
  /** In the policy; null for a peer without an entry. */
  readonly alias: string | null;
  readonly generation: number;
  /** Bounds that hold beside those of a grant. */
  readonly peerBounds: Bounds;
  readonly #parts: AuthorityParts;

  constructor(parts: AuthorityParts) {
    this.alias = parts.alias;
    this.generation = parts.generation;
    this.peerBounds = parts.peerBounds;
    this.#parts = parts;
  }

  /** Whether this peer's entry is in audit mode at this moment. */
  isAudited(nowMs: number): boolean {
    return nowMs < this.#parts.auditUntilMs;
  }

  /**
   * What the policy says of this operation at `nowMs` (Unix milliseconds): the same for the same arguments, whatever the
   * order of the rules. `code` is the `allow` of what stands at the target. Never throws: what fails denies.
   */
  decide(verb: Verb, target: Target, nowMs: number, code?: CodeRule): Verdict {
    try {
      return this.#decide(verb, target, nowMs, code);
    } catch {
      return FAILED;
    }
  }

  #decide(verb: Verb, target: Target, nowMs: number, code: CodeRule | undefined): Verdict {
    const denies: CompiledRule[] = [];
    this.#parts.denies.get(verb)?.collect(target, denies);
    const validity = new Validity(nowMs);
    if (this.#parts.auditUntilMs !== Number.NEGATIVE_INFINITY) validity.until(this.#parts.auditUntilMs);
    let refusing: string | undefined;
    let audited: string | undefined;
    for (const rule of denies) {
      validity.met(rule);
      const timing = denyTiming(rule, nowMs);
      if (timing === "holds") refusing = first(refusing, rule.id);
      else if (timing === "audits") audited = first(audited, rule.id);
    }
    if (refusing !== undefined) return refused("deny-rule", refusing, null, validity);
    if (RESERVED_VERBS.includes(verb)) return refused("deny-default", null, null, validity);
    const found: TimedGrant[] = [];
    this.#parts.grants.get(verb)?.collect(target, found);
    const grants: Grant[] = [];
    let expired: Miss | undefined;
    for (const { grant, rule } of found) {
      const timing = rule === undefined ? "holds" : grantTiming(rule, nowMs);
      if (rule !== undefined) validity.met(rule);
      if (timing === "holds" || timing === "audits") {
        if (!grants.includes(grant)) grants.push(grant);
      } else expired = firstMiss(expired, { rule: grant.rule, why: timing === "expired" ? "expired" : "condition" });
    }
    this.#addUnwritten(verb, code, grants);
    if (verb !== "system" && verb !== "connect" && this.isAudited(nowMs)) grants.push(AUDITED_PEER);
    if (grants.length === 0) return refused("deny-default", null, this.#nearest(verb, target, expired), validity);
    return allowed(grants, audited, validity);
  }

  /** Grants that no rule of the file says: admission itself, and `allow` in code. */
  #addUnwritten(verb: Verb, code: CodeRule | undefined, grants: Grant[]): void {
    const { admittedBy } = this.#parts;
    if (admittedBy === undefined) return;
    if (verb === "connect") grants.push(plainGrant(admittedBy));
    else if (code?.permits === true && verb !== "system") grants.push(plainGrant(code.rule));
    grants.sort(inOrder);
  }

  #nearest(verb: Verb, target: Target, expired: Miss | undefined): NearestMiss | null {
    const parts = this.#parts;
    if (parts.admittedBy === undefined || verb === "connect") return null;
    return (
      firstOf(parts.unmet.get(verb), target, expired) ??
      firstOf(parts.otherVerbs, target, undefined) ??
      parts.otherTargets.get(verb) ??
      // A refused call is seen by its monitor, which comes first.
      (verb === "monitor" ? parts.otherTargets.get("call") : undefined) ??
      firstOf(parts.otherPeers.get(verb), target, undefined) ??
      parts.anyGrant
    );
  }
}

/** How long a verdict may be kept: for ever, until it meets a rule with a time. */
class Validity {
  readonly #nowMs: number;
  fromMs: number = Number.NEGATIVE_INFINITY;
  untilMs: number = Number.POSITIVE_INFINITY;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  met(rule: CompiledRule): void {
    if (isTimed(rule)) this.until(changesAt(rule, this.#nowMs));
  }

  /** A time that is past counts as well: a clock that goes back comes to it again. */
  until(changeMs: number): void {
    this.fromMs = this.#nowMs;
    this.untilMs = Math.min(this.untilMs, changeMs > this.#nowMs ? changeMs : LAST_TIME_MS, LAST_TIME_MS);
  }
}

/** True for what audit mode of a peer grants where no rule does. */
export function isPeerAudit(grant: Grant): boolean {
  return grant.rule === AUDITED_PEER.rule && grant.mode === "audit";
}

/** A grant without shape or limits, which is enforced. */
export function plainGrant(rule: string): Grant {
  return { rule, shape: undefined, limits: undefined, mode: "enforce" };
}

/** True when nothing of a message need be looked at for this grant. */
export function isPlainGrant(grant: Grant): boolean {
  return grant.shape === undefined && grant.limits === undefined && grant.mode === "enforce";
}

/** The smaller of two rule ids, so that the order of rules means nothing. */
export function first(a: string | undefined, b: string): string {
  return a === undefined || b < a ? b : a;
}

/** The miss with the smaller rule id. */
export function firstMiss(a: Miss | undefined, b: Miss): Miss {
  return a === undefined || b.rule < a.rule ? b : a;
}

function firstOf(index: TargetIndex<Miss> | undefined, target: Target, start: Miss | undefined): Miss | undefined {
  const found: Miss[] = [];
  index?.collect(target, found);
  let best = start;
  for (const miss of found) best = firstMiss(best, miss);
  return best;
}

/** Plain grants first, then by rule. */
function inOrder(a: Grant, b: Grant): number {
  const plainA = isPlainGrant(a);
  if (plainA !== isPlainGrant(b)) return plainA ? -1 : 1;
  return a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : 0;
}

function allowed(grants: readonly Grant[], auditedDeny: string | undefined, validity: Validity): Verdict {
  const given = auditedDeny === undefined ? grants : grants.map((grant): Grant => ({ ...grant, mode: "audit" }));
  const leading = given[0];
  return Object.freeze({
    outcome: "allow",
    rule: leading?.rule ?? null,
    grants: Object.freeze(given),
    plain: leading !== undefined && isPlainGrant(leading),
    nearestMiss: null,
    auditedDeny,
    validFromMs: validity.fromMs,
    validUntilMs: validity.untilMs,
  });
}

function refused(
  outcome: "deny-rule" | "deny-default" | "deny-error",
  rule: string | null,
  nearestMiss: NearestMiss | null,
  { fromMs, untilMs }: Pick<Validity, "fromMs" | "untilMs">,
): Verdict {
  return Object.freeze({
    outcome,
    rule,
    grants: NO_GRANTS,
    plain: false,
    nearestMiss,
    auditedDeny: undefined,
    validFromMs: fromMs,
    validUntilMs: untilMs,
  });
}

const NO_GRANTS: readonly Grant[] = Object.freeze([]);
const FAILED: Verdict = refused("deny-error", null, null, {
  fromMs: Number.NEGATIVE_INFINITY,
  untilMs: Number.POSITIVE_INFINITY,
});
