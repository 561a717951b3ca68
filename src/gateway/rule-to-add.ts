import type { Decision } from "../policy/decision.ts";
import { otherSide } from "./message-filter.ts";
import type { GatewayMessage } from "./notices.ts";
import { SHELL_RULE } from "./refusal-advice.ts";

type Denied = Extract<GatewayMessage, { readonly kind: "denied" }>;

/** Rules of a commander's option that an entry of a list lifts. */
const LISTS: readonly string[] = ["functions", "calls", "granted"];

/**
 * What to write into the configuration, or into which policy, so that such a message passes; one sentence without a full stop.
 * Undefined where nothing should be written.
 */
export function ruleToAdd(message: Denied): string | undefined {
  const { decision, rule, from } = message;
  if (decision === undefined) {
    if (rule === SHELL_RULE) return 'set filter.leaders to "shell", where somebody means to be asked';
    const inbox = rule?.startsWith("inbox: ") === true ? rule.slice("inbox: ".length) : undefined;
    return inbox === undefined ? undefined : `add to filter.inbox: ${inbox}`;
  }
  if (decision.generation > 0) return policyRule(message, decision);
  if (rule === undefined || decision.outcome === "deny-default")
    return `give the node a policy: filter.policies.${otherSide(from)}`;
  if (LISTS.includes(rule)) return listEntry(rule, decision.target);
  if (rule === "funs") return "set filter.allow.funs to true";
  if (rule === "killOnlyChildren") return "remove filter.allow.killOnlyChildren";
  return undefined;
}

function listEntry(rule: string, target: string): string {
  if (target === "process")
    return "remove filter.allow.calls: with it pids are reached only where they are own children";
  if (rule === "functions" && !target.includes(":"))
    return "name the function in filter.allow.functions, and call it as module:function/arity";
  const entry = `add ${JSON.stringify(target)} to filter.allow.${rule}`;
  return rule === "granted" ? `${entry}: it can stop or take over the node` : entry;
}

function policyRule({ from, ...message }: Denied, { outcome, rule, alias, verb, target }: Decision): string {
  const file = `the policy of ${message[otherSide(from)]}`;
  if (outcome === "deny-rule") return `see rule ${rule} of ${file}, which denies it`;
  if (outcome === "deny-limit")
    return rule === null ? `see the limits of ${file}` : `see the limits of rule ${rule} of ${file}`;
  const to = target === "process" ? "any-pid" : target;
  const entry = {
    id: idOf(verb, target),
    from: alias ?? message[from],
    allow: verb,
    ...(target === "node" ? {} : { to }),
  };
  return `add to rules of ${file}: ${JSON.stringify(entry)}`;
}

/** An id that says what the rule is for. */
function idOf(verb: string, target: string): string {
  return `${verb}-${target.replaceAll(/[^A-Za-z0-9]+/g, "-")}`.slice(0, 64).replace(/-$/, "");
}
