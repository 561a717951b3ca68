import { SallyportError } from "../base/errors.ts";
import type { AcceptHandler, Carrier, CarrierDialer, CarrierSink, DialAddress, Listener } from "./carrier.ts";
import { createMemoryPair, type MemoryOptions } from "./memory.ts";
import { formatAddress } from "./socket-address.ts";

/** Hosts and ports that exist in memory only, for simulations of many nodes in one process. */
export interface MemoryNetwork extends CarrierDialer {
  /** @throws {SallyportError} ERR_CONFIG PORT_IN_USE */
  listen(host: string, port: number, accept: AcceptHandler): Listener;
}

const NO_ADMISSION = { release: (): void => undefined };

/** Makes an empty network. `options.first` describes the dialling ends, `options.second` the accepting ones. */
export function createMemoryNetwork(options: MemoryOptions & Required<Pick<MemoryOptions, "clock">>): MemoryNetwork {
  const listeners = new Map<string, AcceptHandler>();
  return {
    listen(host, port, accept) {
      const key = formatAddress(host, port);
      if (listeners.has(key)) {
        throw new SallyportError("ERR_CONFIG", "PORT_IN_USE", `${key} is in use in this memory network`, {
          stage: "port",
          advice: "choose another port",
        });
      }
      listeners.set(key, accept);
      return {
        host,
        port,
        close() {
          if (listeners.get(key) === accept) listeners.delete(key);
          return Promise.resolve();
        },
      };
    },
    dial(address: DialAddress, _serverName: string, sink: CarrierSink): Carrier {
      const key = formatAddress(address.host, address.port);
      const pair = createMemoryPair({ ...options, first: { remoteAddress: key, ...options.first } });
      options.clock.afterTurn(() => {
        const accept = listeners.get(key);
        if (accept === undefined) {
          sink.closed(
            new SallyportError(
              "ERR_UNREACHABLE",
              "PORT_CLOSED",
              `${key}: nothing listens on the port in this memory network`,
              {
                stage: "port",
                advice: "listen there before dialling",
              },
            ),
          );
          return;
        }
        pair.connect(sink, accept(pair.second, NO_ADMISSION));
      });
      return pair.first;
    },
  };
}
