import type { Capability } from "../guard/capabilities.ts";
import type { MessageVerb } from "../guard/classify.ts";
import type { Grant } from "../policy/decision.ts";
import type { TupleHead } from "../term/peek.ts";
import { skipTerm } from "../term/skip.ts";
import type { Pid } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import type { Session } from "./session.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/** Messages to a process of this node: to its pid, its name, or an alias that was handed out. */
export type MessageControl = Kind<"send"> | Kind<"reg-send"> | Kind<"alias-send">;

/** Processes of the node itself, which have rules of their own. */
export interface OwnProcesses {
  readonly netKernel: NodeProcess;
  readonly rex: NodeProcess;
  readonly outputSink: NodeProcess;
}

/** A target as it is watched and reported. */
export function targetOf(control: MessageControl): Pid | string {
  if (control.kind === "reg-send") return control.name;
  return control.kind === "send" ? control.to : "alias";
}

/** Offset of the part that shapes are about: the request of a call, the message of a cast. `head` is that of the message. */
export function innerStart(head: TupleHead, verb: MessageVerb, buffer: Buffer, start: number, end: number): number {
  const { arity, second } = head;
  if (second === 0 || second >= end) return start;
  if (verb === "cast" && arity === 2) return second;
  return verb === "call" && arity === 3 ? skipTerm(buffer, second, end) : start;
}

/** What goes beside a message that `grant` lets in, or a capability. */
export function contextOf(
  core: NodeCore,
  session: Session,
  control: MessageControl,
  process: NodeProcess,
  grant: Grant | undefined,
  capability?: Capability<NodeProcess>,
): MessageContext {
  const { peer, lifetime, guard, inflight } = session;
  return new MessageContext(peer, control.from, core.name, process.pid, lifetime, {
    target: control.kind === "reg-send" ? control.name : process.pid,
    grant: grant?.limits === undefined ? undefined : grant,
    epoch: core.epoch.value,
    capability,
    guard,
    inflight,
  });
}

/**
 * Whether what was decoded last holds a fun or an identifier of a third node that nothing lets this peer send: neither the rule by
 * which it came, nor what the peer holds on the target.
 */
export function holdsUnwanted({ watch, guard }: Session, grant: Grant | undefined, held?: Capability<object>): boolean {
  const hasFun = watch.hasFun && held?.funs !== true && !guard.mayFuns(grant);
  return hasFun || (watch.hasForeign && held?.foreign !== true && !guard.mayForeign(grant));
}

/** True when a message of a peer was let in by rules that are not in force any more. */
export function isOutdated(core: NodeCore, { admission }: MessageContext): boolean {
  return admission !== undefined && admission.epoch !== core.epoch.value;
}
