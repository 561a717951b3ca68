import { didYouMean } from "../../base/nearest-name.ts";
import { tryNodeName } from "../../base/node-name.ts";
import { parseOperationTarget, parseReplyTarget } from "../parse-target.ts";
import { type JsonPath, type ProblemList, quoted } from "../problem.ts";
import { isVerb, VERBS } from "../verbs.ts";
import { canonicalKeyText } from "./check-peers.ts";
import { RULE_NAMES_TAKEN } from "./check-rules.ts";
import { checkWord, field, objectOf, type Plain } from "./check-values.ts";

const TEST_KEYS = ["from", "verb", "to", "expect", "rule"];
const EXPECTATIONS = ["allow", "deny", "deny-rule", "deny-default", "deny-limit", "deny-identity", "deny-error"];

/** Checks `tests`, whose words must mean something; whether they pass is for `runTests`. */
export function checkTests(
  value: unknown,
  aliases: ReadonlySet<string>,
  rules: ReadonlySet<string>,
  problems: ProblemList,
): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) {
    problems.add(["tests"], `must be a list of tests, not ${quoted(value)}`);
    return;
  }
  for (const [i, entry] of value.entries()) {
    if (problems.isFull) break;
    const path = ["tests", i];
    const test = objectOf(entry, TEST_KEYS, path, problems);
    if (test === undefined) continue;
    const from = field(test, "from");
    if (typeof from !== "string" || !isKnownFrom(from, aliases)) {
      problems.add(
        [...path, "from"],
        `${quoted(from)} is no alias, node name, key or unknown${near(from, [...aliases, "unknown"])}`,
      );
    }
    checkWord(field(test, "expect"), EXPECTATIONS, [...path, "expect"], problems);
    checkTarget(test, path, problems);
    const rule = field(test, "rule");
    if (rule !== undefined && !(typeof rule === "string" && (rules.has(rule) || RULE_NAMES_TAKEN.includes(rule)))) {
      problems.add([...path, "rule"], `${quoted(rule)} is the id of no rule${near(rule, [...rules])}`);
    }
  }
}

function near(value: unknown, known: readonly string[]): string {
  return typeof value === "string" ? didYouMean(value, known) : "";
}

function isKnownFrom(from: string, aliases: ReadonlySet<string>): boolean {
  if (from === "unknown" || aliases.has(from)) return true;
  return tryNodeName(from) !== undefined || canonicalKeyText(from) !== undefined;
}

function checkTarget(test: Plain, path: JsonPath, problems: ProblemList): void {
  const verb = field(test, "verb");
  const to = field(test, "to");
  const at = [...path, "to"];
  if (to !== undefined && typeof to !== "string") problems.add(at, `must be a text, not ${quoted(to)}`);
  else if (verb === "reply") {
    if (parseReplyTarget(to) === undefined) problems.add(at, "must be call#open or call#closed for a reply");
  } else if (!isVerb(verb)) {
    problems.add(
      [...path, "verb"],
      `${quoted(verb)} is no verb; verbs are ${VERBS.join(", ")}, and reply${near(verb, VERBS)}`,
    );
  } else if (parseOperationTarget(verb, to) === undefined) {
    if (verb === "connect") problems.add(at, "means nothing for connect; leave it out");
    else if (to === undefined) problems.add(path, "needs to: the target of the operation");
    else problems.add(at, `${quoted(to)} is no single target; write a name, M:F/A, granted-pids or any-pid`);
  }
}
