import { addMs, type Clock } from "../base/clock.ts";
import type { DatagramPort } from "../base/sockets.ts";
import { createDatagrams } from "../carrier/udp-port.ts";
import type { HostPort } from "./binding.ts";

/** A dial that has heard nothing for so long asks the system about the port, milliseconds. */
export const KNOCK_AFTER_MS = 250;
/** Times that it asks, one a second: a listener whose engine starts anew is back sooner, and its peers' first packets come again. */
const KNOCKS = 3;
/** Times that the port has to be refused, the last one among them: one answer may be lost. */
const REFUSALS = 2;
const KNOCK_EVERY_MS = 1000;
/** No packet of QUIC: a listener drops it unseen. RFC 9000 section 17.3.1. */
const KNOCK: Uint8Array = Uint8Array.of(0);

/** What the system says of a port that nobody will answer at. */
const FINAL: readonly string[] = [
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN", "EACCES", "EPERM", "EINVAL"],
];

/** Looks at a port as `knock` does. */
export type Knock = typeof knock;

/**
 * Finds out whether a UDP port is closed, and stays so. The socket of a dial is not connected, so that it may follow a change of route, and
 * hears of no ICMP; these are, each for one datagram. `isWanted` is asked before each of them and before `closed`, which is called at most
 * once, with the system's code.
 */
export function knock(
  clock: Clock,
  { host, port }: HostPort,
  isWanted: () => boolean,
  closed: (system: string) => void,
): void {
  let left = KNOCKS;
  let refusals = 0;
  let door: DatagramPort | undefined;
  const again = (): void => {
    door?.close();
    if (left === 0 || !isWanted()) return;
    left--;
    let isRefused = false;
    const own = createDatagrams().connect(host, port, {
      ready: () => own.send(KNOCK),
      bytes: () => undefined,
      failed(system) {
        if (isRefused || !FINAL.includes(system)) return;
        isRefused = true;
        refusals++;
        if (left === 0 && refusals >= REFUSALS && isWanted()) closed(system);
      },
    });
    door = own;
    clock.at(addMs(clock.now(), KNOCK_EVERY_MS), again);
  };
  again();
}
