import { resolve } from "node:path";
import { isSallyportError, SallyportError } from "../../base/errors.ts";
import { compareSetups } from "../../certs/lint/compare-setups.ts";
import { type Finding, faultOf, strictly } from "../../certs/lint/finding.ts";
import { lintFolder } from "../../certs/lint/lint-folder.ts";
import { lintSetup } from "../../certs/lint/lint-setup.ts";
import { quotePath } from "../../identity/key-layout.ts";
import type { CertsCheckFlags } from "../certs-commands.ts";
import { certsDirectoryOf, certsWorldOf } from "../certs-directory.ts";
import { configSubject, folderSubject, type Subject, subjectAt } from "../certs-subjects.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { reportVerdict } from "../report.ts";
import { findConfig } from "../settings.ts";
import { type Colours, printable } from "../terminal.ts";

/**
 * `certs check [PATH...]`: finds what is wrong or unwise.
 * @throws {SallyportError} ERR_CONFIG CHECK_UNREADABLE, and as `findConfig`
 */
export async function certsCheck(
  world: CommandWorld,
  flags: CertsCheckFlags,
  named: readonly string[],
): Promise<ExitCode> {
  const parts = certsWorldOf(world);
  const subjects = subjectsOf(flags, named, world);
  const findings = subjects.flatMap(({ folder, setups, strict, found: already }) => {
    const found = [
      ...already,
      ...(folder === undefined ? [] : tryLint(folder, () => lintFolder(folder, parts))),
      ...setups.flatMap((setup) => lintSetup(setup, parts)),
    ];
    return strict || flags.strict === true ? strictly(found) : found;
  });
  const all = unique([...findings, ...compareSetups(subjects.flatMap(({ setups }) => setups))]);
  const errors = all.filter(({ severity }) => severity === "error");
  return reportVerdict(world.terminal, {
    result: {
      checked: subjects.map(({ path }) => path),
      findings: all,
      errors: errors.length,
      warnings: all.length - errors.length,
    },
    human: textOf(subjects, all, world.terminal.colours),
    failure: failureOf(errors),
  });
}

function subjectsOf(flags: CertsCheckFlags, named: readonly string[], world: CommandWorld): readonly Subject[] {
  if (named.length > 0) return named.map((path) => subjectAt(resolve(world.directory, path), world));
  const config = findConfig(flags, world);
  const own = config === undefined ? [] : [configSubject(config.file, world)];
  const strict = own.some((subject) => subject.strict);
  return [...own, folderSubject(certsDirectoryOf(flags, world), world, strict)];
}

function tryLint(path: string, lint: () => readonly Finding[]): readonly Finding[] {
  try {
    return lint();
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    return [faultOf(error, path)];
  }
}

function unique(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, file, message }) => {
    const key = `${code}\n${file}\n${message}`;
    return !seen.has(key) && seen.add(key);
  });
}

function textOf(
  subjects: readonly Subject[],
  findings: readonly Finding[],
  { red, yellow, green, dim }: Colours,
): string {
  const lines = findings.map(({ severity, code, file, message, advice }) => {
    const word = severity === "error" ? red("error:") : yellow("warning:");
    return `${printable(file)}: ${word} ${printable(message)} (${code})\n  ${dim(printable(advice))}`;
  });
  if (findings.length > 0) return lines.join("\n");
  return `${subjects.map(({ path }) => printable(path)).join(", ")}: ${green("ok")}`;
}

function failureOf(errors: readonly Finding[]): SallyportError | undefined {
  const [first] = errors;
  if (first === undefined) return undefined;
  const more = errors.length === 1 ? "" : ` (and ${errors.length - 1} more)`;
  return new SallyportError("ERR_CONFIG", "CERTS_FAULTY", `${quotePath(first.file)}: ${first.message}${more}`, {
    stage: "tls",
    advice: first.advice,
  });
}
