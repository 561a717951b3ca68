import type { CompiledRule } from "./compiled-rule.ts";

/** What the time makes of a rule. */
export type RuleTiming = "holds" | "audits" | "outside" | "expired";

/**
 * What a grant is at this moment. A time that cannot be told (NaN) makes every condition on time fail.
 */
export function grantTiming(rule: CompiledRule, nowMs: number): RuleTiming {
  const { afterMs, beforeMs } = rule.when;
  if (rule.untilMs !== Number.POSITIVE_INFINITY && !(nowMs < rule.untilMs)) return "expired";
  if (afterMs !== Number.NEGATIVE_INFINITY && !(nowMs >= afterMs)) return "outside";
  if (beforeMs !== Number.POSITIVE_INFINITY && !(nowMs < beforeMs)) return "outside";
  return rule.mode === "audit" ? "audits" : "holds";
}

/** What a deny is at this moment: `audits` before the `until` of audit mode. A time that cannot be told makes it hold. */
export function denyTiming(rule: CompiledRule, nowMs: number): RuleTiming {
  if (nowMs < rule.when.afterMs || nowMs >= rule.when.beforeMs) return "outside";
  return rule.mode === "audit" && nowMs < rule.untilMs ? "audits" : "holds";
}

/** Moments at which the rule may count differently, Unix milliseconds. */
export function changesOf(rule: CompiledRule): readonly number[] {
  return [rule.when.afterMs, rule.when.beforeMs, rule.untilMs].filter(Number.isFinite);
}

/** Whether the time decides what the rule counts, now or ever. */
export function isTimed({ when, untilMs }: CompiledRule): boolean {
  return Number.isFinite(when.afterMs) || Number.isFinite(when.beforeMs) || Number.isFinite(untilMs);
}

/** The next moment at which the rule may count differently; Infinity when there is none. */
export function changesAt(rule: CompiledRule, nowMs: number): number {
  let next = Number.POSITIVE_INFINITY;
  if (rule.when.afterMs > nowMs) next = rule.when.afterMs;
  if (rule.when.beforeMs > nowMs && rule.when.beforeMs < next) next = rule.when.beforeMs;
  if (rule.untilMs > nowMs && rule.untilMs < next) next = rule.untilMs;
  return next;
}
