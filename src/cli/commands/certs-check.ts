import { dirname, resolve } from "node:path";
import { isSallyportError, SallyportError } from "../../base/errors.ts";
import { tryNodeName } from "../../base/node-name.ts";
import { compareSetups } from "../../certs/lint/compare-setups.ts";
import { type Finding, faultOf, strictly } from "../../certs/lint/finding.ts";
import { lintFolder } from "../../certs/lint/lint-folder.ts";
import { lintSetup, type TlsSetup } from "../../certs/lint/lint-setup.ts";
import { quotePath } from "../../identity/key-layout.ts";
import type { CertsCheckFlags } from "../certs-commands.ts";
import { certsDirectoryOf, certsWorldOf } from "../certs-directory.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { reportVerdict } from "../report.ts";
import { CONFIG_FILE, findConfig } from "../settings.ts";
import { type Colours, printable } from "../terminal.ts";

/** What a path names: a folder of certificates, or a file that says how nodes do TLS. */
interface Subject {
  readonly path: string;
  readonly folder?: string;
  readonly setups: readonly TlsSetup[];
  readonly strict: boolean;
}

/** Intermediates between a certificate and its root that a node takes. */
const DEFAULT_DEPTH = 2;

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
  const findings = subjects.flatMap(({ folder, setups, strict }) => {
    const found = [
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
  if (named.length > 0) return named.map((path) => subjectOf(resolve(world.directory, path), world));
  const config = findConfig(flags, world);
  const folder = certsDirectoryOf(flags, world);
  const own = config === undefined ? [] : [configSubject(config.file, world)];
  const strict = own.some((subject) => subject.strict);
  return [...own, { path: folder, folder: mustExist(folder, world), setups: [], strict }];
}

function subjectOf(path: string, world: CommandWorld): Subject {
  mustExist(path, world);
  const kind = world.files.facts(path)?.kind;
  if (kind === "directory") return { path, folder: path, setups: [], strict: false };
  return configSubject(path, world);
}

/** A configuration file, as the node would do TLS by it. */
function configSubject(path: string, world: CommandWorld): Subject {
  const found = findConfig({ config: path }, world);
  const { tls, name, profile } = found?.options ?? {};
  const strict = profile === "strict";
  if (tls === undefined) return { path, setups: [], strict };
  const setup: TlsSetup = {
    file: path,
    where: tryNodeName(name ?? "") ?? (quotePath(path.slice(dirname(path).length + 1)) || CONFIG_FILE),
    role: "both",
    name: tryNodeName(name ?? ""),
    certFile: tls.certFile,
    keyFile: tls.keyFile,
    caFile: tls.caFile,
    passphrase: passphraseOf(tls.passphrase, world),
    // A node always checks the other side, and always asks for its certificate.
    verifyPeer: true,
    demandsCertificate: true,
    versions: tls.minVersion === "TLSv1.3" ? ["TLSv1.3"] : ["TLSv1.2", "TLSv1.3"],
    depth: DEFAULT_DEPTH,
  };
  return { path, setups: [setup], strict };
}

function passphraseOf(
  source: string | { readonly file: string } | undefined,
  { files }: CommandWorld,
): string | undefined {
  if (typeof source !== "object") return source;
  try {
    return files.readText(source.file).replace(/\r?\n$/, "");
  } catch {
    // The key then cannot be opened, and that is what is found.
    return undefined;
  }
}

function mustExist(path: string, world: CommandWorld): string {
  if (world.files.exists(path)) return path;
  throw new SallyportError("ERR_CONFIG", "CHECK_UNREADABLE", `${quotePath(path)} does not exist`, {
    stage: "tls",
    advice: "name a folder of certificates or a sallyport.jsonc, or the folder with --dir",
  });
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
