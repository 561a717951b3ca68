import { type DecisionSummary, readDecisions } from "../../audit/read-decisions.ts";
import { isSallyportError, SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import type { Fields } from "../../control/control-protocol.ts";
import { auditDirectoryOf, auditLines } from "../audit-lines.ts";
import type { CommandWorld } from "../command-world.ts";
import { decisionJson, decisionLines, type ShownDecision } from "../decision-lines.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { PolicyWhyFlags } from "../policy-commands.ts";
import { reportVerdict } from "../report.ts";
import { askIfRunning } from "../running-node.ts";
import { moment } from "../table.ts";
import { printable } from "../terminal.ts";
import { toldDecision } from "../told-decision.ts";

/** What is known of an id. */
type Found =
  | { readonly kind: "decision"; readonly decision: ShownDecision; readonly source: "node" | "audit" }
  /** The last of many that were only counted. */
  | { readonly kind: "summary"; readonly summary: DecisionSummary };

/**
 * `policy why ID`: explains a decision from the running node, else from the audit log.
 * @throws {SallyportError} ERR_CONFIG AUDIT_NEEDED where there is neither, and what `askIfRunning` and `auditLines` throw
 */
export async function policyWhy(world: CommandWorld, flags: PolicyWhyFlags, id: string): Promise<ExitCode> {
  const { terminal } = world;
  const { asked, found: told } = flags.audit === undefined ? await askNode(world, flags, id) : NOT_ASKED;
  const log = logOf(world, flags);
  if (!asked && log === undefined) throw nobodyToAsk();
  const found = told ?? (log === undefined ? undefined : findInLog(world, log, id));
  if (found === undefined) return reportVerdict(terminal, { result: {}, human: "", failure: unknownId(id) });
  if (found.kind === "summary") {
    return reportVerdict(terminal, {
      result: { source: "audit", summary: summaryJson(found.summary) },
      human: summaryText(found.summary),
      failure: undefined,
    });
  }
  const { decision, source } = found;
  const when = decision.atMs === null ? "" : `${terminal.colours.dim(moment(decision.atMs))}  `;
  const human = `${when}${decisionLines(decision, terminal.colours)}`;
  return reportVerdict(terminal, { result: { ...decisionJson(decision), source }, human, failure: undefined });
}

/** What a node said, if one runs. */
interface Told {
  readonly asked: boolean;
  readonly found: Found | undefined;
}

const NOT_ASKED: Told = { asked: false, found: undefined };

async function askNode(world: CommandWorld, flags: PolicyWhyFlags, id: string): Promise<Told> {
  let answer: Fields | undefined;
  try {
    answer = await askIfRunning(world, flags, "policy.why", { id });
  } catch (failure) {
    // A node of an older version: its log may still say it.
    if (isSallyportError(failure) && failure.reason === "CONTROL_UNKNOWN_OP") return { asked: true, found: undefined };
    throw failure;
  }
  if (answer === undefined) return NOT_ASKED;
  const decision = toldDecision(answer["decision"]);
  return { asked: true, found: decision === undefined ? undefined : { kind: "decision", decision, source: "node" } };
}

/** Where the log is; undefined when there is none. A named one that is missing is for its reader to tell. */
function logOf(world: CommandWorld, flags: PolicyWhyFlags): string | undefined {
  const path = auditDirectoryOf(flags.audit, flags, world);
  return path === undefined || (flags.audit === undefined && !world.files.exists(path)) ? undefined : path;
}

/** Undefined when it does not hold the id. */
function findInLog(world: CommandWorld, directory: string, id: string): Found | undefined {
  let found: Found | undefined;
  for (const entry of readDecisions(auditLines(directory, world.files), world.identityCrypto)) {
    if (entry.kind === "decision" && entry.decision.id === id) {
      found = { kind: "decision", decision: entry.decision, source: "audit" };
    } else if (entry.kind === "summary" && entry.summary.lastId === id) {
      found ??= { kind: "summary", summary: entry.summary };
    }
  }
  return found;
}

function summaryJson({ atMs, ...summary }: DecisionSummary): Fields {
  return { ...summary, at: moment(atMs) };
}

function summaryText({ atMs, count, peer, verb, target, rule }: DecisionSummary): string {
  const what = [verb, target].filter((part) => part !== null).join(" ");
  const who = peer === null ? "several peers" : peer;
  const by = rule === null ? "" : `, decided by ${rule}`;
  const text = `the last of ${count} alike that were only counted, until ${moment(atMs)}: ${what || "several operations"} of ${who}${by}`;
  return printable(text);
}

function nobodyToAsk(): SallyportError {
  return new SallyportError("ERR_CONFIG", "AUDIT_NEEDED", "there is neither a running node nor an audit log to ask", {
    stage: "policy",
    advice: "name the node's configuration with --config, its socket with --control or its log with --audit",
  });
}

function unknownId(id: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "DECISION_UNKNOWN", `no decision has the id "${quotePeerText(id)}"`, {
    stage: "policy",
    advice:
      "check the id, and name the node's configuration with --config or its log with --audit; of many alike in a minute " +
      "only the first ten and the last are kept",
  });
}
