import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { closedAfterReply, closedDuringHandshake } from "./connection-failures.ts";
import type { Handshake } from "./handshake.ts";
import type { Liveness } from "./liveness.ts";
import type { Receiver } from "./receive.ts";
import type { Sender } from "./send.ts";
import type { ProvenPeer } from "./sink.ts";

/** Where a connection stands; each state holds what is known in it. */
export type ConnectionState =
  | { readonly kind: "securing" }
  | { readonly kind: "handshake"; readonly info: CarrierInfo; readonly machine: Handshake }
  | { readonly kind: "admitting"; readonly peer: ProvenPeer; readonly machine: Handshake }
  | Up
  | { readonly kind: "closed" };

/** The session stands. */
export interface Up {
  readonly kind: "up";
  readonly peer: ProvenPeer;
  readonly receiver: Receiver;
  readonly sender: Sender;
  readonly liveness: Liveness;
}

/** Why a carrier that ended in good order is a failure: the session did not stand. Undefined when it did. */
export function endedEarly(state: ConnectionState, target: NodeName | undefined): SallyportError | undefined {
  if (state.kind === "up" || state.kind === "closed") return undefined;
  if (state.kind === "handshake" && state.machine.repliedToChallenge) return closedAfterReply(target);
  return closedDuringHandshake(state.kind === "securing", target);
}
