// Benches begin on a quiet machine, where that can be had.
import { loadavg } from "node:os";

const QUIET_LOAD = 0.6;

/** Waits until the load average of a minute is below 0.6, so many seconds at most; resolves to the load at the start. */
export async function waitForQuiet(seconds) {
  const until = performance.now() + seconds * 1000;
  let told = false;
  while (loadavg()[0] >= QUIET_LOAD && performance.now() < until) {
    if (!told) {
      console.log(`load average ${loadavg()[0].toFixed(2)}: waiting up to ${seconds} s for less than ${QUIET_LOAD}`);
    }
    told = true;
    await new Promise((done) => setTimeout(done, 1000));
  }
  const load = loadavg()[0];
  if (load >= QUIET_LOAD) console.log(`load average still ${load.toFixed(2)}: starting all the same, expect noise`);
  return load;
}
