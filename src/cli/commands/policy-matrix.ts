import { SallyportError } from "../../base/errors.ts";
import { refusalWords } from "../../policy/decision-words.ts";
import type { Policy } from "../../policy/policy.ts";
import {
  buildMatrix,
  compareMatrix,
  type ExpectedEdge,
  type Matrix,
  type MatrixDifference,
  type MatrixEdge,
  type MatrixEntry,
} from "../../policy/review/matrix.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { edgesOf, parseExpectedEdges } from "../expected-edges.ts";
import type { PolicyMatrixFlags } from "../policy-commands.ts";
import { type ChosenFiles, policyFilesOf, policyToAsk, quicListenersOf, readPolicy } from "../policy-file.ts";
import { reportVerdict, warn } from "../report.ts";
import { runningPolicy } from "../running-policy.ts";
import { type Cell, table } from "../table.ts";
import { type Colours, printable } from "../terminal.ts";

const HEAD = ["FROM", "TO", "MAY", "BY"];

/**
 * `policy matrix FILE...`: who may do what to whom, over several policies, and whether that is what is expected. Without a
 * file the running node is asked, which also knows what `allow` in code grants.
 * @throws {SallyportError} ERR_CONFIG POLICY_TWICE, and what asking the node, reading and parsing files throws
 */
export async function policyMatrix(
  world: CommandWorld,
  flags: PolicyMatrixFlags,
  named: readonly string[],
): Promise<ExitCode> {
  const nowMs = world.clock.wallMs();
  const running = named.length === 0 ? await runningPolicy(world, flags) : undefined;
  const { policies, warnings, listen } =
    running === undefined
      ? fromFiles(world, policyFilesOf(flags, named, world), nowMs)
      : { policies: [running.policy], warnings: [], listen: running.endpoints };
  const protocol = flags.transport ?? (quicListenersOf(listen) === "all" ? "barrel" : undefined);
  const chosen = protocol === undefined ? {} : { protocol };
  const expected = flags.expect === undefined ? undefined : parseExpectedEdges(readPolicy(flags.expect, world));
  const matrix = buildMatrix(policies, nowMs, running?.codeRows(nowMs, chosen), chosen);
  const difference = expected === undefined ? undefined : compareMatrix(matrix, expected);
  warn(world.terminal, warnings);
  return reportVerdict(world.terminal, {
    result: {
      ...matrix,
      notes: warnings,
      expected: edgesOf(matrix),
      ...difference,
      source: running === undefined ? "files" : "node",
    },
    human: matrixText(matrix, difference, world.terminal.colours),
    failure: difference === undefined ? undefined : failureOf(difference),
  });
}

interface Asked {
  readonly policies: readonly Policy[];
  readonly warnings: readonly string[];
  readonly listen: readonly string[];
}

/** @throws {SallyportError} ERR_CONFIG POLICY_TWICE, and what reading and parsing files throws */
function fromFiles(world: CommandWorld, { files, warnings, listen }: ChosenFiles, nowMs: number): Asked {
  const asked = files.map((file) => policyToAsk(file, world, nowMs));
  const policies = asked.map(({ policy }) => policy);
  refuseTwice(policies, files);
  return { policies, warnings: [...warnings, ...asked.flatMap((one) => one.warnings)], listen };
}

/** A node has one policy; with two files of one node the matrix would show neither. */
function refuseTwice(policies: readonly Policy[], files: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const [i, { node }] of policies.entries()) {
    const before = seen.get(node);
    const file = files[i] ?? "?";
    if (before !== undefined) {
      throw new SallyportError("ERR_CONFIG", "POLICY_TWICE", `${before} and ${file} are both the policy of ${node}`, {
        stage: "policy",
        advice: "name one policy file for each node",
      });
    }
    seen.set(node, file);
  }
}

