import { assertNever, SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { commonFlags, missingMandatory } from "../wire/flags.ts";
import {
  type AcceptorMessage,
  type Challenge,
  decodeFromAcceptor,
  digestInput,
  encodeHandshake,
  type Status,
} from "../wire/handshake.ts";
import { cookieMissing, flagsMissing, unexpectedMessage, wrongDigest } from "./otp-failures.ts";
import type { OtpHandshakeTools, OtpIdentity, OtpSession } from "./otp-types.ts";

/** What the machine tells its owner. */
export interface OtpInitiatorSink {
  /** Hands over one handshake message, without its length prefix. */
  send(body: Buffer): void;
  /** The acceptor has proven the cookie: the session may start. Nothing follows from the machine. */
  proven(session: OtpSession): void;
}

/** Of an owner that wants a say between the steps. What it hears of the acceptor is not proven. */
export interface InitiatorHold {
  /** The acceptor's status. After `alive` the machine waits for `answerAlive`. */
  status(status: "ok" | "ok_simultaneous" | "alive"): void;
  /** The acceptor's challenge is there, with all its flags. The machine waits for `reply`: our proof of the cookie. */
  challenged(session: OtpSession, peerFlags: bigint): void;
}

type State =
  | { readonly kind: "expect-status" }
  | { readonly kind: "held-alive" }
  | { readonly kind: "expect-challenge" }
  | { readonly kind: "held-reply"; readonly challenge: number; readonly session: OtpSession }
  | { readonly kind: "expect-ack"; readonly ownChallenge: number; readonly session: OtpSession }
  | { readonly kind: "done" };

/**
 * The dialling side of the OTP handshake, version 6 (otp-distribution section 2). Bytes in, messages out; the deadline
 * belongs to the owner. The acceptor's name must be the dialled one, byte for byte but for the case of the host.
 */
export class OtpInitiator {
  readonly #own: OtpIdentity;
  readonly #target: NodeName;
  readonly #tools: OtpHandshakeTools;
  readonly #sink: OtpInitiatorSink;
  readonly #hold: InitiatorHold | undefined;
  #state: State = { kind: "expect-status" };

  /** Sends the name message at once. @throws {SallyportError} ERR_CONFIG COOKIE_MISSING */
  constructor(
    own: OtpIdentity,
    target: NodeName,
    tools: OtpHandshakeTools,
    sink: OtpInitiatorSink,
    hold?: InitiatorHold,
  ) {
    this.#own = own;
    this.#target = target;
    this.#tools = tools;
    this.#sink = sink;
    this.#hold = hold;
    if (tools.cookieFor(target) === undefined) throw cookieMissing(target);
    sink.send(encodeHandshake({ kind: "send-name", flags: own.flags, creation: own.creation, name: own.name }));
  }

  /** Our challenge reply is out and not acknowledged yet. */
  get repliedToChallenge(): boolean {
    return this.#state.kind === "expect-ack";
  }

  /** The message that the peer owes; undefined when it owes none. */
  get awaited(): string | undefined {
    switch (this.#state.kind) {
      case "expect-status":
        return "status";
      case "expect-challenge":
        return "challenge";
      case "expect-ack":
        return "acknowledgement of the challenge";
      default:
        return undefined;
    }
  }

  /** Takes one message. @throws {SallyportError} which ends the connection */
  receive(buffer: Buffer, start: number, end: number): void {
    const message = decodeFromAcceptor(buffer, start, end);
    const state = this.#state;
    switch (state.kind) {
      case "expect-status":
        if (message.kind !== "status") throw unexpectedMessage("a status", message.kind);
        this.#takeStatus(message);
        return;
      case "expect-challenge":
        if (message.kind !== "challenge") throw unexpectedMessage("a challenge", message.kind);
        this.#takeChallenge(message);
        return;
      case "expect-ack":
        this.#takeAck(state, message);
        return;
      case "held-alive":
      case "held-reply":
      case "done":
        throw unexpectedMessage("nothing more", message.kind);
      default:
        assertNever(state);
    }
  }

  /** After a held `alive`: whether this attempt takes the place of the old connection. @throws {SallyportError} when not */
  answerAlive(proceed: boolean): void {
    if (this.#state.kind !== "held-alive") return;
    this.#sink.send(encodeHandshake({ kind: "status-reply", proceed }));
    this.#state = proceed ? { kind: "expect-challenge" } : { kind: "done" };
    if (!proceed) {
      throw new SallyportError(
        "ERR_CLOSED",
        "ATTEMPT_GIVEN_UP",
        `the existing connection to ${this.#target} is kept, this attempt ends`,
        { stage: "session", peer: this.#target, advice: "nothing: the existing session goes on" },
      );
    }
  }

  /** After a held challenge: proves the cookie. @throws {SallyportError} ERR_CONFIG COOKIE_MISSING */
  reply(): void {
    const state = this.#state;
    if (state.kind === "held-reply") this.#reply(state.challenge, state.session);
  }

  #takeStatus({ status }: Status): void {
    switch (status) {
      case "ok":
      case "ok_simultaneous":
        this.#state = { kind: "expect-challenge" };
        this.#hold?.status(status);
        return;
      case "alive":
        this.#state = { kind: "held-alive" };
        // The acceptor still holds a session of ours that we know nothing of: it is dead, go on.
        if (this.#hold === undefined) this.answerAlive(true);
        else this.#hold.status(status);
        return;
      case "nok":
        throw new SallyportError(
          "ERR_CLOSED",
          "OTHER_CONNECTION_WINS",
          `${this.#target} is connecting to us at the same moment and keeps its own attempt`,
          { stage: "session", peer: this.#target, advice: "nothing: the other connection serves both sides" },
        );
      case "not_allowed":
        throw new SallyportError(
          "ERR_DENIED",
          "NOT_ALLOWED",
          `${this.#target} answered not_allowed to ${this.#own.name}`,
          {
            stage: "identity",
            peer: this.#target,
            advice: `allow ${this.#own.name} on ${this.#target} (net_kernel:allow/1, its certificate or its name rules)`,
          },
        );
      default:
        assertNever(status);
    }
  }

  #takeChallenge(message: Challenge): void {
    const { openChallenges } = this.#tools;
    if (!sameNode(message.name, this.#target)) {
      throw new SallyportError(
        "ERR_DENIED",
        "PEER_NAME_MISMATCH",
        `dialled ${this.#target}, but ${quotePeerText(message.name)} answered`,
        { stage: "identity", peer: this.#target, advice: "correct the address the name resolves to" },
      );
    }
    const missing = missingMandatory(message.flags);
    if (missing.length > 0) throw flagsMissing(this.#target, missing);
    if (openChallenges.has(message.challenge)) {
      throw new SallyportError(
        "ERR_PEER_MISBEHAVED",
        "CHALLENGE_REFLECTED",
        `${this.#target} sent back a challenge that this node has open itself`,
        { stage: "cookie", peer: this.#target, advice: "treat the peer or the network as hostile" },
      );
    }
    const session: OtpSession = {
      peer: message.name,
      peerCreation: message.creation,
      flags: commonFlags(this.#own.flags, message.flags),
    };
    if (this.#hold === undefined) {
      this.#reply(message.challenge, session);
      return;
    }
    this.#state = { kind: "held-reply", challenge: message.challenge, session };
    this.#hold.challenged(session, message.flags);
  }

  #reply(challenge: number, session: OtpSession): void {
    const { crypto, random } = this.#tools;
    const ownChallenge = random.uint32();
    const digest = crypto.md5(digestInput(this.#cookie(), challenge));
    this.#state = { kind: "expect-ack", ownChallenge, session };
    this.#sink.send(encodeHandshake({ kind: "challenge-reply", challenge: ownChallenge, digest }));
  }

  #takeAck({ ownChallenge, session }: Extract<State, { kind: "expect-ack" }>, message: AcceptorMessage): void {
    if (message.kind !== "challenge-ack") throw unexpectedMessage("a challenge ack", message.kind);
    const { crypto } = this.#tools;
    const expected = crypto.md5(digestInput(this.#cookie(), ownChallenge));
    if (!crypto.equal(expected, message.digest)) throw wrongDigest(this.#target, "ack");
    this.#state = { kind: "done" };
    this.#sink.proven(session);
  }

  #cookie(): Uint8Array {
    const cookie = this.#tools.cookieFor(this.#target);
    if (cookie === undefined) throw cookieMissing(this.#target);
    return cookie;
  }
}
