import type { SallyportError } from "../base/errors.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { ConnectionState } from "./connection-state.ts";

/**
 * Whether nothing of the TLS session of a connection is to be resumed: one that stood and ended for cause, or for newer
 * certificates; one that the dialler did not get, whatever stopped it; one that an acceptor refused after it had resumed.
 */
export function endsResumption(
  kind: ConnectionState["kind"],
  role: "initiator" | "acceptor",
  resumption: CarrierInfo["resumption"],
  cause: SallyportError | undefined,
): boolean {
  if (kind === "securing" || cause?.reason === "OTHER_CONNECTION_WINS") return false;
  if (kind !== "up" && role === "initiator") return true;
  const isForCause = CAUSES.has(cause?.code) || cause?.reason === "CERTIFICATE_RENEWED";
  return isForCause && (kind === "up" || resumption === "resumed");
}

/** Ends after which a peer has to show its certificates again. */
const CAUSES: ReadonlySet<string | undefined> = new Set(["ERR_DENIED", "ERR_PEER_MISBEHAVED", "ERR_PEER_INCOMPATIBLE"]);

/** Whether a connection that offered an earlier TLS session may have failed by that: a full handshake is worth a try. */
export function mayBeResumption(cause: SallyportError | undefined): boolean {
  return (
    cause?.code !== "ERR_UNREACHABLE" && cause?.code !== "ERR_DEADLINE" && cause?.reason !== "OTHER_CONNECTION_WINS"
  );
}