/** The matrix for people, and what is not as expected. */
export function matrixText(matrix: Matrix, difference: MatrixDifference | undefined, colours: Colours): string {
  const rows = matrix.edges.flatMap((edge) => rowsOf(edge, colours));
  const { mutualCommand, untestedGrants } = matrix;
  const mutual = mutualCommand.map(([a, b]) => `${a} and ${b}`).join("; ");
  const untested = untestedGrants.map(({ node, rule }) => `${rule} of ${node}`).join(", ");
  const lines = [
    rows.length === 0 ? "no other node is known to these policies" : table(HEAD, rows, colours.dim),
    "",
    `${colours.dim("mutual command:")}   ${mutual === "" ? "none" : colours.red(printable(mutual))}`,
    `${colours.dim("untested grants:")}  ${untested === "" ? "none" : colours.yellow(printable(untested))}`,
  ];
  const overQuic = matrix.edges.filter(({ refusedWhy }) => refusedWhy === "over-quic");
  if (overQuic.length > 0) {
    const who = overQuic.map(({ from, to }) => `${from} by ${to}`).join("; ");
    lines.push(`${colours.dim("refused where they dial in over QUIC:")} ${colours.yellow(printable(who))}`);
    lines.push(colours.dim(`an entry with keys lets nobody in there: ${refusalWords("over-quic").advice}`));
  }
  for (const edge of difference?.unexpected ?? []) lines.push(`${colours.red("unexpected:")} ${edgeText(edge)}`);
  for (const edge of difference?.missing ?? []) lines.push(`${colours.red("missing:")} ${edgeText(edge)}`);
  return lines.join("\n");
}

/** One line for each rule that grants something; one with a dash for a pair without. */
function rowsOf(edge: MatrixEdge, colours: Colours): readonly (readonly Cell[])[] {
  const rows: (readonly Cell[])[] = [];
  for (const entries of byRule(edge.entries)) {
    const [first] = entries;
    if (first === undefined) continue;
    const what = grantText(entries);
    const may: Cell = first.auditUntil === null ? what : { text: what, colour: colours.yellow };
    rows.push([edge.from, edge.to, may, first.rule]);
  }
  if (edge.auditUntil !== null) {
    const text = `everything else but system [AUDIT until ${edge.auditUntil}]`;
    rows.push([edge.from, edge.to, { text, colour: colours.yellow }, "peer"]);
  }
  if (rows.length > 0) return rows;
  const nothing = edge.replies ? "replies only" : edge.connects ? "connect only" : "";
  return [[edge.from, edge.to, nothing, ""]];
}

/** Entries of one rule together, in their order. */
function byRule(entries: readonly MatrixEntry[]): readonly (readonly MatrixEntry[])[] {
  const groups = new Map<string, MatrixEntry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.rule);
    if (group === undefined) groups.set(entry.rule, [entry]);
    else group.push(entry);
  }
  return [...groups.values()];
}

/** `call, monitor jobs (20/s, 8KiB)`; verbs with other targets behind a semicolon. */
function grantText(entries: readonly MatrixEntry[]): string {
  const byTargets = new Map<string, string[]>();
  for (const { verb, targets } of entries) {
    const key = targets.join(", ");
    const verbs = byTargets.get(key);
    if (verbs === undefined) byTargets.set(key, [verb]);
    else verbs.push(verb);
  }
  const what = [...byTargets].map(([targets, verbs]) => `${verbs.join(", ")} ${targets}`).join("; ");
  const [first] = entries;
  const bounds = [
    ...(first?.limits ?? []),
    ...(first?.hasShape === true ? ["shape"] : []),
    ...(first?.isConditional === true ? ["when"] : []),
  ];
  const audit = first === undefined || first.auditUntil === null ? "" : ` [AUDIT until ${first.auditUntil}]`;
  return `${what}${bounds.length === 0 ? "" : ` (${bounds.join(", ")})`}${audit}`;
}

function edgeText({ from, to, verbs = [] }: ExpectedEdge): string {
  return printable(`${from} -> ${to}${verbs.length === 0 ? "" : `: ${verbs.join(", ")}`}`);
}

function failureOf({ unexpected, missing }: MatrixDifference): SallyportError | undefined {
  const [edge] = [...unexpected, ...missing];
  if (edge === undefined) return undefined;
  const word = unexpected.length > 0 ? "appeared" : "is gone";
  const others = unexpected.length + missing.length - 1;
  const message = `an edge ${word} that is not as expected: ${edgeText(edge)}${others > 0 ? ` (and ${others} more)` : ""}`;
  return new SallyportError("ERR_CONFIG", "POLICY_MATRIX_DIFFERS", message, {
    stage: "policy",
    advice:
      "correct the policy, or the list when the change is meant: `policy matrix --json` prints it as result.expected",
  });
}
