import { timeOr } from "./compiled-rule.ts";
import type { PolicyDocument } from "./document.ts";

/** A part of a policy that only records what it would refuse, or that lets through what nothing else grants. */
export interface AuditedPart {
  readonly kind: "peer" | "rule";
  /** Alias of the peer, or id of the rule. */
  readonly id: string;
  /** As in the file: its last moment in audit mode. */
  readonly until: string;
}

/** What is in audit mode at `nowMs` (Unix milliseconds), peers first. What is past its `until` is not. */
export function auditedParts(document: PolicyDocument, nowMs: number): readonly AuditedPart[] {
  const parts: AuditedPart[] = [];
  const add = (kind: AuditedPart["kind"], id: string, mode: string | undefined, until: string | undefined): void => {
    if (mode === "audit" && until !== undefined && nowMs < timeOr(until, Number.NEGATIVE_INFINITY)) {
      parts.push({ kind, id, until });
    }
  };
  for (const [alias, { mode, until }] of Object.entries(document.peers ?? {})) add("peer", alias, mode, until);
  for (const { id, mode, until } of document.rules ?? []) add("rule", id, mode, until);
  return parts;
}
