import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { isSallyportError } from "../../src/base/errors.ts";
import { fuzzCases, fuzzSeed } from "./budget.ts";
import { Dice } from "./dice.ts";

/** Folder of inputs that once broke something; `crashes.test.ts` runs them all. */
export const CRASHES: URL = new URL("../fixtures/crashes/", import.meta.url);

/** Something that takes hostile bytes. */
export interface Target {
  readonly name: string;
  /** Makes the bytes of one case. */
  make(dice: Dice): Buffer;
  /**
   * Takes the bytes. Returns the reason of the typed error that refused them, or undefined when they were taken.
   * Whatever it throws is a defect.
   */
  run(bytes: Buffer): string | undefined;
  /** Bytes that one refused case may allocate outside the heap, beyond four times its length. Default 256 KiB. */
  readonly maxCaseBytes?: number;
}

export interface Figures {
  readonly target: string;
  readonly seed: number;
  readonly cases: number;
  readonly accepted: number;
  /** Refusals by reason. */
  readonly refused: ReadonlyMap<string, number>;
  readonly seconds: number;
  /** Growth of heap and buffers over the run, after collection. */
  readonly grownBytes: number;
  /** Most that one sampled case allocated in buffers, and the bytes of that case. */
  readonly maxCaseBytes: number;
}

/** Every so many cases one is measured: reading the figures takes longer than most cases. */
const SAMPLE_EVERY = 199;

/** Heap and buffers may differ by this after a run: caches that are filled, code that was compiled. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;

/** A case that makes no progress for so long hangs. Nothing is asserted on time; this only names the case. */
const HANG_MS = 60_000;

setFlagsFromString("--expose-gc");
export const collect = runInNewContext("gc") as () => void;

/** Bytes in use once what is not needed was given back. */
export function usedBytes(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Runs `share` of the budget against a target and fails on the first defect. Prints one line. */
export async function fuzz(target: Target, share: number): Promise<Figures> {
  const seed = fuzzSeed();
  const only = process.env["SALLYPORT_FUZZ_CASE"];
  const from = only === undefined ? 0 : Number(only);
  const cases = only === undefined ? fuzzCases(share) : 1;
  const refused = new Map<string, number>();
  let accepted = 0;
  let maxCaseBytes = 0;
  // Once around before measuring, so that caches and compiled code are not taken for growth.
  const warmUp = Math.min(cases, 2_000);
  let before = 0;
  const watch = watchdog(target.name, seed);
  const started = performance.now();
  try {
    for (let n = 0; n < cases; n++) {
      const index = from + n;
      if (n === warmUp) before = usedBytes();
      if ((n & 63) === 0) {
        watch.alive(index);
        // Settled promises of the code under test get their turn.
        await new Promise((resume) => setImmediate(resume));
      }
      const bytes = target.make(new Dice(seed, index));
      const sampled = n >= warmUp && n % SAMPLE_EVERY === 0;
      const buffersBefore = sampled ? process.memoryUsage().arrayBuffers : 0;
      let reason: string | undefined;
      try {
        reason = target.run(bytes);
      } catch (error) {
        throw defect(target, seed, index, bytes, error);
      }
      if (sampled && reason !== undefined) {
        const grown = process.memoryUsage().arrayBuffers - buffersBefore;
        if (grown > maxCaseBytes) maxCaseBytes = grown;
        if (grown > (target.maxCaseBytes ?? 256 * 1024) + 4 * bytes.length)
          throw defect(target, seed, index, bytes, new Error(`refusing it allocated ${grown} bytes of buffers`));
      }
      if (reason === undefined) accepted++;
      else refused.set(reason, (refused.get(reason) ?? 0) + 1);
    }
  } finally {
    watch.stop();
  }
  const seconds = (performance.now() - started) / 1000;
  const grownBytes = cases > warmUp ? usedBytes() - before : 0;
  const figures = { target: target.name, seed, cases, accepted, refused, seconds, grownBytes, maxCaseBytes };
  console.log(
    `fuzz ${target.name}: ${cases} cases, seed ${seed}, ${accepted} taken, ${refused.size} kinds of refusal, ` +
      `${seconds.toFixed(1)} s, grew ${(grownBytes / 1024).toFixed(0)} KiB, most per refused case ${maxCaseBytes} B`,
  );
  if (grownBytes > MAX_GROWTH_BYTES)
    throw new Error(`${target.name}: memory grew by ${grownBytes} bytes (seed ${seed})`);
  return figures;
}

/** Runs `step`: undefined when it returned, the reason when it threw a typed error, else rethrows. */
export function refusal(step: () => void): string | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    if (error.code === "ERR_INTERNAL") throw error;
    return error.reason;
  }
}

/** Reads a crash file: `target`, a line break, the bytes in hex. */
export function readCrash(file: string): { readonly target: string; readonly bytes: Buffer } {
  const [target = "", hex = ""] = readFileSync(new URL(file, CRASHES), "utf8").split("\n");
  return { target, bytes: Buffer.from(hex, "hex") };
}

function defect(target: Target, seed: number, index: number, bytes: Buffer, cause: unknown): Error {
  const hex = bytes.toString("hex");
  const id = createHash("sha256").update(target.name).update(bytes).digest("hex").slice(0, 12);
  const file = `${target.name}-${id}.hex`;
  mkdirSync(CRASHES, { recursive: true });
  writeFileSync(new URL(file, CRASHES), `${target.name}\n${hex}\n`);
  const shown = hex.length > 2_000 ? `${hex.slice(0, 2_000)}... (${bytes.length} bytes)` : hex;
  return new Error(
    `${target.name}: case ${index} of seed ${seed} broke it\n  bytes ${shown}\n  kept as test/fixtures/crashes/${file}\n` +
      `  again: SALLYPORT_FUZZ_SEED=${seed} SALLYPORT_FUZZ_CASE=${index} npx vitest run --project fuzz -t ${target.name}`,
    { cause },
  );
}

/** Names the case that hangs: a thread of its own looks whether the number of the case moves, for a hung one cannot. */
function watchdog(target: string, seed: number): { alive(index: number): void; stop(): void } {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const code = `
    const { workerData } = require("node:worker_threads");
    const { shared, target, seed, hangMs, pid } = workerData;
    let last = -1;
    let since = Date.now();
    setInterval(() => {
      const beats = Atomics.load(shared, 1);
      if (beats !== last) { last = beats; since = Date.now(); return; }
      if (Date.now() - since < hangMs) return;
      require("node:fs").writeSync(2, "fuzz " + target + ": no progress from case " + Atomics.load(shared, 0) +
        " on (64 cases), seed " + seed + "\\n");
      process.kill(pid, "SIGKILL");
    }, 1000);`;
  const worker = new Worker(code, {
    eval: true,
    workerData: { shared, target, seed, hangMs: HANG_MS, pid: process.pid },
  });
  worker.unref();
  return {
    alive(index) {
      Atomics.store(shared, 0, index);
      Atomics.add(shared, 1, 1);
    },
    stop() {
      void worker.terminate();
    },
  };
}
