import { addMs, type Clock } from "../base/clock.ts";

/** How often it is looked whether something is over, in milliseconds. */
const LOOK_MS = 5;

/** Resolves when `isOver` says so, or after `timeoutMs`. */
export function untilOver(isOver: () => boolean, clock: Clock, timeoutMs: number): Promise<void> {
  const until = addMs(clock.now(), timeoutMs);
  return new Promise((resolve) => {
    const look = (): void => {
      const now = clock.now();
      if (!isOver() && now < until) clock.at(addMs(now, LOOK_MS), look);
      else resolve();
    };
    look();
  });
}
