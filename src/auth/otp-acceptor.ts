import { assertNever, SallyportError } from "../base/errors.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { commonFlags, missingMandatory } from "../wire/flags.ts";
import {
  decodeFromInitiator,
  digestInput,
  encodeHandshake,
  type InitiatorMessage,
  type SendName,
  type StatusText,
} from "../wire/handshake.ts";
import { cookieMissing, flagsMissing, unexpectedMessage, wrongDigest } from "./otp-failures.ts";
import type { OtpHandshakeTools, OtpIdentity, OtpSession, ShownIdentity } from "./otp-types.ts";

/** What the machine tells and asks its owner. */
export interface OtpAcceptorSink {
  /** Hands over one handshake message, without its length prefix. */
  send(body: Buffer): void;
  /** A name was claimed, nothing is proven. Answer with `answerClaim`, at once or later. */
  claimed(name: NodeName, creation: number, flags: bigint): void;
  /** The peer has proven the cookie. Answer with `admit`, at once or later; nothing was acknowledged yet. */
  proven(session: OtpSession): void;
}

/** Of an owner that can say only later what the challenge shows. It lets the handshake go on with `challenge`. */
export interface AcceptorHold {
  /** The status `alive` was answered with `true`: the dialler has given its old connection up. */
  confirmed(): void;
}

type State =
  | { readonly kind: "expect-name" }
  | { readonly kind: "await-answer"; readonly claim: SendName }
  | { readonly kind: "expect-alive-reply"; readonly claim: SendName }
  | { readonly kind: "held"; readonly claim: SendName }
  | { readonly kind: "expect-reply"; readonly claim: SendName; readonly challenge: number; readonly flags: bigint }
  | { readonly kind: "await-admission"; readonly peerChallenge: number; readonly session: OtpSession }
  | { readonly kind: "done" };

/**
 * The accepting side of the OTP handshake, version 6 (otp-distribution section 2). It asks upwards twice: what to answer
 * to a claimed name (before proof), and whether to admit a proven peer (before the acknowledgement).
 */
export class OtpAcceptor {
  readonly #own: OtpIdentity;
  readonly #tools: OtpHandshakeTools;
  readonly #sink: OtpAcceptorSink;
  readonly #hold: AcceptorHold | undefined;
  #state: State = { kind: "expect-name" };

  /** With `hold`, creation and flags of `own` are not shown: those given to `challenge` are. */
  constructor(own: OtpIdentity, tools: OtpHandshakeTools, sink: OtpAcceptorSink, hold?: AcceptorHold) {
    this.#own = own;
    this.#tools = tools;
    this.#sink = sink;
    this.#hold = hold;
  }

  /** The message that the peer owes; undefined when it owes none. */
  get awaited(): string | undefined {
    switch (this.#state.kind) {
      case "expect-name":
        return "name";
      case "expect-alive-reply":
        return "answer to alive";
      case "expect-reply":
        return "reply to the challenge";
      default:
        return undefined;
    }
  }

