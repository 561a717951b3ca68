import { quotePeerText } from "../base/escape.ts";
import type { AllowVerb } from "../guard/allow.ts";
import { forgedField } from "../guard/ownership.ts";
import { SYSTEM_LIMIT } from "../process/exit-reason.ts";
import { refKey, sameTarget } from "../process/term-keys.ts";
import { type Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import type { Functions } from "./functions.ts";
import { answersTo, readGenCall, replyRef, shapeOf } from "./gen.ts";
import { MessageContext } from "./message-context.ts";
import { type NodeCore, reportDenied } from "./node-core.ts";
import { sameRef } from "./refs.ts";
import { callFailure } from "./remote-failure.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import { denied } from "./service.ts";
import type { NodeProcess, Session } from "./session.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/**
 * What peers send, decided and carried out. Order for each message: are its identifiers the peer's own, may the peer do
 * this to that target, and only then is the payload decoded (except where the verb itself stands in the payload).
 */
export class Inbound {
  readonly #core: NodeCore;
  readonly #functions: Functions;
  readonly #spawns: RemoteSpawns;
  /** Processes that answer every peer: the node's own. */
  readonly #own: { readonly netKernel: NodeProcess; readonly rex: NodeProcess; readonly outputSink: NodeProcess };

  constructor(
    core: NodeCore,
    functions: Functions,
    spawns: RemoteSpawns,
    own: { readonly netKernel: NodeProcess; readonly rex: NodeProcess; readonly outputSink: NodeProcess },
  ) {
    this.#core = core;
    this.#functions = functions;
    this.#spawns = spawns;
    this.#own = own;
  }

  /** First fragment of a large message: is it worth collecting? Answers no when it would be refused whole. */
  wanted(session: Session, control: Control): boolean {
    if (forgedField(control, session) !== undefined) return true; // refused, with the connection, when it is complete
    if (control.kind !== "send" && control.kind !== "reg-send") return true;
    if (control.kind === "send" && this.#isMain(control.to)) return true;
    const process = this.#target(control);
    return process !== undefined && this.#permits(session, process, "send", "call", "cast");
  }

  /** Takes one message. @throws {SallyportError} which closes the connection */
  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    const warm = session.warm;
    if (
      warm !== undefined &&
      warm.control === control &&
      warm.generation === this.#core.processes.names.generation &&
      warm.process.alive
    ) {
      this.#deliver(session, control, warm.process, warm.ctx, this.#decode(session, buffer, start, end), end - start);
      return;
    }
    const forged = forgedField(control, session);
    if (forged !== undefined) {
      throw misbehaved("FORGED_IDENTIFIER", `the ${forged} of a ${control.kind} message does not belong to the peer`);
    }
    switch (control.kind) {
      case "send":
      case "reg-send":
        this.#send(session, control, buffer, start, end);
        return;
      case "alias-send":
        this.#answer(session, control.alias, buffer, start, end);
        return;
      case "monitor":
        this.#monitor(session, control);
        return;
      case "demonitor":
        session.tables.demonitorRequested(control.from, control.target, control.ref);
        if (session.openCalls.size > 0) this.#abortCall(session, control.ref);
        return;
      case "monitor-exit":
        this.#monitorExit(session, control, this.#reason(session, control.reason, buffer, start, end));
        return;
      case "link":
        this.#link(session, control);
        return;
      case "unlink":
        return;
      case "unlink-id":
        session.tables.unlinkRequested(control.id, control.from, control.to);
        return;
      case "unlink-id-ack":
        session.tables.unlinkAcked(control.id, control.from, control.to);
        return;
      case "exit":
        session.tables.exitReceived(
          control.from,
          control.to,
          this.#reason(session, control.reason, buffer, start, end),
        );
        return;
      case "exit2":
        this.#exit2(session, control, buffer, start, end);
        return;
      case "group-leader":
        this.#deny(session, "io", "group leader");
        return;
      case "spawn-request":
        this.#spawnRequest(session, control, this.#decode(session, buffer, start, end));
        return;
      case "spawn-reply":
        this.#spawns.replyReceived(session, control);
        return;
    }
  }

  #decode(session: Session, buffer: Buffer, start: number, end: number): Term {
    const terms = session.connection.terms;
    const term = terms.decodeAt(buffer, start, end);
    if (terms.position !== end) {
      throw misbehaved("PACKET_TRAILING_BYTES", `${end - terms.position} bytes follow the payload of a message`);
    }
    return term;
  }

  #reason(
    session: Session,
    source: "payload" | { readonly term: Term },
    buffer: Buffer,
    start: number,
    end: number,
  ): Term {
    return source === "payload" ? this.#decode(session, buffer, start, end) : source.term;
  }

  #isMain(pid: Pid): boolean {
    const main = this.#core.mainPid;
    return pid.id === main.id && pid.serial === main.serial && pid.creation === main.creation && pid.node === main.node;
  }

  #target(control: Kind<"send"> | Kind<"reg-send">): NodeProcess | undefined {
    const { processes } = this.#core;
    return control.kind === "send" ? processes.lookup(control.to) : processes.names.whereis(control.name);
  }

  #permits(session: Session, process: NodeProcess, ...verbs: readonly AllowVerb[]): boolean {
    if (process === this.#own.netKernel || process === this.#own.rex) return true;
    if (process === this.#own.outputSink) return session.takesOutput;
    return verbs.some((verb) => process.tag?.permits(session.facts, verb) === true);
  }

  #send(session: Session, control: Kind<"send"> | Kind<"reg-send">, buffer: Buffer, start: number, end: number): void {
    if (control.kind === "send" && this.#isMain(control.to)) {
      this.#answer(session, undefined, buffer, start, end);
      return;
    }
    const process = this.#target(control);
    if (process === undefined || !this.#permits(session, process, "send", "call", "cast")) {
      this.#core.counters.add("dropped_no_target");
      this.#deny(session, "send", targetText(control.kind === "send" ? control.to : control.name));
      return;
    }
    const ctx = new MessageContext(session.peer, control.from, this.#core.name, process.pid, session.lifetime);
    const term = this.#decode(session, buffer, start, end);
    const isOwn = process === this.#own.netKernel || process === this.#own.rex || process === this.#own.outputSink;
    if (isOwn) {
      process.deliver(term, ctx, end - start);
      return;
    }
    this.#deliver(session, control, process, ctx, term, end - start);
    const rule = process.tag;
    const open = (["send", "call", "cast"] as const).every((verb) => rule?.permits(session.facts, verb) === true);
    if (open) {
      session.warm = { control, generation: this.#core.processes.names.generation, process, ctx };
    }
  }

  /** Delivers a decoded message to a process that the peer may reach at least in part. */
  #deliver(
    session: Session,
    control: Control,
    process: NodeProcess,
    ctx: MessageContext,
    term: Term,
    bytes: number,
  ): void {
    this.#core.counters.messagesIn++;
    if (!this.#shapeAllowed(session, process, term)) return;
    if (process.deliver(term, ctx, bytes)) return;
    this.#core.counters.add("dropped_mailbox_full");
    const call = term instanceof Tuple ? readGenCall(term) : undefined;
    if (call?.replyTo.monitor === undefined) return;
    // A caller that waits is told at once that there is no room.
    this.#sendDown(session, targetOf(control), call.replyTo.pid, call.replyTo.monitor, SYSTEM_LIMIT);
  }

  /** Only the term itself says which verb it is: a call, a cast, or a plain message. */
  #shapeAllowed(session: Session, process: NodeProcess, term: Term): boolean {
    const verb = shapeOf(term);
    if (verb === "call" && term instanceof Tuple && !answersTo(term, session.node, session.creation)) {
      throw misbehaved("FORGED_IDENTIFIER", "the answer to a call is to go to somebody else than the peer");
    }
    if (verb !== "system" && process.tag?.permits(session.facts, verb) === true) return true;
    if (verb === "call") this.#denyCall(session, process, term);
    else this.#deny(session, verb, targetText(process.name ?? process.pid));
    return false;
  }

  /** A refused call whose monitor was accepted: end it, so that the caller does not wait. */
  #denyCall(session: Session, process: NodeProcess, term: Term): void {
    const target = process.name ?? process.pid;
    const id = this.#deny(session, "call", targetText(target));
    const call = readGenCall(term);
    if (call?.replyTo.monitor === undefined) return;
    const { pid: to, monitor: ref } = call.replyTo;
    if (!session.tables.demonitorRequested(to, target, ref)) return;
    this.#sendDown(session, target, to, ref, denied(id));
  }

  /** An answer to a call of ours: by alias, or to the main process. */
  #answer(session: Session, alias: Reference | undefined, buffer: Buffer, start: number, end: number): void {
    const { calls, counters } = this.#core;
    if (alias !== undefined && calls.find(alias, session) === undefined) {
      counters.add("late_replies");
      return;
    }
    if (calls.size === 0) {
      counters.add("late_replies");
      return;
    }
    const term = this.#decode(session, buffer, start, end);
    const ref = term instanceof Tuple && term.length === 2 ? replyRef(term.elements[0]) : undefined;
    const call =
      ref === undefined || (alias !== undefined && !sameRef(alias, ref)) ? undefined : calls.find(ref, session);
    if (call === undefined || !(term instanceof Tuple)) {
      counters.add("late_replies");
      return;
    }
    session.signal({ kind: "demonitor", from: this.#core.mainPid, target: call.target, ref: call.ref });
    calls.answer(call, term.elements[1]);
  }

  #monitor(session: Session, control: Kind<"monitor">): void {
    const { processes } = this.#core;
    const { target, from, ref } = control;
    const process = typeof target === "string" ? processes.names.whereis(target) : processes.lookup(target);
    // Someone who may reach a target may also learn that it is gone; nobody else learns whether it exists (rulings U9).
    const former = typeof target === "string" ? this.#core.nameRules.get(target) : processes.tagOf(target)?.tag;
    const isGone = process === undefined && former?.permits(session.facts, "monitor") === true;
    if (isGone || (process !== undefined && this.#permits(session, process, "monitor", "call"))) {
      session.tables.monitorRequested(from, target, ref);
      return;
    }
    const id = this.#deny(session, "monitor", targetText(target));
    this.#sendDown(session, target, from, ref, denied(id));
  }

  #monitorExit(session: Session, control: Kind<"monitor-exit">, reason: Term): void {
    if (this.#spawns.downReceived(session, control.target, control.ref, reason)) return;
    const { calls } = this.#core;
    const call = this.#isMain(control.to) ? calls.find(control.ref, session) : undefined;
    if (call !== undefined && sameTarget(call.target, control.target)) {
      calls.fail(call, callFailure(session.peer.name, targetText(call.target), reason));
      return;
    }
    session.tables.monitorExitReceived(control.target, control.to, control.ref, reason);
  }

  #link(session: Session, control: Kind<"link">): void {
    const { processes } = this.#core;
    const process = processes.lookup(control.to);
    const rule = process === undefined ? processes.tagOf(control.to)?.tag : process.tag;
    if (rule?.permits(session.facts, "link") === true) {
      session.tables.linkRequested(control.from, control.to);
      return;
    }
    const id = this.#deny(session, "link", targetText(control.to));
    session.signal({ kind: "exit", from: control.to, to: control.from, reason: "payload" }, denied(id));
  }

  #exit2(session: Session, control: Kind<"exit2">, buffer: Buffer, start: number, end: number): void {
    const process = this.#core.processes.lookup(control.to);
    if (process?.tag?.permits(session.facts, "exit") !== true) {
      this.#deny(session, "exit", targetText(control.to));
      return;
    }
    const reason = this.#reason(session, control.reason, buffer, start, end);
    this.#core.processes.exitSignal(process, control.from, reason, "exit");
  }

  #spawnRequest(session: Session, control: Kind<"spawn-request">, payload: Term): void {
    const invocation = this.#functions.read(control, payload);
    if (invocation === undefined || !this.#functions.permits(session, invocation)) {
      const label = invocation?.label ?? `${control.module}:${control.function}/${control.arity}`;
      this.#deny(session, invocation?.verb ?? "spawn", quotePeerText(label));
      this.#spawnAnswer(session, control, "eperm");
      return;
    }
    if (!this.#functions.start(session, control, invocation)) this.#spawnAnswer(session, control, "system_limit");
  }

  #spawnAnswer(session: Session, control: Kind<"spawn-request">, result: string): void {
    session.signal({ kind: "spawn-reply", ref: control.ref, to: control.from, flags: 0, result });
  }

  #abortCall(session: Session, ref: Reference): void {
    const key = refKey(ref);
    session.openCalls.get(key)?.end();
    session.openCalls.delete(key);
  }

  #sendDown(session: Session, target: Pid | string, to: Pid, ref: Reference, reason: Term): void {
    session.signal({ kind: "monitor-exit", target, to, ref, reason: "payload" }, reason);
  }

  /** Counts and reports a refusal; returns the id under which the operator finds it. */
  #deny(session: Session, verb: string, target: string): string {
    return reportDenied(this.#core, session, verb, target);
  }
}

function targetOf(control: Control): Pid | string {
  if (control.kind === "reg-send") return control.name;
  if (control.kind === "send") return control.to;
  return "undefined";
}

function targetText(target: Pid | string): string {
  return typeof target === "string" ? quotePeerText(target) : `<${target.id}.${target.serial}>`;
}
