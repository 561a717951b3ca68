import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, it } from "vitest";
import { countOf, Life, type Usage } from "../integration/lifecycle-rig.ts";
import { A, NativeRig } from "../integration/native-rig.ts";
import { type Machine, Simulation } from "../integration/simulation.ts";

// Connections that come and go, very often: nothing stays of them. All over TLS:
//   SALLYPORT_CYCLES=200000 npx vitest run --project soak cycles
const OTP_CYCLES = 180_000;
const NATIVE_CYCLES = 20_000;
const TLS_CYCLES = countOf("SALLYPORT_CYCLES", 5_000);
/** Cycles before the first measure: buffers and code find their places. */
const WARM_UP = 4_000;
/** Nodes in one process that come and go at once. */
const WIDTH = 8;
const MIB = 1024 * 1024;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Octets of this process's heap, after a collection. */
async function heapBytes(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(2)} MiB`;

/** One node connects to another, and one of the two ends it, so many times. */
async function cycle(simulation: Simulation, from: Machine, to: Machine, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    let isUp = false;
    void from.node.connect(to.name).then(() => {
      isUp = true;
    });
    for (let turns = 0; !isUp || to.node.peers().length === 0; turns++) {
      if (turns > 1_000) throw new Error(`cycle ${n}: no connection`);
      simulation.clock.runTurn();
      await Promise.resolve();
    }
    if (from.key !== undefined) await answered(simulation, from, to);
    const [by, other] = n % 2 === 0 ? [from, to] : [to, from];
    by.node.disconnect(other.name);
    while (simulation.clock.runTurn() > 0) await Promise.resolve();
    if (n % 100 === 0) simulation.clock.advance(1);
  }
}

/** A call, so that there was something to forget. */
async function answered(simulation: Simulation, from: Machine, to: Machine): Promise<void> {
  let isAnswered = false;
  void from.node.call({ name: "echo", node: to.name }, 1).then(() => {
    isAnswered = true;
  });
  while (!isAnswered) {
    simulation.clock.runTurn();
    await Promise.resolve();
  }
}

describe("connections that come and go", () => {
  it.each([
    { protocol: "otp", cycles: OTP_CYCLES, pins: undefined },
    { protocol: "native", cycles: NATIVE_CYCLES, pins: [[1], [0]] },
  ] as const)(
    "leave nothing in memory, tables or timers ($protocol, $cycles times)",
    async ({ protocol, cycles, pins }) => {
      const simulation = new Simulation(1, 60_000);
      const [from, to] = [0, 1].map((n) => {
        const machine = simulation.start(n, pins?.[n]);
        machine.node.register("echo", { call: (request) => request }, { allow: "cookie" });
        return machine;
      }) as [Machine, Machine];
      await cycle(simulation, from, to, WARM_UP);
      simulation.clock.advance(120_000);
      const tables = () =>
        [from, to].map(({ node }) => {
          const { processes, openCalls, connectedCount } = node.vitals();
          return { processes, openCalls, connectedCount, creation: node.creation };
        });
      const [before, timers, bytes] = [tables(), simulation.clock.pendingTimers, await heapBytes()];
      const startedAt = performance.now();
      await cycle(simulation, from, to, cycles);
      const seconds = (performance.now() - startedAt) / 1_000;
      simulation.clock.advance(120_000);
      expect(tables()).toEqual(before);
      expect(simulation.clock.pendingTimers).toBe(timers);
      const grown = (await heapBytes()) - bytes;
      console.log(
        `${cycles} ${protocol} cycles in ${seconds.toFixed(1)} s, ${Math.round(cycles / seconds)}/s: heap ${mib(bytes)}, ` +
          `grown by ${mib(grown)}, ${(grown / cycles).toFixed(1)} octets a cycle; ${timers} timers`,
      );
      expect(grown).toBeLessThan(2 * MIB);
      for (const { node } of [from, to]) {
        const { sessions_up: ups = 0, sessions_down: downs = 0 } = node.vitals().counters;
        expect([ups, downs]).toEqual([cycles + WARM_UP, cycles + WARM_UP]);
      }
      // The next one is as good as the first, with a process of the same kind of id.
      void from.node.connect(to.name);
      await simulation.settle();
      const answer = from.node.call({ name: "echo", node: to.name }, 5);
      await simulation.settle();
      expect(await answer).toBe(5);
      await Promise.all([from, to].map(({ node }) => node.close({ timeoutMs: 0 })));
    },
    120_000,
  );
});

describe("connections over TLS between two processes that come and go", () => {
  const rig = new NativeRig();
  const lives: Life[] = [];
  afterAll(() => Promise.all(lives.map((life) => life.kill())));

  it(`leave no memory and no descriptor at either end (${TLS_CYCLES} times)`, async () => {
    const names = Array.from({ length: WIDTH }, (_, n) => `d${n}@127.0.0.1`);
    await rig.acquainted(A, ...names);
    const options = (name: string, more: object) =>
      ({ name, epmd: "off", identity: { dir: rig.keyDir(name) }, ...more }) as never;
    const flags = ["--expose-gc"];
    const acceptor = await Life.start({ options: options(A, { listen: ["tls://127.0.0.1:0"] }), flags });
    lives.push(acceptor);
    const resolve = { [A]: acceptor.endpoint };
    const [first, ...more] = names.map((name) => options(name, { resolve }));
    const dialler = await Life.start({ options: first as never, more, flags });
    lives.push(dialler);
    const run = (count: number) => dialler.ask("cycles", { to: A, count: Math.ceil(count / WIDTH) });
    const usages = async (): Promise<readonly Usage[]> => {
      await acceptor.until(() => acceptor.ups.filter((event) => event === "up").length * 2 === acceptor.ups.length);
      return Promise.all([acceptor, dialler].map((life) => life.ask<Usage>("usage")));
    };
    // As much again as is measured, up to a thousand: buffers and code find their places.
    await run(Math.min(TLS_CYCLES, 1_000));
    const before = await usages();
    const startedAt = performance.now();
    await run(TLS_CYCLES);
    const seconds = (performance.now() - startedAt) / 1_000;
    const after = await usages();
    console.log(`${TLS_CYCLES} cycles over TLS in ${seconds.toFixed(1)} s, ${Math.round(TLS_CYCLES / seconds)}/s`);
    for (const [n, who] of ["acceptor", "dialler"].entries()) {
      const [then, now] = [before[n]!, after[n]!];
      const grown = now.heapUsed + now.external - then.heapUsed - then.external;
      console.log(
        `${who}: heap ${mib(now.heapUsed)} grown by ${mib(grown)}, rss ${mib(then.rss)} to ${mib(now.rss)}, ` +
          `descriptors ${then.descriptors} to ${now.descriptors}`,
      );
      expect(grown).toBeLessThan(3 * MIB);
      expect(now.rss - then.rss).toBeLessThan(40 * MIB);
      expect(now.descriptors).toBeLessThanOrEqual(then.descriptors + 1);
      const { processes, openCalls, connectedCount } = now;
      expect({ processes, openCalls, connectedCount }).toEqual({
        processes: then.processes,
        openCalls: 0,
        connectedCount: 0,
      });
    }
    expect(new Set(acceptor.ups)).toEqual(new Set(["up", "down PEER_LEFT"]));
  }, 3_600_000);
});