  /** Takes one message. @throws {SallyportError} which ends the connection */
  receive(buffer: Buffer, start: number, end: number): void {
    const message = decodeFromInitiator(buffer, start, end);
    const state = this.#state;
    switch (state.kind) {
      case "expect-name":
        if (message.kind !== "send-name") throw unexpectedMessage("a name", message.kind);
        this.#takeName(message);
        return;
      case "expect-alive-reply":
        if (message.kind !== "status-reply") throw unexpectedMessage("true or false", message.kind);
        if (!message.proceed) {
          throw new SallyportError(
            "ERR_CLOSED",
            "PEER_GAVE_UP",
            `${state.claim.name} keeps its existing connection and gave this one up`,
            { stage: "session", peer: state.claim.name, advice: "nothing: the existing session goes on" },
          );
        }
        this.#goOn(state.claim);
        if (this.#hold !== undefined) this.#hold.confirmed();
        return;
      case "expect-reply":
        this.#takeReply(state, message);
        return;
      case "await-answer":
      case "held":
      case "await-admission":
      case "done":
        throw unexpectedMessage("nothing before our answer", message.kind);
      default:
        assertNever(state);
    }
  }

  /** Answers the claim. @throws {SallyportError} when the answer is a refusal, after it was sent */
  answerClaim(status: StatusText): void {
    const state = this.#state;
    if (state.kind !== "await-answer") return;
    this.#sink.send(encodeHandshake({ kind: "status", status }));
    switch (status) {
      case "ok":
      case "ok_simultaneous":
        this.#goOn(state.claim);
        return;
      case "alive":
        this.#state = { kind: "expect-alive-reply", claim: state.claim };
        return;
      case "nok":
        throw new SallyportError(
          "ERR_CLOSED",
          "OTHER_CONNECTION_WINS",
          `our own connection to ${state.claim.name} goes on, this one ends`,
          { stage: "session", peer: state.claim.name, advice: "nothing: the other connection serves both sides" },
        );
      case "not_allowed":
        throw new SallyportError("ERR_DENIED", "NOT_ALLOWED", `${state.claim.name} may not connect`, {
          stage: "identity",
          peer: state.claim.name,
          advice: "see the preceding warning for the reason",
        });
      default:
        assertNever(status);
    }
  }

  /** Of an acceptor that holds its challenge: sends it, once the claim was answered. Without effect before and after. */
  challenge(shown: ShownIdentity): void {
    const state = this.#state;
    if (state.kind === "held") this.#challenge(state.claim, shown);
  }

  /** Acknowledges a proven peer: the session may start when this returns. */
  admit(): void {
    const state = this.#state;
    if (state.kind !== "await-admission") return;
    const digest = this.#tools.crypto.md5(digestInput(this.#cookie(state.session.peer), state.peerChallenge));
    this.#state = { kind: "done" };
    this.#sink.send(encodeHandshake({ kind: "challenge-ack", digest }));
  }

  /** Forgets the open challenge. To be called when the connection ends, whatever the state. Idempotent. */
  dispose(): void {
    if (this.#state.kind === "expect-reply") this.#tools.openChallenges.remove(this.#state.challenge);
    this.#state = { kind: "done" };
  }

  #takeName(claim: SendName): void {
    if (sameNode(claim.name, this.#own.name)) {
      // Not `nok`: a node whose dial came back to itself would wait for a connection of its own.
      this.#sink.send(encodeHandshake({ kind: "status", status: "not_allowed" }));
      throw new SallyportError("ERR_DENIED", "SELF_CONNECT", `a peer claims our own name ${this.#own.name}`, {
        stage: "identity",
        peer: claim.name,
        advice: "give the other node a name of its own",
      });
    }
    const missing = missingMandatory(claim.flags);
    if (missing.length > 0) {
      this.#sink.send(encodeHandshake({ kind: "status", status: "not_allowed" }));
      throw flagsMissing(claim.name, missing);
    }
    this.#state = { kind: "await-answer", claim };
    this.#sink.claimed(claim.name, claim.creation, claim.flags);
  }

  #goOn(claim: SendName): void {
    if (this.#hold === undefined) this.#challenge(claim, this.#own);
    else this.#state = { kind: "held", claim };
  }

  #challenge(claim: SendName, { creation, flags }: ShownIdentity): void {
    const { random, openChallenges } = this.#tools;
    const challenge = random.uint32();
    openChallenges.add(challenge);
    this.#state = { kind: "expect-reply", claim, challenge, flags };
    this.#sink.send(encodeHandshake({ kind: "challenge", flags, challenge, creation, name: this.#own.name }));
  }

  #takeReply(state: Extract<State, { kind: "expect-reply" }>, message: InitiatorMessage): void {
    if (message.kind !== "challenge-reply") throw unexpectedMessage("a challenge reply", message.kind);
    const { crypto, openChallenges } = this.#tools;
    const peer = state.claim.name;
    openChallenges.remove(state.challenge);
    const expected = crypto.md5(digestInput(this.#cookie(peer), state.challenge));
    if (!crypto.equal(expected, message.digest)) {
      this.#state = { kind: "done" };
      throw wrongDigest(peer, "reply");
    }
    const session: OtpSession = {
      peer,
      peerCreation: state.claim.creation,
      flags: commonFlags(state.flags, state.claim.flags),
    };
    this.#state = { kind: "await-admission", peerChallenge: message.challenge, session };
    this.#sink.proven(session);
  }

  #cookie(peer: NodeName): Uint8Array {
    const cookie = this.#tools.cookieFor(peer);
    if (cookie === undefined) throw cookieMissing(peer);
    return cookie;
  }
}
