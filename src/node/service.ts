import { SallyportError } from "../base/errors.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import { denied } from "../guard/refusal-answer.ts";
import { handlerError } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import { refKey } from "../process/term-keys.ts";
import { type Pid, type Term, Tuple } from "../term/types.ts";
import type { ReplyTerm, ServiceHandlers } from "./api.ts";
import { type GenCall, type ReplyTo, readGenCall, readGenCast } from "./gen.ts";
import { CallContext, type MessageContext } from "./message-context.ts";
import { type NodeCore, reply, reportHandlerError } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { Refusals } from "./refusals.ts";
import { callFailure } from "./remote-failure.ts";
import type { OpenWork, Session } from "./session.ts";

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
  /** Set once it runs. */
  process: NodeProcess | undefined;

  constructor(core: NodeCore, name: string, handlers: ServiceHandlers, sessionOf: SessionOf) {
    this.#core = core;
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
      this.#done(session, ctx);
      this.#fail(session, ctx.self, replyTo, denied(newDecisionId(this.#core.random)));
      return;
    }
    const callCtx = new CallContext(ctx);
    let pending: ReplyTerm | Promise<ReplyTerm>;
    try {
      pending = this.#handlers.call(call.request, callCtx);
    } catch (error) {
      this.#done(session, ctx);
      this.#crashed(session, ctx.self, replyTo, error);
      return;
    }
    if (!(pending instanceof Promise)) {
      this.#done(session, ctx);
      this.#answer(session, ctx.self, replyTo, pending as Term);
      return;
    }
    return this.#answerLater(session, ctx.self, replyTo, callCtx, pending);
  }

  /** Answers once the handler is done; until then the caller's end of waiting aborts the handler's signal. */
  #answerLater(
    session: Session | undefined,
    self: Pid,
    to: ReplyTo,
    callCtx: CallContext,
    pending: Promise<ReplyTerm>,
  ): Promise<void> {
    const key = to.monitor === undefined ? undefined : refKey(to.monitor);
    let isOpen = true;
    const work: OpenWork = {
      end: () => callCtx.end(),
      reconsider: () => {
        if (session === undefined || this.#mayStill(session)) return;
        isOpen = false;
        callCtx.end();
        session.openCalls.delete(key ?? "");
        const id = new Refusals(this.#core).record(session, "call", this.#name, { outcome: "deny-default" });
        this.#fail(session, self, to, denied(id));
      },
    };
    if (key !== undefined) session?.openCalls.set(key, work);
    const done = (): boolean => {
      this.#done(session, callCtx);
      if (key !== undefined && session?.openCalls.get(key) === work) session.openCalls.delete(key);
      return isOpen;
    };
    return pending.then(
      (value) => {
        if (done()) this.#answer(session, self, to, value as Term);
      },
      (error: unknown) => {
        if (done()) this.#crashed(session, self, to, error);
      },
    );
  }

  /** The place of a call that a peer made is free again. */
  #done(session: Session | undefined, ctx: MessageContext): void {
    if (session !== undefined && this.process !== undefined) session.inflight.done(this.process, ctx.grant);
  }

  #mayStill(session: Session): boolean {
    const { process } = this;
    if (process === undefined) return false;
    const { generation } = this.#core.processes.names;
    return session.guard.onProcess("call", process, "by-name", generation).outcome === "allow";
  }

  #answer(session: Session | undefined, self: Pid, to: ReplyTo, value: Term): void {
    try {
      reply(this.#core, session, self, to, value, new Tuple([to.tag, value]));
    } catch (error) {
      // The reply is no term, or too much waits for this peer: the caller must not wait for its timeout.
      this.#crashed(session, self, to, error);
    }
  }

  #crashed(session: Session | undefined, self: Pid, to: ReplyTo, error: unknown): void {
    this.#fail(session, self, to, handlerError(this.#report("call", error)));
  }

  /** Ends the caller's wait: its monitor fires with `reason`, though the service lives on. */
  #fail(session: Session | undefined, self: Pid, to: ReplyTo, reason: Term): void {
    if (session === undefined) {
      const call = to.alias === undefined ? undefined : this.#core.calls.find(to.alias, undefined);
      if (call !== undefined) this.#core.calls.fail(call, callFailure(this.#core.name, this.#name, reason));
      return;
    }
    if (to.monitor === undefined) return;
    session.tables.demonitorRequested(to.pid, this.#name, to.monitor);
    session.signal(
      { kind: "monitor-exit", target: this.#name, to: to.pid, ref: to.monitor, reason: "payload" },
      reason,
    );
    void self;
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
