import type { ClosedFacts, OpenedFacts } from "../carrier/quic/engine-frames.ts";
import type { HostPort, NativeConnection } from "./binding.ts";

/** What the node is told of a connection that stands. */
export function openedFacts(
  connection: NativeConnection,
  remote: HostPort,
  local: HostPort,
  alpn: string,
): OpenedFacts {
  const certificate = connection.peerCertChain()?.[0];
  return {
    remoteHost: remote.host,
    remotePort: remote.port,
    localHost: local.host,
    localPort: local.port,
    alpn,
    peerCert: certificate === undefined ? "" : Buffer.from(certificate).toString("base64"),
  };
}

/** The end of a connection about which QUIC has no word: what the system, or this engine, said of it. */
export function systemEnd(system: string): ClosedFacts {
  return { by: "system", app: false, code: 0, system };
}

/** How a connection ended that is over for QUIC. */
export function endOf(connection: NativeConnection): ClosedFacts {
  const peer = connection.peerError();
  if (peer !== null) return { by: "peer", app: peer.isApp, code: peer.errorCode, system: "" };
  const own = connection.localError();
  if (own !== null) return { by: "local", app: own.isApp, code: own.errorCode, system: "" };
  const isReset = connection.isEstablished() && !connection.isTimedOut();
  return { by: isReset ? "reset" : "timeout", app: false, code: 0, system: "" };
}
