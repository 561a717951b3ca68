import type { OtpHandshakeTools, OtpIdentity } from "../auth/otp-types.ts";
import type { Clock } from "../base/clock.ts";
import type { ChannelledDialer } from "../carrier/channels.ts";
import type { HeartbeatOptions } from "../dist/heartbeat.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { TickOptions } from "../dist/tick.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import type { IdleOption } from "./options.ts";
import type { CertificateJudge, CertificateReader, Dialers, Resolver } from "./ports.ts";

/** How this node takes part in clusters of barrel_p2p (docs/barrel.md). */
export interface BarrelParts {
  /** Undefined: it does not dial over QUIC. */
  readonly dialer: ChannelledDialer | undefined;
  /** Shows itself to barrel nodes as visible: without it they open no tagged streams to it (rulings C23). Default false. */
  readonly visible?: boolean;
}

/** What connections are made of; put together by `createNode`. */
export interface ConnectionParts {
  readonly own: OtpIdentity;
  readonly clock: Clock;
  readonly handshake: OtpHandshakeTools;
  readonly dialers: Dialers;
  readonly resolver: Resolver;
  readonly judgeCertificate: CertificateJudge;
  /** Undefined: certificates have no end, and no key that a policy could name. */
  readonly readCertificate?: CertificateReader | undefined;
  /** The node's own key and its trust in others'; undefined for a node that speaks OTP only. */
  readonly identity?: IdentityKeeper | undefined;
  readonly maxSessions?: number | undefined;
  /** When sessions that nothing needs are ended. Default false: never. */
  readonly idle?: IdleOption | undefined;
  readonly limits: DistLimits;
  readonly ticks: TickOptions;
  /** Undefined: this node speaks no QUIC. Needs `identity`. */
  readonly barrel?: BarrelParts | undefined;
  /** Of native sessions; default profile `lan`. */
  readonly heartbeat?: HeartbeatOptions | undefined;
}
