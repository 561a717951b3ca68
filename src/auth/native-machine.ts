import { assertNever, isSallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { decodeNative, encodeNative } from "../wire/native-handshake.ts";
import { type AcceptorState, startAcceptor, stepAcceptor } from "./native-acceptor.ts";
import { type DiallerState, startDialler, stepDialler } from "./native-dialler.ts";
import { decodeFailure, type NativeFailure } from "./native-failures.ts";
import { bindChannel, type Ended, fail, type NativeEvent, type NativeStep } from "./native-step.ts";
import type {
  Arbitration,
  ArbitrationQuestion,
  ChannelBinding,
  CommitAnswer,
  CommitRequest,
  DiallerInvite,
  NativeIdentity,
  NativeRole,
  NativeSession,
  NativeTools,
  OpenNonces,
  TrustAnswer,
  TrustQuestion,
} from "./native-types.ts";

/** What a native machine tells and asks its owner. Each question may be answered at once or later. */
export interface NativeSink {
  /** Hands over one message, type byte first, without its 4-byte length. */
  send(body: Buffer): void;
  /** The peer's proof held. Answer with `trustAnswered`. Decide only: nothing may be written yet. */
  askTrust(question: TrustQuestion): void;
  /** Answer with `arbitrated`. */
  arbitrate(question: ArbitrationQuestion): void;
  /** Make it durable, fsync included, then answer with `committed`. */
  commit(request: CommitRequest): void;
  /** The session stands on this side: distribution frames may be sent and are to be expected. */
  up(session: NativeSession): void;
}

/** One native handshake in work. Every method may throw the SallyportError that ends the connection. */
export interface NativeMachine {
  /** Takes one message of a frame. Nothing is taken after the end. @throws {SallyportError} */
  receive(buffer: Buffer, start: number, end: number): void;
  trustAnswered(answer: TrustAnswer): void;
  arbitrated(answer: Arbitration): void;
  committed(answer: CommitAnswer): void;
  /** Forgets everything. To be called when the connection ends, whatever the state. Idempotent. */
  dispose(): void;
  /** The kind of the state, for logs and deadlines. */
  readonly stateKind: string;
}

type State = DiallerState | AcceptorState;

/** Runs the step functions of one role: holds the state, performs the outputs, remembers the nonce that is open. */
class Machine<S extends State> implements NativeMachine {
  readonly #role: NativeRole;
  readonly #openNonces: OpenNonces;
  readonly #sink: NativeSink;
  readonly #next: (state: S, event: NativeEvent) => NativeStep<S | Ended>;
  #state: S | Ended = { kind: "ended" };
  #nonce: Buffer | undefined;

  constructor(
    role: NativeRole,
    openNonces: OpenNonces,
    sink: NativeSink,
    next: (state: S, event: NativeEvent) => NativeStep<S | Ended>,
  ) {
    this.#role = role;
    this.#openNonces = openNonces;
    this.#sink = sink;
    this.#next = next;
  }

  get stateKind(): string {
    return this.#state.kind;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    if (this.#state.kind === "ended") return;
    let event: NativeEvent;
    try {
      event = { kind: "message", message: decodeNative(buffer, start, end) };
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      this.perform(fail<S>(decodeFailure(error)));
      return;
    }
    this.#step(event);
  }

  trustAnswered(answer: TrustAnswer): void {
    this.#step({ kind: "trust", answer });
  }

  arbitrated(answer: Arbitration): void {
    this.#step({ kind: "arbitrated", answer });
  }

  committed(answer: CommitAnswer): void {
    this.#step({ kind: "committed", answer });
  }

  dispose(): void {
    this.#become({ kind: "ended" });
  }

  perform(step: NativeStep<S | Ended>): void {
    // The state first: an answer that comes from inside a question finds it.
    this.#become(step.state);
    for (const output of step.outputs) {
      switch (output.kind) {
        case "send":
          this.#sink.send(output.bytes);
          break;
        case "ask-trust":
          this.#sink.askTrust(output.question);
          break;
        case "arbitrate":
          this.#sink.arbitrate(output.question);
          break;
        case "commit":
          this.#sink.commit(output.request);
          break;
        case "up":
          this.#sink.up(output.session);
          break;
        default:
          assertNever(output);
      }
    }
    if (step.failure !== undefined) throw step.failure;
  }

  #step(event: NativeEvent): void {
    const state = this.#state;
    if (isLive(state)) this.perform(this.#next(state, event));
  }

  #become(state: S | Ended): void {
    this.#state = state;
    const nonce = openNonce(state, this.#role);
    if (nonce === this.#nonce) return;
    if (this.#nonce !== undefined) this.#openNonces.remove(this.#nonce);
    if (nonce !== undefined) this.#openNonces.add(nonce);
    this.#nonce = nonce;
  }
}

/**
 * Starts the dialling side: sends HELLO at once.
 * @param invite the invite to show, when there is one for `target`
 * @throws {SallyportError} ERR_DENIED CHANNEL_BINDING_MISSING, SELF_CONNECT; ERR_CONFIG COOKIE_MISSING, COOKIE_TOO_SHORT
 */
export function dialNative(
  own: NativeIdentity,
  target: NodeName,
  channel: ChannelBinding,
  tools: NativeTools,
  sink: NativeSink,
  invite?: DiallerInvite,
): NativeMachine {
  const bound = bindChannel(channel, tools.crypto);
  if ("tell" in bound) {
    sendRefusal(sink, bound);
    throw bound.error;
  }
  const context = { own, target, tools, channel: bound, invite };
  const machine = new Machine<DiallerState>("dialler", tools.openNonces, sink, (state, event) =>
    stepDialler(context, state, event),
  );
  machine.perform(startDialler(context));
  return machine;
}

/**
 * Starts the accepting side, which waits for HELLO.
 * @throws {SallyportError} ERR_DENIED CHANNEL_BINDING_MISSING
 */
export function acceptNative(
  own: NativeIdentity,
  channel: ChannelBinding,
  tools: NativeTools,
  sink: NativeSink,
): NativeMachine {
  const bound = bindChannel(channel, tools.crypto);
  if ("tell" in bound) {
    sendRefusal(sink, bound);
    throw bound.error;
  }
  const context = { own, tools, channel: bound };
  const machine = new Machine<AcceptorState>("acceptor", tools.openNonces, sink, (state, event) =>
    stepAcceptor(context, state, event),
  );
  machine.perform(startAcceptor());
  return machine;
}

function sendRefusal(sink: NativeSink, failure: NativeFailure): void {
  if (failure.tell !== undefined) sink.send(encodeNative({ kind: "refuse", reason: failure.tell }));
}

function isLive<S extends State>(state: S | Ended): state is S {
  return state.kind !== "ended";
}

/** The nonce of ours that must not come back while a handshake is in this state. */
function openNonce(state: State | Ended, role: NativeRole): Buffer | undefined {
  if ("own" in state) return state.own.nonce;
  return "agreed" in state ? state.agreed.transcript[role].nonce : undefined;
}
