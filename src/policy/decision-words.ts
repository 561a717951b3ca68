import type { NearestMiss } from "./decision.ts";
import type { Outcome } from "./document.ts";

/** What can come of a decision. */
export const OUTCOMES: readonly Outcome[] = [
  "allow",
  "deny-rule",
  "deny-default",
  "deny-limit",
  "deny-identity",
  "deny-error",
];

const MISSES: readonly NearestMiss["why"][] = ["verb", "target", "peer", "condition", "expired", "shape", "limit"];

/** True for one of the outcomes. For what comes from a log or another process. */
export function isOutcome(value: unknown): value is Outcome {
  return typeof value === "string" && (OUTCOMES as readonly string[]).includes(value);
}

/** True for one of the reasons why the nearest rule did not count. */
export function isMissReason(value: unknown): value is NearestMiss["why"] {
  return typeof value === "string" && (MISSES as readonly string[]).includes(value);
}
