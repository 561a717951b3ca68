import type { OtpHandshakeTools, OtpIdentity } from "../auth/otp-types.ts";
import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { ChannelledDialer } from "../carrier/channels.ts";
import type { HeartbeatOptions } from "../dist/heartbeat.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { TickOptions } from "../dist/tick.ts";
import type { Doors } from "./doors.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import type { IdleOption } from "./options.ts";
import type { CertificateJudge, CertificateReader, Dialers, Resolver } from "./ports.ts";

/** What connections over QUIC are made of, besides the identity of the node. */
export interface BarrelPorts {
  readonly dialer: ChannelledDialer;
  /** Whether this node is shown to `nodes()` and `global` of a peer there (rulings C23). */
  isVisibleTo(peer: NodeName): boolean;
  /** Whether the owner lets this node dial there. @throws {SallyportError} ERR_CONFIG QUIC_PUBLIC_ADDRESS */
  checkDial(target: NodeName, address: DialAddress): void;
}

/** What connections are made of; put together by `createNode`. */
export interface ConnectionParts {
  readonly own: OtpIdentity;
  readonly clock: Clock;
  readonly handshake: OtpHandshakeTools;
  readonly dialers: Dialers;
  /** Undefined: nothing is dialled or accepted over QUIC. It needs `identity`. */
  readonly barrel?: BarrelPorts | undefined;
  readonly resolver: Resolver;
  readonly judgeCertificate: CertificateJudge;
  /** Undefined: certificates have no end, and no key that a policy could name. */
  readonly readCertificate?: CertificateReader | undefined;
  /** This node's certificate is of an authority: peers may rest on it, and end sessions with it. Default false. */
  readonly isCertificateIssued?: boolean | undefined;
  /** The node's own key and its trust in others'; undefined for a node that speaks OTP only. */
  readonly identity?: IdentityKeeper | undefined;
  /** It takes nobody who does not speak the native handshake. Default false. */
  readonly isNativeOnly?: boolean | undefined;
  /** Who may become a session at all; default everybody. */
  readonly doors?: Doors | undefined;
  readonly maxSessions?: number | undefined;
  /** When sessions that nothing needs are ended. Default false: never. */
  readonly idle?: IdleOption | undefined;
  readonly limits: DistLimits;
  readonly ticks: TickOptions;
  /** Of native sessions; default profile `lan`. */
  readonly heartbeat?: HeartbeatOptions | undefined;
}
