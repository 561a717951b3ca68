import { acceptNative, dialNative, type NativeMachine, type NativeSink } from "../auth/native-machine.ts";
import type { DiallerInvite, NativeIdentity, NativeTools } from "../auth/native-types.ts";
import { type AcceptorHold, OtpAcceptor } from "../auth/otp-acceptor.ts";
import { type InitiatorHold, OtpInitiator } from "../auth/otp-initiator.ts";
import type { OtpHandshakeTools, OtpIdentity, OtpSession } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { tlsTooOld } from "./connection-failures.ts";
import type { ClaimAnswer } from "./sink.ts";

/** ALPN of the native handshake. */
export const NATIVE_ALPN = "sallyport/1";

/** RFC 9266: the exporter that binds a proof to its TLS session. */
const CHANNEL_BINDING_LABEL = "EXPORTER-Channel-Binding";
const CHANNEL_BINDING_BYTES = 32;

/** What a node brings to its native handshakes. */
export interface NativeParts {
  /** Asked for each handshake: the key may have been rotated. */
  identity(): NativeIdentity;
  readonly tools: NativeTools;
  /** The invite to show to a node, when there is one. */
  inviteFor(target: NodeName): DiallerInvite | undefined;
}

/** What a handshake of any protocol tells its connection. */
export interface HandshakeSink {
  send(body: Buffer): void;
  claimed(name: NodeName, creation: number, flags: bigint): void;
  proven(session: OtpSession): void;
}

/** For an owner that joins two handshakes and lets neither run ahead of the other. OTP only. */
export interface HandshakeHold extends AcceptorHold, InitiatorHold {}

/** One handshake in work, whatever its protocol and role. */
export interface Handshake {
  receive(buffer: Buffer, start: number, end: number): void;
  answerClaim(answer: ClaimAnswer): void;
  /** After `proven`: acknowledges to the peer, where the protocol has that step. */
  admit(): void;
  dispose(): void;
  /** Our answer to the other side's challenge is out: if it closes now, it did not like the answer. */
  readonly repliedToChallenge: boolean;
  /** The machine behind it, when the protocol is ours. */
  readonly native: NativeMachine | undefined;
  /** The machine behind it, when the protocol is OTP's: that of our role. */
  readonly acceptor?: OtpAcceptor;
  readonly initiator?: OtpInitiator;
}

/**
 * The handshake that was negotiated by ALPN, begun. An old TLS has no exporter worth the name (rulings C22).
 * @throws {SallyportError} ERR_PEER_INCOMPATIBLE NATIVE_NEEDS_TLS13
 */
export function startHandshake(
  parts: {
    readonly own: OtpIdentity;
    readonly ownFor?: ((proven: NodeName) => OtpIdentity) | undefined;
    readonly target: NodeName | undefined;
    readonly tools: OtpHandshakeTools;
    readonly native?: NativeParts | undefined;
    readonly hold?: HandshakeHold | undefined;
  },
  info: CarrierInfo,
  sink: HandshakeSink & NativeSink,
): Handshake {
  const { target, tools, native, hold } = parts;
  const own = info.proven === undefined ? parts.own : (parts.ownFor?.(info.proven.name) ?? parts.own);
  if (info.alpn !== NATIVE_ALPN || native === undefined) return startOtpHandshake(own, target, tools, sink, hold);
  if (info.tlsVersion !== "TLSv1.3") throw tlsTooOld(info.tlsVersion);
  return startNativeHandshake(native, target, info, sink);
}

/** Starts the native handshake on a TLS session that negotiated it. Errors as `dialNative` and `acceptNative`. */
function startNativeHandshake(
  parts: NativeParts,
  target: NodeName | undefined,
  info: CarrierInfo,
  sink: NativeSink,
): Handshake {
  const channel = {
    exporter: info.exporter?.(CHANNEL_BINDING_LABEL, CHANNEL_BINDING_BYTES),
    ownCertificate: info.ownCertDer,
    peerCertificate: info.peerCertDer,
  };
  const identity = parts.identity();
  const machine =
    target === undefined
      ? acceptNative(identity, channel, parts.tools, sink)
      : dialNative(identity, target, channel, parts.tools, sink, parts.inviteFor(target));
  return {
    receive: (buffer, start, end) => machine.receive(buffer, start, end),
    answerClaim: () => {},
    admit: () => {},
    dispose: () => machine.dispose(),
    repliedToChallenge: false,
    native: machine,
  };
}

/** Starts the OTP handshake: with a target as the dialling side, without one as the accepting side. */
function startOtpHandshake(
  own: OtpIdentity,
  target: NodeName | undefined,
  tools: OtpHandshakeTools,
  sink: HandshakeSink,
  hold?: HandshakeHold,
): Handshake {
  if (target === undefined) {
    const acceptor = new OtpAcceptor(own, tools, sink, hold);
    return {
      receive: (buffer, start, end) => acceptor.receive(buffer, start, end),
      answerClaim: (answer) => acceptor.answerClaim(answer),
      admit: () => acceptor.admit(),
      dispose: () => acceptor.dispose(),
      repliedToChallenge: false,
      native: undefined,
      acceptor,
    };
  }
  const initiator = new OtpInitiator(own, target, tools, sink, hold);
  return {
    receive: (buffer, start, end) => initiator.receive(buffer, start, end),
    answerClaim: () => {},
    admit: () => {},
    dispose: () => {},
    get repliedToChallenge() {
      return initiator.repliedToChallenge;
    },
    native: undefined,
    initiator,
  };
}
