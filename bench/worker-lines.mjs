// The worker side of the line protocol: one command per line on standard input, one `= {json}` line as the answer.
// Commands run one after another.
import { createInterface } from "node:readline";

/** Serves `handlers[command](...args)` until standard input ends; then the process exits. */
export async function serveCommands(handlers) {
  answer({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...args] = line.trim().split(" ");
    try {
      if (command === "gc") await collectGarbage();
      const handler = handlers[command];
      answer((await handler?.(...args)) ?? {});
    } catch (error) {
      answer({ error: error?.stack ?? String(error) });
    }
  }
  process.exit(0);
}

/** Sorted nanosecond samples to the figures that are reported, in microseconds. */
export function latencyOf(samples, count) {
  const sorted = samples.subarray(0, count).sort();
  const at = (share) => sorted[Math.min(count - 1, Math.floor(count * share))] / 1000;
  return { p50: at(0.5), p99: at(0.99), samples: count };
}

async function collectGarbage() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((done) => setTimeout(done, 50));
  }
}

function answer(value) {
  process.stdout.write(`= ${JSON.stringify(value)}\n`);
}
