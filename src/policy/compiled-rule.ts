import { type AddressRange, parseAddress, parseAddressRange, rangeHolds } from "../base/address-range.ts";
import { type Assurance, assuranceAtLeast, type ProtocolName } from "../base/assurance.ts";
import type { Bounds } from "./bounds.ts";
import { compileLimits } from "./compile-limits.ts";
import type { PeerFacts } from "./decision.ts";
import type { ConditionEntry, RuleEntry } from "./document.ts";
import { parseTargetText, type TargetMatcher } from "./parse-target.ts";
import { parseTime } from "./parse-values.ts";
import { compileShape, type Shape } from "./shape.ts";
import type { Verb } from "./verbs.ts";

/** Whom a rule is about. */
export type FromMatcher =
  | { readonly kind: "alias"; readonly alias: string }
  | { readonly kind: "level"; readonly level: number }
  | { readonly kind: "domain"; readonly domain: string }
  /** Whoever may connect. */
  | { readonly kind: "every" };

/** What a rule's `from` is compared with. */
export interface Member {
  readonly alias: string | null;
  readonly level: number | undefined;
  readonly domain: string | undefined;
}

/** A `RuleEntry`, parsed. Immutable. */
export interface CompiledRule {
  readonly id: string;
  readonly entry: RuleEntry;
  readonly effect: "allow" | "deny";
  readonly from: readonly FromMatcher[];
  readonly verbs: readonly Verb[];
  readonly targets: readonly TargetMatcher[];
  readonly when: CompiledConditions;
  readonly shape: Shape | undefined;
  readonly limits: Bounds | undefined;
  readonly mode: "enforce" | "audit";
  /** Unix milliseconds; Infinity when there is no end. */
  readonly untilMs: number;
}

/** Conditions that a session's facts decide, and those that the time decides. */
export interface CompiledConditions {
  readonly transport: readonly ProtocolName[] | undefined;
  readonly assurance: Assurance | undefined;
  readonly sources: readonly AddressRange[] | undefined;
  /** Unix milliseconds, -Infinity when there is none. */
  readonly afterMs: number;
  /** Unix milliseconds, Infinity when there is none. */
  readonly beforeMs: number;
}

/** Compiles a checked rule. */
export function compileRule(entry: RuleEntry): CompiledRule {
  return Object.freeze({
    id: entry.id,
    entry,
    effect: entry.allow === undefined ? "deny" : "allow",
    from: listOf(entry.from).map(parseFrom),
    verbs: listOf(entry.allow ?? entry.deny ?? []),
    targets: listOf(entry.to ?? []).flatMap((text) => parseTargetText(text) ?? []),
    when: compileConditions(entry.when ?? {}),
    shape: entry.shape === undefined ? undefined : compileShape(entry.shape),
    limits: entry.limits === undefined ? undefined : compileLimits(entry.limits),
    mode: entry.mode ?? "enforce",
    untilMs: timeOr(entry.until, Number.POSITIVE_INFINITY),
  });
}

/** Whether the rule is about this peer. */
export function concerns(rule: CompiledRule, member: Member): boolean {
  return rule.from.some((from) => isMeant(from, member));
}

function isMeant(from: FromMatcher, member: Member): boolean {
  switch (from.kind) {
    case "alias":
      return from.alias === member.alias;
    case "level":
      return from.level === member.level;
    case "domain":
      return from.domain === member.domain;
    case "every":
      return true;
  }
}

/** Whether the conditions on a session's facts hold. `unknown` is what one that cannot be told counts as. */
export function factsHold(when: CompiledConditions, facts: PeerFacts, unknown: boolean): boolean {
  if (when.transport !== undefined && !when.transport.includes(facts.protocol)) return false;
  if (when.assurance !== undefined && !assuranceAtLeast(facts.assurance, when.assurance)) return false;
  if (when.sources === undefined) return true;
  const address = facts.source === undefined ? undefined : parseAddress(facts.source);
  if (address === undefined) return unknown;
  return when.sources.some((range) => rangeHolds(range, address));
}

/** One value or a list of them as a list. */
export function listOf<T extends string>(value: T | readonly T[]): readonly T[] {
  return typeof value === "string" ? [value] : value;
}

/** A checked time, or what stands for none. */
export function timeOr(text: string | undefined, none: number): number {
  return text === undefined ? none : (parseTime(text) ?? none);
}

function parseFrom(text: string): FromMatcher {
  if (text === "*") return { kind: "every" };
  if (text.startsWith("level:")) return { kind: "level", level: Number(text.slice(6)) };
  if (text.startsWith("domain:")) return { kind: "domain", domain: text.slice(7) };
  return { kind: "alias", alias: text };
}

function compileConditions(entry: ConditionEntry): CompiledConditions {
  return {
    transport: entry.transport === undefined ? undefined : listOf(entry.transport),
    assurance: entry.assurance,
    sources:
      entry.source === undefined ? undefined : listOf(entry.source).flatMap((text) => parseAddressRange(text) ?? []),
    afterMs: timeOr(entry.after, Number.NEGATIVE_INFINITY),
    beforeMs: timeOr(entry.before, Number.POSITIVE_INFINITY),
  };
}
