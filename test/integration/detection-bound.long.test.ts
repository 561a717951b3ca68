import { afterEach, describe, expect, it } from "vitest";
import { DiallingPair } from "./dialling-pair.ts";
import { dice, printedSeed } from "./lifecycle-rig.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// Replay: SALLYPORT_SEED=12345 npx vitest run --project integration detection-bound
const random = dice(printedSeed("detection-bound"), 4);

const rig = new NativeRig();
let pair: DiallingPair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

async function connected(heartbeat: {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}): Promise<DiallingPair> {
  pair = await DiallingPair.start(rig, [A, B], { heartbeat });
  await pair.a.ask("connect", { to: B });
  await pair.b.ask("call", { to: A });
  return pair;
}

/** Milliseconds until A, and until B, said that the other is down. */
async function untilDown({ a, b }: DiallingPair, withinMs: number): Promise<readonly number[]> {
  const from = performance.now();
  return Promise.all(
    [a, b].map(async (life) => {
      await life.until(() => life.ups.includes("down HEARTBEAT_TIMEOUT"), withinMs);
      return Math.round(performance.now() - from);
    }),
  );
}

describe("a peer behind a black hole", () => {
  it.each([
    { intervalMs: 200, timeoutMs: 100 },
    { intervalMs: 600, timeoutMs: 300 },
    { intervalMs: 200, timeoutMs: 1_500 },
  ])("is down on both sides within interval + timeout + 1 s (%o)", async (heartbeat) => {
    const { intervalMs, timeoutMs } = heartbeat;
    const standing = await connected(heartbeat);
    // Life shows: nobody is declared dead while bytes come. The hole opens at any moment between two questions.
    await new Promise((resolve) => setTimeout(resolve, 2 * (intervalMs + timeoutMs) + random.below(intervalMs)));
    expect([standing.a.ups, standing.b.ups]).toEqual([["up"], ["up"]]);
    for (const link of standing.links) link.blackHole();
    const bound = intervalMs + timeoutMs + 1_000;
    const took = await untilDown(standing, bound + 5_000);
    console.log(
      `interval ${intervalMs} ms, timeout ${timeoutMs} ms: down after ${took.join(" and ")} ms, bound ${bound}`,
    );
    for (const ms of took) {
      expect(ms).toBeLessThanOrEqual(bound);
      // A question that was out already counts from when it was asked.
      expect(ms).toBeGreaterThan(timeoutMs / 2);
    }
    expect(await Promise.all([standing.a.ask("peers"), standing.b.ask("peers")])).toEqual([[], []]);
  });

  it("is down when only what it says is lost, and hears that it is", async () => {
    const standing = await connected({ intervalMs: 400, timeoutMs: 200 });
    for (const link of standing.links) link.toDialler.swallow();
    await standing.a.until(() => standing.a.ups.length === 2, 3_000);
    await standing.b.until(() => standing.b.ups.length === 2, 3_000);
    expect(standing.a.ups).toEqual(["up", "down HEARTBEAT_TIMEOUT"]);
    expect(standing.b.ups[1]).toMatch(/^down (CLOSED|CONNECTION_RESET|HEARTBEAT_TIMEOUT)$/);
  });

  it("is down when it is frozen, and up again when it thaws and dials", async () => {
    const { a, b } = await connected({ intervalMs: 400, timeoutMs: 200 });
    b.freeze();
    await a.until(() => a.ups.length === 2, 3_000);
    expect(a.ups).toEqual(["up", "down HEARTBEAT_TIMEOUT"]);
    b.thaw();
    await b.until(() => b.ups.length === 2);
    await b.ask("connect", { to: A });
    expect(await a.ask("call", { to: B, request: 5 })).toBe(5);
    expect([a.ups.length, b.ups.length]).toEqual([3, 3]);
  });
});
