import { SallyportError } from "../base/errors.ts";
import { allowedBy } from "../guard/weigh.ts";
import { sameTarget } from "../process/term-keys.ts";
import { peekTupleHead, TupleHead } from "../term/peek.ts";
import { skipTerm } from "../term/skip.ts";
import { Atom, type Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type { Control, ReasonSource } from "../wire/control-types.ts";
import type { OpenCall } from "./call-table.ts";
import { decodePayload, decodeReason } from "./decode-payload.ts";
import { replyRef } from "./gen.ts";
import type { NodeCore } from "./node-core.ts";
import { BY_LIMIT, Refusals, targetText } from "./refusals.ts";
import { callFailure } from "./remote-failure.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import type { Session } from "./session.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/** Longest tag of an answer that is looked at, in bytes: ours have about a hundred, and the name of this node. */
const MAX_TAG_BYTES = 1_024;

/** An answer needs no rule: it was asked for. The bounds of the peer hold. */
const ANSWER = allowedBy("answer");

/** Stands for a reason that holds a fun or an identifier of a third node (threat model 4.3). */
const SCRUBBED = new Atom("sallyport_scrubbed");

/**
 * What peers send back: answers to calls, DOWNs and EXITs. Each must meet exactly what it answers, over the session on which
 * that went out; what meets nothing is counted and dropped, and not decoded.
 */
export class Answers {
  readonly #core: NodeCore;
  readonly #spawns: RemoteSpawns;
  readonly #refusals: Refusals;
  readonly #head: TupleHead = new TupleHead();
  /** Where the value of the answer begins whose tag was looked at last. */
  #valueStart = 0;

  constructor(core: NodeCore, spawns: RemoteSpawns) {
    this.#core = core;
    this.#spawns = spawns;
    this.#refusals = new Refusals(core);
  }

  /** True for the pid of this node's own requests. */
  isMain(pid: Pid): boolean {
    const main = this.#core.mainPid;
    return pid.id === main.id && pid.serial === main.serial && pid.creation === main.creation && pid.node === main.node;
  }

  /** True when a call over this session waits for an answer by this alias. */
  awaits(session: Session, alias: Reference): boolean {
    return this.#core.calls.awaitingMessage(alias, session) !== undefined;
  }

  /** An answer by alias; false when the alias is that of no open call. */
  byAlias(session: Session, alias: Reference, buffer: Buffer, start: number, end: number): boolean {
    const call = this.#core.calls.awaitingMessage(alias, session);
    if (call === undefined) return false;
    if (this.#taggedFor(session, buffer, start, end) === call) this.#answer(session, call, buffer, start, end);
    else this.#core.counters.add("late_replies");
    return true;
  }

  /** An answer to the pid that asked. */
  toMain(session: Session, buffer: Buffer, start: number, end: number): void {
    const call = this.#core.calls.size === 0 ? undefined : this.#taggedFor(session, buffer, start, end);
    if (call === undefined) this.#core.counters.add("late_replies");
    else this.#answer(session, call, buffer, start, end);
  }

  /** MONITOR_P_EXIT: of a spawned process, of the target of a call, or of what is watched. */
  down(session: Session, control: Kind<"monitor-exit">, buffer: Buffer, start: number, end: number): void {
    const { target, to, ref } = control;
    const { calls } = this.#core;
    const call = this.isMain(to) ? calls.awaitingMessage(ref, session) : undefined;
    if (this.#spawns.awaitsDown(session, target, ref)) {
      const reason = this.#content(session, control.reason, buffer, start, end);
      this.#spawns.downReceived(session, ref, reason);
    } else if (call !== undefined && sameTarget(call.target, target)) {
      const reason = this.#content(session, control.reason, buffer, start, end);
      calls.fail(call, callFailure(session.peer.name, targetText(call.target), reason, call.request.what));
    } else if (session.tables.awaitsDown(target, to, ref)) {
      const reason = this.#content(session, control.reason, buffer, start, end);
      session.tables.monitorExitReceived(target, to, ref, reason);
    } else {
      session.tables.countUnsolicited("down");
      this.#unsolicited();
    }
  }

  /** EXIT over a link. */
  exit(session: Session, control: Kind<"exit">, buffer: Buffer, start: number, end: number): void {
    if (!session.tables.awaitsExit(control.from, control.to)) {
      session.tables.countUnsolicited("exit");
      this.#unsolicited();
      return;
    }
    const reason = this.#content(session, control.reason, buffer, start, end);
    session.tables.exitReceived(control.from, control.to, reason);
  }

  /** The open call whose tag, in the very form in which it was sent, stands in front of an answer. Decodes the tag alone. */
  #taggedFor(session: Session, buffer: Buffer, start: number, end: number): OpenCall | undefined {
    const head = this.#head;
    if (!peekTupleHead(buffer, start, end, head) || head.arity !== 2) return undefined;
    const after = skipTerm(buffer, head.elements, end);
    this.#valueStart = after;
    if (after - head.elements > MAX_TAG_BYTES) return undefined;
    const tag = session.terms.decodeAt(buffer, head.elements, after);
    const ref = replyRef(tag, session.hasAlias);
    return ref === undefined ? undefined : this.#core.calls.awaitingMessage(ref, session);
  }

  #answer(session: Session, call: OpenCall, buffer: Buffer, start: number, end: number): void {
    const { guard, connection } = session;
    session.signal({ kind: "demonitor", from: this.#core.mainPid, target: call.target, ref: call.ref });
    // What the peer as a whole is bounded by bounds its answers too.
    const weighed = guard.isOpen(ANSWER)
      ? undefined
      : guard.weigh(ANSWER, { buffer, start, end, inner: this.#valueStart }, connection.terms);
    if (weighed !== undefined && "kind" in weighed) {
      this.#refuse(session, call, "more than the limits of this peer allow", "limits");
      return;
    }
    const term = decodePayload(session, buffer, start, end);
    const value = term instanceof Tuple ? term.elements[1] : undefined;
    if (this.#mayHold(session)) this.#core.calls.answer(call, value);
    else if (session.watch.hasFun) this.#refuse(session, call, "a fun", "funs");
    else this.#refuse(session, call, "an identifier of a third node", "foreign");
  }

  /** An answer that is not taken: the call fails, and the owner finds out why. */
  #refuse(session: Session, call: OpenCall, what: string, option: string): void {
    const decision = this.#refusals.record(session, "reply", call.target, BY_LIMIT);
    const target = targetText(call.target);
    this.#core.calls.fail(call, answerRefused(session.peer.name, target, what, option, decision));
  }

  /** A reason; in place of one that holds what the peer may not send, an atom that says so. */
  #content(session: Session, source: ReasonSource, buffer: Buffer, start: number, end: number): Term {
    const reason = decodeReason(session, source, buffer, start, end);
    return this.#mayHold(session) ? reason : SCRUBBED;
  }

  #mayHold({ watch, guard }: Session): boolean {
    return (!watch.hasFun || guard.mayFuns(undefined)) && (!watch.hasForeign || guard.mayForeign(undefined));
  }

  #unsolicited(): void {
    this.#core.counters.add("unsolicited");
  }
}

function answerRefused(peer: string, target: string, what: string, option: string, decision: string): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "ANSWER_REFUSED",
    `the answer of ${target} on ${peer} holds ${what}, which this node does not take from it`,
    {
      stage: "policy",
      peer,
      detail: { option, decision },
      advice:
        option === "limits"
          ? "raise the limits of this peer in the policy, if its answers may be so large or so many"
          : `set "${option}": true in the limits of this peer in the policy, if it is trusted so far`,
    },
  );
}
