import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { systemCode } from "../base/errors.ts";
import type { PlainSocket, PlainSocketSink } from "../base/sockets.ts";

/** Longest path of a socket, in octets: what the shortest of the common systems takes, without its final zero. */
export const MAX_SOCKET_PATH_BYTES = 103;

/** A bound Unix socket. */
export interface UnixListener {
  /** Stops accepting and removes the socket file; accepted connections live on. Idempotent. */
  close(): void;
}

/** An accepted connection. */
export interface UnixConnection extends PlainSocket {
  /** Sends what is queued, then closes. Idempotent. */
  end(): void;
}

/**
 * Dials a Unix socket. Has no deadline: the owner destroys what takes too long.
 * @param path at most `MAX_SOCKET_PATH_BYTES` octets
 */
export function connectUnixSocket(path: string, sink: PlainSocketSink): UnixConnection {
  const socket = netConnect({ path });
  socket.once("connect", () => sink.connected());
  return wrap(socket, sink);
}

/**
 * Binds a Unix socket; who may reach it is the caller's matter, by the mode of its directory.
 * @param accept called once per connection; the sink's `connected` is not called
 * @param background true: it does not keep the process alive by itself
 * @returns the listener, or the system's code (`EADDRINUSE` also for the file of a dead process)
 */
export function listenUnixSocket(
  path: string,
  accept: (connection: UnixConnection) => PlainSocketSink,
  background = false,
): Promise<UnixListener | string> {
  const server = createServer((socket) => {
    // The handler gets its connection before the first byte: bytes come in later turns.
    let sink: PlainSocketSink | undefined;
    const connection = wrap(socket, {
      connected: () => undefined,
      bytes: (chunk) => sink?.bytes(chunk),
      closed: (error) => sink?.closed(error),
    });
    sink = accept(connection);
  });
  return new Promise((resolve) => {
    server.once("error", (error) => resolve(systemCode(error)));
    server.listen({ path }, () => {
      if (background) server.unref();
      resolve(listener(server));
    });
  });
}

function listener(server: Server): UnixListener {
  // A failing accept (too many open files) costs that connection; the next one may succeed.
  server.on("error", () => undefined);
  return {
    close(): void {
      if (server.listening) server.close();
    },
  };
}

function wrap(socket: Socket, sink: PlainSocketSink): UnixConnection {
  let failure: string | undefined;
  socket.on("data", (chunk: Buffer) => {
    if (!socket.destroyed) sink.bytes(chunk);
  });
  socket.on("error", (error) => {
    failure ??= systemCode(error);
  });
  socket.once("close", () => sink.closed(failure));
  return {
    write(bytes: Uint8Array): void {
      if (!socket.destroyed && !socket.writableEnded) socket.write(bytes);
    },
    end(): void {
      if (!socket.destroyed) socket.end();
    },
    destroy(): void {
      socket.destroy();
    },
    keepAlive(on: boolean): void {
      if (on) socket.ref();
      else socket.unref();
    },
  };
}
