import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DiallingPair } from "./dialling-pair.ts";
import { countOf, dice, Failed, type Life, printedSeed } from "./lifecycle-rig.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// A node that is killed and comes back at once. Replay:
//   SALLYPORT_SEED=12345 npx vitest run --project integration kill-restart
const KILLS = countOf("SALLYPORT_KILLS", 12);
const SEED = printedSeed("kill-restart");

const rig = new NativeRig();
let pair: DiallingPair;

beforeAll(async () => {
  pair = await DiallingPair.start(rig, [A, B]);
});
afterAll(() => pair?.stop());

/** Both ways are in order, and of the messages only those of now arrived, each once. */
async function inOrder(a: Life, b: Life): Promise<void> {
  const numbers = [21, 22, 23];
  await Promise.all([a.ask("send", { to: B, numbers }), b.ask("send", { to: A, numbers })]);
  const calls = [a.ask("call", { to: B, request: 1 }), b.ask("call", { to: A, request: 2 })];
  expect(await Promise.all(calls)).toEqual([1, 2]);
  expect(await Promise.all([a.ask("peers"), b.ask("peers")])).toEqual([[B], [A]]);
  expect(await Promise.all([a.ask("inbox"), b.ask("inbox")])).toEqual([numbers, numbers]);
  await pair.untilLinks(1, 5_000);
  expect(pair.links).toHaveLength(1);
}

/** kill -9 of B, and its next life; gives milliseconds from the kill to the new session. */
async function killed(how: { readonly blackHole: boolean; readonly waitMs: number; readonly bothDial: boolean }) {
  const { a, b } = pair;
  await inOrder(a, b);
  a.events.length = 0;
  await a.ask("monitor", { to: B });
  const hanging = a.ask("hang", { to: B }).then(
    () => "an answer",
    (error) => (error instanceof Failed ? error.reason : String(error)),
  );
  await a.ask("call", { to: B });
  if (how.blackHole) {
    for (const link of pair.links) link.blackHole();
    await a.ask("send", { to: B, numbers: [11, 12, 13] });
  }
  const killedAt = performance.now();
  await b.kill();
  await new Promise((resolve) => setTimeout(resolve, how.waitMs));
  await pair.startAgain();
  // It has no say while A believes that it is connected: it would get the session that is there.
  const dials = [pair.b.ask("connect", { to: A }), ...(how.bothDial ? [a.ask("connect", { to: B })] : [])];
  await Promise.all(dials);
  await a.until(() => a.ups.length >= 2);
  const tookMs = performance.now() - killedAt;
  await inOrder(a, pair.b);
  const down = a.ups[0];
  expect(a.ups).toEqual([down, "up"]);
  if (how.blackHole) expect(down).toBe("down SESSION_REPLACED");
  else expect(down).toMatch(/^down (CLOSED|CONNECTION_RESET)$/);
  expect(pair.b.ups).toEqual(["up"]);
  expect(await hanging).toBe("TARGET_DOWN");
  expect(await a.ask("downs")).toEqual(["noconnection"]);
  return tookMs;
}

describe("a node that is killed and comes back at once", () => {
  it("has one new session, and its old one exactly one end, also where nobody heard of its death", async () => {
    const random = dice(SEED, 3);
    await pair.a.ask("connect", { to: B });
    const took: number[] = [];
    for (let n = 0; n < KILLS; n++) {
      const how = { blackHole: n % 2 === 0, waitMs: random.below(300), bothDial: n % 3 === 0 };
      try {
        took.push(await killed(how));
      } catch (error) {
        throw new Error(`kill ${n} of SALLYPORT_SEED=${SEED}: ${JSON.stringify(how)}`, { cause: error });
      }
    }
    took.sort((x, y) => x - y);
    const [fastest, median, slowest] = [0, KILLS >>> 1, KILLS - 1].map((n) => Math.round(took[n] ?? 0));
    console.log(`${KILLS} kills, to the new session: ${fastest} ms at best, ${median} median, ${slowest} at worst`);
    expect(fastest).toBeLessThan(1_000);
  });
});
