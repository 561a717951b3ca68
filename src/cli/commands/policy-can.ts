import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import type { LimitsEntry } from "../../policy/document.ts";
import { formatTarget, parseOperationTarget } from "../../policy/parse-target.ts";
import type { Policy, RefusedWhy } from "../../policy/policy.ts";
import { type ChosenFacts, type Judgement, judge } from "../../policy/review/judge.ts";
import { isVerb } from "../../policy/verbs.ts";
import type { CommandWorld } from "../command-world.ts";
import { decisionJson, decisionLines, type ShownDecision } from "../decision-lines.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { CanQuestion, PolicyCanFlags } from "../policy-commands.ts";
import { policyFilesOf, policyToAsk } from "../policy-file.ts";
import { reportVerdict, warn } from "../report.ts";
import { runningPolicy } from "../running-policy.ts";
import { type Colours, printable } from "../terminal.ts";

/** Where a policy stands that is not read from a file. */
const NODE = "the running node";

/** Why a peer may not even connect. A rule that says so is named anyway. */
const REFUSED: Readonly<Partial<Record<RefusedWhy, string>>> = {
  "no-entry": "it is in no entry of `peers`, and who is in none may not connect",
  name: "its key is that of an entry which does not have this name",
  key: "its name is that of an entry which has another key",
  assurance: "its entry asks for more assurance",
};

/**
 * `policy can FROM VERB TARGET`: exit 0 when it is let through, 3 when not; by the running node, or by a policy file.
 * @throws {SallyportError} ERR_CONFIG POLICY_QUESTION, and what asking the node or reading the policy throws
 */
export async function policyCan(world: CommandWorld, flags: PolicyCanFlags, question: CanQuestion): Promise<ExitCode> {
  const running = flags.policy === undefined ? await runningPolicy(world, flags) : undefined;
  const { policy, place, warnings } =
    running === undefined ? fromFile(world, flags) : { policy: running.policy, place: NODE, warnings: [] };
  warn(world.terminal, warnings);
  const nowMs = flags.at ?? world.clock.wallMs();
  const { from, verb, target } = question;
  // The parser of arguments lets no other word through.
  const asked = isVerb(verb) ? verb : "reply";
  const judgement = judge(policy, from, asked, target, nowMs, chosenFacts(flags), running?.code);
  const decision = { ...shown(judgement, question, nowMs), generation: running?.generation ?? null };
  const { colours } = world.terminal;
  const remarks = {
    asks: asksOf(judgement),
    limits: limitsOf(policy, judgement),
    auditedDeny: judgement.verdict?.auditedDeny ?? null,
  };
  const why = judgement.refusedWhy === undefined ? undefined : REFUSED[judgement.refusedWhy];
  return reportVerdict(world.terminal, {
    result: {
      ...decisionJson(decision),
      ...remarks,
      refusedWhy: judgement.refusedWhy ?? null,
      source: running === undefined ? "file" : "node",
      notes: warnings,
    },
    human: [decisionLines(decision, colours), ...remarkLines(remarks, colours)].join("\n"),
    failure: decision.outcome === "allow" ? undefined : refused(decision, from, why, place),
  });
}

/** What is asked when no node is. */
interface AskedFile {
  readonly policy: Policy;
  readonly place: string;
  readonly warnings: readonly string[];
}

function fromFile(world: CommandWorld, flags: PolicyCanFlags): AskedFile {
  const { files, warnings } = policyFilesOf(flags, flags.policy === undefined ? [] : [flags.policy], world);
  const [place = ""] = files;
  const asked = policyToAsk(place, world, world.clock.wallMs());
  return { policy: asked.policy, place, warnings: [...warnings, ...asked.warnings] };
}

function chosenFacts({ assurance, transport, source }: PolicyCanFlags): ChosenFacts {
  return {
    ...(assurance === undefined ? {} : { assurance }),
    ...(transport === undefined ? {} : { protocol: transport }),
    ...(source === undefined ? {} : { source }),
  };
}

