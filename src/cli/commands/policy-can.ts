import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { refusalWords } from "../../policy/decision-words.ts";
import type { LimitsEntry } from "../../policy/document.ts";
import { formatTarget, parseOperationTarget } from "../../policy/parse-target.ts";
import type { Policy } from "../../policy/policy.ts";
import { type ChosenFacts, type Judgement, judge } from "../../policy/review/judge.ts";
import { isVerb } from "../../policy/verbs.ts";
import type { CommandWorld } from "../command-world.ts";
import { decisionJson, decisionLines, type ShownDecision } from "../decision-lines.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { CanQuestion, PolicyCanFlags } from "../policy-commands.ts";
import { policyFilesOf, policyToAsk, quicListenersOf } from "../policy-file.ts";
import { reportVerdict, warn } from "../report.ts";
import { type RunningPolicy, runningPolicy } from "../running-policy.ts";
import { type Colours, printable } from "../terminal.ts";

/** Where a policy stands that is not read from a file. */
const NODE = "the running node";

/**
 * `policy can FROM VERB TARGET`: exit 0 when it is let through, 3 when not; by the running node, or by a policy file.
 * @throws {SallyportError} ERR_CONFIG POLICY_QUESTION, and what asking the node or reading the policy throws
 */
export async function policyCan(world: CommandWorld, flags: PolicyCanFlags, question: CanQuestion): Promise<ExitCode> {
  const running = flags.policy === undefined ? await runningPolicy(world, flags) : undefined;
  const { policy, place, warnings, listen } =
    running === undefined
      ? fromFile(world, flags)
      : { policy: running.policy, place: NODE, warnings: [], listen: running.endpoints };
  warn(world.terminal, warnings);
  const nowMs = flags.at ?? world.clock.wallMs();
  const { from, verb, target } = question;
  // The parser of arguments lets no other word through.
  const asked = isVerb(verb) ? verb : "reply";
  const ask = (chosen: ChosenFacts): Asked => {
    const judgement = judge(policy, from, asked, target, nowMs, chosen, running?.code);
    return { judgement, decision: decided(judgement, question, nowMs, running) };
  };
  const quic = quicListenersOf(listen);
  const chosen = chosenFacts(flags, quic);
  const { judgement, decision } = ask(chosen);
  const { colours } = world.terminal;
  const remarks = {
    asks: asksOf(judgement),
    limits: limitsOf(policy, judgement),
    auditedDeny: judgement.verdict?.auditedDeny ?? null,
  };
  const isOpen = quic === "some" && flags.transport === undefined && flags.dialled !== true && asked !== "reply";
  const overQuic = isOpen && decision.outcome === "allow" ? ask({ ...chosen, protocol: "barrel" }) : undefined;
  const isRefused = overQuic !== undefined && overQuic.decision.outcome !== "allow";
  const human = [decisionLines(decision, colours), ...remarkLines(remarks, colours)];
  const isFromFile = running === undefined && (verb === "rpc" || verb === "spawn") && decision.outcome === "allow";
  if (isFromFile)
    human.push(colours.dim("only where the node has registered a function of this name: a file cannot tell"));
  if (isRefused) human.push(colours.yellow(overQuicText(overQuic)));
  return reportVerdict(world.terminal, {
    result: {
      ...decisionJson(decision),
      ...remarks,
      refusedWhy: judgement.refusedWhy ?? null,
      ...(isRefused ? { overQuic: pick(overQuic) } : {}),
      source: running === undefined ? "file" : "node",
      notes: warnings,
    },
    human: human.join("\n"),
    failure: decision.outcome === "allow" ? undefined : refused(decision, from, place),
  });
}

/** An answer. */
interface Asked {
  readonly judgement: Judgement;
  readonly decision: ShownDecision;
}

const pick = ({ decision: { outcome, rule }, judgement: { refusedWhy } }: Asked) => ({
  outcome,
  rule,
  refusedWhy: refusedWhy ?? null,
});

/** Of a node that listens on both: the answer is for the most that the peer can prove. */
function overQuicText({ decision: { outcome, why, rule } }: Asked): string {
  const by = why === undefined ? (rule ?? "no rule grants it to who counts as cookie") : refusalWords(why).what;
  return `not where it dials in over QUIC, as this node lets it: ${outcome}, ${by}`;
}

/** The judgement as it is shown; what the running node has not registered, it does not run. */
function decided(
  judgement: Judgement,
  question: CanQuestion,
  nowMs: number,
  running: RunningPolicy | undefined,
): ShownDecision {
  const made = { ...shown(judgement, question, nowMs), generation: running?.generation ?? null };
  const { verb, target } = question;
  const operation = isVerb(verb) ? parseOperationTarget(verb, target) : undefined;
  if (made.outcome !== "allow" || operation === undefined || running?.lacks(operation) !== true) return made;
  return { ...made, outcome: "deny-default", rule: null, why: "not-registered" };
}

/** What is asked when no node is. */
interface AskedFile {
  readonly listen: readonly string[];
  readonly policy: Policy;
  readonly place: string;
  readonly warnings: readonly string[];
}

function fromFile(world: CommandWorld, flags: PolicyCanFlags): AskedFile {
  const { files, warnings, listen } = policyFilesOf(flags, flags.policy === undefined ? [] : [flags.policy], world);
  const [place = ""] = files;
  const asked = policyToAsk(place, world, world.clock.wallMs());
  return { policy: asked.policy, place, warnings: [...warnings, ...asked.warnings], listen };
}

function chosenFacts({ assurance, transport, dialled, source }: PolicyCanFlags, quic: string): ChosenFacts {
  const protocol = transport ?? (quic === "all" && dialled !== true ? "barrel" : undefined);
  return {
    ...(dialled === true ? { role: "dialler" } : {}),
    ...(assurance === undefined ? {} : { assurance }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(source === undefined ? {} : { source }),
  };
}

function shown(
  judgement: Judgement,
  { from, verb, target }: CanQuestion,
  nowMs: number,
): Omit<ShownDecision, "generation"> {
  const { outcome, rule, nearestMiss, alias, facts, verdict, refusedWhy } = judgement;
  const operation = isVerb(verb) ? parseOperationTarget(verb, target) : undefined;
  const named = from !== "unknown" && facts.name !== "unknown@unknown.invalid";
  return {
    id: null,
    atMs: nowMs,
    outcome,
    rule,
    ...(refusedWhy === undefined ? {} : { why: refusedWhy }),
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

function refused(decision: ShownDecision, from: string, place: string): SallyportError {
  const { alias, verb, target, outcome, rule, why } = decision;
  const who = alias ?? quotePeerText(from);
  const what = verb === "connect" ? "connect" : `${verb} ${quotePeerText(target)}`;
  const by = rule === null ? outcome : `${outcome}, ${rule}`;
  const says = why === undefined || rule !== null ? by : `it ${refusalWords(why).what}`;
  return new SallyportError("ERR_DENIED", "POLICY_DENIED", `${who} may not ${what}: ${says}`, {
    stage: "policy",
    advice: adviceOf(decision, place),
  });
}

function adviceOf({ rule, nearestMiss, why }: ShownDecision, place: string): string {
  if (rule !== null) return `rule ${rule} of ${place} refuses it`;
  if (why === "not-registered") return refusalWords(why).advice;
  if (why !== undefined) return `see \`peers\` of ${place}: ${refusalWords(why).advice}`;
  const grants = `nothing in ${place} grants it`;
  return nearestMiss === null ? grants : `${grants}; ${nearestMiss.rule} comes nearest`;
}
