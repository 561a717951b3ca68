import { addMs, type Clock } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";

/**
 * How long a QUIC listener waits for its port, milliseconds: connections that have ended hold it until no late packet of theirs can
 * come any more, three times the time that a lost packet takes to be missed.
 */
export const QUIC_PORT_WAIT_MS = 5_000;

const LOOK_MS = 100;

/** Binds with `listen`, again and again while the port is in use, for so long. @throws what `listen` throws */
export async function whenFree<T>(clock: Clock, listen: () => Promise<T>): Promise<T> {
  const until = addMs(clock.now(), QUIC_PORT_WAIT_MS);
  for (;;) {
    try {
      return await listen();
    } catch (error) {
      const isBusy = isSallyportError(error) && error.reason === "PORT_IN_USE";
      if (!isBusy || clock.now() >= until) throw error;
      await new Promise<void>((resolve) => void clock.at(addMs(clock.now(), LOOK_MS), resolve));
    }
  }
}
