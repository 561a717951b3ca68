import { addMs, type MonotonicMs } from "../base/clock.ts";
import { assertNever, isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { tryBarrelName } from "./barrel-codec.ts";
import { type BarrelDiallerState, startBarrelDialler, stepBarrelDialler } from "./barrel-dialler.ts";
import {
  type BarrelAwaited,
  type BarrelSaid,
  bindingMissing,
  connectionLost,
  nameUnusable,
  notSent,
  streamEnded,
  streamReset,
  streamStopped,
  timedOut,
} from "./barrel-failures.ts";
import { type BarrelListenerState, startBarrelListener, stepBarrelListener } from "./barrel-listener.ts";
import { BarrelReader } from "./barrel-reader.ts";
import type { BarrelContext, BarrelEvent, BarrelOutput, BarrelStep, Ended } from "./barrel-step.ts";
import {
  BARREL_AUTH_MS,
  type BarrelAttempt,
  type BarrelIdentity,
  type BarrelRole,
  type BarrelSession,
  type BarrelTools,
  type BarrelTrustAnswer,
  type BarrelTrustQuestion,
} from "./barrel-types.ts";

/** What a machine tells and asks its owner. */
export interface BarrelSink {
  /** One message with its length, for our auth stream; the first opens it. Throw where the stream does not take it. */
  send(bytes: Buffer): void;
  /** FIN on our auth stream. At most once, and only after `send`. */
  finish(): void;
  /** Answer with `trustAnswered`, at once or later. Decide only: nothing may be written. */
  askTrust(question: BarrelTrustQuestion): void;
  /** Both sides are done. The last call but `attempted`. */
  authenticated(session: BarrelSession): void;
  /** For metrics: exactly once, however the exchange ends. */
  attempted(attempt: BarrelAttempt): void;
}

/** One exchange in work. Every method but `lost` and `dispose` may throw the SallyportError that ends the connection. */
export interface BarrelMachine {
  /** Takes bytes of the peer's auth stream, cut anywhere. */
  receive(chunk: Buffer, now: MonotonicMs): void;
  trustAnswered(answer: BarrelTrustAnswer, now: MonotonicMs): void;
  /** The peer ended its auth stream. barrel waits for the deadline then; nothing can come any more, so we do not. */
  ended(now: MonotonicMs): void;
  /** The peer reset its auth stream. */
  reset(code: number, now: MonotonicMs): void;
  /** The peer wants no more of ours. After the exchange that is nothing: it has all that it needs. */
  stopped(code: number, now: MonotonicMs): void;
  /** Time passed. @throws {SallyportError} ERR_DEADLINE HANDSHAKE_TIMEOUT at or after `deadline` */
  expire(now: MonotonicMs): void;
  /** The connection is gone: the error to end with, or undefined when the exchange was over. */
  lost(cause: SallyportError | undefined, now: MonotonicMs): SallyportError | undefined;
  /** Forgets everything, as failed when it was not over. Idempotent. */
  dispose(now: MonotonicMs): void;
  /** The one deadline; undefined when the exchange is over. */
  readonly deadline: MonotonicMs | undefined;
  /** The kind of the state, for logs and tests. */
  readonly stateKind: string;
}

/** The facts of the secured connection. */
export interface BarrelChannel {
  /** DER of the listener's certificate: as dialler the peer's, as listener the one shown in this very session. */
  readonly listenerCertificate: Buffer | undefined;
  readonly now: MonotonicMs;
  /** Unix milliseconds; read once, so that a step of the clock during the exchange does not matter. */
  readonly wallMs: number;
}

type State = BarrelDiallerState | BarrelListenerState;

class Machine<S extends State> implements BarrelMachine {
  readonly #context: BarrelContext;
  readonly #role: BarrelRole;
  readonly #sink: BarrelSink;
  readonly #next: (state: S, event: BarrelEvent, now: MonotonicMs) => BarrelStep<S | Ended>;
  readonly #reader: BarrelReader = new BarrelReader();
  #state: S | Ended = { kind: "ended" };
  #isOver = false;
  #hasHeard = false;
  #hasEnded = false;
  #isReading = false;
  #nonce: Buffer | undefined;
  #lastSaid: BarrelSaid | undefined;

  constructor(
    role: BarrelRole,
    context: BarrelContext,
    sink: BarrelSink,
    next: (state: S, event: BarrelEvent, now: MonotonicMs) => BarrelStep<S | Ended>,
  ) {
    this.#role = role;
    this.#context = context;
    this.#sink = sink;
    this.#next = next;
  }

  get stateKind(): string {
    return this.#state.kind;
  }

  get deadline(): MonotonicMs | undefined {
    return this.#isOver ? undefined : addMs(this.#context.startedAt, this.#maxAuthMs);
  }

  get #maxAuthMs(): number {
    return this.#context.tools.maxAuthMs ?? BARREL_AUTH_MS;
  }

  receive(chunk: Buffer, now: MonotonicMs): void {
    if (this.#state.kind === "ended") return;
    this.#hasHeard ||= chunk.length > 0;
    this.#reader.add(chunk);
    this.#read(now);
  }

  trustAnswered(answer: BarrelTrustAnswer, now: MonotonicMs): void {
    if (this.#isOver) return;
    this.#step({ kind: "trust", answer }, now);
    this.#read(now);
  }

  ended(now: MonotonicMs): void {
    this.#hasHeard = true;
    this.#hasEnded = true;
    this.#read(now);
  }

  reset(code: number, now: MonotonicMs): void {
    if (!this.#isOver) this.#fail(streamReset(this.#awaited, code), now);
  }

  stopped(code: number, now: MonotonicMs): void {
    if (!this.#isOver && this.#lastSaid !== undefined) this.#fail(streamStopped(this.#lastSaid, code), now);
  }

  expire(now: MonotonicMs): void {
    const { deadline } = this;
    if (deadline === undefined || now < deadline) return;
    this.#fail(timedOut(this.#awaited, this.#hasHeard, this.#maxAuthMs), now);
  }

  lost(cause: SallyportError | undefined, now: MonotonicMs): SallyportError | undefined {
    if (this.#isOver) return undefined;
    const error = connectionLost(this.#awaited, this.#hasHeard, cause);
    this.dispose(now);
    return error;
  }

  dispose(now: MonotonicMs): void {
    this.#become({ kind: "ended" });
    this.#reader.clear();
    this.#over("fail", now);
  }

  perform(step: BarrelStep<S | Ended>, now: MonotonicMs): void {
    // The state first: an answer that comes from inside a question finds it.
    this.#become(step.state);
    for (const output of step.outputs) {
      switch (output.kind) {
        case "send":
          this.#send(output, now);
          break;
        case "finish":
          this.#sink.finish();
          break;
        case "ask-trust":
          this.#sink.askTrust(output.question);
          break;
        case "authenticated":
          this.#over("ok", now);
          this.#sink.authenticated(output.session);
          break;
        default:
          assertNever(output);
      }
    }
    if (step.failure !== undefined) {
      this.#over("fail", now);
      throw step.failure;
    }
  }

  /** FAIL that cannot be said changes nothing: the failure that it is about follows. */
  #send({ message, bytes }: Extract<BarrelOutput, { kind: "send" }>, now: MonotonicMs): void {
    this.#lastSaid = message;
    try {
      this.#sink.send(bytes);
    } catch (error) {
      if (message === "fail") return;
      this.#become({ kind: "ended" });
      this.#over("fail", now);
      throw isSallyportError(error) && error.reason === "BARREL_STREAM_FAILED" ? error : notSent(message, error);
    }
  }

  /** Works off what is there, up to an open question. Not reentered: an answer from inside a question is followed up by its step. */
  #read(now: MonotonicMs): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!isAwaiting(this.#state) && this.#state.kind !== "ended") {
        const message = this.#reader.next();
        if (message === undefined) break;
        this.#step({ kind: "message", message }, now);
      }
      this.#reader.settle();
    } catch (error) {
      if (isSallyportError(error) && !this.#isOver) this.#fail(error, now);
      throw error;
    } finally {
      this.#isReading = false;
    }
    if (this.#hasEnded && !this.#isOver && !isAwaiting(this.#state)) this.#fail(streamEnded(this.#awaited), now);
  }

  #step(event: BarrelEvent, now: MonotonicMs): void {
    const state = this.#state;
    if (state.kind !== "ended") this.perform(this.#next(state as S, event, now), now);
  }

  /** Ends for a reason that no step gave: nothing more is said but the FIN. */
  #fail(error: SallyportError, now: MonotonicMs): never {
    const hasStream = this.#role === "dialler" || this.#nonce !== undefined;
    this.#become({ kind: "ended" });
    this.#reader.clear();
    if (hasStream) this.#sink.finish();
    this.#over("fail", now);
    throw error;
  }

  #over(outcome: BarrelAttempt["outcome"], now: MonotonicMs): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const role = this.#role === "dialler" ? "outgoing" : "incoming";
    this.#sink.attempted({ role, outcome, durationMs: now - this.#context.startedAt });
  }

  #become(state: S | Ended): void {
    this.#state = state;
    const nonce = "own" in state ? state.own.nonce : undefined;
    if (nonce === this.#nonce) return;
    const { openNonces } = this.#context.tools;
    if (this.#nonce !== undefined) openNonces.remove(this.#nonce);
    if (nonce !== undefined) openNonces.add(nonce);
    this.#nonce = nonce;
  }

  /** What the peer owes. While our own answer is open, that is what it may send next. */
  get #awaited(): BarrelAwaited {
    switch (this.#state.kind) {
      case "await-trust":
      case "expect-challenge":
        return "challenge";
      case "expect-response":
        return "response";
      case "expect-ok":
        return "ok";
      default:
        return "hello";
    }
  }
}

function isAwaiting(state: State | Ended): boolean {
  return state.kind === "await-trust" || state.kind === "await-cookie-trust";
}

/**
 * Starts the dialling side: sends HELLO at once.
 * @throws {SallyportError} ERR_DENIED CHANNEL_BINDING_MISSING, SELF_CONNECT; ERR_CONFIG BARREL_NAME_UNUSABLE
 */
export function dialBarrel(
  own: BarrelIdentity,
  target: NodeName,
  channel: BarrelChannel,
  tools: BarrelTools,
  sink: BarrelSink,
): BarrelMachine {
  const context = { ...contextOf(own, channel, tools, "peer's"), target };
  const machine = new Machine<BarrelDiallerState>("dialler", context, sink, (state, event, now) =>
    stepBarrelDialler(context, state, event, now),
  );
  machine.perform(startBarrelDialler(context), channel.now);
  return machine;
}

/**
 * Starts the accepting side, which waits for HELLO.
 * @throws {SallyportError} ERR_DENIED CHANNEL_BINDING_MISSING; ERR_CONFIG BARREL_NAME_UNUSABLE
 */
export function acceptBarrel(
  own: BarrelIdentity,
  channel: BarrelChannel,
  tools: BarrelTools,
  sink: BarrelSink,
): BarrelMachine {
  const context = contextOf(own, channel, tools, "own");
  const machine = new Machine<BarrelListenerState>("acceptor", context, sink, (state, event, now) =>
    stepBarrelListener(context, state, event, now),
  );
  machine.perform(startBarrelListener(), channel.now);
  return machine;
}

function contextOf(
  own: BarrelIdentity,
  channel: BarrelChannel,
  tools: BarrelTools,
  whose: "own" | "peer's",
): BarrelContext {
  if (tryBarrelName(own.name) === undefined) throw nameUnusable(own.name);
  const certificate = channel.listenerCertificate;
  if (certificate === undefined || certificate.length === 0) throw bindingMissing(whose);
  const binding = tools.crypto.sha256(certificate);
  return { own, tools, binding, startedAt: channel.now, startedWallMs: channel.wallMs };
}
