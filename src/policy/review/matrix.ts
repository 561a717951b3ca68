import { canonicalName, tryNodeName } from "../../base/node-name.ts";
import { type CompiledRule, concerns, factsHold, type Member, timeOr } from "../compiled-rule.ts";
import type { PeerFacts, RefusedWhy } from "../decision.ts";
import type { LimitsEntry } from "../document.ts";
import { formatMatcher } from "../parse-target.ts";
import type { Policy } from "../policy.ts";
import { grantTiming } from "../rule-timing.ts";
import type { Verb } from "../verbs.ts";
import { canReach, coveringDeny, isUnconditional } from "./deny-cover.ts";
import { type ChosenFacts, imaginePeer, withChosen } from "./judge.ts";
import { runTests, untestedGrants } from "./run-tests.ts";

/** What one grant lets one node do on another. */
export interface MatrixEntry {
  readonly verb: Verb;
  /** As in `to`; `*` for a shorthand. */
  readonly targets: readonly string[];
  /** Rule id, `level`, `domain` or `code:NAME`. */
  readonly rule: string;
  /** `20/s`, `8KiB`, as in the file. */
  readonly limits: readonly string[];
  readonly hasShape: boolean;
  /** There is a `when`: it is not always so. */
  readonly isConditional: boolean;
  /** As in the file, of a grant in audit mode. */
  readonly auditUntil: string | null;
}

/** What one node may do on another. */
export interface MatrixEdge {
  readonly from: string;
  readonly to: string;
  readonly connects: boolean;
  /** Why it does not connect; null where it does. */
  readonly refusedWhy: RefusedWhy | null;
  readonly entries: readonly MatrixEntry[];
  /** The other direction has entries, so answers to those come this way. */
  readonly replies: boolean;
  /** The entry of the peer is in audit mode until then, as in the file. */
  readonly auditUntil: string | null;
}

/** A grant that is written in code, to stand beside those of files. */
export interface CodeGrantRow {
  readonly from: string;
  readonly to: string;
  readonly verb: Verb;
  readonly target: string;
  /** `code:NAME`. */
  readonly rule: string;
}

/** The directed graph of several policies. */
export interface Matrix {
  /** Every ordered pair of a node with a policy and another known node, by name. */
  readonly edges: readonly MatrixEdge[];
  /** Pairs that may command each other: rpc, spawn, system or exit both ways, also where only audit mode lets them. */
  readonly mutualCommand: readonly (readonly [string, string])[];
  readonly untestedGrants: readonly { readonly node: string; readonly rule: string }[];
}

const COMMAND_VERBS: readonly Verb[] = ["rpc", "spawn", "system", "exit"];
const LEVEL_VERBS: readonly Verb[] = ["send", "call", "cast", "spawn", "monitor", "link", "exit", "io"];
const DOMAIN_VERBS: readonly Verb[] = [...LEVEL_VERBS, "rpc"];

/**
 * Who may do what to whom at `nowMs` (Unix milliseconds), of all nodes whose policies are given and of the peers these
 * name. A grant with conditions is shown as if they held, but for those that cannot hold where `chosen` says how peers dial
 * in; one that a deny always takes away is left out.
 */
