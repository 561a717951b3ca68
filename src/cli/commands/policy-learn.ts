import { readDecisions } from "../../audit/read-decisions.ts";
import { type DecisionRecord, type Learned, learnRules, type Proposal } from "../../policy/review/learn.ts";
import { auditDirectoryOf, auditLines, auditNeeded } from "../audit-lines.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { PolicyLearnFlags } from "../policy-commands.ts";
import { reportVerdict } from "../report.ts";
import { moment } from "../table.ts";
import { printable } from "../terminal.ts";

/** What a log holds. */
interface Recorded {
  readonly learned: Learned;
  readonly decisions: number;
  /** Lines that are no records, or were changed. */
  readonly unreadable: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * `policy learn`: proposes rules from what was let through; applies nothing.
 * @throws {SallyportError} ERR_CONFIG AUDIT_NEEDED, and what `auditLines` throws
 */
export async function policyLearn(world: CommandWorld, flags: PolicyLearnFlags): Promise<ExitCode> {
  const directory = auditDirectoryOf(flags.audit, flags, world);
  if (directory === undefined) throw auditNeeded();
  const recorded = learn(directory, world);
  const { learned, decisions, unreadable } = recorded;
  return reportVerdict(world.terminal, {
    result: { rules: learned.proposals, skipped: learned.skipped, decisions, unreadable },
    human: textOf(recorded),
    failure: undefined,
  });
}

function learn(directory: string, world: CommandWorld): Recorded {
  let decisions = 0;
  let unreadable = 0;
  let fromMs = Number.POSITIVE_INFINITY;
  let toMs = Number.NEGATIVE_INFINITY;
  function* records(): Generator<DecisionRecord> {
    for (const entry of readDecisions(auditLines(directory, world.files), world.identityCrypto)) {
      // A summary says how many, and not of what: nothing can be learnt from it.
      if (entry.kind === "unreadable") unreadable++;
      if (entry.kind !== "decision") continue;
      decisions++;
      fromMs = Math.min(fromMs, entry.decision.atMs);
      toMs = Math.max(toMs, entry.decision.atMs);
      yield entry.decision;
    }
  }
  const learned = learnRules(records());
  return { learned, decisions, unreadable, fromMs, toMs };
}

function textOf({ learned, decisions, unreadable, fromMs, toMs }: Recorded): string {
  const { proposals, skipped } = learned;
  const span = decisions === 0 ? "" : `, ${moment(fromMs)} to ${moment(toMs)}`;
  return [
    `// Proposed from ${decisions} recorded decisions${span}. Nothing was applied: read each line before you copy it into`,
    "// `rules`. What a peer did is not what it should be allowed to do.",
    ...(skipped === 0 ? [] : [`// ${skipped} decisions teach nothing: they were refused, or no rule can grant them.`]),
    ...(unreadable === 0 ? [] : [`// ${unreadable} lines of the log are no records, or were changed.`]),
    "[",
    ...proposals.flatMap((proposal) => ruleLines(proposal)),
    "]",
  ].join("\n");
}

/** A rule as a line of JSONC, with how often each target was used above it. */
function ruleLines({ rule, count, targets }: Proposal): readonly string[] {
  const used = targets.map((item) => `${item.target} ${item.count} times`).join(", ");
  const comment = targets.length === 1 ? `${count} times` : `${count} times: ${used}`;
  return [`  // ${printable(comment)}`, `  ${printable(JSON.stringify(rule))},`];
}
