import { Authority, first, firstMiss, type Miss, plainGrant, type TimedGrant } from "./authority.ts";
import type { Bounds } from "./bounds.ts";
import { type CompiledRule, concerns, factsHold, type Member } from "./compiled-rule.ts";
import type { Grant, PeerFacts } from "./decision.ts";
import type { TargetMatcher } from "./parse-target.ts";
import { type IndexMatcher, TargetIndex } from "./target-index.ts";
import type { Verb } from "./verbs.ts";

/** What a peer of a higher level may do, on every name and pid. */
const LEVEL_VERBS: readonly Verb[] = ["send", "call", "cast", "monitor", "link", "exit", "io"];
/** What a member of the own domain may do, on everything. */
const DOMAIN_VERBS: readonly Verb[] = [...LEVEL_VERBS, "rpc", "spawn", "stream"];

/** One session of which an authority is made. */
export interface AuthoritySubject {
  readonly facts: PeerFacts;
  readonly member: Member;
  readonly admittedBy: string | undefined;
  readonly auditUntilMs: number;
  readonly peerBounds: Bounds;
  /** The peer's level is above the node's own. */
  readonly isHigher: boolean;
  /** The peer is a member of the node's own domain. */
  readonly isOfDomain: boolean;
}

/** Grants of all rules by verb and target, made once for a policy. */
export type GrantsOfAll = ReadonlyMap<Verb, TargetIndex<Miss>>;

/** Reduces the rules of a policy to those that can concern one session. */
export function buildAuthority(
  subject: AuthoritySubject,
  rules: readonly CompiledRule[],
  otherPeers: GrantsOfAll,
  generation: number,
): Authority {
  const denies = new Map<Verb, TargetIndex<CompiledRule>>();
  const grants = new Map<Verb, TargetIndex<TimedGrant>>();
  const unmet = new Map<Verb, TargetIndex<Miss>>();
  const otherTargets = new Map<Verb, Miss>();
  const otherVerbs = new TargetIndex<Miss>();
  let anyGrant: string | undefined;
  for (const rule of rules) {
    if (!concerns(rule, subject.member)) continue;
    if (rule.effect === "deny") {
      if (factsHold(rule.when, subject.facts, true)) addDeny(denies, rule);
      continue;
    }
    // Nobody vouches for a stranger's place in a policy: what it dialled for is not known here.
    if (subject.admittedBy === undefined) continue;
    anyGrant = first(anyGrant, rule.id);
    for (const target of rule.targets) otherVerbs.add(target, { rule: rule.id, why: "verb" });
    const holds = factsHold(rule.when, subject.facts, false);
    for (const verb of rule.verbs) {
      otherTargets.set(verb, firstMiss(otherTargets.get(verb), { rule: rule.id, why: "target" }));
      if (!holds) addAll(of(unmet, verb), rule.targets, { rule: rule.id, why: "condition" });
    }
    if (holds) addGrant(grants, rule);
  }
  if (subject.isHigher) {
    addShorthand(grants, LEVEL_VERBS, [{ kind: "star" }], "level");
    addShorthand(grants, ["spawn"], [{ kind: "every-function" }], "level");
  }
  if (subject.isOfDomain) addShorthand(grants, DOMAIN_VERBS, [{ kind: "everything" }], "domain");
  return new Authority({
    alias: subject.member.alias,
    generation,
    peerBounds: subject.peerBounds,
    admittedBy: subject.admittedBy,
    auditUntilMs: subject.auditUntilMs,
    denies,
    grants,
    unmet,
    otherVerbs,
    otherTargets,
    otherPeers,
    anyGrant: anyGrant === undefined ? null : { rule: anyGrant, why: "verb" },
  });
}

/** The grants of all rules, to say that a rule would allow it for somebody else. */
export function indexGrants(rules: readonly CompiledRule[]): GrantsOfAll {
  const all = new Map<Verb, TargetIndex<Miss>>();
  for (const rule of rules) {
    if (rule.effect === "deny") continue;
    for (const verb of rule.verbs) addAll(of(all, verb), rule.targets, { rule: rule.id, why: "peer" });
  }
  return all;
}

function addDeny(denies: Map<Verb, TargetIndex<CompiledRule>>, rule: CompiledRule): void {
  for (const verb of rule.verbs) {
    const index = of(denies, verb);
    if (verb === "connect") index.add({ kind: "everything" }, rule);
    else for (const target of rule.targets) index.add(target.kind === "star" ? { kind: "everything" } : target, rule);
  }
}

function addGrant(grants: Map<Verb, TargetIndex<TimedGrant>>, rule: CompiledRule): void {
  const given: TimedGrant = {
    rule,
    grant: Object.freeze<Grant>({ rule: rule.id, shape: rule.shape, limits: rule.limits, mode: rule.mode }),
  };
  for (const verb of rule.verbs) addAll(of(grants, verb), rule.targets, given);
  if (!rule.verbs.includes("call") || rule.verbs.includes("monitor")) return;
  // Every caller of a BEAM monitors what it calls first (rulings U16). That monitor has no payload to bound.
  const monitor: TimedGrant = { rule, grant: Object.freeze({ ...plainGrant(rule.id), mode: rule.mode }) };
  addAll(of(grants, "monitor"), rule.targets, monitor);
}

function addAll<T>(index: TargetIndex<T>, targets: readonly TargetMatcher[], value: T): void {
  for (const target of targets) index.add(target, value);
}

function addShorthand(
  grants: Map<Verb, TargetIndex<TimedGrant>>,
  verbs: readonly Verb[],
  targets: readonly IndexMatcher[],
  name: string,
): void {
  const given: TimedGrant = { rule: undefined, grant: Object.freeze(plainGrant(name)) };
  for (const verb of verbs) for (const target of targets) of(grants, verb).add(target, given);
}

function of<T>(map: Map<Verb, TargetIndex<T>>, verb: Verb): TargetIndex<T> {
  const found = map.get(verb);
  if (found !== undefined) return found;
  const made = new TargetIndex<T>();
  map.set(verb, made);
  return made;
}
