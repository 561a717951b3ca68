import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns";
import { isIP } from "node:net";
import { systemCode } from "../base/errors.ts";
import type { DatagramPort, DatagramSink, Datagrams } from "../base/sockets.ts";

/** UDP ports of other hosts, for diagnosis. Has no deadline: the owner closes what takes too long. */
export function createDatagrams(): Datagrams {
  return {
    connect: (host, port, sink) => new ConnectedPort(host, port, sink),
    tryBind: (host, port) =>
      new Promise((resolve) => {
        const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
        const done = (system: string | undefined): void => {
          socket.close();
          resolve(system);
        };
        socket.once("error", (error) => done(systemCode(error)));
        socket.bind({ address: host, port, exclusive: true }, () => done(undefined));
      }),
  };
}

/** A connected socket: only that is told by the system that a port is closed (ICMP), and only what comes from there is heard. */
class ConnectedPort implements DatagramPort {
  readonly #sink: DatagramSink;
  #socket: Socket | undefined;
  #isClosed = false;

  constructor(host: string, port: number, sink: DatagramSink) {
    this.#sink = sink;
    const family = isIP(host);
    if (family !== 0) this.#open(host, family, port);
    else {
      lookup(host, (error, address, found) => {
        if (error === null) this.#open(address, found, port);
        else this.#failed(error);
      });
    }
  }

  send(bytes: Uint8Array): void {
    try {
      // Its failure comes as an error of the socket, or is a lost datagram.
      this.#socket?.send(bytes, (error) => {
        if (error !== null) this.#failed(error);
      });
    } catch {
      // Not connected, or not any more.
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket?.close();
  }

  #open(address: string, family: number, port: number): void {
    if (this.#isClosed) return;
    const socket = createSocket({
      type: family === 6 ? "udp6" : "udp4",
      lookup: (name, _options, done) => done(null, name, family),
    });
    this.#socket = socket;
    socket.on("error", (error) => this.#failed(error));
    socket.on("message", (datagram: Buffer) => {
      if (!this.#isClosed) this.#sink.bytes(datagram);
    });
    socket.once("connect", () => {
      if (!this.#isClosed) this.#sink.ready();
    });
    socket.connect(port, address);
  }

  #failed(error: unknown): void {
    if (!this.#isClosed) this.#sink.failed(systemCode(error));
  }
}
