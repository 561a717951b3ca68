import type { Server } from "node:net";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { Listener } from "./carrier.ts";
import { formatAddress } from "./socket-address.ts";

/** One port (0: any free one), or the first free one of a range, both ends included. */
export type PortChoice = number | { readonly first: number; readonly last: number };

/** Where to listen. */
export interface ListenAddress {
  readonly host: string;
  readonly ports: PortChoice;
}

/** Connections that the system keeps ready before they are accepted; it may lower this. */
const BACKLOG = 1024;

/**
 * Binds a server to its address and resolves when it accepts.
 * @throws {SallyportError} ERR_CONFIG PORT_IN_USE, PORT_RANGE_EXHAUSTED, BIND_FAILED
 */
export async function bindServer(server: Server, address: ListenAddress): Promise<Listener> {
  const ports = address.ports;
  const first = typeof ports === "number" ? ports : ports.first;
  const last = typeof ports === "number" ? ports : ports.last;
  if (!(isPort(first) && isPort(last) && first <= last)) {
    throw failed(
      "BIND_FAILED",
      `ports ${first} to ${last} are no range within 0 to 65535`,
      "give a port, or a range as 9100-9155",
      "",
    );
  }
  for (let port = first; port <= last; port++) {
    const code = await tryBind(server, address.host, port);
    if (code === undefined) return bound(server);
    if (code !== "EADDRINUSE") {
      const advice = "listen on an address of this machine and on a port that this user may bind";
      throw failed("BIND_FAILED", `cannot listen on ${formatAddress(address.host, port)} (${code})`, advice, code);
    }
  }
  if (first === last) {
    const advice = "stop the other program, or choose another port";
    throw failed(
      "PORT_IN_USE",
      `${formatAddress(address.host, first)} is in use by another program`,
      advice,
      "EADDRINUSE",
    );
  }
  const advice = "widen the range, or stop one of the programs on it";
  throw failed(
    "PORT_RANGE_EXHAUSTED",
    `all ports from ${first} to ${last} on ${address.host} are in use`,
    advice,
    "EADDRINUSE",
  );
}

/** Resolves to the system's code when binding failed. */
function tryBind(server: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const onError = (error: Error): void => {
      server.removeListener("listening", onListening);
      resolve(systemCode(error));
    };
    const onListening = (): void => {
      server.removeListener("error", onError);
      resolve(undefined);
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen({ host, port, exclusive: true, backlog: BACKLOG });
  });
}

function bound(server: Server): Listener {
  // A failing accept (too many open files) must not end the process; the connection is lost, the next one may succeed.
  server.on("error", () => undefined);
  const address = server.address();
  const host = typeof address === "object" && address !== null ? address.address : "";
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    host,
    port,
    close(): Promise<void> {
      // The server's own callback waits for every accepted connection; the port is free as soon as the call returns.
      if (server.listening) server.close();
      return Promise.resolve();
    },
  };
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 65_535;
}

function failed(reason: string, message: string, advice: string, system: string): SallyportError {
  return new SallyportError("ERR_CONFIG", reason, message, { detail: { system }, stage: "port", advice });
}
