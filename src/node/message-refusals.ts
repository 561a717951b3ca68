import type { MessageVerb } from "../guard/classify.ts";
import type { Verb } from "../policy/verbs.ts";
import type { TupleHead } from "../term/peek.ts";
import { skipTerm } from "../term/skip.ts";
import type { Pid, Reference } from "../term/types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { goesTo, type ReplyTo, readReplyTo } from "./gen.ts";
import { type MessageControl, targetOf } from "./message-parts.ts";
import { sameRef } from "./refs.ts";
import type { Refusals, Why } from "./refusals.ts";
import type { Session } from "./session.ts";

/** Longest `{From, Tag}` of a refused call that is looked at for the answer, in bytes. */
const MAX_REPLY_TO_BYTES = 2_048;

/** Refuses messages: silence, but for a caller that waits behind a monitor. */
export class MessageRefusals {
  readonly #refusals: Refusals;

  constructor(refusals: Refusals) {
    this.#refusals = refusals;
  }

  /** Refuses a message with this head; `as` is the verb under which that is recorded. */
  refuse(
    session: Session,
    control: MessageControl,
    head: TupleHead,
    verb: MessageVerb,
    why: Why,
    buffer: Buffer,
    end: number,
    as: Verb = verb,
  ): void {
    const replyTo = verb === "call" ? readCaller(session, head, buffer, end) : undefined;
    if (replyTo?.monitor === undefined) this.#refusals.record(session, as, targetOf(control), why);
    else this.endCall(session, control, as, replyTo.pid, replyTo.monitor, why);
  }

  /** Ends the wait of a refused caller. */
  endCall(session: Session, control: MessageControl, verb: Verb, to: Pid, ref: Reference, why: Why): void {
    const target = targetOf(control);
    const hadMonitor = session.tables.demonitorRequested(to, target, ref);
    // The monitor that a caller sets first may have been refused, and answered, already.
    const isAnswered = !hadMonitor && session.refusedMonitor !== undefined && sameRef(session.refusedMonitor, ref);
    if (isAnswered) this.#refusals.record(session, verb, target, why);
    else this.#refusals.down(session, verb, target, to, ref, why);
  }
}

/** Whom a refused call is to be answered: only that part of it is decoded. @throws {SallyportError} FORGED_IDENTIFIER */
export function readCaller(session: Session, head: TupleHead, buffer: Buffer, end: number): ReplyTo | undefined {
  const { arity, second } = head;
  if (arity !== 3 || second === 0 || second >= end) return undefined;
  const after = skipTerm(buffer, second, end);
  if (after - second > MAX_REPLY_TO_BYTES) return undefined;
  const replyTo = readReplyTo(session.terms.decodeAt(buffer, second, after));
  if (replyTo !== undefined && !goesTo(replyTo, session.node, session.creation)) throw answerElsewhere();
  return replyTo;
}

/** The error for a call whose answer is to go to a third node. */
export function answerElsewhere(): Error {
  return misbehaved("FORGED_IDENTIFIER", "the answer to a call is to go to somebody else than the peer");
}
