import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { systemCode } from "../base/errors.ts";
import { parseIpAddress } from "../x509/ip-address.ts";
import { MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES, type PacketSize } from "./packet-size.ts";

/** The system's socket buffers asked for; it may give less. Bursts at 100 MiB/s fill the usual 208 KiB within 2 ms. */
const SOCKET_BUFFER_BYTES: number = 4 * 1024 * 1024;

/** Datagram buffers kept for the next use, of either size. */
const POOLED_BUFFERS = 1024;
const POOLED_LOCAL_BUFFERS = 64;

/** A buffer for one datagram, which comes back to its pool when the system has taken it. */
export interface Datagram {
  readonly bytes: Buffer;
  /** Hears when the system refuses the size. */
  size: PacketSize | undefined;
  readonly sent: (error: Error | null) => void;
}

/** Hears one socket. */
export interface DatagramHandler {
  datagram(bytes: Buffer, from: RemoteInfo): void;
}

/** Where the packets of a session leave. */
export interface PacketSocket {
  readonly host: string;
  readonly port: number;
  /** Takes a datagram over, of which `length` octets are sent. */
  send(datagram: Datagram, length: number, host: string, port: number): void;
  close(): void;
}

/** One UDP socket: bound to a wildcard or an address, never connected, so that the system may change its route. */
export class UdpSocket implements PacketSocket {
  static readonly #pool: Datagram[] = [];
  static readonly #localPool: Datagram[] = [];
  readonly #socket: Socket;
  readonly host: string;
  readonly port: number;

  private constructor(socket: Socket, handler: DatagramHandler) {
    this.#socket = socket;
    const address = socket.address();
    this.host = address.address;
    this.port = address.port;
    // Errors of single sends (no route at this moment) are losses like others: QUIC sends again.
    socket.on("error", () => undefined);
    socket.on("message", (bytes: Buffer, from: RemoteInfo) => handler.datagram(bytes, from));
  }

  /** Binds; rejects with the system's code as a string. */
  static bind(host: string, port: number, handler: DatagramHandler): Promise<UdpSocket> {
    return new Promise((resolve, reject) => {
      const ipv6 = parseIpAddress(host)?.length === 16;
      const socket = createSocket({
        type: ipv6 ? "udp6" : "udp4",
        // Only IP literals are sent to: nothing is looked up.
        lookup: (name, _options, done) => done(null, name, ipv6 ? 6 : 4),
      });
      const failed = (error: unknown): void => {
        socket.close();
        reject(new Error(systemCode(error) ?? "EUNKNOWN"));
      };
      socket.once("error", failed);
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.off("error", failed);
        try {
          socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
          socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
        } catch {
          // Slower, not wrong.
        }
        resolve(new UdpSocket(socket, handler));
      });
    });
  }

  /** A buffer to fill; give it to `send` or `giveBack`. */
  static take(size: PacketSize | undefined): Datagram {
    const isLocal = size?.bytes === MAX_LOCAL_DATAGRAM_BYTES;
    const datagram =
      (isLocal ? UdpSocket.#localPool : UdpSocket.#pool).pop() ??
      UdpSocket.#make(isLocal ? MAX_LOCAL_DATAGRAM_BYTES : MAX_DATAGRAM_BYTES);
    datagram.size = size;
    return datagram;
  }

  static giveBack(datagram: Datagram): void {
    datagram.size = undefined;
    if (datagram.bytes.length === MAX_DATAGRAM_BYTES) {
      if (UdpSocket.#pool.length < POOLED_BUFFERS) UdpSocket.#pool.push(datagram);
    } else if (UdpSocket.#localPool.length < POOLED_LOCAL_BUFFERS) UdpSocket.#localPool.push(datagram);
  }

  static #make(bytes: number): Datagram {
    const datagram: Datagram = {
      bytes: Buffer.allocUnsafeSlow(bytes),
      size: undefined,
      sent: (error) => {
        if (error !== null && systemCode(error) === "EMSGSIZE") datagram.size?.refused();
        UdpSocket.giveBack(datagram);
      },
    };
    return datagram;
  }

  send(datagram: Datagram, length: number, host: string, port: number): void {
    try {
      this.#socket.send(datagram.bytes, 0, length, port, host, datagram.sent);
    } catch {
      // Closed meanwhile.
    }
  }

  close(): void {
    try {
      this.#socket.close();
    } catch {
      // Closed already.
    }
  }
}
