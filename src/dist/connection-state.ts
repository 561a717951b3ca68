import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { closedAfterReply, closedDuringHandshake, distStepTimeout, handshakeTimeout } from "./connection-failures.ts";
import type { Handshake } from "./handshake.ts";
import type { DistLimits } from "./limits.ts";
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
  if (state.kind === "handshake" && state.machine.repliedToChallenge)
    return closedAfterReply(target, isOverLink(state));
  if (state.kind === "securing") return closedDuringHandshake("tls", target);
  return closedDuringHandshake(isOverLink(state) ? "dist step" : "identity", target);
}

/** Why a connection that is no session has run out of time. */
export function timedOut(
  state: Exclude<ConnectionState, Up | { readonly kind: "closed" }>,
  limits: DistLimits,
  target: NodeName | undefined,
): SallyportError {
  if (state.kind === "securing" || !isOverLink(state)) {
    return handshakeTimeout(state.kind === "securing", limits, target);
  }
  const { acceptor, initiator } = state.machine;
  return distStepTimeout(acceptor?.awaited ?? initiator?.awaited, limits.maxHandshakeMs, target);
}

/** The key was proven before this handshake began. */
function isOverLink(state: Extract<ConnectionState, { kind: "handshake" | "admitting" }>): boolean {
  return (state.kind === "handshake" ? state.info : state.peer.info).proven !== undefined;
}
