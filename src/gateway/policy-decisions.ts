import type { SessionGuard } from "../guard/session-guard.ts";
import type { LiveTarget } from "../guard/verdicts.ts";
import type { Shortfall } from "../guard/weigh.ts";
import type { Grant, NearestMiss, Verdict } from "../policy/decision.ts";
import type { Outcome } from "../policy/document.ts";
import type { Verb } from "../policy/verbs.ts";
import { DEFAULT_TERM_LIMITS } from "../term/limits.ts";
import type { CommanderDecision, CommanderRequest, Decide } from "./profile.ts";

/** What became of one operation, before it has an id. */
export interface Ruling {
  readonly outcome: Outcome;
  readonly rule: string | null;
  readonly nearestMiss: NearestMiss | null;
  readonly mode: "enforce" | "audit";
}

/** What decides by a policy. */
export interface PolicyDecisionsParts {
  /** The rules in force for the node that sends. Asked each time: they may have changed. */
  guard(): SessionGuard;
  /** Takes note of a refusal, or of what audit mode lets through, and gives its id. */
  record(request: CommanderRequest, ruling: Ruling): string;
  /** The rule by which an operation passed. */
  allowed(rule: string): void;
}

/** Every process of the node behind the gateway: whether it has a name is not known here. */
const PROCESS: LiveTarget = Object.freeze({ name: undefined, tag: undefined });
const TERMS = { limits: DEFAULT_TERM_LIMITS, atomRefs: undefined };
const ALLOWED: CommanderDecision = Object.freeze({ allowed: true });
const WITH_CONTENT: Shortfall = { kind: "shortfall", outcome: "deny-limit", rule: null, miss: null };

/**
 * The rules of a node's policy for what the other node of the pair may do to it, with the same verdicts, weights and rates as
 * a Sallyport node applies to its own sessions. What the commander has spawned is granted to it (`granted-pids`).
 */
export function policyDecisions(parts: PolicyDecisionsParts): Decide {
  return (request) => {
    const guard = parts.guard();
    const verdict = verdictOn(guard, request);
    if (verdict.outcome !== "allow") {
      const { outcome, rule, nearestMiss } = verdict;
      return refused(parts, request, { outcome, rule, nearestMiss, mode: "enforce" });
    }
    const grant = grantFor(guard, verdict, request);
    if (grant !== undefined && "kind" in grant) {
      const { outcome, rule, miss } = grant;
      return refused(parts, request, { outcome, rule, nearestMiss: miss, mode: "enforce" });
    }
    const given = grant ?? verdict.grants[0];
    const rule = verdict.auditedDeny ?? given?.rule ?? null;
    if (given?.mode === "audit") parts.record(request, { outcome: "allow", rule, nearestMiss: null, mode: "audit" });
    const kind = request.verb === "call" ? "call" : "function";
    const isCounted = isBounded(guard, given) && WAITING.includes(request.verb);
    if (isCounted && !guard.enter(kind, given)) {
      const bound = given?.rule ?? null;
      return refused(parts, request, { outcome: "deny-limit", rule: bound, nearestMiss: null, mode: "enforce" });
    }
    parts.allowed(rule ?? "policy");
    return isCounted ? { allowed: true, leave: () => guard.leave(kind, given) } : ALLOWED;
  };
}

/** What somebody waits for. */
const WAITING: readonly Verb[] = ["call", "rpc", "spawn"];

function isBounded(guard: SessionGuard, grant: Grant | undefined): boolean {
  return grant?.limits?.inflight !== undefined || guard.authority.peerBounds.inflight !== undefined;
}

function refused(parts: PolicyDecisionsParts, request: CommanderRequest, ruling: Ruling): CommanderDecision {
  return { allowed: false, id: parts.record(request, ruling), rule: ruling.rule ?? ruling.outcome };
}

/** Whether a tie that was set before would be allowed by the rules of now. Uses up no rate. */
export function mayStand(guard: SessionGuard, { verb, target }: Pick<CommanderRequest, "verb" | "target">): boolean {
  return verdictOn(guard, { verb, target, isOwnChild: false }).outcome === "allow";
}

function verdictOn(
  guard: SessionGuard,
  { verb, target, isOwnChild }: Omit<CommanderRequest, "hasFun" | "payload">,
): Verdict {
  const access = isOwnChild ? "by-granted-pid" : "by-pid";
  switch (target.kind) {
    case "function":
      return guard.onFunction(verb === "rpc" ? "rpc" : "spawn", target.label, undefined);
    case "name":
      return verb === "monitor"
        ? guard.watchingMissing(target.name, undefined)
        : guard.onMissing(verb, target.name, undefined);
    default:
      return verb === "monitor" ? guard.watching(PROCESS, access, 0) : guard.onProcess(verb, PROCESS, access, 0);
  }
}

/** The grant by which it passes, undefined where nothing needs weighing, or what it lacks. */
function grantFor(guard: SessionGuard, verdict: Verdict, request: CommanderRequest): Grant | Shortfall | undefined {
  const { payload, hasFun } = request;
  if (payload === undefined) return guard.isOpen(verdict) ? undefined : (guard.spend(verdict) ?? WITH_CONTENT);
  const weighed = guard.isOpen(verdict) ? undefined : guard.weigh(verdict, payload, TERMS);
  if (weighed !== undefined && "kind" in weighed) return weighed;
  return hasFun && !guard.mayFuns(weighed ?? verdict.grants[0]) ? WITH_CONTENT : weighed;
}
