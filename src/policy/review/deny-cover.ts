import { type CompiledRule, concerns, type Member } from "../compiled-rule.ts";
import { formatMatcher, type TargetMatcher } from "../parse-target.ts";
import type { Verb } from "../verbs.ts";

/** The deny rule that always takes this away from this peer, whatever the time and the connection; undefined when none does. */
export function coveringDeny(
  rules: readonly CompiledRule[],
  member: Member,
  verb: Verb,
  target: TargetMatcher | undefined,
): CompiledRule | undefined {
  return rules.find(
    (rule) =>
      rule.effect === "deny" &&
      rule.mode === "enforce" &&
      isUnconditional(rule) &&
      concerns(rule, member) &&
      rule.verbs.includes(verb) &&
      (target === undefined || rule.targets.some((wider) => covers(wider, target))),
  );
}

/** Whether a rule has no condition at all. */
export function isUnconditional(rule: CompiledRule): boolean {
  const { when } = rule;
  return (
    when.transport === undefined &&
    when.assurance === undefined &&
    when.sources === undefined &&
    when.afterMs === Number.NEGATIVE_INFINITY &&
    when.beforeMs === Number.POSITIVE_INFINITY
  );
}

/** Whether everything that `target` means is among what `wider` means in a deny. */
function covers(wider: TargetMatcher, target: TargetMatcher): boolean {
  if (wider.kind === "star") return true;
  if (wider.kind === "any-pid") return target.kind === "any-pid" || target.kind === "granted-pids";
  if (wider.kind === "module" && target.kind === "function") return wider.module === target.module;
  return formatMatcher(wider) === formatMatcher(target);
}

/** Whether an operation of this verb can reach such a target at all. */
export function canReach(verb: Verb, target: TargetMatcher): boolean {
  switch (target.kind) {
    case "star":
      return true;
    case "function":
    case "module":
      return verb === "rpc" || verb === "spawn";
    case "name":
      return verb !== "rpc";
    default:
      return verb !== "rpc" && verb !== "spawn";
  }
}
