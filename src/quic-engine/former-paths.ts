import { type HostPort, isPathProven, type NativeConnection, nextPacketOn } from "./binding.ts";
import { type PacketSocket, UdpSocket } from "./udp.ts";

/** Addresses of one peer that are remembered; an older one is forgotten. */
const MAX_FORMER_PATHS = 4;
/** Packets sent for one of them when a timer has run out, as QUIC probes after a loss. RFC 9002 section 6.2.4. */
const PROBES = 2;

/**
 * Where a peer was before its address changed. This version of QUIC keeps books of losses for each path: what was under way to the former
 * address stays under way for ever, and the streams with it, until something that was sent on that path is acknowledged (RFC 9000 section 9.4
 * would have it carried over). So its probes for that path, which nobody is there to hear, are sent to where the peer is now.
 */
export class FormerPaths {
  readonly #remotes: HostPort[] = [];

  /** The peer has left this address. */
  left(remote: HostPort): void {
    this.#remotes.push(remote);
    if (this.#remotes.length > MAX_FORMER_PATHS) this.#remotes.shift();
  }

  /**
   * A timer of QUIC has run out: sends what it has to say on former paths. Not to an address that may be forged: QUIC bounds what goes there by
   * what came from there (RFC 9000 section 9.3.1), and these packets are beside its books.
   */
  probe(connection: NativeConnection, local: HostPort, socket: PacketSocket, now: HostPort): void {
    if (this.#remotes.length === 0 || !isPathProven(connection, local, now)) return;
    for (const former of this.#remotes) {
      for (let sent = 0; sent < PROBES; sent++) {
        const datagram = UdpSocket.take(undefined);
        const length = nextPacketOn(connection, datagram.bytes, local, former);
        if (length > 0) socket.send(datagram, length, now.host, now.port);
        else UdpSocket.giveBack(datagram);
        if (length === 0) break;
      }
    }
  }
}
