import { denied } from "../guard/refusal-answer.ts";
import { functionLabel } from "../policy/parse-target.ts";
import { handlerError, SYSTEM_LIMIT } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import { Atom, atomName, isAtom, Pid, Reference, type Term, Tuple } from "../term/types.ts";
import type { Functions } from "./functions.ts";
import { type ReplyTo, readGenCall, readGenCast } from "./gen.ts";
import { type MessageContext, OwnedLifetime } from "./message-context.ts";
import { isOutdated } from "./message-parts.ts";
import { type NodeCore, reply, replyOrEnd, reportHandlerError } from "./node-core.ts";
import type { OpenWork } from "./open-work.ts";
import { clockIn, clockQuestion, noteClock } from "./peer-clock.ts";
import { BY_DEFAULT, BY_LIMIT, Refusals, type Why } from "./refusals.ts";
import type { SessionOf } from "./service.ts";
import type { Session } from "./session.ts";

const YES = new Atom("yes");
const BADRPC = new Atom("badrpc");
const IO_REPLY = new Atom("io_reply");
const OK = new Atom("ok");
const ENOTSUP = new Tuple([new Atom("error"), new Atom("enotsup")]);

/**
 * `net_kernel`, as far as a peer may see it: it answers `is_auth`, so that `net_adm:ping` works, and the time of this machine,
 * which `doctor connect` compares, and nothing else.
 */
export class NetKernel implements Behaviour<MessageContext> {
  readonly #refusals: Refusals;
  readonly #core: NodeCore;
  readonly #sessionOf: SessionOf;
  /** Sessions whose clock was told of: once each. */
  readonly #timed = new WeakSet<Session>();

  constructor(core: NodeCore, sessionOf: SessionOf) {
    this.#core = core;
    this.#refusals = new Refusals(core);
    this.#sessionOf = sessionOf;
  }

  message(term: Term, ctx: MessageContext): void {
    const call = readGenCall(term);
    const session = this.#sessionOf(ctx);
    if (session === undefined) return;
    const request = call?.request;
    const asked = request === undefined ? undefined : clockIn(request);
    if (call !== undefined && asked !== undefined) {
      this.#tellTime(call.replyTo, asked, session, ctx);
      return;
    }
    if (
      call === undefined ||
      !(request instanceof Tuple) ||
      request.length !== 2 ||
      !isAtom(request.elements[0], "is_auth")
    ) {
      // Spawns, connects and the like: net_kernel obeys them on a BEAM, to whoever asks.
      const to = call?.replyTo;
      if (to?.monitor === undefined) this.#refusals.record(session, "system", "net_kernel", BY_DEFAULT);
      else {
        session.tables.demonitorRequested(to.pid, "net_kernel", to.monitor);
        this.#refusals.down(session, "system", "net_kernel", to.pid, to.monitor, BY_DEFAULT);
      }
      return;
    }
    const { replyTo } = call;
    if (replyTo.pid.node !== session.node || replyTo.pid.creation !== session.creation) return;
    replyOrEnd(session, ctx.self, replyTo, new Tuple([replyTo.tag, YES]));
  }

  #tellTime(replyTo: ReplyTo, askedMs: number, session: Session, ctx: MessageContext): void {
    if (replyTo.pid.node !== session.node || replyTo.pid.creation !== session.creation) return;
    const { clock, events } = this.#core;
    replyOrEnd(session, ctx.self, replyTo, new Tuple([replyTo.tag, clockQuestion(clock.wallMs())]));
    if (this.#timed.has(session)) return;
    this.#timed.add(session);
    noteClock(events, clock, session.peer.name, askedMs);
  }
}

/** `rex`, as far as a peer may see it: calls and casts of registered functions (otp-distribution section 6.4). */
export class Rex implements Behaviour<MessageContext> {
  readonly #core: NodeCore;
  readonly #functions: Functions;
  readonly #sessionOf: SessionOf;
  readonly #refusals: Refusals;

  constructor(core: NodeCore, functions: Functions, sessionOf: SessionOf) {
    this.#core = core;
    this.#refusals = new Refusals(core);
    this.#functions = functions;
    this.#sessionOf = sessionOf;
  }

