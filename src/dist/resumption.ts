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

/**
 * Verdicts on the key that a peer has shown, whatever its TLS session: nothing is gained by a second try, and a peer that is found out
 * must not turn them into a timeout by keeping still in that one.
 */
const OF_KEYS: ReadonlySet<string | undefined> = new Set([
  "KEY_MISMATCH",
  "KEY_UNTRUSTED",
  "KEY_REVOKED",
  "KEY_REUSED",
  "PIN_BROKEN",
  "PROOF_INVALID",
]);

/** Whether a connection that offered an earlier TLS session may have failed by that: a full handshake is worth a try. */
export function mayBeResumption(cause: SallyportError | undefined): boolean {
  if (cause?.code === "ERR_UNREACHABLE" || cause?.code === "ERR_DEADLINE") return false;
  return cause?.reason !== "OTHER_CONNECTION_WINS" && !OF_KEYS.has(cause?.reason);
}
