import { addMs, type Clock } from "../base/clock.ts";

/** How often it is looked whether everything has left, in milliseconds. */
const LOOK_MS = 5;

/** Resolves when no session has bytes waiting, or after `timeoutMs`. */
export function everythingLeft(host: { readonly isWaiting: boolean }, clock: Clock, timeoutMs: number): Promise<void> {
  const until = addMs(clock.now(), timeoutMs);
  return new Promise((resolve) => {
    const look = (): void => {
      const now = clock.now();
      if (host.isWaiting && now < until) clock.at(addMs(now, LOOK_MS), look);
      else resolve();
    };
    look();
  });
}
