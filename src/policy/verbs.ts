/** What an inbound operation is, in the words of a policy (docs/policy.md). Closed list. */
export const VERBS = [
  "connect",
  "send",
  "call",
  "cast",
  "rpc",
  "spawn",
  "monitor",
  "link",
  "exit",
  "io",
  "registry",
  "pubsub",
  "system",
  "stream",
] as const;

export type Verb = (typeof VERBS)[number];

/** Verbs without an operation yet: no rule can grant them, so they deny. */
export const RESERVED_VERBS: readonly Verb[] = ["registry", "pubsub"];

/** Verbs that `*` never grants: each needs its target spelled out (`M:*` `/*` at most). */
export const SPELLED_OUT_VERBS: readonly Verb[] = ["rpc", "spawn", "system"];

/** True for one of the verbs. */
export function isVerb(value: unknown): value is Verb {
  return typeof value === "string" && (VERBS as readonly string[]).includes(value);
}
