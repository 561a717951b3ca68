import { addMs, type Clock } from "../base/clock.ts";
import type { CarrierDialer, CarrierInfo, DialAddress } from "../carrier/carrier.ts";

/** Longest wait for what a node shows, milliseconds. */
export const MAX_PROBE_MS = 5_000;

/**
 * What TLS says of the node at an address: connects, and ends the connection before anything of the protocol is said.
 * Undefined when nothing is secured there in time.
 */
export function probeTls(
  dialer: CarrierDialer,
  address: DialAddress,
  serverName: string,
  clock: Clock,
): Promise<CarrierInfo | undefined> {
  return new Promise((resolve) => {
    const done = (info: CarrierInfo | undefined): void => {
      timer.cancel();
      resolve(info);
      carrier?.destroy();
    };
    const timer = clock.at(addMs(clock.now(), MAX_PROBE_MS), () => done(undefined), true);
    let carrier: ReturnType<CarrierDialer["dial"]> | undefined;
    try {
      const sink = { opened: done, bytes: () => {}, drained: () => {}, closed: () => done(undefined) };
      // What it shows now, not what it showed once.
      carrier = dialer.dial(address, serverName, sink, { isFull: true });
    } catch {
      done(undefined);
    }
  });
}
