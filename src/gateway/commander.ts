import type { MonotonicMs } from "../base/clock.ts";
import { classifyMessage } from "../guard/classify.ts";
import { forgedField } from "../guard/ownership.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { PayloadBytes } from "../guard/weigh.ts";
import { innerStart } from "../node/message-parts.ts";
import type { Target } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";
import { TupleHead } from "../term/peek.ts";
import { Atom, Pid, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { termEnd, tupleAt } from "./encoded-terms.ts";
import type { FilterParts } from "./filter-parts.ts";
import { pidKey } from "./identifier-keys.ts";
import {
  type CallHead,
  learnCall,
  learnFeatures,
  learnIoRequest,
  learnLeader,
  learnTokens,
  readCall,
} from "./learn.ts";
import { needsNoGrant, watchesFreely } from "./needs-no-grant.ts";
import { PayloadFacts, referencesIn, walkPayload } from "./payload.ts";
import type { CommanderDecision, Denial } from "./profile.ts";
import { reasonClass } from "./reasons.ts";
import type { Leave } from "./return-paths.ts";
import {
  bare,
  DROP,
  downFor,
  encoded,
  exitFor,
  NOCONNECTION,
  pass,
  type Refusal,
  type Verdict,
  withPayload,
} from "./verdict.ts";
import { argumentsAt, rexFunction, rexLeader, spawnFlags, spawnFunction } from "./wanted-function.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;
type MessageControl = Kind<"send" | "reg-send" | "alias-send">;

/** Elements of a tuple in front of what follows them. */
const BADRPC: Atom = new Atom("badrpc");
/** A process of the worker: what is registered there the gateway does not know. */
const PROCESS: Target = Object.freeze({ kind: "pid", name: undefined, granted: false });
const PERMITTED: CommanderDecision = Object.freeze({ allowed: true });
const PAIR_HEAD: Buffer = Buffer.from([104, 2]);

/** Judges what the commander sends, and learns from it what may come back (threat model 4.3, L1 to L10). */
export class CommanderSide {
  readonly #parts: FilterParts;
  readonly #facts: PayloadFacts = new PayloadFacts();
  readonly #head: TupleHead = new TupleHead();
  /** What the message being judged would have been refused for. */
  #observed: Denial | undefined;
  /** Of the message being judged, until what it starts has it. */
  #leave: Leave | undefined;

  constructor(parts: FilterParts) {
    this.#parts = parts;
  }

  /** @throws {SallyportError} for what ends the session */
  judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    this.#observed = undefined;
    let verdict: Verdict;
    try {
      verdict = this.#judge(control, b, start, end, now);
    } finally {
      this.#leave?.();
      this.#leave = undefined;
    }
    if (this.#observed !== undefined) this.#note("policy", control, b, start, end, this.#observed, true);
    return verdict;
  }

  #judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { options, nodes } = this.#parts;
    const forged = forgedField(control, options.commander, options.worker);
    if (forged !== undefined && forged !== "group leader") {
      throw misbehaved("FORGED_IDENTIFIER", `the ${forged} of a ${control.kind} message is not the commander's`);
    }
    this.#facts.hasFun = false;
    this.#facts.hasForeign = false;
    this.#facts.identifiers = 0;
    if (end > start) walkPayload(b, start, end, nodes, this.#facts);
    if (this.#facts.hasForeign && options.observation?.isOn === true) {
      this.#note("foreign", control, b, start, end, undefined, true);
      this.#facts.hasForeign = false;
    }
    switch (control.kind) {
      case "send":
      case "reg-send":
      case "alias-send":
        return this.#message(control, b, start, end, now);
      case "monitor":
        return this.#monitor(control);
      case "demonitor":
        return this.#parts.paths.endMonitor(control.ref) === undefined ? DROP : { forward: bare(control) };
      case "monitor-exit":
        return this.#down(control, b, start, end);
      case "link":
        return this.#link(control);
      case "unlink-id":
        if (this.#parts.paths.unlink(control.from, control.to, control.id)) return { forward: bare(control) };
        return { answer: bare({ kind: "unlink-id-ack", id: control.id, from: control.to, to: control.from }) };
      case "unlink-id-ack":
        return { forward: bare(control) };
      case "exit":
        return this.#exit(control, b, start, end);
      case "exit2":
        return this.#kill(control, b, start, end);
      case "spawn-request":
        return this.#spawn(control, forged, b, start, end, now);
      case "group-leader":
        return this.#groupLeader(control, now);
      // Requests of the worker are answered by the gateway.
      case "spawn-reply":
        return this.#refuse("crossed", control, b, start, end);
      case "unlink":
        throw misbehaved("CONTROL_UNKNOWN_OP", "the old form of unlink, which was not negotiated");
    }
  }

  #message(control: MessageControl, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const target = control.kind === "reg-send" ? undefined : control.kind === "send" ? control.to : control.alias;
    const { options } = this.#parts;
    if (target !== undefined && target.node !== options.worker.node) {
      return this.#refuse("foreign", control, b, start, end);
    }
    const verb = classifyMessage(b, start, end, this.#head);
    const call = verb === "call" || verb === "system" ? readCall(this.#parts, b, start) : undefined;
    if (this.#facts.hasForeign) return this.#refuseCall("foreign", control, call, NOCONNECTION, b, start, end);
    const wanted = control.kind === "reg-send" && control.name === "rex" ? rexFunction(b, start, end) : undefined;
    if (!needsNoGrant(this.#parts, control, b, start, call)) {
      const asked: Target =
        control.kind === "reg-send"
          ? wanted === undefined
            ? { kind: "name", name: control.name }
            : { kind: "function", label: wanted.label }
          : PROCESS;
      const inner = wanted?.args ?? innerStart(this.#head, verb, b, start, end);
      const decision = this.#decide(
        wanted === undefined ? verb : "rpc",
        asked,
        target instanceof Pid ? target : undefined,
        { buffer: b, start, end, inner },
      );
      if (!decision.allowed) {
        const isRex = control.kind === "reg-send" && control.name === "rex" && call !== undefined;
        if (isRex) return this.#answerRex(control, call, decision, b, start, end);
        const reason = encoded(denied(decision.id));
        return this.#refuseCall("policy", control, call, reason, b, start, end, decision);
      }
    }
    return this.#learnMessage(control, call, b, start, end, now);
  }

  #learnMessage(
    control: MessageControl,
    call: CallHead | undefined,
    b: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): Verdict {
    const parts = this.#parts;
    if (call !== undefined) {
      const leave = this.#leave;
      if (!learnCall(parts, b, call, this.#facts.identifiers, now, leave))
        return this.#refuseCall("full", control, call, NOCONNECTION, b, start, end);
      this.#leave = undefined;
      const leader = control.kind === "reg-send" && control.name === "rex" ? rexLeader(b, call.start) : undefined;
      if (leader !== undefined) learnLeader(parts, leader, now);
    } else if (!(control.kind === "reg-send" && control.name === "rex" && learnFeatures(parts, b, start, now))) {
      const io = learnIoRequest(parts, b, start, now);
      if (io === false) return this.#refuseIo(control, b, start, end);
      if (io === undefined && this.#facts.identifiers > 0) learnTokens(parts, b, start, end, [], now);
    }
    return pass(control, b, start, end);
  }

  #monitor(control: Kind<"monitor">): Verdict {
    const { target, from, ref } = control;
    if (typeof target !== "string" && target.node !== this.#parts.options.worker.node) {
      return this.#refuse("foreign", control, undefined, 0, 0, downFor(target, from, ref, NOCONNECTION));
    }
    const asked: Target = typeof target === "string" ? { kind: "name", name: target } : PROCESS;
    const pid = typeof target === "string" ? undefined : target;
    const decision = watchesFreely(this.#parts, target) ? PERMITTED : this.#decide("monitor", asked, pid);
    if (!decision.allowed) {
      const down = downFor(target, from, ref, encoded(denied(decision.id)));
      return this.#refuse("policy", control, undefined, 0, 0, down, decision);
    }
    if (this.#parts.paths.addMonitor(from, target, ref)) return { forward: bare(control) };
    return this.#refuse("full", control, undefined, 0, 0, downFor(target, from, ref, NOCONNECTION), "maxMonitors");
  }

  #link(control: Kind<"link">): Verdict {
    const { from, to } = control;
    if (to.node !== this.#parts.options.worker.node) {
      return this.#refuse("foreign", control, undefined, 0, 0, exitFor(to, from, NOCONNECTION));
    }
    const decision = this.#decide("link", PROCESS, to);
    if (!decision.allowed) {
      const exit = exitFor(to, from, encoded(denied(decision.id)));
      return this.#refuse("policy", control, undefined, 0, 0, exit, decision);
    }
    if (this.#parts.paths.addLink(from, to)) return { forward: bare(control) };
    return this.#refuse("full", control, undefined, 0, 0, exitFor(to, from, NOCONNECTION), "maxLinks");
  }

  /** L10: what the worker monitored has ended. */
  #down(control: Kind<"monitor-exit">, b: Buffer, start: number, end: number): Verdict {
    const { paths } = this.#parts;
    if (!paths.endWorkerMonitor(control.to, control.target, control.ref)) {
      return this.#refuse("crossed", control, b, start, end);
    }
    return { forward: this.#withReason(control, b, start, end) };
  }

  #exit(control: Kind<"exit">, b: Buffer, start: number, end: number): Verdict {
    const { paths } = this.#parts;
    const link = paths.link(control.from, control.to);
    if (link === undefined || link.unlinking !== undefined) return this.#refuse("crossed", control, b, start, end);
    paths.endLink(link);
    return { forward: this.#withReason(control, b, start, end) };
  }

  #kill(control: Kind<"exit2">, b: Buffer, start: number, end: number): Verdict {
    if (control.to.node !== this.#parts.options.worker.node || this.#facts.hasForeign) {
      return this.#refuse("foreign", control, b, start, end);
    }
    const decision = this.#decide("exit", PROCESS, control.to, { buffer: b, start, end, inner: start });
    if (!decision.allowed) return this.#refuse("policy", control, b, start, end, undefined, decision);
    return pass(control, b, start, end);
  }

  #spawn(
    control: Kind<"spawn-request">,
    forged: string | undefined,
    b: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): Verdict {
    const { ref, from } = control;
    const failed = (atom: string) => bare({ kind: "spawn-reply", ref, to: from, flags: 0, result: atom });
    const parts = this.#parts;
    if (forged !== undefined || this.#facts.hasForeign) {
      return this.#refuse("foreign", control, b, start, end, failed("noconnection"));
    }
    const args = argumentsAt(b, start);
    const asked = args?.length === control.arity ? spawnFunction(control, b, start, end) : undefined;
    if (args === undefined || asked === undefined) {
      return this.#refuse("policy", control, b, start, end, failed("eperm"));
    }
    const payload = { buffer: b, start, end, inner: asked.args };
    const decision = this.#decide(asked.verb, { kind: "function", label: asked.label }, undefined, payload);
    if (!decision.allowed) {
      return this.#refuse("policy", control, b, start, end, failed("eperm"), decision);
    }
    const first = asked.isCall ? args[0] : undefined;
    const resultTag = first === undefined ? undefined : b.toString("latin1", first, termEnd(b, first));
    const hasOwnTag =
      first !== undefined && referencesIn(b, first, termEnd(b, first), parts.options.commander)?.length === 1;
    const flags = spawnFlags(control.options);
    const leave = this.#leave;
    if (!parts.paths.addSpawn({ from, ref, flags, resultTag: hasOwnTag ? resultTag : undefined, leave })) {
      return this.#refuse("full", control, b, start, end, failed("noconnection"), "maxSpawns");
    }
    this.#leave = undefined;
    learnLeader(parts, control.groupLeader, now);
    // The first argument of execute_call comes back in the reason alone: no right of its own, or each call would leave one.
    if (this.#facts.identifiers === 0) return pass(control, b, start, end);
    if (first === undefined) learnTokens(parts, b, start, end, [pidKey(from)], now);
    else for (const at of args.slice(1)) learnTokens(parts, b, at, termEnd(b, at), [pidKey(from)], now);
    return pass(control, b, start, end);
  }

  #groupLeader(control: Kind<"group-leader">, now: MonotonicMs): Verdict {
    const { leader, to } = control;
    const { worker, commander } = this.#parts.options;
    const isOfPair = [worker, commander].some((one) => one.node === leader.node && one.creation === leader.creation);
    if (!isOfPair || to.node !== worker.node) return this.#refuse("foreign", control, undefined, 0, 0);
    const decision = this.#decide("system", PROCESS, to);
    if (!decision.allowed) return this.#refuse("policy", control, undefined, 0, 0, undefined, decision);
    learnLeader(this.#parts, leader, now);
    return { forward: bare(control) };
  }

  #decide(verb: Verb, target: Target, pid?: Pid, payload?: PayloadBytes): CommanderDecision {
    const { children } = this.#parts.paths;
    const isOwnChild = pid !== undefined && children.size > 0 && children.get(pidKey(pid)) !== undefined;
    const decision = this.#parts.options.decide({ verb, target, hasFun: this.#facts.hasFun, isOwnChild, payload });
    if (decision.allowed) {
      this.#observed = decision.observed;
      this.#leave = decision.leave;
    }
    return decision;
  }

  #withReason(control: Kind<"exit" | "monitor-exit">, b: Buffer, start: number, end: number) {
    const isWhole = this.#parts.options.wholeReasons === true && !this.#facts.hasForeign;
    return isWhole ? { control, buffer: b, start, end } : withPayload(control, reasonClass(b, start));
  }

  /** Refuses a call so that nobody waits: DOWN for its monitor, which the worker then need not keep. */
  #refuseCall(
    why: Refusal,
    control: MessageControl,
    call: CallHead | undefined,
    reason: Buffer,
    b: Buffer,
    start: number,
    end: number,
    told?: Denial,
  ): Verdict {
    return { ...this.#refuse(why, control, b, start, end, undefined, told), ...this.#downOf(call?.refs ?? [], reason) };
  }

  #refuseIo(control: MessageControl, b: Buffer, start: number, end: number): Verdict {
    const places = tupleAt(b, start, 4) ?? [];
    const refs = referencesIn(b, places[2] as number, places[3] as number, this.#parts.options.commander) ?? [];
    return { ...this.#refuse("full", control, b, start, end), ...this.#downOf(refs, NOCONNECTION) };
  }

  #downOf(refs: readonly string[], reason: Buffer): Verdict {
    const { paths } = this.#parts;
    for (const key of refs) {
      const monitor = paths.monitors.get(key);
      if (monitor === undefined) continue;
      paths.endMonitor(monitor.ref);
      const { target, from, ref } = monitor;
      return { answer: downFor(target, from, ref, reason), forward: bare({ kind: "demonitor", from, target, ref }) };
    }
    return DROP;
  }

  /** `{Tag, {badrpc, {sallyport_denied, Id}}}` (rulings U9). */
  #answerRex(
    control: MessageControl,
    call: CallHead,
    decision: Denial,
    b: Buffer,
    start: number,
    end: number,
  ): Verdict {
    const from = control.from;
    if (from === undefined || pidKey(from) !== call.from) {
      const reason = encoded(denied(decision.id));
      return this.#refuseCall("policy", control, call, reason, b, start, end, decision);
    }
    const { worker } = this.#parts.options;
    const value = encoded(new Tuple([BADRPC, denied(decision.id)]));
    const payload = Buffer.concat([PAIR_HEAD, b.subarray(call.tagStart, call.tagEnd), value]);
    const answer = withPayload({ kind: "send", from: new Pid(worker.node, 0, 0, worker.creation), to: from }, payload);
    return this.#refuse("policy", control, b, start, end, answer, decision);
  }

  /** @param told the decision, or the limit that was met */
  #refuse(
    why: Refusal,
    control: Control,
    b: Buffer | undefined,
    start: number,
    end: number,
    answer?: Verdict["answer"],
    told?: Denial | string,
  ): Verdict {
    if (why !== "crossed") this.#note(why, control, b ?? NO_BYTES, start, end, told, false);
    return answer === undefined ? DROP : { answer };
  }

  #note(
    why: Refusal,
    control: Control,
    b: Buffer,
    start: number,
    end: number,
    told: Denial | string | undefined,
    observed: boolean,
  ): void {
    const rule = typeof told === "object" ? told.rule : told;
    const id = typeof told === "object" ? told.id : undefined;
    const ruleOf = rule === undefined ? undefined : () => rule;
    this.#parts.log.denied("commander", why, control, b, start, end, ruleOf, id, observed);
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0);
