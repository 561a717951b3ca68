import type { Bounds } from "../policy/bounds.ts";
import type { Grant, Target, Verdict } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";

/** A rule written in code, as it bears on one peer: `permits` says whether it grants what is asked. */
export interface CodeGrant {
  /** `code:NAME`. */
  readonly rule: string;
  readonly permits: boolean;
}

/** The rules that concern one session. `policy`'s Authority is one; `CodeJudge` stands in where there is no policy. */
export interface Judge {
  /** The peer's alias in the policy, or null. */
  readonly alias: string | null;
  /** Bounds of the peer as a whole; undefined: those of docs/limits.md alone. */
  readonly peerBounds: Bounds | undefined;
  /** Pure: equal arguments give equal verdicts. Never throws. */
  decide(verb: Verb, target: Target, nowMs: number, code?: CodeGrant): Verdict;
}

/** The verdict on what nothing grants. */
export const DENIED_BY_DEFAULT: Verdict = {
  outcome: "deny-default",
  rule: null,
  grants: [],
  plain: false,
  nearestMiss: null,
  validUntilMs: Number.POSITIVE_INFINITY,
};

/** What code grants without bounds. */
export function plainVerdict(rule: string): Verdict {
  const grant: Grant = { rule, shape: undefined, limits: undefined, mode: "enforce" };
  return {
    outcome: "allow",
    rule,
    grants: [grant],
    plain: true,
    nearestMiss: null,
    validUntilMs: Number.POSITIVE_INFINITY,
  };
}

const CONNECT: Verdict = plainVerdict("authenticated");

/** A node without a policy: whoever is authenticated may connect, and has what `allow` in code grants. */
export class CodeJudge implements Judge {
  readonly alias = null;
  readonly peerBounds = undefined;

  decide(verb: Verb, _target: Target, _nowMs: number, code?: CodeGrant): Verdict {
    if (verb === "connect") return CONNECT;
    return code?.permits === true ? plainVerdict(code.rule) : DENIED_BY_DEFAULT;
  }
}
