import { BY_CAPABILITY, type Capability, type CapabilityVerb, isHeld } from "../guard/capabilities.ts";
import { classifyMessage, type MessageVerb } from "../guard/classify.ts";
import type { Access } from "../guard/verdicts.ts";
import type { Verdict } from "../policy/decision.ts";
import { SYSTEM_LIMIT } from "../process/exit-reason.ts";
import { TupleHead } from "../term/peek.ts";
import { type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { decodePayload } from "./decode-payload.ts";
import type { Functions } from "./functions.ts";
import { goesTo, readGenCall, readGenCast, verbOf } from "./gen.ts";
import { OwnDeliveries } from "./inbound-own.ts";
import type { MessageContext } from "./message-context.ts";
import {
  contextOf,
  holdsUnwanted,
  innerStart,
  type MessageControl,
  type OwnProcesses,
  targetOf,
} from "./message-parts.ts";
import { answerElsewhere, MessageRefusals } from "./message-refusals.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { BY_DEFAULT, BY_LIMIT, type Refusals, type Why } from "./refusals.ts";
import type { Session } from "./session.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/** Kinds of messages that a sender may expect to be large. */
const MESSAGE_VERBS: readonly MessageVerb[] = ["send", "call", "cast", "io", "system"];

/** Messages of peers to processes of this node. */
export class Deliveries {
  readonly #core: NodeCore;
  readonly #own: OwnProcesses;
  readonly #toOwn: OwnDeliveries;
  readonly #refusals: Refusals;
  readonly #answers: MessageRefusals;
  readonly #head: TupleHead = new TupleHead();

  constructor(core: NodeCore, functions: Functions, own: OwnProcesses, refusals: Refusals) {
    this.#core = core;
    this.#own = own;
    this.#refusals = refusals;
    this.#answers = new MessageRefusals(refusals);
    this.#toOwn = new OwnDeliveries(core, functions, own, refusals, this.#head);
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
    const verb = classifyMessage(buffer, start, end, this.#head, session.terms.atomRefs);
    const process = this.#target(control);
    if (process === undefined) {
      this.#missing(session, control, verb, buffer, end);
      return;
    }
    if (this.#isOwn(process)) {
      this.#toOwn.message(session, control, process, verb, buffer, start, end);
      return;
    }
    const { guard } = session;
    const access = this.#accessOf(session, control, process);
    const ruled = guard.onProcess(verb, process, access, this.#core.processes.names.generation);
    const capability = access === "by-granted-pid" ? this.#capability(session, process, verb) : undefined;
    const ctx = this.#decide(session, control, process, verb, ruled, capability, buffer, start, end);
    if (ctx === undefined) return;
    // A grant of a process may end at any message, so what rests on one is asked for each.
    if (access !== "by-granted-pid" && !this.#core.decisions.recordsGrants) {
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
    const verb = classifyMessage(buffer, start, end, this.#head, session.terms.atomRefs);
    if (!isHeld(capability, session.facts)) {
      this.#answers.refuse(session, control, this.#head, verb, BY_DEFAULT, buffer, end);
      return;
    }
    const ruled = session.guard.onProcess(verb, process, "by-granted-pid", this.#core.processes.names.generation);
    const given = capability.verbs.has(verb as CapabilityVerb) ? capability : undefined;
    this.#decide(session, control, process, verb, ruled, given, buffer, start, end);
  }

  /**
   * Hands a message over when a rule, or else the capability, lets it through, and otherwise refuses it.
   * @param capability what this peer holds for this verb
   * @returns what the message was handed over with; undefined when it was refused
   */
  #decide(
    session: Session,
    control: MessageControl,
    process: NodeProcess,
    verb: MessageVerb,
    ruled: Verdict,
    capability: Capability<NodeProcess> | undefined,
    buffer: Buffer,
    start: number,
    end: number,
  ): MessageContext | undefined {
    const verdict = ruled.outcome === "deny-default" && capability !== undefined ? BY_CAPABILITY : ruled;
    if (verdict.outcome !== "allow") {
      this.#answers.refuse(session, control, this.#head, verb, verdict, buffer, end);
      return undefined;
    }
    const grant = this.#grantFor(session, verdict, verb, buffer, start, end);
    if (grant !== undefined && "kind" in grant) {
      this.#answers.refuse(session, control, this.#head, verb, grant, buffer, end);
      return undefined;
    }
    const ctx = contextOf(this.#core, session, control, process, grant, capability);
    if (!this.deliver(session, control, process, ctx, verb, buffer, start, end)) return undefined;
    if (capability !== undefined) this.#core.capabilities.use(capability);
    this.#refusals.allowed(session, verb, targetOf(control), verdict, grant);
    return ctx;
  }

  /** Decodes a message that is allowed and hands it over; false when it was refused after all. */
  deliver(
    session: Session,
    control: MessageControl,
    process: NodeProcess,
    ctx: MessageContext,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): boolean {
    const term = decodePayload(session, buffer, start, end);
    const { counters, services } = this.#core;
    counters.messagesIn++;
    const call = verb === "call" && term instanceof Tuple ? readGenCall(term) : undefined;
    if (call !== undefined && !goesTo(call.replyTo, session.node, session.creation)) throw answerElsewhere();
    let fault = this.#contentFault(session, verb, term, call !== undefined, ctx);
    const isCounted = fault === undefined && call !== undefined && services.has(process);
    // Counted as the service gives it back: by what the context holds.
    if (isCounted && !session.inflight.begin(process, ctx.admission?.grant)) fault = BY_LIMIT;
    if (fault !== undefined) {
      if (call?.replyTo.monitor === undefined) this.#refusals.record(session, verb, targetOf(control), fault);
      else this.#answers.endCall(session, control, verb, call.replyTo.pid, call.replyTo.monitor, fault);
      return false;
    }
    if (process.deliver(term, ctx, end - start)) return true;
    counters.add("dropped_mailbox_full");
    if (isCounted) session.inflight.done(process, ctx.admission?.grant);
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
    { admission }: MessageContext,
  ): Why | undefined {
    if (holdsUnwanted(session, admission?.grant, admission?.capability)) return BY_LIMIT;
    // What was let in for what its head said must be that.
    if (verbOf(term) !== verb) return BY_DEFAULT;
    if (verb === "call" && !isCall) return BY_DEFAULT;
    if (verb === "cast" && readGenCast(term) === undefined) return BY_DEFAULT;
    return undefined;
  }

  /** The grant of an allowing verdict that lets this very message through; undefined where nothing needs weighing. */
  #grantFor(
    session: Session,
    verdict: Verdict,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): ReturnType<Session["guard"]["weigh"]> | undefined {
    const { guard } = session;
    if (guard.isOpen(verdict)) return undefined;
    const inner = innerStart(this.#head, verb, buffer, start, end);
    return guard.weigh(verdict, { buffer, start, end, inner }, session.terms);
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
    if (verdict.outcome !== "allow") this.#answers.refuse(session, control, this.#head, verb, verdict, buffer, end);
  }

  /** Remembers a target for the next message to it, when some kinds of messages may reach it whatever they hold. */
  #warmUp(session: Session, control: MessageControl, process: NodeProcess, ctx: MessageContext, access: Access): void {
    if (ctx.admission?.grant !== undefined) return;
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
