import { SallyportError } from "../base/errors.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { Verdict } from "../policy/decision.ts";
import { handlerError } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import { type Term, Tuple } from "../term/types.ts";
import type { ReplyTerm, ServiceHandlers } from "./api.ts";
import { type GenCall, type ReplyTo, readGenCall, readGenCast } from "./gen.ts";
import { CallContext, type MessageContext } from "./message-context.ts";
import { isOutdated } from "./message-parts.ts";
import { type NodeCore, reply, reportHandlerError } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import type { OpenWork } from "./open-work.ts";
import { BY_DEFAULT, Refusals, type Why } from "./refusals.ts";
import { callFailure } from "./remote-failure.ts";
import type { Session } from "./session.ts";
import { verdictOn } from "./verdict-on.ts";

/** Finds the session a message came over. */
export type SessionOf = (ctx: MessageContext) => Session | undefined;

/**
 * A named service: gen_server-shaped messages to the three handlers. A handler that throws fails its caller with
 * `{handler_error, Id}` and is reported; the service lives on.
 */
export class ServiceBehaviour implements Behaviour<MessageContext> {
  readonly #core: NodeCore;
  readonly #name: string;
  readonly #handlers: ServiceHandlers;
  readonly #sessionOf: SessionOf;
  readonly #refusals: Refusals;
  /** Set once it runs. */
  process: NodeProcess | undefined;

  constructor(core: NodeCore, name: string, handlers: ServiceHandlers, sessionOf: SessionOf) {
    this.#core = core;
    this.#refusals = new Refusals(core);
    this.#name = name;
    this.#handlers = handlers;
    this.#sessionOf = sessionOf;
  }

  message(term: Term, ctx: MessageContext): void | Promise<void> {
    if (term instanceof Tuple) {
      const call = readGenCall(term);
      if (call !== undefined) return this.#call(call, ctx);
      const cast = readGenCast(term);
      if (cast !== undefined) return this.#take("cast", cast.message, ctx);
    }
    return this.#take("info", term, ctx);
  }

  #take(kind: "cast" | "info", message: Term, ctx: MessageContext): void | Promise<void> {
    if (this.#handlers[kind] === undefined) {
      this.#core.counters.add("dropped_no_target");
      return;
    }
    try {
      const pending = this.#handlers[kind](message, ctx);
      if (pending instanceof Promise) return pending.catch((error: unknown) => void this.#report(kind, error));
    } catch (error) {
      this.#report(kind, error);
    }
  }

  #call(call: GenCall, ctx: MessageContext): void | Promise<void> {
    const session = this.#sessionOf(ctx);
    const { replyTo } = call;
    if (this.#handlers.call === undefined) {
      this.#done(ctx);
      const id =
        session === undefined
          ? newDecisionId(this.#core.random)
          : this.#refusals.record(session, "call", this.#name, BY_DEFAULT);
      this.#fail(session, ctx, replyTo, denied(id));
      return;
    }
    // It may have waited in the mailbox while the rules changed.
    const verdict = session !== undefined && isOutdated(this.#core, ctx) ? this.#verdict(session, ctx) : undefined;
    if (session !== undefined && verdict !== undefined && verdict.outcome !== "allow") {
      this.#done(ctx);
      // The monitor of a call that waited was taken back, with a word, when the rules changed.
      this.#refuse(session, ctx, replyTo, verdict, false);
      return;
    }
    const callCtx = new CallContext(ctx);
    let pending: ReplyTerm | Promise<ReplyTerm>;
    try {
      pending = this.#handlers.call(call.request, callCtx);
    } catch (error) {
      this.#done(ctx);
      this.#crashed(session, ctx, replyTo, error);
      return;
    }
    if (!(pending instanceof Promise)) {
      this.#done(ctx);
      this.#answer(session, ctx, replyTo, pending as Term);
      return;
    }
    return this.#answerLater(session, replyTo, callCtx, pending);
  }

  /** Answers once the handler is done; until then the caller's end of waiting aborts the handler's signal. */
  #answerLater(
    session: Session | undefined,
    to: ReplyTo,
    callCtx: CallContext,
    pending: Promise<ReplyTerm>,
  ): Promise<void> {
    let isOpen = true;
    const work: OpenWork = {
      end: () => callCtx.end(),
      reconsider: () => {
        if (session === undefined || !isOpen) return;
        const now = this.#verdict(session, callCtx) ?? BY_DEFAULT;
        if (now.outcome === "allow") return;
        isOpen = false;
        callCtx.end();
        this.#refuse(session, callCtx, to, now, true);
      },
    };
    session?.work.add(work, to.monitor);
    const done = (): boolean => {
      this.#done(callCtx);
      session?.work.remove(work, to.monitor);
      return isOpen;
    };
    return pending.then(
      (value) => {
        if (done()) this.#answer(session, callCtx, to, value as Term);
      },
      (error: unknown) => {
        if (done()) this.#crashed(session, callCtx, to, error);
      },
    );
  }

