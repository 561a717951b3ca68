import type { SallyportError } from "../../base/errors.ts";
import { testFailure } from "../../config/load-policy.ts";
import type { ParsedPolicy } from "../../config/parse-policy.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { runTests, type TestResult, untestedGrants } from "../../policy/review/run-tests.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { PolicyFilesFlags } from "../policy-commands.ts";
import { parsedPolicy, policyFilesOf, readPolicy } from "../policy-file.ts";
import { reportVerdict, warn } from "../report.ts";
import { type Cell, table } from "../table.ts";
import { type Colours, printable } from "../terminal.ts";

const HEAD = ["RESULT", "FROM", "VERB", "TARGET", "EXPECTED", "GOT", "BY", "LINE"];

/** The tests of one file. */
interface Tested {
  readonly file: string;
  readonly node: string;
  readonly parsed: ParsedPolicy;
  readonly results: readonly TestResult[];
  /** Grants that no test looks at. */
  readonly untested: readonly string[];
}

/**
 * `policy test FILE...`: runs the tests that stand in the files.
 * @throws {SallyportError} what reading and parsing files throws
 */
export async function policyTest(
  world: CommandWorld,
  flags: PolicyFilesFlags,
  named: readonly string[],
): Promise<ExitCode> {
  const chosen = policyFilesOf(flags, named, world);
  warn(world.terminal, chosen.warnings);
  const files = chosen.files.map((file): Tested => {
    const parsed = parsedPolicy(readPolicy(file, world), world);
    const policy = compilePolicy(parsed.document);
    const results = runTests(policy, world.clock.wallMs());
    return { file, node: policy.node, parsed, results, untested: untestedGrants(policy, results) };
  });
  const { terminal } = world;
  return reportVerdict(terminal, {
    result: { passed: sum(files, true), failed: sum(files, false), files: files.map(jsonOf), notes: chosen.warnings },
    human: files.map((file) => textOf(file, terminal.colours)).join("\n\n"),
    failure: failureOf(files),
    exit: 1,
  });
}

function sum(files: readonly Tested[], passed: boolean): number {
  return files.flatMap(({ results }) => results).filter((result) => result.passed === passed).length;
}

function jsonOf({ file, node, results, untested, parsed }: Tested): Readonly<Record<string, unknown>> {
  const tests = results.map(({ index, test, passed, outcome, rule }) => {
    const line = Number.parseInt(parsed.placeOf(["tests", index]), 10);
    return { ...test, expectedRule: test.rule ?? null, passed, outcome, rule, line };
  });
  return { file, node, tests, untestedGrants: untested };
}

function textOf({ file, node, results, untested, parsed }: Tested, colours: Colours): string {
  const rows = results.map(({ index, test, passed, outcome, rule }): readonly Cell[] => [
    passed ? { text: "ok", colour: colours.green } : { text: "FAIL", colour: colours.red },
    test.from,
    test.verb,
    test.to ?? "",
    test.rule === undefined ? test.expect : `${test.expect} by ${test.rule}`,
    passed ? outcome : { text: outcome, colour: colours.red },
    rule ?? "",
    parsed.placeOf(["tests", index]).replace(/:.*/, ""),
  ]);
  const failed = results.filter(({ passed }) => !passed).length;
  const tests = `${results.length} test${results.length === 1 ? "" : "s"}`;
  const verdict = failed === 0 ? colours.green(`${tests} passed`) : colours.red(`${failed} of ${tests} failed`);
  return [
    `${printable(file)}: policy of ${printable(node)}`,
    ...(rows.length === 0 ? [] : [table(HEAD, rows, colours.dim)]),
    verdict,
    ...hintsOf(results, untested).map((hint) => `${colours.yellow("hint:")} ${printable(hint)}`),
  ].join("\n");
}

/** What the tests leave out. */
function hintsOf(results: readonly TestResult[], untested: readonly string[]): readonly string[] {
  const refusals = results.filter(({ test }) => test.expect !== "allow").length;
  return [
    ...(untested.length === 0 ? [] : [`no test passes by these grants: ${untested.join(", ")}`]),
    ...(refusals === 0 ? ["no test expects a refusal; say what must never be allowed"] : []),
  ];
}

function failureOf(files: readonly Tested[]): SallyportError | undefined {
  for (const { file, parsed, results } of files) {
    const failed = results.filter(({ passed }) => !passed);
    if (failed.length > 0) return testFailure(failed, parsed, file);
  }
  return undefined;
}
