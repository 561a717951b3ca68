import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SeededRandom } from "../../src/testkit/seeded-random.ts";
import { FaultProxy, type Link, type WayPlan } from "./fault-proxy.ts";
import { countOf, dice, Failed, Life, printedSeed } from "./lifecycle-rig.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// Two processes that dial each other at the same moment, through a proxy that delays, cuts and holds. Replay:
//   SALLYPORT_SEED=12345 npx vitest run --project integration one-connection
const ROUNDS = countOf("SALLYPORT_DIALS", 1_000);
const SEED = printedSeed("one-connection");

const rig = new NativeRig();
let a: Life;
let b: Life;
/** In front of A, and in front of B: who dials A comes by the first. */
let toA: FaultProxy;
let toB: FaultProxy;

beforeAll(async () => {
  await rig.acquainted(A, B);
  toA = await FaultProxy.start(() => a.port);
  toB = await FaultProxy.start(() => b.port);
  a = await start(A, { [B]: `127.0.0.1:${toB.port}` });
  b = await start(B, { [A]: `127.0.0.1:${toA.port}` });
});
afterAll(async () => {
  toA?.close();
  toB?.close();
  await Promise.all([a?.kill(), b?.kill()]);
});

function start(name: string, resolve: Readonly<Record<string, string>>): Promise<Life> {
  const options = { name, epmd: "off", identity: { dir: rig.keyDir(name) }, listen: ["tls://127.0.0.1:0"], resolve };
  return Life.start({ options: options as never });
}

const links = (): readonly Link[] => [...toA.links, ...toB.links];

/** Resolves when one connection is left of all, which both ends then have. */
async function untilOne(): Promise<void> {
  for (const end = performance.now() + 5_000; links().length > 1; ) {
    if (performance.now() > end) throw new Error(`${links().length} connections stand after 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Both dial at once, send before and behind it, and what must hold then is looked at. */
async function crossing(
  offsets: readonly [number, number],
  during: () => Promise<void> = async () => {},
): Promise<void> {
  for (const life of [a, b]) life.events.length = 0;
  const dial = (from: Life, to: string, afterMs: number): Promise<unknown> =>
    from.ask("connect", { to, afterMs, before: [1, 2, 3], behind: [4, 5, 6] });
  const dials = Promise.allSettled([dial(a, B, offsets[0]), dial(b, A, offsets[1])]);
  await during();
  expect((await dials).map(({ status, ...rest }) => [status, rest])).toEqual([
    ["fulfilled", { value: null }],
    ["fulfilled", { value: null }],
  ]);
  expect(await Promise.all([a.ask("call", { to: B, request: 7 }), b.ask("call", { to: A, request: 8 })])).toEqual([
    7, 8,
  ]);
  await untilOne();
  expect(links()).toHaveLength(1);
  expect(await Promise.all([a.ask("peers"), b.ask("peers")])).toEqual([[B], [A]]);
  expect(await Promise.all([a.ask("inbox"), b.ask("inbox")])).toEqual([
    [1, 2, 3, 4, 5, 6],
    [1, 2, 3, 4, 5, 6],
  ]);
  expect([a.ups, b.ups]).toEqual([["up"], ["up"]]);
}

/** Ends the connection, and waits until both ends know. */
async function part(by: Life, other: Life): Promise<void> {
  await by.ask("disconnect", { to: other.name });
  await Promise.all([a, b].map((life) => life.until(() => life.ups.length === 2)));
  await Promise.all([toA.atMost(0, 5_000), toB.atMost(0, 5_000)]);
  expect([a.ups.length, b.ups.length]).toEqual([2, 2]);
}

/** A network that is bad in another way in each direction. */
function badWay(random: SeededRandom): WayPlan {
  const most = random.below(4);
  return {
    ...(random.below(2) === 0 ? { delayMs: () => random.below(most + 1) } : {}),
    ...(random.below(12) === 0 ? { bytesAtOnce: 1 + random.below(40), delayMs: () => 0 } : {}),
  };
}

describe("two processes that dial each other at once", () => {
  it(`end up with one connection, on which both agree, ${ROUNDS} times`, async () => {
    const random = dice(SEED, 1);
    const found = { both: 0, one: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      let made = 0;
      for (const proxy of [toA, toB]) {
        proxy.plan = () => {
          made++;
          return { toAcceptor: badWay(random), toDialler: badWay(random) };
        };
      }
      try {
        await crossing([random.below(6), random.below(6)]);
        await part(...(random.below(2) === 0 ? ([a, b] as const) : ([b, a] as const)));
      } catch (error) {
        throw new Error(`round ${round} of SALLYPORT_SEED=${SEED}`, { cause: error });
      }
      found[made > 1 ? "both" : "one"]++;
    }
    console.log(`${ROUNDS} rounds: ${found.both} crossed on the wire, in ${found.one} one side was first`);
    expect(found.both).toBeGreaterThan(ROUNDS / 4);
  }, 300_000);
});
void Failed;
