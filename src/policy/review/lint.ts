import { type CompiledRule, concerns, type Member, timeOr } from "../compiled-rule.ts";
import { formatMatcher, functionLabel } from "../parse-target.ts";
import type { Policy } from "../policy.ts";
import { type JsonPath, type PolicyProblem, ProblemList } from "../problem.ts";
import { CODE_REACHING_MODULES, HARMLESS_FUNCTIONS } from "./code-reaching.ts";
import { canReach, coveringDeny } from "./deny-cover.ts";
import { lintQuic } from "./lint-quic.ts";
import { runTests, untestedGrants } from "./run-tests.ts";

/**
 * What is allowed but deserves a look: grants without a test, no test of a refusal, rules that can never apply, functions
 * that reach code, audit mode, what does not hold over QUIC. Without `nowMs` (Unix milliseconds) nothing is called expired and tests run at time 0.
 */
export function lintPolicy(policy: Policy, nowMs?: number, onlyQuic: boolean = false): readonly PolicyProblem[] {
  const problems = new ProblemList();
  lintTests(policy, nowMs ?? 0, problems);
  for (const [i, rule] of policy.rules.entries()) {
    const path = ["rules", i];
    lintReach(policy, rule, path, problems);
    lintAudit(rule.mode, rule.entry.until, nowMs, path, problems);
    lintEnd(rule, nowMs, path, problems);
    if (rule.effect === "allow") lintCode(rule, path, problems);
  }
  for (const [alias, peer] of policy.peers) {
    lintAudit(peer.entry.mode ?? "enforce", peer.entry.until, nowMs, ["peers", alias], problems);
  }
  const everyPeer = policy.domain?.everyPeer;
  if (everyPeer !== undefined && everyPeer !== "pinned") {
    problems.add(["domain", "everyPeer"], `every peer of assurance ${everyPeer} may do everything but system`);
  }
  return [...problems.all, ...lintQuic(policy, onlyQuic)];
}

function lintTests(policy: Policy, nowMs: number, problems: ProblemList): void {
  const untested = new Set(untestedGrants(policy, runTests(policy, nowMs)));
  for (const [i, rule] of policy.rules.entries()) {
    if (untested.has(rule.id)) problems.add(["rules", i], `${rule.id} grants something and no passing test expects it`);
  }
  const refuses = (policy.document.tests ?? []).some((test) => test.expect !== "allow");
  if (!refuses) problems.add(["tests"], "no test expects a refusal; write one for what must never be allowed");
}

function lintReach(policy: Policy, rule: CompiledRule, path: JsonPath, problems: ProblemList): void {
  const members = membersOf(policy).filter((member) => concerns(rule, member));
  if (members.length === 0 && !(rule.effect === "deny" && rule.from.some((from) => from.kind === "every"))) {
    problems.add([...path, "from"], `${rule.id} can never apply: no peer is meant by from`);
    return;
  }
  if (rule.verbs.every((verb) => verb === "connect")) return;
  for (const verb of rule.verbs) {
    if (verb !== "connect" && !rule.targets.some((target) => canReach(verb, target))) {
      problems.add([...path, "to"], `${rule.id} never applies to ${verb}: it reaches no such target`);
    }
  }
  if (rule.effect === "deny") return;
  const isTakenAway = members.every(
    (member) =>
      coveringDeny(policy.rules, member, "connect", undefined) !== undefined ||
      rule.verbs.every((verb) =>
        rule.targets.every((target) => coveringDeny(policy.rules, member, verb, target) !== undefined),
      ),
  );
  if (isTakenAway) problems.add(path, `${rule.id} can never apply: deny rules take away all of it`);
}

/** Every kind of peer that can connect under this policy. */
function membersOf(policy: Policy): readonly Member[] {
  const members: Member[] = [...policy.peers.values()].map((peer) => ({
    alias: peer.alias,
    level: peer.entry.level,
    domain: peer.entry.domain,
  }));
  if (policy.domain?.everyPeer !== undefined) {
    members.push({ alias: null, level: undefined, domain: policy.domain.name });
  }
  return members;
}

function lintAudit(
  mode: "enforce" | "audit",
  until: string | undefined,
  nowMs: number | undefined,
  path: JsonPath,
  problems: ProblemList,
): void {
  if (mode !== "audit") return;
  const expired = nowMs !== undefined && nowMs >= timeOr(until, Number.NEGATIVE_INFINITY);
  problems.add(
    path,
    expired ? `audit mode ended at ${until}` : `is in audit mode until ${until}: recorded, not enforced`,
  );
}

function lintEnd(rule: CompiledRule, nowMs: number | undefined, path: JsonPath, problems: ProblemList): void {
  if (nowMs === undefined) return;
  if (nowMs >= rule.when.beforeMs)
    problems.add([...path, "when", "before"], `${rule.id} ended at ${rule.entry.when?.before}`);
  else if (rule.mode === "enforce" && nowMs >= rule.untilMs) {
    problems.add([...path, "until"], `${rule.id} ended at ${rule.entry.until}`);
  }
}

function lintCode(rule: CompiledRule, path: JsonPath, problems: ProblemList): void {
  for (const target of rule.targets) {
    if (target.kind !== "function" || !CODE_REACHING_MODULES.includes(target.module)) continue;
    if (HARMLESS_FUNCTIONS.has(functionLabel(target.module, target.function, target.arity))) continue;
    problems.add(
      [...path, "to"],
      `${formatMatcher(target)} may reach code, files or processes: who may call it may do much more`,
    );
  }
}
