import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { DatagramPort } from "../base/sockets.ts";
import { createDatagrams } from "../carrier/udp-port.ts";
import type { HostPort } from "./binding.ts";

/** A dial that has heard nothing for so long asks the system about the port, milliseconds. */
export const KNOCK_AFTER_MS = 250;
/** Datagrams sent for it, one a second: the first may be lost. */
const KNOCKS = 3;
const KNOCK_EVERY_MS = 1000;
/** No packet of QUIC: a listener drops it unseen. RFC 9000 section 17.3.1. */
const KNOCK: Uint8Array = Uint8Array.of(0);

/** What the system says of a port that nobody will answer at. */
const FINAL: readonly string[] = [
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN", "EACCES", "EPERM", "EINVAL"],
];

/**
 * Finds out whether a UDP port is closed. The socket of a dial is not connected, so that it may follow a change of route, and hears
 * of no ICMP; this one is. `isWanted` is asked before each datagram; `closed` is called at most once, with the system's code.
 */
export function knock(
  clock: Clock,
  { host, port }: HostPort,
  isWanted: () => boolean,
  closed: (system: string) => void,
): void {
  let left = KNOCKS;
  let timer: Timer | undefined;
  const end = (): void => {
    timer?.cancel();
    door.close();
  };
  const again = (): void => {
    if (left-- === 0 || !isWanted()) {
      end();
      return;
    }
    door.send(KNOCK);
    timer = clock.at(addMs(clock.now(), KNOCK_EVERY_MS), again);
  };
  const door: DatagramPort = createDatagrams().connect(host, port, {
    ready: again,
    bytes: () => undefined,
    failed(system) {
      if (!FINAL.includes(system)) return;
      end();
      if (isWanted()) closed(system);
    },
  });
}
