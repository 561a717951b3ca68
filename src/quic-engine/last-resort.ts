import { Worker } from "node:worker_threads";

/** The thread looks this often, milliseconds; so many looks without a beat end the process. */
const LOOK_MS = 5000;
const LOOKS = 12;

/** What the thread runs: it shares only the counter, and native code that never returns does not stop it. */
const PROGRAM = `
const { workerData } = require("node:worker_threads");
const beats = new Int32Array(workerData.shared);
const still = new Int32Array(new SharedArrayBuffer(4));
let seen = Atomics.load(beats, 0);
for (let silent = 0; silent < workerData.looks; ) {
  Atomics.wait(still, 0, 0, workerData.lookMs);
  const now = Atomics.load(beats, 0);
  silent = now === seen ? silent + 1 : 0;
  seen = now;
}
process.kill(process.pid, "SIGKILL");
`;

/**
 * Ends the process when `beat` has not been called for a minute. The node kills a hung engine sooner; this is for one whose
 * node is gone, which would otherwise spin for ever.
 */
export class LastResort {
  readonly #beats: Int32Array;

  /** @param lookMs for tests; otherwise the default */
  constructor(lookMs: number = LOOK_MS) {
    const shared = new SharedArrayBuffer(4);
    this.#beats = new Int32Array(shared);
    new Worker(PROGRAM, { eval: true, workerData: { shared, lookMs, looks: LOOKS } }).unref();
  }

  beat(): void {
    Atomics.add(this.#beats, 0, 1);
  }
}
