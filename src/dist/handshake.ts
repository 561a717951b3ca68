import { OtpAcceptor } from "../auth/otp-acceptor.ts";
import { OtpInitiator } from "../auth/otp-initiator.ts";
import type { OtpHandshakeTools, OtpIdentity, OtpSession } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { ClaimAnswer } from "./sink.ts";

/** What a handshake of any protocol tells its connection. */
export interface HandshakeSink {
  send(body: Buffer): void;
  claimed(name: NodeName, creation: number): void;
  proven(session: OtpSession): void;
}

/** One handshake in work, whatever its protocol and role. */
export interface Handshake {
  receive(buffer: Buffer, start: number, end: number): void;
  answerClaim(answer: ClaimAnswer): void;
  /** After `proven`: acknowledges to the peer, where the protocol has that step. */
  admit(): void;
  dispose(): void;
  /** Our answer to the other side's challenge is out: if it closes now, it did not like the answer. */
  readonly repliedToChallenge: boolean;
}

/** Starts the OTP handshake: with a target as the dialling side, without one as the accepting side. */
export function startOtpHandshake(
  own: OtpIdentity,
  target: NodeName | undefined,
  tools: OtpHandshakeTools,
  sink: HandshakeSink,
): Handshake {
  if (target === undefined) return new OtpAcceptor(own, tools, sink);
  const initiator = new OtpInitiator(own, target, tools, sink);
  return {
    receive: (buffer, start, end) => initiator.receive(buffer, start, end),
    answerClaim: () => {},
    admit: () => {},
    dispose: () => {},
    get repliedToChallenge() {
      return initiator.repliedToChallenge;
    },
  };
}
