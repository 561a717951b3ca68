import { isSallyportError, SallyportError } from "../../base/errors.ts";
import { testFailure, testText } from "../../config/load-policy.ts";
import { readPolicyFile } from "../../config/parse-policy.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { formatPath } from "../../policy/problem.ts";
import { lintPolicy } from "../../policy/review/lint.ts";
import { runTests } from "../../policy/review/run-tests.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { PolicyFilesFlags } from "../policy-commands.ts";
import { policyFilesOf, quicListenersOf, type ReadPolicy, readPolicy } from "../policy-file.ts";
import { reportVerdict, warn } from "../report.ts";
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

/** The same, and what it means for the whole command when it is no mistake of the form. */
interface Verdict {
  readonly checked: Checked;
  readonly failure?: SallyportError;
}

/**
 * `policy check FILE...`: whether a node would take these files, and what is unwise in them. Every file is reported on.
 * @throws {SallyportError} what `policyFilesOf` throws
 */
export async function policyCheck(
  world: CommandWorld,
  flags: PolicyFilesFlags,
  named: readonly string[],
): Promise<ExitCode> {
  const chosen = policyFilesOf(flags, named, world);
  const verdicts = chosen.files.map((file) => check(file, world, quicListenersOf(chosen.listen) === "all"));
  const files = verdicts.map(({ checked }) => checked);
  const human = files.map((file) => textOf(file, world.terminal.colours)).join("\n");
  warn(world.terminal, chosen.warnings);
  return reportVerdict(world.terminal, {
    result: { files, notes: chosen.warnings },
    human,
    failure: failureOf(verdicts),
  });
}

function check(file: string, world: CommandWorld, onlyQuic: boolean): Verdict {
  try {
    return checkText(readPolicy(file, world), world, onlyQuic);
  } catch (failure) {
    if (!isSallyportError(failure)) throw failure;
    const message = failure.message.replace(/^\[ERR_[A-Z_]+\] /, "");
    return { checked: unusable(file, [{ line: 1, column: 1, message }]), failure };
  }
}

function checkText({ file, text }: ReadPolicy, { environment, clock }: CommandWorld, onlyQuic: boolean): Verdict {
  const reading = readPolicyFile(text, { file, environment });
  if (!reading.ok) {
    return {
      checked: unusable(
        file,
        reading.problems.map(({ place, message }) => remark(place, message)),
      ),
    };
  }
  const { document, placeOf } = reading.policy;
  const policy = compilePolicy(document);
  const nowMs = clock.wallMs();
  const failed = runTests(policy, nowMs).filter(({ passed }) => !passed);
  const problems = failed.map(({ index, test, outcome }) => {
    const message = `this test fails, and a node does not load the file: ${testText(test)} is ${outcome}`;
    return remark(placeOf(["tests", index]), message);
  });
  const checked: Checked = {
    file,
    node: document.node,
    problems,
    warnings: lintPolicy(policy, nowMs, onlyQuic).map(({ path, message }) =>
      remark(placeOf(path), `${formatPath(path)}: ${message}`),
    ),
    peers: Object.keys(document.peers ?? {}).length,
    rules: document.rules?.length ?? 0,
    tests: document.tests?.length ?? 0,
  };
  return failed.length === 0 ? { checked } : { checked, failure: testFailure(failed, reading.policy, file) };
}

function unusable(file: string, problems: readonly Remark[]): Checked {
  return { file, node: null, problems, warnings: [], peers: 0, rules: 0, tests: 0 };
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
    node === null || problems.length > 0
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

function failureOf(verdicts: readonly Verdict[]): SallyportError | undefined {
  const wrong = verdicts.filter(({ checked }) => checked.problems.length > 0);
  const [first] = wrong;
  if (first === undefined) return undefined;
  if (wrong.length === 1 && first.failure !== undefined) return first.failure;
  const { file, problems } = first.checked;
  const [problem] = problems;
  const where = `${file}:${problem?.line ?? 1}:${problem?.column ?? 1}`;
  const others = wrong.reduce((sum, { checked }) => sum + checked.problems.length, 0) - 1;
  const more = others > 0 ? ` (and ${others} more)` : "";
  const message = `${wrong.length} of ${count(verdicts.length, "file")} cannot be used: ${where}: ${problem?.message}${more}`;
  return new SallyportError("ERR_CONFIG", "POLICY_INVALID", message, {
    stage: "policy",
    advice: "correct the places that are named; docs/policy.md says what each key may be",
  });
}