export function buildMatrix(
  policies: readonly Policy[],
  nowMs: number,
  code: readonly CodeGrantRow[] = [],
  chosen: Pick<ChosenFacts, "protocol"> = {},
): Matrix {
  const names = new Set<string>(policies.map((policy) => policy.node));
  for (const policy of policies)
    for (const peer of policy.peers.values()) for (const name of peer.names) names.add(name);
  for (const row of code) names.add(row.from);
  const sorted = [...names].sort();
  const drafts = policies.flatMap((policy) =>
    sorted.filter((from) => from !== policy.node).map((from) => draftEdge(policy, from, nowMs, code, chosen)),
  );
  const byPair = new Map(drafts.map((edge) => [pairKey(edge.from, edge.to), edge]));
  const edges = drafts
    .map(({ isAuditedCommand: _, ...edge }) => ({
      ...edge,
      replies: (byPair.get(pairKey(edge.to, edge.from))?.entries.length ?? 0) > 0,
    }))
    .sort((a, b) => (pairKey(a.from, a.to) < pairKey(b.from, b.to) ? -1 : 1));
  return {
    edges,
    mutualCommand: edges
      .filter(
        ({ from, to }) => from < to && [pairKey(from, to), pairKey(to, from)].every((key) => commands(byPair.get(key))),
      )
      .map((edge) => [edge.from, edge.to] as const),
    untestedGrants: policies.flatMap((policy) =>
      untestedGrants(policy, runTests(policy, nowMs)).map((rule) => ({ node: policy.node, rule })),
    ),
  };
}

/** An edge that is meant to be, for a check in continuous integration. Without `verbs` every verb is. */
export interface ExpectedEdge {
  readonly from: string;
  readonly to: string;
  readonly verbs?: readonly Verb[];
}

/** Edges, or verbs on them, that are not expected, and expected ones that are missing. */
export interface MatrixDifference {
  readonly unexpected: readonly { readonly from: string; readonly to: string; readonly verbs: readonly Verb[] }[];
  readonly missing: readonly { readonly from: string; readonly to: string; readonly verbs: readonly Verb[] }[];
}

/** Compares a matrix with what is meant to be. An edge without entries is no edge. */
export function compareMatrix(matrix: Matrix, expected: readonly ExpectedEdge[]): MatrixDifference {
  const wanted = new Map<string, ExpectedEdge>();
  for (const edge of expected) wanted.set(pairKey(nameOf(edge.from), nameOf(edge.to)), edge);
  const unexpected: { from: string; to: string; verbs: readonly Verb[] }[] = [];
  const found = new Map<string, readonly Verb[]>();
  for (const edge of matrix.edges) {
    if (edge.entries.length === 0) continue;
    const verbs = [...new Set(edge.entries.map((entry) => entry.verb))].sort();
    const want = wanted.get(pairKey(edge.from, edge.to));
    found.set(pairKey(edge.from, edge.to), verbs);
    const surplus = want === undefined ? verbs : verbs.filter((verb) => want.verbs?.includes(verb) === false);
    if (surplus.length > 0) unexpected.push({ from: edge.from, to: edge.to, verbs: surplus });
  }
  const missing: { from: string; to: string; verbs: readonly Verb[] }[] = [];
  for (const [key, { from, to, verbs }] of wanted) {
    const present = found.get(key);
    const lacking = (verbs ?? []).filter((verb) => present?.includes(verb) !== true);
    if (lacking.length > 0 || (verbs === undefined && present === undefined))
      missing.push({ from, to, verbs: lacking });
  }
  return { unexpected, missing };
}

interface Draft extends Omit<MatrixEdge, "replies"> {
  /** Audit mode lets the peer command: it is let through with everything but `system` that no rule denies. */
  readonly isAuditedCommand: boolean;
}

