import type { OtpHandshakeTools } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { LegWorld } from "./leg.ts";
import type { LegCarrier } from "./leg-carrier.ts";
import type { LegIdentities } from "./leg-identity.ts";
import type { FilterFactory, Side } from "./message-filter.ts";

/** One way of being dialled: the node that is meant, who may dial it, and how the gateway reaches it. */
export interface Route {
  /** Where the dialling nodes stand. */
  readonly from: Side;
  readonly target: NodeName;
  /** Names that may dial, byte for byte: they go on to the target as they are. */
  readonly mayDial: ReadonlySet<string>;
  /** The capabilities that may be agreed upon through the gateway. */
  readonly mask: bigint;
  readonly world: LegWorld;
  readonly tools: Readonly<Record<Side, OtpHandshakeTools>>;
  /** Legs that have keys also speak the native handshake. */
  readonly identities?: LegIdentities;
  /** Whether over QUIC a node of that side lists the other one in `nodes()`. Default: none does. */
  readonly isVisibleTo?: Readonly<Record<Side, (peer: NodeName) => boolean>>;
  readonly filterFor: FilterFactory;
  /** Dials the target for this node. */
  readonly dial: (dialler: NodeName) => LegCarrier;
}
