import type { Verb } from "../policy/verbs.ts";
import { Atom, type Term, Tuple } from "../term/types.ts";
import { readGenCall } from "./gen.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { BY_DEFAULT, Refusals } from "./refusals.ts";
import type { SessionOf } from "./service.ts";

/**
 * Messages of peers that waited in a mailbox while the rules changed. One that they would not let in any more is not handled:
 * a caller is answered as refused. What a peer sent before its session was cut for its standing is dropped.
 */
export class WaitingMessages {
  readonly #core: NodeCore;
  readonly #sessionOf: SessionOf;

  constructor(core: NodeCore, sessionOf: SessionOf) {
    this.#core = core;
    this.#sessionOf = sessionOf;
  }

  /** See `StillAllowed`. */
  readonly stillAllowed = (term: Term, ctx: MessageContext, process: NodeProcess): boolean => {
    const { epoch, outcasts, processes } = this.#core;
    if (ctx.epoch === epoch.value) return true;
    if (ctx.peer !== null && outcasts.has(ctx.peer)) return false;
    const session = this.#sessionOf(ctx);
    // A peer that left in good order may have what it sent before: its rules ended with it.
    if (session === undefined) return true;
    const verb = verbOf(term);
    const accesses = ["by-name", "by-pid", "by-granted-pid"] as const;
    const may = (access: (typeof accesses)[number]): boolean => {
      if (access === "by-name" && process.name === undefined) return false;
      const now = this.#core.clock.now();
      if (access === "by-granted-pid" && !this.#core.capabilities.isGranted(process, session.facts, now)) return false;
      return session.guard.onProcess(verb, process, access, processes.names.generation).outcome === "allow";
    };
    if (accesses.some(may)) return true;
    this.#refuse(term, ctx, process, verb);
    return false;
  };

  #refuse(term: Term, ctx: MessageContext, process: NodeProcess, verb: Verb): void {
    const session = this.#sessionOf(ctx);
    if (session === undefined) return;
    const refusals = new Refusals(this.#core);
    const target = process.name ?? process.pid;
    const call = readGenCall(term);
    if (call !== undefined && this.#core.services.has(process)) session.inflight.done(process, ctx.grant);
    if (call?.replyTo.monitor === undefined) {
      refusals.record(session, verb, target, BY_DEFAULT);
      return;
    }
    const { pid, monitor } = call.replyTo;
    session.tables.demonitorRequested(pid, target, monitor);
    refusals.down(session, verb, target, pid, monitor, BY_DEFAULT);
  }
}

/** The verb of a message that was decoded: of `classifyMessage`, for what may wait in a mailbox. */
function verbOf(term: Term): Verb {
  if (!(term instanceof Tuple)) return "send";
  const [head] = term.elements;
  if (!(head instanceof Atom)) return "send";
  switch (head.name) {
    case "$gen_call":
      return "call";
    case "$gen_cast":
      return "cast";
    case "io_request":
      return "io";
    case "system":
    case "EXIT":
    case "DOWN":
    case "io_reply":
      return "system";
    default:
      return "send";
  }
}
