import { createServer } from "node:net";
import { systemCode } from "../base/errors.ts";
import type { PlainAcceptHandler } from "../base/sockets.ts";
import type { Listener } from "./carrier.ts";
import { bindServer, type ListenAddress } from "./listen.ts";
import { plainHost } from "./socket-address.ts";

/**
 * Accepts plain TCP for the small protocols around distribution (EPMD). Deadlines and numbers are the handler's business.
 * Errors as `bindServer`.
 */
export function listenPlain(address: ListenAddress, accept: PlainAcceptHandler): Promise<Listener> {
  const server = createServer({ noDelay: true }, (socket) => {
    let failure: string | undefined;
    socket.on("error", (error) => {
      failure ??= systemCode(error);
    });
    const served = {
      write: (bytes: Uint8Array): void => {
        if (!socket.destroyed && socket.writable) socket.write(bytes);
      },
      // Both directions: what the other end still sends is not read.
      end: (): void => void socket.destroySoon(),
      destroy: (): void => void socket.destroy(),
      keepAlive: (on: boolean): void => void (on ? socket.ref() : socket.unref()),
    };
    const sink = accept(served, plainHost(socket.remoteAddress ?? ""));
    if (sink === undefined) return;
    socket.on("data", (chunk: Buffer) => {
      if (!socket.destroyed) sink.bytes(chunk);
    });
    socket.once("close", () => sink.closed(failure));
  });
  return bindServer(server, address);
}
