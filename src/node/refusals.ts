import { quotePeerText } from "../base/escape.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { Shortfall } from "../guard/weigh.ts";
import type { DecisionWhy, Grant, NearestMiss, Verdict } from "../policy/decision.ts";
import type { Outcome } from "../policy/document.ts";
import { splitFunctionLabel } from "../policy/parse-target.ts";
import type { Verb } from "../policy/verbs.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import type { NodeCore } from "./node-core.ts";
import type { Session } from "./session.ts";

/** Why something is refused: what the rules say, or what this one message lacks. */
export type Why = Verdict | Shortfall | { readonly outcome: Outcome; readonly why?: DecisionWhy };

/** What no rule can grant, and what fails to be what it must be. */
export const BY_DEFAULT: Why = { outcome: "deny-default" };
/** Rules grant it, and the owner has registered no such function. */
export const NOT_REGISTERED: Why = { outcome: "deny-default", why: "not-registered" };
/** A place in a table, a fun, an identifier of a third node. */
export const BY_LIMIT: Why = { outcome: "deny-limit" };

/** Records what is refused, and answers those that wait (docs/policy.md): who does not wait hears nothing. */
export class Refusals {
  readonly #core: NodeCore;

  constructor(core: NodeCore) {
    this.#core = core;
  }

  /** Records a refusal and returns its id. Too many of them, and the connection is not read for a while. */
  record(session: Session, verb: Verb | "reply", target: Pid | string, why: Why): string {
    const { decisions, guardLimits, counters } = this.#core;
    if (session.guard.isFlooding()) {
      counters.add("denial_pauses");
      session.source.pauseReading(guardLimits.denialPauseMs);
    }
    const miss = "miss" in why ? why.miss : "nearestMiss" in why ? why.nearestMiss : null;
    const rule = "rule" in why ? why.rule : null;
    const more = "why" in why && why.why !== undefined ? { why: why.why } : {};
    return decisions.record({ ...this.#decision(session, verb, target, why.outcome, rule, miss, "enforce"), ...more });
  }

  /**
   * Takes note of what was let through: always where audit mode did it (a grant that is audited, or a deny that is), else
   * only where grants are recorded. `grant` is undefined where nothing was weighed: the first one counts.
   */
  allowed(session: Session, verb: Verb, target: Pid | string, verdict: Verdict, grant: Grant | undefined): void {
    const { decisions } = this.#core;
    const given = grant ?? verdict.grants[0];
    const mode = given?.mode ?? "enforce";
    if (mode === "enforce" && !decisions.recordsGrants) return;
    const rule = verdict.auditedDeny ?? given?.rule ?? null;
    decisions.record(this.#decision(session, verb, target, "allow", rule, null, mode));
  }

  /** Refuses what waits behind a monitor: a DOWN that says so, whether or not the target exists. */
  down(session: Session, verb: Verb, target: Pid | string, to: Pid, ref: Reference, why: Why): void {
    this.sendDown(session, target, to, ref, denied(this.record(session, verb, target, why)));
  }

  sendDown(session: Session, target: Pid | string, to: Pid, ref: Reference, reason: Term): void {
    session.signal({ kind: "monitor-exit", target, to, ref, reason: "payload" }, reason);
  }

  #decision(
    session: Session,
    verb: Verb | "reply",
    target: Pid | string,
    outcome: Outcome,
    rule: string | null,
    nearestMiss: NearestMiss | null,
    mode: "enforce" | "audit",
  ): Parameters<NodeCore["decisions"]["record"]>[0] {
    const { guard, peer, fingerprint } = session;
    return {
      outcome,
      rule,
      nearestMiss,
      alias: guard.authority.alias,
      peer: peer.name,
      key: fingerprint ?? null,
      verb,
      target: targetText(target),
      generation: guard.generation,
      mode,
    };
  }
}

/** A target as the operator reads it: `<5.0>` is a pid, `'<5.0>'` a name that looks like one. */
export function targetText(target: Pid | string): string {
  if (typeof target !== "string") return `<${target.id}.${target.serial}>`;
  const isWritten = PLAIN.test(target) || QUOTED.test(target) || splitFunctionLabel(target) !== undefined;
  return quotePeerText(isWritten ? target : formatName(target));
}

/** Words that need no quotes: names, also those of Elixir modules. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_.@?!-]*$/;
/** Labels of functions come quoted. */
const QUOTED = /^'(?:[^'\\]|\\['\\])*'$/;

function formatName(name: string): string {
  return `'${name.replace(/[\\']/g, "\\$&")}'`;
}
