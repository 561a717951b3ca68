import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeOptions } from "../../src/node/options.ts";
import { DiallingPair } from "./dialling-pair.ts";
import type { Link } from "./fault-proxy.ts";
import { countOf, dice, Failed, type Life, printedSeed } from "./lifecycle-rig.ts";
import { NativeRig } from "./native-rig.ts";

// Processes that dial each other at once, through a proxy that spoils one of the connections at some moment. Replay:
//   SALLYPORT_SEED=12345 npx vitest run --project integration connection-faults
const PAIRS = 4;
const ROUNDS = countOf("SALLYPORT_FAULTS", 72);
const SEED = printedSeed("connection-faults");

/** Short times, so that what is silent is found dead within a test. */
const QUICK: Partial<NodeOptions> = {
  heartbeat: { intervalMs: 400, timeoutMs: 200 },
  limits: { maxTlsHandshakeMs: 1_500, maxHandshakeMs: 2_000 },
};

const FAULTS = {
  reset: (link: Link) => link.reset(),
  "black hole": (link: Link) => link.blackHole(),
  "nothing to the acceptor": (link: Link) => link.toAcceptor.swallow(),
  "nothing to the dialler": (link: Link) => link.toDialler.swallow(),
  "half-close to the acceptor": (link: Link) => link.toAcceptor.halfClose(),
  "half-close to the dialler": (link: Link) => link.toDialler.halfClose(),
  "an octet changed": (link: Link) => link.toAcceptor.spoilNext("corrupt"),
  "an octet lost": (link: Link) => link.toDialler.spoilNext("lose"),
  "bytes twice": (link: Link) => link.toDialler.spoilNext("duplicate"),
} as const;
type Fault = keyof typeof FAULTS;

/** What a connection that was spoiled may be said to have died of. */
const CODES: readonly string[] = [
  "ERR_CLOSED",
  "ERR_DEADLINE",
  "ERR_PEER_INCOMPATIBLE",
  "ERR_PEER_MISBEHAVED",
  "ERR_REMOTE",
  "ERR_UNREACHABLE",
];

const rig = new NativeRig();
const pairs: DiallingPair[] = [];

beforeAll(async () => {
  const names = (n: number) => [`a${n}@127.0.0.1`, `b${n}@127.0.0.1`] as const;
  for (let n = 0; n < PAIRS; n++) pairs.push(await DiallingPair.start(rig, names(n), QUICK));
});
afterAll(() => Promise.all(pairs.map((pair) => pair.stop())));

