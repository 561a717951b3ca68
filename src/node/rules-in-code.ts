import type { AllowRule } from "../guard/allow.ts";
import type { RuleInCode } from "./api.ts";
import type { Functions } from "./functions.ts";
import type { NodeProcesses } from "./node-process.ts";

/** What `allow` grants on named services and on functions, in the order of their registration. */
export function rulesInCode({ names }: NodeProcesses, functions: Functions): readonly RuleInCode[] {
  const rules: RuleInCode[] = [];
  for (const name of names.names()) {
    const rule = names.whereis(name)?.tag;
    if (rule !== undefined) rules.push(shown("process", name, rule));
  }
  for (const { label, rule } of functions.rules()) rules.push(shown("function", label, rule));
  return rules;
}

function shown(kind: RuleInCode["kind"], target: string, rule: AllowRule): RuleInCode {
  return { rule: `code:${target}`, kind, target, ...rule.describe() };
}
