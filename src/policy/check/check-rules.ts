import { didYouMean } from "../../base/nearest-name.ts";
import { formatModuleName, parseTargetText } from "../parse-target.ts";
import { formatPath, type JsonPath, type ProblemList, quoted } from "../problem.ts";
import { CODE_REACHING_MODULES } from "../review/code-reaching.ts";
import { isVerb, RESERVED_VERBS, SPELLED_OUT_VERBS, VERBS, type Verb } from "../verbs.ts";
import { DOMAIN_NAME } from "./check-peers.ts";
import { checkShape } from "./check-shape.ts";
import {
  checkConditions,
  checkLimits,
  checkWord,
  field,
  objectOf,
  type Plain,
  textsOf,
  timeOf,
} from "./check-values.ts";

const RULE_KEYS = ["id", "from", "allow", "deny", "to", "when", "shape", "limits", "mode", "until"];
const RULE_ID = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
/** What decides when no rule of the file does. */
export const RULE_NAMES_TAKEN: readonly string[] = ["level", "domain", "peer"];
/** Verbs whose message has a payload that a shape can describe. */
const SHAPED_VERBS: readonly Verb[] = ["send", "call", "cast", "rpc", "spawn"];

/** Checks `rules`; returns their ids. */
export function checkRules(value: unknown, aliases: ReadonlySet<string>, problems: ProblemList): ReadonlySet<string> {
  const ids = new Map<string, JsonPath>();
  if (value === undefined) return new Set();
  if (!Array.isArray(value)) {
    problems.add(["rules"], `must be a list of rules, not ${quoted(value)}`);
    return new Set();
  }
  for (const [i, entry] of value.entries()) {
    if (problems.isFull) break;
    const path = ["rules", i];
    const rule = objectOf(entry, RULE_KEYS, path, problems);
    if (rule === undefined) continue;
    checkId(field(rule, "id"), path, ids, problems);
    checkFrom(field(rule, "from"), path, aliases, problems);
    checkRule(rule, path, problems);
  }
  return new Set(ids.keys());
}

function checkId(id: unknown, path: JsonPath, ids: Map<string, JsonPath>, problems: ProblemList): void {
  if (typeof id !== "string" || !RULE_ID.test(id) || RULE_NAMES_TAKEN.includes(id)) {
    const taken = `other than ${RULE_NAMES_TAKEN.join(", ")}`;
    problems.add(path, `needs an id of up to 64 letters, digits, _, . and -, ${taken}; ${quoted(id)} is none`);
    return;
  }
  const before = ids.get(id);
  if (before === undefined) ids.set(id, path);
  else problems.add([...path, "id"], `${quoted(id)} is already the id of ${formatPath(before)}`);
}

function checkFrom(from: unknown, path: JsonPath, aliases: ReadonlySet<string>, problems: ProblemList): void {
  if (from === undefined) {
    problems.add(path, "needs from: an alias, level:N, domain:X or *");
    return;
  }
  for (const [text, at] of textsOf(from, [...path, "from"], problems)) {
    if (text === "*" || aliases.has(text)) continue;
    if (text.startsWith("level:")) {
      if (!/^level:(?:0|[1-9]\d{0,14})$/.test(text)) problems.add(at, `${quoted(text)} is no level; write level:N`);
    } else if (text.startsWith("domain:")) {
      if (!DOMAIN_NAME.test(text.slice(7))) problems.add(at, `${quoted(text)} names no domain`);
    } else
      problems.add(
        at,
        `${quoted(text)} is no alias of peers; write one, level:N, domain:X or *${didYouMean(text, [...aliases])}`,
      );
  }
}

function checkRule(rule: Plain, path: JsonPath, problems: ProblemList): void {
  const allow = field(rule, "allow");
  const deny = field(rule, "deny");
  const mode = field(rule, "mode");
  if ((allow === undefined) === (deny === undefined)) {
    problems.add(path, allow === undefined ? "needs allow or deny" : "has allow and deny; write two rules");
  }
  if (mode !== undefined) checkWord(mode, ["enforce", "audit"], [...path, "mode"], problems);
  const when = field(rule, "when");
  if (when !== undefined) checkConditions(when, [...path, "when"], problems);
  checkUntil(field(rule, "until"), mode, deny !== undefined, path, problems);
  if (allow !== undefined) checkAllow(rule, verbsOf(allow, [...path, "allow"], problems), path, problems);
  if (deny !== undefined) checkDeny(rule, verbsOf(deny, [...path, "deny"], problems), path, problems);
}

