import { type Capability, type CapabilityVerb, isHeld } from "../guard/capabilities.ts";
import { classifyMessage, type MessageVerb } from "../guard/classify.ts";
import { wantedByRex } from "../guard/peek-function.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { Access } from "../guard/verdicts.ts";
import type { Grant, Verdict } from "../policy/decision.ts";
import { functionLabel } from "../policy/parse-target.ts";
import type { Verb } from "../policy/verbs.ts";
import { SYSTEM_LIMIT } from "../process/exit-reason.ts";
import { TupleHead } from "../term/peek.ts";
import { skipTerm } from "../term/skip.ts";
import { type Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { decodePayload } from "./decode-payload.ts";
import type { Functions } from "./functions.ts";
import { goesTo, readGenCall, readGenCast, readReplyTo } from "./gen.ts";
import { MessageContext } from "./message-context.ts";
import { type NodeCore, replyOrEnd } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { badRpc } from "./own-services.ts";
import { sameRef } from "./refs.ts";
import { BY_DEFAULT, BY_LIMIT, type Refusals, type Why } from "./refusals.ts";
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

/** Longest `{From, Tag}` of a refused call that is looked at for the answer, in bytes. */
const MAX_REPLY_TO_BYTES = 2_048;

/** Longest question to `net_kernel`, in bytes. */
const MAX_PING_BYTES = 2_048;

/** Kinds of messages that a sender may expect to be large. */
const MESSAGE_VERBS: readonly MessageVerb[] = ["send", "call", "cast", "io", "system"];

/** Messages of peers to processes of this node. */
export class Deliveries {
  readonly #core: NodeCore;
  readonly #functions: Functions;
  readonly #own: OwnProcesses;
  readonly #refusals: Refusals;
  readonly #head: TupleHead = new TupleHead();

  constructor(core: NodeCore, functions: Functions, own: OwnProcesses, refusals: Refusals) {
    this.#core = core;
    this.#functions = functions;
    this.#own = own;
    this.#refusals = refusals;
  }

  /** Whether any kind of message of this session could reach the target. */
  mayReach(session: Session, control: MessageControl): boolean {
    const process = this.#target(control);
    if (process === undefined) return false;
    if (this.#isOwn(process)) return process !== this.#own.netKernel;
    const access = this.#accessOf(session, control, process);
    const { generation } = this.#core.processes.names;
    return (
      access === "by-granted-pid" ||
      MESSAGE_VERBS.some((verb) => session.guard.onProcess(verb, process, access, generation).outcome === "allow")
    );
  }

  /** A message to a pid or a name. */
  message(session: Session, control: MessageControl, buffer: Buffer, start: number, end: number): void {
    const verb = classifyMessage(buffer, start, end, this.#head, session.connection.terms.atomRefs);
    const process = this.#target(control);
    if (process === undefined) {
      this.#missing(session, control, verb, buffer, end);
      return;
    }
    if (this.#isOwn(process)) {
      this.#toOwn(session, control, process, verb, buffer, start, end);
      return;
    }
    const { guard } = session;
    const access = this.#accessOf(session, control, process);
    const verdict = guard.onProcess(verb, process, access, this.#core.processes.names.generation);
    const capability = access === "by-granted-pid" ? this.#capability(session, process, verb) : undefined;
    if (verdict.outcome !== "allow") {
      if (verdict.outcome !== "deny-default" || capability === undefined) {
        this.#refuse(session, control, verb, verdict, buffer, end);
        return;
      }
    }
    const grant = this.#grantFor(session, verdict, verb, buffer, start, end);
    if (grant !== undefined && "kind" in grant) {
      this.#refuse(session, control, verb, grant, buffer, end);
      return;
    }
    if (capability !== undefined) this.#core.capabilities.use(capability);
    if (grant?.mode === "audit") this.#refusals.audited(session, verb, targetOf(control), grant);
    const ctx = this.#context(session, control, process, grant);
    const delivered = this.deliver(session, control, process, ctx, verb, grant, buffer, start, end);
    if (delivered && capability === undefined && control.kind !== "alias-send") {
      this.#warmUp(session, control, process, ctx, access);
    }
  }

  /** A message to an alias that this node handed out, if it is one. */
  byCapability(session: Session, control: Kind<"alias-send">, buffer: Buffer, start: number, end: number): void {
    const { capabilities, clock, counters } = this.#core;
    const capability = capabilities.byAlias(control.alias, clock.now());
    if (capability === undefined) {
      counters.add("late_replies");
      return;
    }
    const process = capability.target;
    const verb = classifyMessage(buffer, start, end, this.#head, session.connection.terms.atomRefs);
    const verdict = session.guard.onProcess(verb, process, "by-pid", this.#core.processes.names.generation);
    const isDenied = verdict.outcome !== "allow" && verdict.outcome !== "deny-default";
    if (isDenied || !isHeld(capability, session.facts) || !capability.verbs.has(verb as CapabilityVerb)) {
      this.#refuse(session, control, verb, isDenied ? verdict : BY_DEFAULT, buffer, end);
      return;
    }
    capabilities.use(capability);
    const ctx = this.#context(session, control, process, undefined);
    this.deliver(session, control, process, ctx, verb, undefined, buffer, start, end);
  }

  /** Decodes a message that is allowed and hands it over; false when it was refused after all. */
  deliver(
    session: Session,
    control: MessageControl,
    process: NodeProcess,
    ctx: MessageContext,
    verb: MessageVerb,
    grant: Grant | undefined,
    buffer: Buffer,
    start: number,
    end: number,
  ): boolean {
    const term = decodePayload(session, buffer, start, end);
    const { counters, services } = this.#core;
    counters.messagesIn++;
    const call = verb === "call" && term instanceof Tuple ? readGenCall(term) : undefined;
    if (call !== undefined && !goesTo(call.replyTo, session.node, session.creation)) throw answerElsewhere();
    const fault = this.#contentFault(session, verb, term, call !== undefined, grant);
    if (fault !== undefined) {
      this.#refusals.record(session, verb, targetOf(control), fault);
      if (call?.replyTo.monitor !== undefined)
        this.#endCall(session, control, verb, call.replyTo.pid, call.replyTo.monitor, fault);
      return false;
    }
    const isCounted = call !== undefined && services.has(process);
    // Counted as the service gives it back: by what the context holds.
    if (isCounted && !session.inflight.begin(process, ctx.grant)) {
      if (call.replyTo.monitor !== undefined)
        this.#endCall(session, control, verb, call.replyTo.pid, call.replyTo.monitor, BY_LIMIT);
      return false;
    }
    if (process.deliver(term, ctx, end - start)) return true;
    counters.add("dropped_mailbox_full");
    if (isCounted) session.inflight.done(process, ctx.grant);
    // A caller that waits is told at once that there is no room.
    if (call?.replyTo.monitor !== undefined) {
      this.#refusals.sendDown(session, targetOf(control), call.replyTo.pid, call.replyTo.monitor, SYSTEM_LIMIT);
    }
    return false;
  }

  /** What keeps a decoded message out although its head was right. */
  #contentFault(
    session: Session,
    verb: MessageVerb,
    term: Term,
    isCall: boolean,
    grant: Grant | undefined,
  ): Why | undefined {
    const { watch, guard } = session;
    if (watch.hasFun && !guard.mayFuns(grant)) return BY_LIMIT;
    if (watch.hasForeign && !guard.mayForeign(grant)) return BY_LIMIT;
    if (verb === "call" && !isCall) return BY_DEFAULT;
    if (verb === "cast" && readGenCast(term) === undefined) return BY_DEFAULT;
    return undefined;
  }

  /** The grant that lets this very message through; undefined where nothing needs weighing. */
  #grantFor(
    session: Session,
    verdict: Verdict,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): ReturnType<Session["guard"]["weigh"]> | undefined {
    const { guard } = session;
    if (verdict.outcome !== "allow" || guard.isOpen(verdict)) return undefined;
    const inner = this.#inner(verb, buffer, start, end);
    return guard.weigh(verdict, { buffer, start, end, inner }, session.connection.terms);
  }

  /** Where the part stands that shapes are about. `#head` is that of the message. */
  #inner(verb: MessageVerb, buffer: Buffer, start: number, end: number): number {
    const { arity, second } = this.#head;
    if (second === 0 || second >= end) return start;
    if (verb === "cast" && arity === 2) return second;
    return verb === "call" && arity === 3 ? skipTerm(buffer, second, end) : start;
  }

  /** What has no process behind it: silence, but for a call. */
  #missing(session: Session, control: MessageControl, verb: MessageVerb, buffer: Buffer, end: number): void {
    this.#core.counters.add("dropped_no_target");
    const name = control.kind === "reg-send" ? control.name : undefined;
    const former =
      name !== undefined
        ? this.#core.nameRules.get(name)
        : control.kind === "send"
          ? this.#core.processes.tagOf(control.to)?.tag
          : undefined;
    const verdict = session.guard.onMissing(verb, name, former);
    if (verdict.outcome !== "allow") this.#refuse(session, control, verb, verdict, buffer, end);
  }

  /** Refuses a message; `as` is the verb under which that is recorded. */
  #refuse(
    session: Session,
    control: MessageControl,
    verb: MessageVerb,
    why: Why,
    buffer: Buffer,
    end: number,
    as: Verb = verb,
  ): void {
    const replyTo = verb === "call" ? this.#replyTo(session, buffer, end) : undefined;
    if (replyTo?.monitor === undefined) this.#refusals.record(session, as, targetOf(control), why);
    else this.#endCall(session, control, as, replyTo.pid, replyTo.monitor, why);
  }

  /** Ends the wait of a refused caller. */
  #endCall(session: Session, control: MessageControl, verb: Verb, to: Pid, ref: Reference, why: Why): void {
    const target = targetOf(control);
    const hadMonitor = session.tables.demonitorRequested(to, target, ref);
    // The monitor that a caller sets first may have been refused, and answered, already.
    const isAnswered = !hadMonitor && session.refusedMonitor !== undefined && sameRef(session.refusedMonitor, ref);
    if (isAnswered) this.#refusals.record(session, verb, target, why);
    else this.#refusals.down(session, verb, target, to, ref, why);
  }

  /** Whom a refused call is to be answered: only that part of it is decoded. @throws {SallyportError} FORGED_IDENTIFIER */
  #replyTo(session: Session, buffer: Buffer, end: number): ReturnType<typeof readReplyTo> {
    const { arity, second } = this.#head;
    if (arity !== 3 || second === 0 || second >= end) return undefined;
    const after = skipTerm(buffer, second, end);
    if (after - second > MAX_REPLY_TO_BYTES) return undefined;
    const replyTo = readReplyTo(session.connection.terms.decodeAt(buffer, second, after));
    if (replyTo !== undefined && !goesTo(replyTo, session.node, session.creation)) throw answerElsewhere();
    return replyTo;
  }

  #toOwn(
    session: Session,
    control: MessageControl,
    process: NodeProcess,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { netKernel, rex } = this.#own;
    let grant: Grant | undefined;
    if (process === netKernel) {
      if (verb !== "call" || end - start > MAX_PING_BYTES || !session.guard.mayConnect) {
        this.#refuse(session, control, verb, BY_DEFAULT, buffer, end, "system");
        return;
      }
    } else if (process === rex) {
      const asked = this.#askedOfRex(session, control, verb, buffer, start, end);
      if (asked === undefined) return;
      grant = asked.grant;
    } else if (verb !== "io" || !session.takesOutput) {
      this.#refusals.record(session, verb, "output", BY_DEFAULT);
      return;
    }
    const ctx = this.#context(session, control, process, grant);
    const term = decodePayload(session, buffer, start, end);
    const { watch, guard } = session;
    if ((watch.hasFun && !guard.mayFuns(grant)) || (watch.hasForeign && !guard.mayForeign(grant))) {
      this.#refuse(session, control, verb, BY_LIMIT, buffer, end);
      return;
    }
    if (!process.deliver(term, ctx, end - start)) this.#core.counters.add("dropped_mailbox_full");
  }

  /** The function that is asked for must be granted before its arguments are decoded. */
  #askedOfRex(
    session: Session,
    control: MessageControl,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): { readonly grant: Grant | undefined } | undefined {
    const { atomRefs } = session.connection.terms;
    const isAsked = verb === "call" || verb === "cast";
    const wanted = isAsked ? wantedByRex(buffer, this.#inner(verb, buffer, start, end), end, atomRefs) : undefined;
    if (wanted === undefined) {
      this.#refuse(session, control, verb, BY_DEFAULT, buffer, end, "rpc");
      return undefined;
    }
    const label = functionLabel(wanted.module, wanted.fn, wanted.arity);
    const asked = this.#functions.ask(session, "rpc", label, { buffer, start, end, inner: wanted.args });
    if (!("why" in asked)) return asked;
    const id = this.#refusals.record(session, "rpc", label, asked.why);
    const replyTo = verb === "call" ? this.#replyTo(session, buffer, end) : undefined;
    if (replyTo !== undefined) replyOrEnd(session, this.#own.rex.pid, replyTo, badRpc(replyTo.tag, denied(id)));
    return undefined;
  }

  #context(session: Session, control: MessageControl, process: NodeProcess, grant: Grant | undefined): MessageContext {
    const { peer, lifetime, guard } = session;
    const isBounded = grant?.limits !== undefined;
    return new MessageContext(
      peer,
      control.from,
      this.#core.name,
      process.pid,
      lifetime,
      guard.generation,
      isBounded ? grant : undefined,
    );
  }

  /** Remembers a target for the next message to it, when some kinds of messages may reach it whatever they hold. */
  #warmUp(session: Session, control: MessageControl, process: NodeProcess, ctx: MessageContext, access: Access): void {
    if (ctx.grant !== undefined) return;
    const { guard } = session;
    const { generation } = this.#core.processes.names;
    const isOpen = (verb: MessageVerb): boolean => {
      const verdict = guard.onProcess(verb, process, access, generation);
      return guard.isOpen(verdict) && verdict.validUntilMs === Number.POSITIVE_INFINITY;
    };
    const send = isOpen("send");
    const call = isOpen("call");
    const cast = isOpen("cast");
    session.warm = send || call || cast ? { control, generation, process, ctx, send, call, cast } : undefined;
  }

  #accessOf(session: Session, control: MessageControl, process: NodeProcess): Access {
    if (control.kind === "reg-send") return "by-name";
    const { capabilities, clock } = this.#core;
    if (capabilities.size === 0) return "by-pid";
    return capabilities.isGranted(process, session.facts, clock.now()) ? "by-granted-pid" : "by-pid";
  }

  #capability(session: Session, process: NodeProcess, verb: MessageVerb): Capability<NodeProcess> | undefined {
    const { capabilities, clock } = this.#core;
    return capabilities.find(process, session.facts, verb as CapabilityVerb, clock.now());
  }

  #target(control: MessageControl): NodeProcess | undefined {
    const { processes, capabilities, clock } = this.#core;
    switch (control.kind) {
      case "send":
        return processes.lookup(control.to);
      case "reg-send":
        return processes.names.whereis(control.name);
      case "alias-send":
        return capabilities.byAlias(control.alias, clock.now())?.target;
    }
  }

  #isOwn(process: NodeProcess): boolean {
    const { netKernel, rex, outputSink } = this.#own;
    return process === netKernel || process === rex || process === outputSink;
  }
}

/** A target as it is watched and reported. */
function targetOf(control: MessageControl): Pid | string {
  if (control.kind === "reg-send") return control.name;
  return control.kind === "send" ? control.to : "alias";
}

function answerElsewhere(): Error {
  return misbehaved("FORGED_IDENTIFIER", "the answer to a call is to go to somebody else than the peer");
}
