import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { compilePolicy } from "../../policy/compile.ts";
import type { NearestMiss, PeerFacts, Target } from "../../policy/decision.ts";
import type { Outcome } from "../../policy/document.ts";
import { formatTarget, parseOperationTarget, parseReplyTarget } from "../../policy/parse-target.ts";
import type { Policy } from "../../policy/policy.ts";
import { isVerb } from "../../policy/verbs.ts";
import type { CommandWorld } from "../command-world.ts";
import { decisionJson, decisionLines, type ShownDecision } from "../decision-lines.ts";
import type { ExitCode } from "../exit-codes.ts";
import { factsOf } from "../peer-facts.ts";
import type { CanQuestion, PolicyCanFlags } from "../policy-commands.ts";
import { parsedPolicy, policyFileOf, readPolicy } from "../policy-file.ts";
import { reportVerdict } from "../report.ts";

/** What the policy says, and what it leaves to the message itself. */
interface Answer {
  readonly outcome: Outcome;
  readonly rule: string | null;
  readonly nearestMiss: NearestMiss | null;
  readonly alias: string | null;
  readonly mode: "enforce" | "audit";
  /** The grant looks at the message: `shape`, `limits`. */
  readonly asks: readonly string[];
  /** A deny in audit mode that would have refused it. */
  readonly auditedDeny: string | null;
}

const NOTHING_ASKED = { asks: [], auditedDeny: null } as const;

/**
 * `policy can FROM VERB TARGET`: exit 0 when the policy lets it through, 3 when not.
 * @throws {SallyportError} ERR_CONFIG POLICY_QUESTION, and what reading the policy throws
 */
export async function policyCan(world: CommandWorld, flags: PolicyCanFlags, question: CanQuestion): Promise<ExitCode> {
  const read = readPolicy(policyFileOf(flags, flags.policy, world), world);
  const policy = compilePolicy(parsedPolicy(read, world).document);
  const facts = factsOf(policy, question.from, flags);
  const nowMs = flags.at ?? world.clock.wallMs();
  const { target, answer } = ask(policy, facts, question, nowMs);
  const { asks, auditedDeny, ...decided } = answer;
  const decision: ShownDecision = {
    id: null,
    atMs: nowMs,
    ...decided,
    peer: question.from === "unknown" ? null : facts.name,
    key: facts.fingerprints[0] ?? facts.spki ?? null,
    verb: question.verb,
    target,
    generation: null,
  };
  const { colours } = world.terminal;
  const lines = [decisionLines(decision, colours)];
  if (asks.length > 0) lines.push(colours.dim(`only while the message keeps to the ${asks.join(" and ")} of the rule`));
  if (auditedDeny !== null) lines.push(colours.yellow(`${auditedDeny} would refuse it, and only records: audit mode`));
  return reportVerdict(world.terminal, {
    result: { ...decisionJson(decision), asks, auditedDeny },
    human: lines.join("\n"),
    failure: answer.outcome === "allow" ? undefined : refused(decision, read.file),
  });
}

function ask(
  policy: Policy,
  facts: PeerFacts,
  question: CanQuestion,
  nowMs: number,
): { readonly target: string; readonly answer: Answer } {
  const { verb } = question;
  const isReply = verb === "reply";
  const open = isReply ? parseReplyTarget(question.target) : undefined;
  const target = isVerb(verb) ? parseOperationTarget(verb, question.target) : undefined;
  if (isReply ? open === undefined : target === undefined) throw noTarget(question);
  const text = target === undefined ? (question.target ?? "") : formatTarget(target);
  // An answer is of a session that stands, so whoever dialled may have been this node.
  const who = policy.identify(facts, isReply ? "dialler" : "acceptor", nowMs);
  if (who.kind === "refused") {
    const { outcome, rule } = who;
    const alias = policy.peerOf(facts.name)?.alias ?? null;
    return { target: text, answer: { outcome, rule, nearestMiss: null, alias, mode: "enforce", ...NOTHING_ASKED } };
  }
  const { authority } = who;
  const { alias } = authority;
  if (!isVerb(verb)) {
    const outcome = open === true ? "allow" : "deny-default";
    return {
      target: text,
      answer: { outcome, rule: null, nearestMiss: null, alias, mode: "enforce", ...NOTHING_ASKED },
    };
  }
  const verdict = authority.decide(verb, target as Target, nowMs);
  const [grant] = verdict.grants;
  const asks = verdict.plain ? [] : [grant?.shape && "shape", grant?.limits && "limits"].filter((word) => !!word);
  return {
    target: text,
    answer: {
      outcome: verdict.outcome,
      rule: verdict.rule,
      nearestMiss: verdict.nearestMiss,
      alias,
      mode: grant?.mode ?? "enforce",
      asks: asks.map(String),
      auditedDeny: verdict.auditedDeny ?? null,
    },
  };
}

function refused(
  { alias, peer, verb, target, outcome, rule, nearestMiss }: ShownDecision,
  file: string,
): SallyportError {
  const who = alias ?? peer ?? "unknown";
  const what = verb === "connect" ? "connect" : `${verb} ${quotePeerText(target)}`;
  const by = rule === null ? outcome : `${outcome}, ${rule}`;
  return new SallyportError("ERR_DENIED", "POLICY_DENIED", `${who} may not ${what} (${by})`, {
    stage: "policy",
    advice:
      rule !== null
        ? `rule ${rule} of ${file} refuses it`
        : nearestMiss === null
          ? `nothing in ${file} grants it`
          : `nothing in ${file} grants it; ${nearestMiss.rule} comes nearest`,
  });
}

function noTarget({ verb, target }: CanQuestion): SallyportError {
  const what =
    target === undefined ? `${verb} needs a target` : `"${quotePeerText(target)}" is no single target for ${verb}`;
  return new SallyportError("ERR_CONFIG", "POLICY_QUESTION", what, {
    stage: "policy",
    advice:
      verb === "connect"
        ? "leave the target out: connect has none"
        : verb === "reply"
          ? "write call#open or call#closed"
          : "write a registered name, Module:function/arity, granted-pids or any-pid",
  });
}