function shown(
  judgement: Judgement,
  { from, verb, target }: CanQuestion,
  nowMs: number,
): Omit<ShownDecision, "generation"> {
  const { outcome, rule, nearestMiss, alias, facts, verdict } = judgement;
  const operation = isVerb(verb) ? parseOperationTarget(verb, target) : undefined;
  const named = from !== "unknown" && facts.name !== "unknown@unknown.invalid";
  return {
    id: null,
    atMs: nowMs,
    outcome,
    rule,
    nearestMiss,
    alias,
    peer: named ? facts.name : null,
    key: facts.fingerprints[0] ?? facts.spki ?? null,
    verb,
    target: operation === undefined ? (target ?? "") : formatTarget(operation),
    mode: verdict?.grants[0]?.mode ?? "enforce",
  };
}

/** What the granting rule looks at in the message itself. */
function asksOf({ verdict }: Judgement): readonly string[] {
  const [grant] = verdict?.grants ?? [];
  if (grant === undefined || verdict?.plain === true) return [];
  return [...(grant.shape === undefined ? [] : ["shape"]), ...(grant.limits === undefined ? [] : ["limits"])];
}

/** The limits that each message must keep to: of the granting rule, and of its peer. */
interface LimitsAsked {
  readonly rule: LimitsEntry | null;
  readonly peer: LimitsEntry | null;
}

function limitsOf({ rules, peers, document }: Policy, { verdict, alias }: Judgement): LimitsAsked {
  const [grant] = verdict?.grants ?? [];
  if (grant === undefined) return { rule: null, peer: null };
  const entry = alias === null ? undefined : peers.get(alias)?.entry;
  return {
    rule: rules.find(({ id }) => id === grant.rule)?.entry.limits ?? null,
    peer: entry?.limits ?? document.limits ?? null,
  };
}

function limitsText(whose: string, limits: LimitsEntry | null): readonly string[] {
  const texts = Object.entries(limits ?? {}).map(([key, value]) => `${key} ${String(value)}`);
  return texts.length === 0 ? [] : [`limits of the ${whose}: ${printable(texts.join(", "))}`];
}

function remarkLines(
  {
    asks,
    limits,
    auditedDeny,
  }: { readonly asks: readonly string[]; readonly limits: LimitsAsked; readonly auditedDeny: string | null },
  colours: Colours,
): readonly string[] {
  const bounds = [...limitsText("rule", limits.rule), ...limitsText("peer", limits.peer)];
  return [
    ...bounds.map((text) => colours.dim(text)),
    ...(asks.length === 0
      ? []
      : [colours.dim(`only while the message keeps to the ${asks.join(" and the ")} of the rule`)]),
    ...(auditedDeny === null ? [] : [colours.yellow(`${auditedDeny} would refuse it, and only records: audit mode`)]),
  ];
}

function refused(decision: ShownDecision, from: string, why: string | undefined, place: string): SallyportError {
  const { alias, verb, target, outcome, rule, nearestMiss } = decision;
  const who = alias ?? quotePeerText(from);
  const what = verb === "connect" ? "connect" : `${verb} ${quotePeerText(target)}`;
  const by = why ?? (rule === null ? outcome : `${outcome}, ${rule}`);
  return new SallyportError("ERR_DENIED", "POLICY_DENIED", `${who} may not ${what}: ${by}`, {
    stage: "policy",
    advice: adviceOf(rule, nearestMiss?.rule, why, place),
  });
}

function adviceOf(rule: string | null, nearest: string | undefined, why: string | undefined, place: string): string {
  if (rule !== null) return `rule ${rule} of ${place} refuses it`;
  if (why !== undefined) return `see \`peers\` of ${place}`;
  const grants = `nothing in ${place} grants it`;
  return nearest === undefined ? grants : `${grants}; ${nearest} comes nearest`;
}
