import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";

const CHILD = fileURLToPath(new URL("quic-bulk-child.mjs", import.meta.url));
const GIB = 1024 * 1024 * 1024;
/** A criterion by which the product is accepted: hence a time is asserted, here alone, and of the best of a few tries. */
const MOST_MS = 50;
const TRIES = 3;

const children: ChildProcess[] = [];
const dir = mkdtempSync(join(tmpdir(), "sallyport-bulk-"));
afterEach(async () => {
  const ends = children.splice(0).map((child) => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
    child.kill("SIGKILL");
    return ended;
  });
  await Promise.all(ends);
  rmSync(dir, { recursive: true, force: true });
});

/** A node of its own process, and what it says first. */
async function start(...args: readonly string[]): Promise<{ child: ChildProcess; said: Record<string, string> }> {
  const child = fork(CHILD, [...args]);
  children.push(child);
  return { child, said: (await once(child, "message"))[0] };
}

it("1 GiB over a tagged stream does not delay a small call beside it by more than 50 ms at p99", {
  timeout: 300_000,
}, async () => {
  const { said } = await start("listen", "far@127.0.0.1", dir);
  const { child } = await start("dial", "near@127.0.0.1", dir, "far@127.0.0.1", said["address"] ?? "");
  const seen: number[] = [];
  do {
    child.send({ bytes: GIB });
    const [{ arrived, calls }] = (await once(child, "message")) as [{ arrived: number; calls: number[] }];
    expect(arrived).toBe(GIB);
    expect(calls.length).toBeGreaterThan(100);
    seen.push(calls.sort((a, b) => a - b)[Math.floor(calls.length * 0.99)] ?? Number.NaN);
  } while (Math.min(...seen) > MOST_MS && seen.length < TRIES);
  expect(Math.min(...seen), `p99 of each try: ${seen}`).toBeLessThanOrEqual(MOST_MS);
});
