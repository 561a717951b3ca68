import type { RuleEntry } from "../document.ts";
import { formatMatcher, parseTargetText } from "../parse-target.ts";
import { isVerb, RESERVED_VERBS, type Verb } from "../verbs.ts";
import { canReach } from "./deny-cover.ts";

/** What an audit trail says of one decision, or of several that were alike. */
export interface DecisionRecord {
  /** Null for a peer without an entry. */
  readonly alias: string | null;
  readonly verb: string;
  /** As the record has it: escaped text of one target. */
  readonly target: string;
  readonly outcome: string;
  readonly mode: string;
  readonly rule: string | null;
  /** Decisions in a summary. Default 1. */
  readonly count?: number;
}

/** One target that was used, and how often. */
export interface LearnedTarget {
  readonly target: string;
  readonly count: number;
}

/** A rule that would have let through what was recorded. */
export interface Proposal {
  readonly rule: RuleEntry;
  readonly count: number;
  /** Most used first. */
  readonly targets: readonly LearnedTarget[];
}

/** Rules for the owner to read and to narrow; nothing applies them. */
export interface Learned {
  readonly proposals: readonly Proposal[];
  /** Decisions from which nothing was learnt: refused ones, peers without an entry, verbs or targets that no rule can grant. */
  readonly skipped: number;
}

/**
 * The least rules that cover what a policy granted or let through in audit mode. What was refused is never learnt from: a
 * peer would write its own rules (rulings S18).
 */
export function learnRules(records: Iterable<DecisionRecord>): Learned {
  const used = new Map<string, Map<Verb, Map<string, number>>>();
  let skipped = 0;
  for (const record of records) {
    const count = countOf(record);
    const { alias, verb } = record;
    const target = isVerb(verb) ? learnable(verb, record.target) : undefined;
    if (record.outcome !== "allow" || alias === null || !isVerb(verb) || target === undefined) skipped += count;
    else {
      const targets = inMap(
        inMap(used, alias, () => new Map<Verb, Map<string, number>>()),
        verb,
        () => new Map<string, number>(),
      );
      targets.set(target, (targets.get(target) ?? 0) + count);
    }
  }
  const proposals: Proposal[] = [];
  for (const alias of [...used.keys()].sort()) {
    const verbs = used.get(alias) ?? new Map<Verb, Map<string, number>>();
    for (const verb of [...verbs.keys()].sort()) {
      const targets = listed(verbs.get(verb), verb === "monitor" ? verbs.get("call") : undefined);
      if (targets.length > 0) proposals.push(propose(alias, verb, targets, proposals.length + 1));
    }
  }
  return { proposals, skipped };
}

/** The target as `to` would have it; undefined when no rule can grant the verb on it. */
function learnable(verb: Verb, text: string): string | undefined {
  if (verb === "connect" || RESERVED_VERBS.includes(verb)) return undefined;
  const matcher = parseTargetText(text);
  if (matcher === undefined || matcher.kind === "star" || matcher.kind === "module") return undefined;
  if (verb === "system" && matcher.kind !== "name") return undefined;
  return canReach(verb, matcher) ? formatMatcher(matcher) : undefined;
}

/** Most used first. A call brings the monitor of what it calls, so that needs no rule of its own. */
function listed(targets: ReadonlyMap<string, number> = new Map(), implied: ReadonlyMap<string, number> = new Map()) {
  return [...targets]
    .filter(([target]) => !implied.has(target))
    .map(([target, count]): LearnedTarget => ({ target, count }))
    .sort((a, b) => b.count - a.count || (a.target < b.target ? -1 : 1));
}

function propose(alias: string, verb: Verb, targets: readonly LearnedTarget[], number: number): Proposal {
  const texts = targets.map(({ target }) => target);
  return {
    rule: { id: `learned-${number}`, from: alias, allow: verb, to: texts.length === 1 ? (texts[0] ?? "") : texts },
    count: targets.reduce((sum, { count }) => sum + count, 0),
    targets,
  };
}

function countOf(record: DecisionRecord): number {
  const { count = 1 } = record;
  return Number.isSafeInteger(count) && count > 0 ? count : 1;
}

function inMap<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
