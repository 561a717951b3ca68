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

type State =
  | { readonly kind: "expect-status" }
  | { readonly kind: "expect-challenge" }
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
  #state: State = { kind: "expect-status" };

  /** Sends the name message at once. @throws {SallyportError} ERR_CONFIG COOKIE_MISSING */
  constructor(own: OtpIdentity, target: NodeName, tools: OtpHandshakeTools, sink: OtpInitiatorSink) {
    this.#own = own;
    this.#target = target;
    this.#tools = tools;
    this.#sink = sink;
    if (tools.cookieFor(target) === undefined) throw cookieMissing(target);
    sink.send(encodeHandshake({ kind: "send-name", flags: own.flags, creation: own.creation, name: own.name }));
  }

  /** Our challenge reply is out and not acknowledged yet. */
  get repliedToChallenge(): boolean {
    return this.#state.kind === "expect-ack";
  }

  /** Takes one message. @throws {SallyportError} which ends the connection */
  receive(buffer: Buffer, start: number, end: number): void {
    this.#state = this.#step(this.#state, decodeFromAcceptor(buffer, start, end));
  }

  #step(state: State, message: AcceptorMessage): State {
    switch (state.kind) {
      case "expect-status":
        if (message.kind !== "status") throw unexpectedMessage("a status", message.kind);
        return this.#takeStatus(message);
      case "expect-challenge":
        if (message.kind !== "challenge") throw unexpectedMessage("a challenge", message.kind);
        return this.#takeChallenge(message);
      case "expect-ack": {
        if (message.kind !== "challenge-ack") throw unexpectedMessage("a challenge ack", message.kind);
        const cookie = this.#cookie();
        const expected = this.#tools.crypto.md5(digestInput(cookie, state.ownChallenge));
        if (!this.#tools.crypto.equal(expected, message.digest)) throw wrongDigest(this.#target, "ack");
        this.#sink.proven(state.session);
        return { kind: "done" };
      }
      case "done":
        throw unexpectedMessage("nothing more", message.kind);
      default:
        return assertNever(state);
    }
  }

  #takeStatus({ status }: Status): State {
    switch (status) {
      case "ok":
      case "ok_simultaneous":
        return { kind: "expect-challenge" };
      case "alive":
        // The acceptor still holds a session of ours that we know nothing of: it is dead, go on.
        this.#sink.send(encodeHandshake({ kind: "status-reply", proceed: true }));
        return { kind: "expect-challenge" };
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
        return assertNever(status);
    }
  }

  #takeChallenge(message: Challenge): State {
    const { crypto, random, openChallenges } = this.#tools;
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
    const ownChallenge = random.uint32();
    const digest = crypto.md5(digestInput(this.#cookie(), message.challenge));
    this.#sink.send(encodeHandshake({ kind: "challenge-reply", challenge: ownChallenge, digest }));
    const session: OtpSession = {
      peer: message.name,
      peerCreation: message.creation,
      flags: commonFlags(this.#own.flags, message.flags),
    };
    return { kind: "expect-ack", ownChallenge, session };
  }

  #cookie(): Uint8Array {
    const cookie = this.#tools.cookieFor(this.#target);
    if (cookie === undefined) throw cookieMissing(this.#target);
    return cookie;
  }
}
