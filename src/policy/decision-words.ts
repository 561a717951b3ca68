import type { DecisionWhy, NearestMiss } from "./decision.ts";
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

/** What was done or is, behind the name of a peer or an operation, and what the owner of the policy can do about it. */
export interface RefusalWords {
  readonly what: string;
  readonly advice: string;
}

const QUIC_WAYS =
  "let this node dial it (then the policy there has to take the cookie), or let it connect over TLS; if the cookie is enough here, its " +
  'entry needs names and "assurance": "cookie" and no keys; rules with "when": {"transport": "barrel"} hold over QUIC alone';

const WORDS: Readonly<Record<DecisionWhy, RefusalWords>> = {
  "no-entry": { what: "is in no entry of the policy", advice: "add it to peers, with its key, if it is to connect" },
  "no-entry-over-quic": {
    what: "dialled in over QUIC and is in no entry of the policy",
    advice: `if it is to connect: a key lets nobody in who dials over QUIC, so ${QUIC_WAYS}`,
  },
  name: {
    what: "showed the key of another entry of the policy",
    advice: "add the name to that entry, or find out who it is",
  },
  key: {
    what: "has not the key that the policy names for it",
    advice: "compare the fingerprints; correct the entry only if the new key is the peer's",
  },
  "over-quic": {
    what: "dialled in over QUIC, so its key does not count and it is known by the cookie alone; its entry of the policy has keys or asks for more assurance",
    advice: QUIC_WAYS,
  },
  assurance: {
    what: "is known with less assurance than the policy asks for",
    advice: "promote or pin its key, or lower assurance in its entry",
  },
  rule: { what: "may not connect", advice: "see the rule that denies connect" },
  error: {
    what: "could not be judged by the policy",
    advice: "report it; check the policy with sallyport policy check",
  },
  "not-registered": {
    what: "is granted, and no function of this name is registered in the node",
    advice: "register the function in the node, with its number of arguments; a rule alone runs nothing",
  },
};

/** What a refusal has to say, in words. */
export function refusalWords(why: DecisionWhy): RefusalWords {
  return WORDS[why];
}

/** True for one of the words that `why` of a decision may be. For what comes from a log or another process. */
export function isDecisionWhy(value: unknown): value is DecisionWhy {
  return typeof value === "string" && Object.hasOwn(WORDS, value);
}

/** True for one of the outcomes. For what comes from a log or another process. */
export function isOutcome(value: unknown): value is Outcome {
  return typeof value === "string" && (OUTCOMES as readonly string[]).includes(value);
}

/** True for one of the reasons why the nearest rule did not count. */
export function isMissReason(value: unknown): value is NearestMiss["why"] {
  return typeof value === "string" && (MISSES as readonly string[]).includes(value);
}
