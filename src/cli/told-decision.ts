import { asObject } from "../identity/pin-meta.ts";
import type { NearestMiss } from "../policy/decision.ts";
import { isDecisionWhy, isMissReason, isOutcome } from "../policy/decision-words.ts";
import type { ShownDecision } from "./decision-lines.ts";

/**
 * A decision as a running node tells it: the fields of `Decision`, as JSON. What is missing or of another kind is null, so
 * that a node of another version can still be understood; undefined when it is no decision at all.
 */
export function toldDecision(value: unknown): ShownDecision | undefined {
  const told = asObject(value);
  const outcome = told?.["outcome"];
  if (told === undefined || !isOutcome(outcome)) return undefined;
  const miss = asObject(told["nearestMiss"]);
  return {
    id: text(told["id"]),
    atMs: whole(told["atMs"]),
    outcome,
    rule: text(told["rule"]),
    ...(isDecisionWhy(told["why"]) ? { why: told["why"] } : {}),
    nearestMiss: missOf(miss?.["rule"], miss?.["why"]),
    alias: text(told["alias"]),
    peer: text(told["peer"]),
    ...(typeof told["node"] === "string" ? { node: told["node"] } : {}),
    key: text(told["key"]),
    verb: text(told["verb"]) ?? "?",
    target: text(told["target"]) ?? "?",
    generation: whole(told["generation"]),
    mode: told["mode"] === "audit" ? "audit" : "enforce",
  };
}

function missOf(rule: unknown, why: unknown): NearestMiss | null {
  return typeof rule === "string" && isMissReason(why) ? { rule, why } : null;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function whole(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
}
