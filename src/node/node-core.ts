import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { Capabilities } from "../guard/capabilities.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { Incarnation } from "../guard/ownership.ts";
import type { Pid, Term } from "../term/types.ts";
import type { NodeEvents, Peer } from "./api.ts";
import type { CallTable } from "./call-table.ts";
import type { Counters } from "./counters.ts";
import type { Decisions } from "./decisions.ts";
import type { EventHub } from "./event-hub.ts";
import type { ReplyTo } from "./gen.ts";
import type { NameRules } from "./name-rules.ts";
import type { NodeProcess, NodeProcesses } from "./node-process.ts";
import type { RefMaker } from "./refs.ts";
import type { Session } from "./session.ts";

/** What the parts of a node share. Made once by the node; none of the parts knows the node itself. */
export interface NodeCore {
  readonly name: NodeName;
  readonly creation: number;
  /** This node in this life. */
  readonly self: Incarnation;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: NodeProcesses;
  readonly calls: CallTable;
  readonly refs: RefMaker;
  readonly events: EventHub;
  readonly counters: Counters;
  readonly nameRules: NameRules;
  readonly decisions: Decisions;
  /** Processes that were handed to peers. */
  readonly capabilities: Capabilities<NodeProcess>;
  readonly guardLimits: GuardLimits;
  /** Goes up when rules change and when a peer loses its standing: what was let in before is judged again before it is handled. */
  readonly epoch: { value: number };
  /** Peers that lost their standing: what they sent before is not handled any more. */
  readonly outcasts: WeakSet<Peer>;
  /** Processes that answer `$gen_call`: their unanswered calls are counted. */
  readonly services: WeakSet<NodeProcess>;
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
