import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import type { Pid, Term } from "../term/types.ts";
import type { Denied, NodeEvents } from "./api.ts";
import type { CallTable } from "./call-table.ts";
import type { Counters } from "./counters.ts";
import type { EventHub } from "./event-hub.ts";
import type { ReplyTo } from "./gen.ts";
import type { NameRules } from "./name-rules.ts";
import type { RefMaker } from "./refs.ts";
import type { NodeProcesses, Session } from "./session.ts";

/** What the parts of a node share. Made once by the node; none of the parts knows the node itself. */
export interface NodeCore {
  readonly name: NodeName;
  readonly creation: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: NodeProcesses;
  readonly calls: CallTable;
  readonly refs: RefMaker;
  readonly events: EventHub;
  readonly counters: Counters;
  readonly nameRules: NameRules;
  /** Sender of everything that no process sends. */
  readonly mainPid: Pid;
}

/** Tells the operator of a failed handler and returns the id under which the caller hears of it. */
export function reportHandlerError(core: NodeCore, where: string, error: unknown): string {
  const id = newDecisionId(core.random);
  core.counters.add("handler_errors");
  const failure: NodeEvents["handlerError"][0] = { id, where, error };
  core.events.emit("handlerError", failure);
  return id;
}

/** Counts a refusal and tells the operator of it; returns the id under which the peer hears of it, if it hears at all. */
export function reportDenied(core: NodeCore, session: Session, verb: string, target: string): string {
  core.counters.add("denied");
  const id = newDecisionId(core.random);
  if (core.events.has("denied")) {
    const told: Denied = { decision: id, outcome: "deny-default", rule: null, peer: session.peer.name, verb, target };
    core.events.emit("denied", told);
  }
  return id;
}

/** Answers a call: by alias where the caller asked for it, else to its pid. Within the node the call settles at once. */
export function reply(
  core: NodeCore,
  session: Session | undefined,
  from: Pid,
  to: ReplyTo,
  value: Term,
  tagged: Term,
): void {
  if (session === undefined) {
    const call = to.alias === undefined ? undefined : core.calls.find(to.alias, undefined);
    if (call !== undefined) core.calls.answer(call, value);
    return;
  }
  if (!session.connection.isUp) return;
  if (to.alias !== undefined && session.hasAlias) {
    session.connection.message({ kind: "alias-send", from, alias: to.alias }, tagged);
  } else {
    session.connection.message({ kind: "send", from, to: to.pid }, tagged);
  }
}

/** Answers a peer where nobody could take a failure: when the answer cannot leave, the session ends (see Session.signal). */
export function replyOrEnd(session: Session, from: Pid, to: ReplyTo, tagged: Term): void {
  if (to.alias !== undefined && session.hasAlias) session.signal({ kind: "alias-send", from, alias: to.alias }, tagged);
  else session.signal({ kind: "send", from, to: to.pid }, tagged);
}
