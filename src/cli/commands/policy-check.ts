import { SallyportError } from "../../base/errors.ts";
import { testText } from "../../config/load-policy.ts";
import { type ParsedPolicy, readPolicyFile } from "../../config/parse-policy.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { formatPath } from "../../policy/problem.ts";
import { lintPolicy } from "../../policy/review/lint.ts";
import { runTests } from "../../policy/review/run-tests.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { PolicyFilesFlags } from "../policy-commands.ts";
import { policyFilesOf, type ReadPolicy, readPolicy } from "../policy-file.ts";
import { reportVerdict } from "../report.ts";
import { type Colours, printable } from "../terminal.ts";

/** One thing to say about a file. */
interface Remark {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

interface Checked {
  readonly file: string;
  /** Of the policy; null when the file has none that can be used. */
  readonly node: string | null;
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
  readonly peers: number;
  readonly rules: number;
  readonly tests: number;
}

/**
 * `policy check FILE...`: whether a node would take these files, and what is unwise in them.
 * @throws {SallyportError} what reading files throws
 */
export async function policyCheck(
  world: CommandWorld,
  flags: PolicyFilesFlags,
  named: readonly string[],
): Promise<ExitCode> {
  const files = policyFilesOf(flags, named, world).map((file) => check(readPolicy(file, world), world));
  const wrong = files.filter(({ problems }) => problems.length > 0);
  const human = files.map((file) => textOf(file, world.terminal.colours)).join("\n");
  return reportVerdict(world.terminal, { result: { files }, human, failure: failureOf(files.length, wrong) });
}

function check({ file, text }: ReadPolicy, { environment, clock }: CommandWorld): Checked {
  const reading = readPolicyFile(text, { file, environment });
  if (!reading.ok) {
    const problems = reading.problems.map(({ place, message }) => remark(place, message));
    return { file, node: null, problems, warnings: [], peers: 0, rules: 0, tests: 0 };
  }
  const { document } = reading.policy;
  return {
    file,
    node: document.node,
    problems: [],
    warnings: warningsOf(reading.policy, clock.wallMs()),
    peers: Object.keys(document.peers ?? {}).length,
    rules: document.rules?.length ?? 0,
    tests: document.tests?.length ?? 0,
  };
}

function warningsOf({ document, placeOf }: ParsedPolicy, nowMs: number): Remark[] {
  const policy = compilePolicy(document);
  const failed = runTests(policy, nowMs).filter(({ passed }) => !passed);
  return [
    ...failed.map(({ index, test, outcome }) => {
      const message = `this test fails, and a node does not load the file: ${testText(test)} is ${outcome}`;
      return remark(placeOf(["tests", index]), message);
    }),
    ...lintPolicy(policy, nowMs).map(({ path, message }) => remark(placeOf(path), `${formatPath(path)}: ${message}`)),
  ];
}

/** `place` is `line:column`. */
function remark(place: string, message: string): Remark {
  const [line = 1, column = 1] = place.split(":").map(Number);
  return { line, column, message };
}

function textOf({ file, node, problems, warnings, peers, rules, tests }: Checked, colours: Colours): string {
  const lines = (word: string, remarks: readonly Remark[]): string[] =>
    remarks.map(({ line, column, message }) => `${printable(file)}:${line}:${column}: ${word} ${printable(message)}`);
  const verdict =
    node === null
      ? colours.red("cannot be used")
      : `${colours.green("ok")}  policy of ${printable(node)}: ${count(peers, "peer")}, ${count(rules, "rule")}, ${count(tests, "test")}`;
  return [
    ...lines(colours.red("error:"), problems),
    ...lines(colours.yellow("warning:"), warnings),
    `${printable(file)}: ${verdict}`,
  ].join("\n");
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function failureOf(all: number, wrong: readonly Checked[]): SallyportError | undefined {
  const [first] = wrong;
  if (first === undefined) return undefined;
  const [problem] = first.problems;
  const where = `${first.file}:${problem?.line ?? 1}:${problem?.column ?? 1}`;
  const others = wrong.reduce((sum, { problems }) => sum + problems.length, 0) - 1;
  const more = others > 0 ? ` (and ${others} more)` : "";
  const message = `${wrong.length} of ${count(all, "file")} cannot be used: ${where}: ${problem?.message}${more}`;
  return new SallyportError("ERR_CONFIG", "POLICY_INVALID", message, {
    stage: "policy",
    advice: "correct the places that are named; docs/policy.md says what each key may be",
  });
}
