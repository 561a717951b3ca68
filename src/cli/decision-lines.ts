import type { DecisionWhy, NearestMiss } from "../policy/decision.ts";
import { refusalWords } from "../policy/decision-words.ts";
import type { Outcome } from "../policy/document.ts";
import { fields } from "./table.ts";
import { type Colours, printable } from "./terminal.ts";

/** A decision as `policy can` and `policy why` show it; `can` decides nothing that happened, so it has no id and no time. */
export interface ShownDecision {
  readonly id: string | null;
  readonly atMs: number | null;
  readonly outcome: Outcome;
  readonly rule: string | null;
  readonly why?: DecisionWhy;
  readonly nearestMiss: NearestMiss | null;
  readonly alias: string | null;
  readonly peer: string | null;
  /** The node that it was for, behind a gateway. */
  readonly node?: string;
  readonly key: string | null;
  readonly verb: string;
  readonly target: string;
  /** Null where no node has loaded the policy. */
  readonly generation: number | null;
  readonly mode: "enforce" | "audit";
}

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  allow: "a rule grants it",
  "deny-rule": "a deny rule refuses it",
  "deny-default": "no rule grants it",
  "deny-limit": "a limit was in the way",
  "deny-identity": "the peer is not what its entry asks for",
  "deny-error": "a rule could not be evaluated",
};

const MISSES: Readonly<Record<NearestMiss["why"], string>> = {
  verb: "is about other operations",
  target: "is about other targets",
  peer: "is about other peers",
  condition: "has conditions that did not hold",
  expired: "is over",
  shape: "asks for another shape of the message",
  limit: "has a limit that was reached",
};

/** The decision in words, one line each: what came of it first. */
export function decisionLines(decision: ShownDecision, colours: Colours): string {
  const { outcome, rule, why, nearestMiss, mode } = decision;
  const colour = outcome === "allow" ? (mode === "audit" ? colours.yellow : colours.green) : colours.red;
  const said =
    mode === "audit" && outcome === "allow"
      ? "audit mode lets it through and records it"
      : outcomeText(outcome, rule, why);
  const rows: (readonly [string, string])[] = [];
  if (rule !== null) rows.push(["rule", ruleText(rule)]);
  if (nearestMiss !== null) rows.push(["nearest", `${nearestMiss.rule}, which ${MISSES[nearestMiss.why]}`]);
  rows.push(["peer", peerText(decision)], ["operation", operationText(decision)]);
  if (decision.node !== undefined) rows.push(["on", decision.node]);
  if (decision.generation !== null) rows.push(["generation", String(decision.generation)]);
  if (decision.id !== null) rows.push(["told", toldText(decision, decision.id)]);
  // Of a question the error says it.
  if (decision.id !== null && why !== undefined) rows.push(["advice", refusalWords(why).advice]);
  return `${colour(outcome)}  ${said}\n${fields(rows, colours.dim)}`;
}

/** The decision of docs/policy.md as JSON. */
export function decisionJson({ atMs, ...decision }: ShownDecision): Readonly<Record<string, unknown>> {
  const at = atMs === null || Number.isNaN(new Date(atMs).getTime()) ? null : new Date(atMs).toISOString();
  return { ...decision, at };
}

/** What came of it. The record names the rule whose limit it was; what no rule bounds has none. */
function outcomeText(outcome: Outcome, rule: string | null, why: DecisionWhy | undefined): string {
  if (why === "not-registered") return `it ${refusalWords(why).what}`;
  if (why !== undefined && why !== "rule" && why !== "error") return `the peer ${refusalWords(why).what}`;
  if (outcome !== "deny-limit") return OUTCOMES[outcome];
  return rule === null
    ? `${OUTCOMES[outcome]} that is not one of a rule: on open links, monitors or calls, funs, or identifiers of third nodes`
    : "a rule grants it, but one of its `limits`, or of those of the peer, was in the way";
}

/** Verbs whose refused caller is told the id, where it waits for an answer at all. */
const TOLD_THE_ID: readonly string[] = ["call", "monitor", "link", "system"];

/** What the peer heard, as far as the operation says it: the record does not hold the answer. */
function toldText({ verb, outcome }: ShownDecision, id: string): string {
  if (outcome === "allow") return "nothing of this id: it was let through";
  if (TOLD_THE_ID.includes(verb)) return `the peer may know this decision as ${id}`;
  if (verb === "rpc") return `the peer may know this decision as ${id}, unless it asked with erpc: then as eperm`;
  if (verb === "spawn") return "eperm, without the id";
  return "nothing of this id";
}

/** Names what decides when it is no rule of the file. */
function ruleText(rule: string): string {
  if (rule === "level") return "level (the shorthand of levels)";
  if (rule === "domain") return "domain (the domain of full trust)";
  if (rule === "peer") return "peer (the entry of the peer)";
  return rule.startsWith("code:") ? `${rule} (\`allow\` of that registration)` : rule;
}

function peerText({ alias, peer, key }: ShownDecision): string {
  const name = peer ?? "somebody in no entry";
  const known = alias === null ? (peer === null ? name : `${name}, in no entry`) : `${alias} (${name})`;
  return key === null ? known : `${known} with key ${key}`;
}

function operationText({ verb, target }: ShownDecision): string {
  return verb === "connect" ? "connect" : `${verb} ${printable(target)}`;
}