  /** The place of a call that a peer made is free again. */
  #done({ admission }: MessageContext): void {
    if (admission !== undefined && this.process !== undefined) admission.inflight.done(this.process, admission.grant);
  }

  /** What the rules in force say of a call that they, or older ones, let in. */
  #verdict(session: Session, { admission }: MessageContext): Verdict | undefined {
    const { process } = this;
    if (process === undefined || admission === undefined) return undefined;
    return verdictOn(this.#core, session.guard, admission, process, "call");
  }

  /**
   * Tells a caller that its call is refused after all: behind its monitor while that stands, and `always` also without one, as
   * when a call is refused at once.
   */
  #refuse(session: Session, ctx: MessageContext, to: ReplyTo, why: Why, always: boolean): void {
    const refused = denied(this.#refusals.record(session, "call", this.#name, why));
    if (to.monitor === undefined) return;
    const target = ctx.admission?.target ?? this.#name;
    const hadMonitor = session.tables.demonitorRequested(to.pid, target, to.monitor);
    if (hadMonitor || always) this.#refusals.sendDown(session, target, to.pid, to.monitor, refused);
  }

  #answer(session: Session | undefined, ctx: MessageContext, to: ReplyTo, value: Term): void {
    try {
      reply(this.#core, session, ctx.self, to, value, new Tuple([to.tag, value]));
    } catch (error) {
      // The reply is no term, or too much waits for this peer: the caller must not wait for its timeout.
      this.#crashed(session, ctx, to, error);
    }
  }

  #crashed(session: Session | undefined, ctx: MessageContext, to: ReplyTo, error: unknown): void {
    this.#fail(session, ctx, to, handlerError(this.#report("call", error)));
  }

  /** Ends the caller's wait: its monitor fires with `reason`, though the service lives on. */
  #fail(session: Session | undefined, ctx: MessageContext, to: ReplyTo, reason: Term): void {
    if (session === undefined) {
      const call = to.alias === undefined ? undefined : this.#core.calls.find(to.alias, undefined);
      if (call !== undefined) this.#core.calls.fail(call, callFailure(this.#core.name, this.#name, reason));
      return;
    }
    if (to.monitor === undefined) return;
    // Who called a pid watches that pid, and takes the end of nothing else for the end of its call.
    const target = ctx.admission?.target ?? this.#name;
    session.tables.demonitorRequested(to.pid, target, to.monitor);
    session.signal({ kind: "monitor-exit", target, to: to.pid, ref: to.monitor, reason: "payload" }, reason);
  }

  #report(kind: "call" | "cast" | "info", error: unknown): string {
    return reportHandlerError(this.#core, `${this.#name}.${kind}`, error);
  }
}

/** @throws {SallyportError} ERR_API_MISUSE HANDLERS_INVALID */
export function checkHandlers(name: string, handlers: ServiceHandlers): void {
  for (const kind of ["call", "cast", "info"] as const) {
    if (handlers[kind] === undefined || typeof handlers[kind] === "function") continue;
    throw new SallyportError(
      "ERR_API_MISUSE",
      "HANDLERS_INVALID",
      `handler ${kind} of service "${name}" is not a function`,
      {
        advice: "pass an object with functions call, cast and info",
      },
    );
  }
}
