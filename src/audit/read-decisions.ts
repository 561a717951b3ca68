import { tryNodeName } from "../base/node-name.ts";
import type { Decision, NearestMiss } from "../policy/decision.ts";
import { isDecisionWhy, isMissReason, isOutcome } from "../policy/decision-words.ts";
import { isVerb } from "../policy/verbs.ts";
import { type AuditFields, type ChainCrypto, unseal } from "./record.ts";

/** `count` further decisions like `like`, of which only the last id was kept. */
export interface DecisionSummary {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly count: number;
  readonly lastId: string;
  /** Peer, verb, target and rule as far as the record says them; null: not said, or several. */
  readonly peer: string | null;
  readonly verb: string | null;
  readonly target: string | null;
  readonly rule: string | null;
}

/** What a line of the log says about decisions. */
export type DecisionEntry =
  | { readonly kind: "decision"; readonly decision: Decision }
  | { readonly kind: "summary"; readonly summary: DecisionSummary }
  /** A line that is no record, or whose hash is wrong, or a decision that cannot be understood. `line` counts from 1. */
  | { readonly kind: "unreadable"; readonly line: number };

/**
 * The decisions in the lines of an audit log, in their order. Lines are read as latin1 and without line breaks; empty ones
 * are passed over. Each record must be right in itself; whether the chain is whole is for `verifyChain` to say.
 */
export function* readDecisions(lines: Iterable<string>, crypto: ChainCrypto): Generator<DecisionEntry> {
  let line = 0;
  for (const text of lines) {
    line++;
    if (text === "") continue;
    const fields = unseal(text, crypto)?.fields;
    if (fields === undefined) {
      yield { kind: "unreadable", line };
    } else if (fields["kind"] === "decision") {
      const decision = decisionOf(fields);
      yield decision === undefined ? { kind: "unreadable", line } : { kind: "decision", decision };
    } else if (fields["kind"] === "summary" && fields["of"] === "decision") {
      const summary = summaryOf(fields);
      yield summary === undefined ? { kind: "unreadable", line } : { kind: "summary", summary };
    }
  }
}

function decisionOf(fields: AuditFields): Decision | undefined {
  const { id, outcome, verb, target, generation, mode } = fields;
  const atMs = timeOf(fields["at"]);
  const rule = textOrNull(fields["rule"]);
  const alias = textOrNull(fields["alias"]);
  const key = textOrNull(fields["key"]);
  const miss = missOf(fields["miss"]);
  const peer = typeof fields["peer"] === "string" ? tryNodeName(fields["peer"]) : undefined;
  if (typeof id !== "string" || id === "" || atMs === undefined || !isOutcome(outcome) || peer === undefined) {
    return undefined;
  }
  if (rule === undefined || alias === undefined || key === undefined || miss === undefined) return undefined;
  if ((verb !== "reply" && !isVerb(verb)) || typeof target !== "string") return undefined;
  if (typeof generation !== "number" || (mode !== "enforce" && mode !== "audit")) return undefined;
  const node = typeof fields["node"] === "string" ? tryNodeName(fields["node"]) : undefined;
  const at = node === undefined ? {} : { node };
  const why = isDecisionWhy(fields["why"]) ? { why: fields["why"] } : {};
  return {
    id,
    atMs,
    outcome,
    rule,
    ...why,
    nearestMiss: miss,
    alias,
    peer,
    ...at,
    key,
    verb,
    target,
    generation,
    mode,
  };
}

function summaryOf(fields: AuditFields): DecisionSummary | undefined {
  const { count, lastId } = fields;
  const atMs = timeOf(fields["at"]);
  if (typeof count !== "number" || count < 1 || typeof lastId !== "string" || atMs === undefined) return undefined;
  const said = (name: string): string | null => textOrNull(fields[name] ?? null) ?? null;
  return {
    atMs,
    count,
    lastId,
    peer: said("peer"),
    verb: said("verb"),
    target: said("target"),
    rule: said("rule"),
  };
}

/** `RULE:WHY`, where the rule may hold colons of its own; undefined when it is neither that nor null. */
function missOf(value: unknown): NearestMiss | null | undefined {
  if (value === null) return null;
  if (typeof value !== "string") return undefined;
  const colon = value.lastIndexOf(":");
  const why = value.slice(colon + 1);
  return colon > 0 && isMissReason(why) ? { rule: value.slice(0, colon), why } : undefined;
}

function timeOf(value: unknown): number | undefined {
  const atMs = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : atMs;
}

function textOrNull(value: unknown): string | null | undefined {
  return value === null || typeof value === "string" ? value : undefined;
}
