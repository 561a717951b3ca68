import type { Outcome, TestEntry } from "../document.ts";
import type { Policy } from "../policy.ts";
import { judge } from "./judge.ts";

/** What came of one test of a policy file. */
export interface TestResult {
  /** Its place in `tests`. */
  readonly index: number;
  readonly test: TestEntry;
  readonly passed: boolean;
  readonly outcome: Outcome;
  /** The rule that decided, or null. */
  readonly rule: string | null;
  /** Ids of the grants that let it through, in the order in which they are tried. */
  readonly grants: readonly string[];
}

/** Runs the tests of a policy's own file at `nowMs` (Unix milliseconds), in their order. */
export function runTests(policy: Policy, nowMs: number): readonly TestResult[] {
  return (policy.document.tests ?? []).map((test, index) => {
    const { outcome, rule, verdict } = judge(policy, test.from, test.verb, test.to, nowMs);
    const passed = isExpected(test.expect, outcome) && (test.rule === undefined || test.rule === rule);
    return { index, test, passed, outcome, rule, grants: verdict?.grants.map((grant) => grant.rule) ?? [] };
  });
}

function isExpected(expect: TestEntry["expect"], outcome: Outcome): boolean {
  return expect === "deny" ? outcome !== "allow" : expect === outcome;
}

/** Ids of the grants that no passing test reaches, in the order of the file. */
export function untestedGrants(policy: Policy, results: readonly TestResult[]): readonly string[] {
  const tested = new Set(
    results.filter((result) => result.passed && result.test.expect === "allow").flatMap((result) => result.grants),
  );
  return policy.rules.filter((rule) => rule.effect === "allow" && !tested.has(rule.id)).map((rule) => rule.id);
}
