import { type AuditFields, peerText } from "./record.ts";

/** A refused or audited operation of a peer (docs/policy.md). */
export interface DecisionEntry {
  readonly id: string;
  readonly outcome: string;
  /** The rule that decided, or null. */
  readonly rule: string | null;
  /** What the outcome does not say, such as why a peer may not connect. */
  readonly why?: string;
  /** `rule:why` of the rule that came nearest, or null. */
  readonly miss: string | null;
  /** The peer's alias in the policy, or null. */
  readonly alias: string | null;
  readonly peer: string;
  /** The node that it was for, behind a gateway. */
  readonly node?: string;
  /** `SHA256:...` or null. */
  readonly key: string | null;
  readonly verb: string;
  readonly target: string;
  /** Of the policy; 0 without one. */
  readonly generation: number;
  readonly mode: "enforce" | "audit";
}

/** The record of a decision. */
export function decisionFields(entry: DecisionEntry): AuditFields {
  const node = entry.node === undefined ? {} : { node: peerText(entry.node) };
  return { kind: "decision", ...entry, ...node, peer: peerText(entry.peer), target: peerText(entry.target) };
}

/**
 * What decisions of one peer are counted together by: verb, kind of target, rule and outcome. Of what only audit mode let run,
 * each function counts apart: which ones they were is what the record is for.
 */
export function decisionReason({ verb, target, rule, outcome, mode }: DecisionEntry): string {
  const ran = outcome === "allow" && mode === "audit" && (verb === "rpc" || verb === "spawn");
  return `${outcome} ${verb} ${ran ? target.replaceAll(" ", "_") : targetClass(target)} ${rule ?? "-"}`;
}

/** Ever new names must not make ever new records. */
function targetClass(target: string): string {
  if (target.startsWith("<") || target.startsWith("#")) return "pid";
  return target.includes("/") ? "function" : "name";
}