function checkUntil(until: unknown, mode: unknown, denies: boolean, path: JsonPath, problems: ProblemList): void {
  if (until === undefined) {
    if (mode === "audit") problems.add(path, "is in audit mode and needs until, a date");
    return;
  }
  timeOf(until, [...path, "until"], problems);
  if (denies && mode !== "audit") {
    problems.add([...path, "until"], "belongs to mode audit; to end a deny, say when.before");
  }
}

function verbsOf(value: unknown, path: JsonPath, problems: ProblemList): readonly (readonly [Verb, JsonPath])[] {
  const verbs: [Verb, JsonPath][] = [];
  for (const [text, at] of textsOf(value, path, problems)) {
    if (isVerb(text)) verbs.push([text, at]);
    else problems.add(at, `${quoted(text)} is no verb; verbs are ${VERBS.join(", ")}${didYouMean(text, VERBS)}`);
  }
  return verbs;
}

type Verbs = readonly (readonly [Verb, JsonPath])[];

function checkAllow(rule: Plain, verbs: Verbs, path: JsonPath, problems: ProblemList): void {
  const shape = field(rule, "shape");
  for (const [verb, at] of verbs) {
    if (RESERVED_VERBS.includes(verb)) problems.add(at, `${verb} is reserved: nothing grants it`);
    if (verb === "connect") problems.add(at, "connect comes with an entry of peers; a rule can only take it away");
    if (verb === "system" && field(rule, "mode") === "audit") problems.add(at, "system cannot be in audit mode");
    if (shape !== undefined && !SHAPED_VERBS.includes(verb)) {
      problems.add([...path, "shape"], `${verb} has no payload to look at; shapes are for ${SHAPED_VERBS.join(", ")}`);
    }
  }
  if (shape !== undefined) checkShape(shape, [...path, "shape"], problems);
  const limits = field(rule, "limits");
  if (limits !== undefined) checkLimits(limits, [...path, "limits"], problems);
  const spelledOut = verbs.map(([verb]) => verb).filter((verb) => SPELLED_OUT_VERBS.includes(verb));
  const system = spelledOut.includes("system");
  for (const [text, at] of targetsOf(rule, path, problems)) {
    const matcher = parseTargetText(text);
    if (matcher?.kind === "star" && spelledOut.length > 0) {
      problems.add(at, `* never grants ${spelledOut.join(" and ")}; name the targets`);
    } else if ((matcher?.kind === "any-pid" || matcher?.kind === "granted-pids") && system) {
      problems.add(at, `${text} never grants system; name the targets`);
    } else if (matcher?.kind === "module" && CODE_REACHING_MODULES.includes(matcher.module)) {
      problems.add(at, `${formatModuleName(matcher.module)} runs what it is given; name the function and its arity`);
    }
  }
}

function checkDeny(rule: Plain, verbs: Verbs, path: JsonPath, problems: ProblemList): void {
  for (const key of ["shape", "limits"]) {
    if (field(rule, key) !== undefined) problems.add([...path, key], "belongs to a grant, not to a deny");
  }
  const audit = field(rule, "mode") === "audit";
  for (const [verb, at] of verbs) {
    if (audit && (verb === "connect" || verb === "system")) problems.add(at, `${verb} cannot be in audit mode`);
  }
  const onlyConnect = verbs.length > 0 && verbs.every(([verb]) => verb === "connect");
  if (!onlyConnect) targetsOf(rule, path, problems);
  else if (field(rule, "to") !== undefined) problems.add([...path, "to"], "means nothing for connect; leave it out");
}

function targetsOf(rule: Plain, path: JsonPath, problems: ProblemList): readonly (readonly [string, JsonPath])[] {
  const to = field(rule, "to");
  if (to === undefined) {
    problems.add(path, "needs to: what the verbs may reach, such as a name, M:F/A, granted-pids or *");
    return [];
  }
  const texts = textsOf(to, [...path, "to"], problems);
  for (const [text, at] of texts) {
    if (parseTargetText(text) === undefined) {
      problems.add(at, `${quoted(text)} is no target; write a name, M:F/A, M:*/*, granted-pids, any-pid or *`);
    }
  }
  return texts;
}