/** One fault to one connection at one moment; gives what each side was told of it. */
async function round(pair: DiallingPair, fault: Fault, afterRecords: number, onA: boolean): Promise<readonly string[]> {
  const { a, b } = pair;
  for (const life of [a, b]) life.events.length = 0;
  const proxy = onA ? pair.toB : pair.toA;
  let spoiled: Link | undefined;
  proxy.onLink = (link) => {
    spoiled ??= link;
  };
  let isDone = false;
  const spoil = (link: Link | undefined): void => {
    if (isDone || link === undefined) return;
    isDone = true;
    spoiled = link;
    FAULTS[fault](link);
  };
  const watch = setInterval(() => {
    if (spoiled !== undefined && spoiled.toAcceptor.records + spoiled.toDialler.records >= afterRecords) spoil(spoiled);
  }, 0);
  const dial = (from: Life, to: Life): Promise<string> =>
    from
      .ask("connect", { to: to.name, before: [1, 2], behind: [3, 4], timeoutMs: 4_000 })
      .then(() => "connected", codeOf);
  const told = await Promise.all([dial(a, b), dial(b, a)]);
  // It never came so far, or lost: then the one that serves both.
  spoil(pair.links.at(-1));
  // What is on the way now may be lost with the connection.
  const during = (from: Life, to: Life): Promise<unknown> => from.ask("send", { to: to.name, numbers: [5, 6] });
  await Promise.all([during(a, b).catch(codeOf), during(b, a).catch(codeOf)]);
  if (spoiled !== undefined) await Promise.race([gone(pair, spoiled), pair.quiet(40)]);
  clearInterval(watch);
  pair.heal();
  await settled(pair);
  await Promise.all([a.ask("send", { to: b.name, numbers: [7, 8] }), b.ask("send", { to: a.name, numbers: [7, 8] })]);
  const calls = [a.ask("call", { to: b.name, request: 1 }), b.ask("call", { to: a.name, request: 2 })];
  expect(await Promise.all(calls)).toEqual([1, 2]);
  expect(await Promise.all([a.ask("peers"), b.ask("peers")])).toEqual([[b.name], [a.name]]);
  await pair.untilLinks(1, 5_000);
  expect(pair.links).toHaveLength(1);
  for (const life of [a, b]) {
    const got = await life.ask<number[]>("inbox");
    expect(got).toEqual([...new Set(got)].sort((x, y) => x - y));
    expect(got.slice(-2)).toEqual([7, 8]);
    // Up, or up, down, up: one fault ends one session at most.
    expect(life.ups.map((event) => event.split(" ")[0])).toEqual(life.ups.length === 1 ? ["up"] : ["up", "down", "up"]);
  }
  const reasons = [a, b].flatMap(({ ups }) => ups.filter((event) => event.startsWith("down")));
  for (const reason of reasons) expect(reason).toMatch(/^down [A-Z_]+$/);
  await a.ask("disconnect", { to: b.name });
  await pair.untilLinks(0, 5_000);
  await Promise.all([a, b].map((life) => life.until(() => life.ups.at(-1)?.startsWith("down") === true)));
  return [...new Set([...told.filter((how) => how !== "connected"), ...reasons])];
}

/** The code of a typed error; anything else is thrown again. */
function codeOf(error: unknown): string {
  if (!(error instanceof Failed) || !CODES.includes(error.code)) throw error;
  return `${error.code} ${error.reason}`;
}

async function gone(pair: DiallingPair, link: Link): Promise<void> {
  while (pair.links.includes(link)) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Both ends have found out what is dead, and both are connected. */
async function settled({ a, b }: DiallingPair): Promise<void> {
  for (const end = performance.now() + 8_000; ; ) {
    const isUp = (from: Life, to: Life): Promise<boolean> =>
      from.ask("call", { to: to.name, timeoutMs: 700 }).then(
        () => true,
        (error) => codeOf(error) === "",
      );
    const up = await Promise.all([isUp(a, b), isUp(b, a)]);
    if (up.every(Boolean)) return;
    if (performance.now() > end) throw new Error(`not connected again within 8 s: ${up}`);
  }
}

describe("two processes that dial each other at once, one connection of which is spoiled", () => {
  it("hear a typed error at most once, and are of one mind after it", async () => {
    const random = dice(SEED, 2);
    const kinds = Object.keys(FAULTS) as Fault[];
    const plans = Array.from({ length: ROUNDS }, (_, n) => ({
      fault: kinds[n % kinds.length] ?? "reset",
      afterRecords: random.below(24),
      onA: random.below(2) === 0,
    }));
    const told = new Map<Fault, Set<string>>(kinds.map((kind) => [kind, new Set()]));
    let next = 0;
    const run = async (pair: DiallingPair): Promise<void> => {
      for (let n = next++; n < plans.length; n = next++) {
        const { fault, afterRecords, onA } = plans[n]!;
        try {
          for (const reason of await round(pair, fault, afterRecords, onA)) told.get(fault)?.add(reason);
        } catch (error) {
          const what = `${fault} after ${afterRecords} records of a dial of ${onA ? "A" : "B"}`;
          throw new Error(`round ${n} of SALLYPORT_SEED=${SEED}: ${what}`, { cause: error });
        }
      }
    };
    await Promise.all(pairs.map(run));
    for (const [fault, reasons] of told) console.log(`${fault}: ${[...reasons].sort().join(", ")}`);
  }, 120_000);
});