  message(term: Term, ctx: MessageContext): void {
    const session = this.#sessionOf(ctx);
    if (session === undefined) return;
    const call = readGenCall(term);
    // Asked for and granted already, by the head of the message.
    const wanted = readRpc(term);
    if (wanted === undefined) return;
    const entry = this.#functions.entry(wanted.label);
    const answer = (value: Term): void => {
      if (call === undefined || call.replyTo.pid.node !== session.node) return;
      reply(this.#core, session, ctx.self, call.replyTo, value, new Tuple([call.replyTo.tag, value]));
    };
    const refuse = (why: Term): void => {
      if (call === undefined || call.replyTo.pid.node !== session.node) return;
      replyOrEnd(session, ctx.self, call.replyTo, badRpc(call.replyTo.tag, why));
    };
    if (entry === undefined) {
      refuse(new Tuple([new Atom("EXIT"), new Tuple([new Atom("undef"), []])]));
      return;
    }
    const verdict = isOutdated(this.#core, ctx) ? this.#functions.verdict(session, "rpc", entry.label) : undefined;
    if (verdict !== undefined && verdict.outcome !== "allow") {
      refuse(denied(this.#refuse(session, entry.label, verdict)));
      return;
    }
    const giveBack = this.#functions.takePlace(session, ctx.admission?.grant);
    if (giveBack === undefined) {
      this.#refuse(session, entry.label, BY_LIMIT);
      refuse(SYSTEM_LIMIT);
      return;
    }
    const life = new OwnedLifetime();
    let isOpen = true;
    const work: OpenWork = {
      end: () => life.end(),
      reconsider: () => {
        const now = this.#functions.verdict(session, "rpc", entry.label);
        if (!isOpen || now.outcome === "allow") return;
        isOpen = false;
        life.end();
        refuse(denied(this.#refuse(session, entry.label, now)));
      },
    };
    const ref = call?.replyTo.monitor;
    session.work.add(work, ref);
    const crashed = (error: unknown): void => {
      const id = reportHandlerError(this.#core, entry.label, error);
      refuse(new Tuple([new Atom("EXIT"), handlerError(id)]));
    };
    // Not awaited: one slow function must not hold up the others.
    void (async (): Promise<void> => {
      try {
        const value = (await entry.run(wanted.args, ctx.within(life))) as Term;
        if (isOpen) answer(value);
      } catch (error) {
        if (isOpen) crashed(error);
      } finally {
        session.work.remove(work, ref);
        giveBack();
      }
    })();
  }

  #refuse(session: Session, label: string, why: Why): string {
    return this.#refusals.record(session, "rpc", label, why);
  }
}

/** `{Tag, {badrpc, Why}}`. */
export function badRpc(tag: Term, why: Term): Tuple {
  return new Tuple([tag, new Tuple([BADRPC, why])]);
}

/** The function that a decoded message to `rex` asks for; undefined when it has not that form. */
export function readRpc(message: Term): { readonly label: string; readonly args: readonly Term[] } | undefined {
  const request = readGenCall(message)?.request ?? readGenCast(message)?.message;
  if (!(request instanceof Tuple) || (request.length !== 5 && request.length !== 4)) return undefined;
  const [kind, module, fn, args] = request.elements;
  const name = atomName(kind);
  if (name !== "call" && name !== "block_call" && name !== "cast") return undefined;
  const moduleName = atomName(module);
  const functionName = atomName(fn);
  if (moduleName === undefined || functionName === undefined || !Array.isArray(args)) return undefined;
  return { label: functionLabel(moduleName, functionName, args.length), args };
}

/** Longest output of one request that is told, in bytes; the rest is cut. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Group leader of what this node starts remotely: says `ok` to output, and has no input. Without it a remote `io:format` would
 * wait for ever (otp-distribution section 6.9). The output is dropped, unless the peer has an `io` grant on `user`: then it is
 * told as an event.
 */
export class OutputSink implements Behaviour<MessageContext> {
  readonly #core: NodeCore;
  readonly #sessionOf: SessionOf;

  constructor(core: NodeCore, sessionOf: SessionOf) {
    this.#core = core;
    this.#sessionOf = sessionOf;
  }

  message(term: Term, ctx: MessageContext): void {
    const session = this.#sessionOf(ctx);
    if (session === undefined || !(term instanceof Tuple) || term.length !== 4) return;
    const [head, from, replyAs, request] = term.elements;
    if (!isAtom(head, "io_request") || !(from instanceof Pid) || from.node !== session.node) return;
    if (!(replyAs instanceof Reference || replyAs instanceof Pid)) return;
    const isOutput = request instanceof Tuple && isAtom(request.elements[0], "put_chars");
    if (isOutput) this.#tell(session, request.elements.at(-1));
    const answer = new Tuple([IO_REPLY, replyAs, isOutput ? OK : ENOTSUP]);
    session.signal({ kind: "send", from: ctx.self, to: from }, answer);
  }

  #tell(session: Session, data: Term): void {
    if (!this.#core.events.has("output")) return;
    const verdict = session.guard.onMissing("io", "user", undefined);
    if (verdict.outcome !== "allow") return;
    const text = outputText(data);
    if (text === undefined || !session.guard.spend(verdict, text.length)) return;
    this.#core.events.emit("output", { peer: session.peer, text });
  }
}

/** Text of output as a terminal may see it: line breaks and tabs stay, other control characters go (rulings S10). */
function outputText(data: Term): string | undefined {
  let bytes: Uint8Array;
  if (data instanceof Uint8Array) bytes = data.subarray(0, MAX_OUTPUT_BYTES);
  else if (Array.isArray(data) && data.every((item) => typeof item === "number" && item >= 0 && item <= 0x10_ffff)) {
    bytes = Buffer.from(data.slice(0, MAX_OUTPUT_BYTES).map(toCharacter).join(""));
  } else return undefined;
  return Buffer.from(bytes)
    .toString("utf8")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) =>
      character === "\n" || character === "\t" ? character : "",
    );
}

function toCharacter(code: unknown): string {
  return String.fromCodePoint(code as number);
}
