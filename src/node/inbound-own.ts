import type { MessageVerb } from "../guard/classify.ts";
import { wantedByRex } from "../guard/peek-function.ts";
import { denied } from "../guard/refusal-answer.ts";
import { functionLabel } from "../policy/parse-target.ts";
import { SYSTEM_LIMIT } from "../process/exit-reason.ts";
import type { TupleHead } from "../term/peek.ts";
import type { Term } from "../term/types.ts";
import { decodePayload } from "./decode-payload.ts";
import type { Functions } from "./functions.ts";
import { contextOf, holdsUnwanted, innerStart, type MessageControl, type OwnProcesses } from "./message-parts.ts";
import { MessageRefusals, readCaller } from "./message-refusals.ts";
import { type NodeCore, replyOrEnd } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { badRpc, readRpc } from "./own-services.ts";
import { BY_DEFAULT, BY_LIMIT, type Refusals, type Why } from "./refusals.ts";
import type { Session } from "./session.ts";

/** Longest question to `net_kernel`, in bytes. */
const MAX_PING_BYTES = 2_048;

/** Messages of peers to the processes of the node itself. */
export class OwnDeliveries {
  readonly #core: NodeCore;
  readonly #functions: Functions;
  readonly #own: OwnProcesses;
  readonly #refusals: Refusals;
  readonly #answers: MessageRefusals;
  readonly #head: TupleHead;

  /** `head`: that of the message which is being judged. */
  constructor(core: NodeCore, functions: Functions, own: OwnProcesses, refusals: Refusals, head: TupleHead) {
    this.#core = core;
    this.#functions = functions;
    this.#own = own;
    this.#refusals = refusals;
    this.#answers = new MessageRefusals(refusals);
    this.#head = head;
  }

  /** A message to one of them. */
  message(
    session: Session,
    control: MessageControl,
    process: NodeProcess,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { netKernel, rex } = this.#own;
    if (process === rex) {
      this.#toRex(session, control, verb, buffer, start, end);
      return;
    }
    if (process === netKernel) {
      if (verb !== "call" || end - start > MAX_PING_BYTES || !session.guard.mayConnect) {
        this.#answers.refuse(session, control, this.#head, verb, BY_DEFAULT, buffer, end, "system");
        return;
      }
    } else if (verb !== "io" || !session.takesOutput) {
      this.#refusals.record(session, verb, "output", BY_DEFAULT);
      return;
    }
    const term = decodePayload(session, buffer, start, end);
    if (holdsUnwanted(session, undefined)) {
      this.#answers.refuse(session, control, this.#head, verb, BY_LIMIT, buffer, end);
      return;
    }
    const ctx = contextOf(this.#core, session, control, process, undefined);
    if (!process.deliver(term, ctx, end - start)) this.#core.counters.add("dropped_mailbox_full");
  }

  /** The function that is asked for must be granted before its arguments are decoded. */
  #toRex(
    session: Session,
    control: MessageControl,
    verb: MessageVerb,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { atomRefs } = session.terms;
    const isAsked = verb === "call" || verb === "cast";
    const wanted = isAsked
      ? wantedByRex(buffer, innerStart(this.#head, verb, buffer, start, end), end, atomRefs)
      : undefined;
    if (wanted === undefined) {
      this.#answers.refuse(session, control, this.#head, verb, BY_DEFAULT, buffer, end, "rpc");
      return;
    }
    const label = functionLabel(wanted.module, wanted.fn, wanted.arity);
    const asked = this.#functions.ask(session, "rpc", label, { buffer, start, end, inner: wanted.args });
    if ("why" in asked) {
      this.#refuseRpc(session, verb, label, asked.why, buffer, end);
      return;
    }
    const term = decodePayload(session, buffer, start, end);
    // The head only claims the number of arguments: the list may go on in its tail.
    const isAnother = readRpc(term)?.label !== label;
    if (isAnother || holdsUnwanted(session, asked.grant)) {
      this.#refuseRpc(session, verb, label, isAnother ? BY_DEFAULT : BY_LIMIT, buffer, end);
      return;
    }
    this.#refusals.allowed(session, "rpc", label, asked.verdict, asked.grant);
    const { rex } = this.#own;
    if (rex.deliver(term, contextOf(this.#core, session, control, rex, asked.grant), end - start)) return;
    this.#core.counters.add("dropped_mailbox_full");
    this.#answerRpc(session, verb, SYSTEM_LIMIT, buffer, end);
  }

  #refuseRpc(session: Session, verb: MessageVerb, label: string, why: Why, buffer: Buffer, end: number): void {
    this.#answerRpc(session, verb, denied(this.#refusals.record(session, "rpc", label, why)), buffer, end);
  }

  #answerRpc(session: Session, verb: MessageVerb, why: Term, buffer: Buffer, end: number): void {
    const replyTo = verb === "call" ? readCaller(session, this.#head, buffer, end) : undefined;
    if (replyTo !== undefined) replyOrEnd(session, this.#own.rex.pid, replyTo, badRpc(replyTo.tag, why));
  }
}
