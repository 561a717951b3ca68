import { addMs, type Clock } from "../base/clock.ts";

/** The outcome of `work`, or after `ms` milliseconds that of `late`; the work is not stopped, and its failure then nobody's. */
export function within<T>(clock: Clock, ms: number, work: Promise<T>, late: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.at(addMs(clock.now(), ms), () => {
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    });
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}