function draftEdge(
  policy: Policy,
  from: string,
  nowMs: number,
  code: readonly CodeGrantRow[],
  chosen: Pick<ChosenFacts, "protocol">,
): Draft {
  const imagined = imaginePeer(policy, from);
  const facts = imagined === undefined ? undefined : withChosen(imagined, chosen, "acceptor");
  const identified = facts === undefined ? undefined : policy.identify(facts, "acceptor", nowMs);
  const connects = identified?.kind === "peer";
  const peer = policy.peerOf(from);
  const auditUntil =
    peer?.entry.mode === "audit" && nowMs < timeOr(peer.entry.until, Number.NEGATIVE_INFINITY)
      ? (peer.entry.until ?? null)
      : null;
  const member: Member = {
    alias: peer?.alias ?? null,
    level: peer?.entry.level,
    domain: peer === undefined ? policy.domain?.name : peer.entry.domain,
  };
  const refusedWhy = identified?.kind === "refused" ? identified.why : null;
  const entries = connects ? grantsOf(policy, member, nowMs, chosen.protocol === undefined ? undefined : facts) : [];
  for (const row of code) {
    if (row.from !== from || row.to !== policy.node) continue;
    entries.push({ ...UNBOUND, verb: row.verb, targets: [row.target], rule: row.rule });
  }
  const isAuditedCommand =
    connects &&
    auditUntil !== null &&
    COMMAND_VERBS.some(
      (verb) => verb !== "system" && coveringDeny(policy.rules, member, verb, { kind: "star" }) === undefined,
    );
  return { from, to: policy.node, connects, refusedWhy, entries, auditUntil, isAuditedCommand };
}

const UNBOUND = { limits: [], hasShape: false, isConditional: false, auditUntil: null } as const;

/** @param facts what conditions are held against; undefined: they count as if they held */
function grantsOf(policy: Policy, member: Member, nowMs: number, facts: PeerFacts | undefined): MatrixEntry[] {
  const entries: MatrixEntry[] = [];
  for (const rule of policy.rules) {
    if (rule.effect === "deny" || !concerns(rule, member)) continue;
    if (rule.mode === "audit" && grantTiming(rule, nowMs) === "expired") continue;
    if (nowMs >= rule.untilMs || nowMs >= rule.when.beforeMs) continue;
    if (facts !== undefined && !factsHold(rule.when, facts, true)) continue;
    for (const verb of rule.verbs) addRule(entries, policy, member, rule, verb);
  }
  const own = policy.document.level;
  if (own !== undefined && member.level !== undefined && member.level > own) {
    addShorthand(entries, policy, member, LEVEL_VERBS, "level");
  }
  if (policy.domain !== undefined && member.domain === policy.domain.name) {
    addShorthand(entries, policy, member, DOMAIN_VERBS, "domain");
  }
  return entries;
}

function addRule(entries: MatrixEntry[], policy: Policy, member: Member, rule: CompiledRule, verb: Verb): void {
  const targets = rule.targets.filter(
    (target) => canReach(verb, target) && coveringDeny(policy.rules, member, verb, target) === undefined,
  );
  if (targets.length === 0) return;
  entries.push({
    verb,
    targets: targets.map(formatMatcher),
    rule: rule.id,
    limits: limitTexts(rule.entry.limits ?? {}),
    hasShape: rule.shape !== undefined,
    isConditional: !isUnconditional(rule),
    auditUntil: rule.mode === "audit" ? (rule.entry.until ?? null) : null,
  });
}

function addShorthand(
  entries: MatrixEntry[],
  policy: Policy,
  member: Member,
  verbs: readonly Verb[],
  rule: string,
): void {
  for (const verb of verbs) {
    if (coveringDeny(policy.rules, member, verb, { kind: "star" }) !== undefined) continue;
    entries.push({ ...UNBOUND, verb, targets: ["*"], rule });
  }
}

function limitTexts(limits: LimitsEntry): readonly string[] {
  const texts: string[] = [];
  for (const [key, value] of Object.entries(limits)) {
    if (value === undefined || value === false) continue;
    if (key === "rate" || key === "bytes" || (key === "payload" && typeof value === "string"))
      texts.push(String(value));
    else texts.push(value === true ? key : `${key} ${value}`);
  }
  return texts;
}

function commands(edge: Draft | undefined): boolean {
  if (edge === undefined) return false;
  return edge.isAuditedCommand || edge.entries.some((entry) => COMMAND_VERBS.includes(entry.verb));
}

function nameOf(text: string): string {
  const name = tryNodeName(text);
  return name === undefined ? text : canonicalName(name);
}

function pairKey(from: string, to: string): string {
  return `${from} ${to}`;
}
