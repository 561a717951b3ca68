import { SallyportError } from "../base/errors.ts";
import { takeDocument } from "./check/check-document.ts";
import type { PolicyDocument } from "./document.ts";
import { Policy } from "./policy.ts";
import { formatPath, type PolicyProblem } from "./problem.ts";

export { checkDocument } from "./check/check-document.ts";

/** Problems that one message names. */
const NAMED_PROBLEMS = 5;

/**
 * Checks a document, also one that no compiler has seen, and compiles a copy of it. `generation` counts the policies of a
 * running node, default 1. `checkDocument` gives all problems, each with its place.
 * @throws {SallyportError} ERR_CONFIG POLICY_INVALID
 */
export function compilePolicy(document: PolicyDocument, generation: number = 1): Policy {
  const checked = takeDocument(document);
  if (checked.kind === "invalid") throw invalidPolicy(checked.problems);
  return new Policy(checked.document, generation, true);
}

/**
 * What holds on a node without a policy: every authenticated peer may connect, and has what `allow` in code grants.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID
 */
export function policyWithoutFile(node: string): Policy {
  return new Policy(Object.freeze({ version: 1, node }), 0, false);
}

function invalidPolicy(problems: readonly PolicyProblem[]): SallyportError {
  const named = problems.slice(0, NAMED_PROBLEMS).map((problem) => `${formatPath(problem.path)}: ${problem.message}`);
  const more = problems.length - named.length;
  const rest = more > 0 ? `; and ${more} more` : "";
  return new SallyportError("ERR_CONFIG", "POLICY_INVALID", `the policy is not valid: ${named.join("; ")}${rest}`, {
    stage: "policy",
    detail: { problems: problems.length },
    advice: "correct the places that the message names; docs/policy.md says what each key may be",
  });
}
