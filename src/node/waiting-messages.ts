import type { Verb } from "../policy/verbs.ts";
import { Atom, type Term, Tuple } from "../term/types.ts";
import { readGenCall } from "./gen.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { Refusals } from "./refusals.ts";
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
    const { peer, admission } = ctx;
    const { epoch, outcasts, services, processes, capabilities, clock } = this.#core;
    if (peer === null || admission === undefined || admission.epoch === epoch.value) return true;
    if (outcasts.has(peer)) return false;
    const session = this.#sessionOf(ctx);
    // A peer that left in good order may have what it sent before: its rules ended with it.
    if (session === undefined) return true;
    const verb = verbOf(term);
    // A service judges its calls itself, since it must answer them.
    if (verb === "call" && services.has(process)) return true;
    const isGranted = admission.isHandedOver || capabilities.isGranted(process, session.facts, clock.now());
    const byPid = isGranted ? "by-granted-pid" : "by-pid";
    const access = typeof admission.target === "string" ? "by-name" : byPid;
    const verdict = session.guard.onProcess(verb, process, access, processes.names.generation);
    if (verdict.outcome === "allow" || (verdict.outcome === "deny-default" && admission.isHandedOver)) return true;
    const refusals = new Refusals(this.#core);
    const call = readGenCall(term);
    const { target } = admission;
    if (call?.replyTo.monitor === undefined) {
      refusals.record(session, verb, target, verdict);
      return false;
    }
    const { pid, monitor } = call.replyTo;
    session.tables.demonitorRequested(pid, target, monitor);
    refusals.down(session, verb, target, pid, monitor, verdict);
    return false;
  };
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
