import type { DistLimits } from "./limits.ts";
import type { Role } from "./sink.ts";

/** By so much a dialling side gives up before its dial does, so that the error names what was waited for; milliseconds. */
const NAMED_EARLIER_MS = 100;
/** By so much the connection above waits longer than the link, which names what was waited for; milliseconds. */
const ABOVE_LATER_MS = 1_000;

/**
 * Limits for the connection above a link, which does not stand before the exchange of keys is over: the link watches TLS and the
 * exchange itself, and names what was waited for.
 */
export function limitsAboveLink(limits: DistLimits, role: Role): DistLimits {
  return {
    ...limits,
    maxTlsHandshakeMs: limits.maxHandshakeMs + ABOVE_LATER_MS,
    maxHandshakeMs: handshakeMs(limits, role),
  };
}

/** From the first byte to the session, whole milliseconds. */
export function handshakeMs({ maxHandshakeMs }: DistLimits, role: Role): number {
  if (role === "acceptor") return maxHandshakeMs;
  return Math.ceil(maxHandshakeMs - Math.min(NAMED_EARLIER_MS, maxHandshakeMs / 10));
}
