import type { OtpHandshakeTools, OtpIdentity } from "../auth/otp-types.ts";
import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { HandshakeHold, NativeParts } from "./handshake.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";
import type { DistLimits } from "./limits.ts";
import type { TickOptions } from "./tick.ts";

/** Everything a connection needs besides its carrier. */
export interface ConnectionParts {
  readonly own: OtpIdentity;
  /** Instead of `own`, what a peer is shown that has proven its name before the OTP handshake. */
  readonly ownFor?: ((proven: NodeName) => OtpIdentity) | undefined;
  /** The dialled name; undefined on the accepting side. */
  readonly target: NodeName | undefined;
  readonly tools: OtpHandshakeTools;
  /** Undefined where this node has no identity key: it speaks OTP only. */
  readonly native?: NativeParts | undefined;
  readonly clock: Clock;
  readonly limits: DistLimits;
  /** Liveness of OTP sessions. */
  readonly ticks: TickOptions;
  /** Liveness of native sessions. Default profile `lan`. */
  readonly heartbeat?: HeartbeatOptions | undefined;
  /** `DistSink.wanted` always says yes, and the sink keeps no view of a message beyond the call: memory is used again. Default false. */
  readonly passesOn?: boolean;
  /** The owner lets the OTP handshake go on step by step: `challenge`, `answerAlive`, `reply`. */
  readonly hold?: HandshakeHold | undefined;
}
