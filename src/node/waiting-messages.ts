import type { SessionGuard } from "../guard/session-guard.ts";
import type { Term } from "../term/types.ts";
import { readGenCall, verbOf } from "./gen.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { Refusals } from "./refusals.ts";
import type { SessionOf } from "./service.ts";
import { verdictOn } from "./verdict-on.ts";

/** The rules for one who sent something and is gone: undefined when it may not even connect any more. */
export type RulesOfGone = (guard: SessionGuard) => SessionGuard | undefined;

/**
 * Messages of peers that waited in a mailbox while the rules changed. One that they would not let in any more is not handled:
 * a caller that is still there is answered as refused. Whoever sent it and left is judged by the rules of now.
 */
export class WaitingMessages {
  readonly #core: NodeCore;
  readonly #sessionOf: SessionOf;
  readonly #rulesOfGone: RulesOfGone;
  /** Guards made for those who are gone, by the one they had, for one epoch. */
  #gone = new WeakMap<SessionGuard, { readonly guard: SessionGuard | undefined }>();
  #goneEpoch = 0;

  constructor(core: NodeCore, sessionOf: SessionOf, rulesOfGone: RulesOfGone) {
    this.#core = core;
    this.#sessionOf = sessionOf;
    this.#rulesOfGone = rulesOfGone;
  }

  /** See `StillAllowed`. */
  readonly stillAllowed = (term: Term, ctx: MessageContext, process: NodeProcess): boolean => {
    const { peer, admission } = ctx;
    const { epoch, outcasts, services } = this.#core;
    if (peer === null || admission === undefined || admission.epoch === epoch.value) return true;
    const verb = verbOf(term);
    const isCall = verb === "call" && services.has(process);
    const session = this.#sessionOf(ctx);
    // A service judges its calls itself, since it must answer them.
    if (isCall && session !== undefined) return true;
    const guard = session?.guard ?? (outcasts.has(peer) ? undefined : this.#guardOfGone(admission.guard));
    const verdict = guard === undefined ? undefined : verdictOn(this.#core, guard, admission, process, verb);
    if (verdict?.outcome === "allow") return true;
    if (isCall) admission.inflight.done(process, admission.grant);
    if (session === undefined || verdict === undefined) return false;
    const refusals = new Refusals(this.#core);
    const replyTo = readGenCall(term)?.replyTo;
    const { target } = admission;
    if (replyTo?.monitor === undefined) {
      refusals.record(session, verb, target, verdict);
      return false;
    }
    session.tables.demonitorRequested(replyTo.pid, target, replyTo.monitor);
    refusals.down(session, verb, target, replyTo.pid, replyTo.monitor, verdict);
    return false;
  };

  #guardOfGone(former: SessionGuard): SessionGuard | undefined {
    const epoch = this.#core.epoch.value;
    if (epoch !== this.#goneEpoch) {
      this.#goneEpoch = epoch;
      this.#gone = new WeakMap();
    }
    let known = this.#gone.get(former);
    if (known === undefined) {
      known = { guard: this.#rulesOfGone(former) };
      this.#gone.set(former, known);
    }
    return known.guard;
  }
}
