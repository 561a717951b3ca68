import { connect, createServer, type Socket } from "node:net";
import { admitSocket } from "./accept-socket.ts";
import {
  type AcceptHandler,
  type Carrier,
  type CarrierDialer,
  type CarrierInfo,
  type CarrierSink,
  type DialAddress,
  type Listener,
  UNSECURED,
} from "./carrier.ts";
import { bindServer, type ListenAddress } from "./listen.ts";
import { formatAddress } from "./socket-address.ts";
import {
  DIAL_OPTIONS,
  SOCKET_OPTIONS,
  SocketCarrier,
  type SocketCarrierLimits,
  type SocketCarrierParts,
} from "./socket-carrier.ts";
import type { Gatekeeper } from "./source-gate.ts";

/** Dials plain TCP: nobody is proven, everybody reads along. Whoever composes the node decides whether it is allowed. */
export function createTcpDialer(parts: SocketCarrierParts, limits: SocketCarrierLimits = {}): CarrierDialer {
  return {
    dial(address: DialAddress, _serverName: string, sink: CarrierSink): Carrier {
      const socket = connect({ ...DIAL_OPTIONS, host: address.host, port: address.port });
      const carrier = new SocketCarrier(
        parts,
        limits,
        "dial",
        socket,
        tcpInfo(formatAddress(address.host, address.port), socket),
      );
      carrier.listen(sink);
      socket.once("connect", () => carrier.opened(socket, tcpInfo(remoteOf(socket), socket)));
      return carrier;
    },
  };
}

/** Accepts plain TCP connections, each counted by the gate until it is authenticated or closed. */
export function listenTcp(
  parts: SocketCarrierParts & { readonly gate: Gatekeeper },
  address: ListenAddress,
  accept: AcceptHandler,
  limits: SocketCarrierLimits = {},
): Promise<Listener> {
  const server = createServer(SOCKET_OPTIONS, (socket) => {
    const admission = admitSocket(parts.gate, socket);
    if (admission === undefined) return;
    const info = tcpInfo(remoteOf(socket), socket);
    const carrier = new SocketCarrier(parts, limits, "accept", socket, info);
    carrier.listen(accept(carrier, admission));
    // The handler gets its carrier before the carrier opens, as with TLS.
    parts.clock.afterTurn(() => carrier.opened(socket, info));
  });
  return bindServer(server, address);
}

function remoteOf(socket: Socket): string {
  return formatAddress(socket.remoteAddress, socket.remotePort);
}

function tcpInfo(remoteAddress: string, socket: Socket): CarrierInfo {
  return {
    transport: "tcp",
    remoteAddress,
    localAddress: formatAddress(socket.localAddress, socket.localPort),
    ...UNSECURED,
  };
}
