import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { TestEntry } from "../policy/document.ts";
import type { Policy } from "../policy/policy.ts";
import { runTests, type TestResult } from "../policy/review/run-tests.ts";
import { type ParsedPolicy, type PolicySource, parsePolicyFile } from "./parse-policy.ts";

/** What a policy file is loaded for. */
export interface PolicyLoad extends PolicySource {
  /** The node that loads it; the file must be its own. */
  readonly node: NodeName;
  /** Of the policy that is made: counts the policies of a running node, from 1. */
  readonly generation: number;
  /** The time at which the tests of the file are run, Unix milliseconds. */
  readonly nowMs: number;
}

/**
 * A policy from the text of its file: parsed, checked, compiled, and its own tests passed. Pure, for a start and for a reload
 * alike: what throws leaves the policy in force that was before.
 * @throws {SallyportError} ERR_CONFIG POLICY_OTHER_NODE, POLICY_TEST_FAILED, and what `parsePolicyFile` throws
 */
export function policyFromText(text: string, load: PolicyLoad): Policy {
  const parsed = parsePolicyFile(text, load);
  const policy = compilePolicy(parsed.document, load.generation);
  if (policy.node !== canonicalName(load.node)) throw otherNode(parsed, policy.node, load);
  const failed = runTests(policy, load.nowMs).filter(({ passed }) => !passed);
  if (failed.length > 0) throw testFailure(failed, parsed, load.file);
  return policy;
}

/** The error for tests of a policy file that failed, at least one: the first in words, the others by their number. */
export function testFailure(failed: readonly TestResult[], { placeOf }: ParsedPolicy, file: string): SallyportError {
  const [first] = failed;
  const place = placeOf(["tests", first?.index ?? 0]);
  const said = first === undefined ? "a test" : `test "${quotePeerText(testText(first.test))}"`;
  const expected = first === undefined ? "?" : judgementText(first.test.expect, first.test.rule ?? null);
  const got = first === undefined ? "?" : judgementText(first.outcome, first.rule);
  const others = failed.length - 1;
  const more = others > 0 ? ` (and ${others} more)` : "";
  const message = `${file}:${place}: ${said} expected ${expected} and got ${got}${more}`;
  return new SallyportError("ERR_CONFIG", "POLICY_TEST_FAILED", message, {
    stage: "policy",
    advice: "correct the rule or the test; `sallyport policy test` shows all of them",
    detail: { failed: failed.length },
  });
}

/** What a test asks, in the words of `policy can`. */
export function testText({ from, verb, to }: TestEntry): string {
  return to === undefined ? `${from} ${verb}` : `${from} ${verb} ${to}`;
}

function judgementText(outcome: string, rule: string | null): string {
  return rule === null ? outcome : `${outcome} by ${quotePeerText(rule)}`;
}

function otherNode(parsed: ParsedPolicy, node: NodeName, load: PolicyLoad): SallyportError {
  const message = `${load.file}:${parsed.placeOf(["node"])}: this is the policy of ${node}, and this node is ${load.node}`;
  return new SallyportError("ERR_CONFIG", "POLICY_OTHER_NODE", message, {
    stage: "policy",
    advice: "name the policy file of this node, or correct `node` in it",
  });
}
