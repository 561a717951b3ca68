import { connect } from "node:net";
import { systemCode } from "../base/errors.ts";
import type { PlainSocket, PlainSocketSink, Sockets } from "../base/sockets.ts";

/** Plain TCP for the small protocols around distribution (EPMD). Has no deadline: the owner destroys what takes too long. */
export function createSockets(): Sockets {
  return {
    connect(host: string, port: number, sink: PlainSocketSink): PlainSocket {
      const socket = connect({ host, port, noDelay: true });
      let failure: string | undefined;
      socket.once("connect", () => sink.connected());
      socket.on("data", (chunk: Buffer) => {
        if (!socket.destroyed) sink.bytes(chunk);
      });
      socket.on("error", (error) => {
        failure ??= systemCode(error);
      });
      socket.once("close", () => sink.closed(failure));
      return {
        write(bytes: Uint8Array): void {
          if (!socket.destroyed) socket.write(bytes);
        },
        destroy(): void {
          socket.destroy();
        },
        keepAlive(on: boolean): void {
          if (on) socket.ref();
          else socket.unref();
        },
      };
    },
  };
}
