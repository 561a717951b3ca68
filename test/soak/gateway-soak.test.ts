// Two real Elixir nodes with a gateway in a process of its own between them: first very many casts and tasks in one session,
// then mixed traffic, checked request by request, while the worker is killed, the gateway is killed and its rules are reloaded.
//
//   SALLYPORT_SEED=12345         replays what is done when, and what is asked
//   SALLYPORT_SOAK_SECONDS=3600  length of the mixed traffic, default 60
//   SALLYPORT_SOAK_COUNT=100000  casts, and as many tasks, default 10,000
//
//   npx vitest run --project soak
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { type BeamNode, startElixir, startEpmd } from "../interop/erlang-node.ts";
import { describeWithElixir } from "../interop/need-erlang.ts";
import { COOKIE, eventually, type Rig, useRig } from "../interop/rig.ts";
import { compile } from "../interop/sallyport-process.ts";
import { type Memory, SoakGateway } from "./soak-gateway.ts";

const INSIDE = "inside@127.0.0.1";
const OUTSIDE = "outside@127.0.0.1";
const SEED = Number(process.env["SALLYPORT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SECONDS = Number(process.env["SALLYPORT_SOAK_SECONDS"] ?? 60);
const COUNT = Number(process.env["SALLYPORT_SOAK_COUNT"] ?? 10_000);
const LOOPS = 12;
/** What a worker that has just started never answers is forgotten after that: sooner than the end is waited for. */
const ANSWER_MS = 10_000;
/** Between two disturbances. */
const PAUSE_MS = { least: 2_000, most: 6_000 };
/** What may be there more at the end than when the last gateway had warmed up. */
const MOST_GROWTH_BYTES = 8 * 1024 * 1024;
const MOST_RESIDENT_GROWTH_BYTES = 48 * 1024 * 1024;
const LIBRARY = resolve(fileURLToPath(new URL("../../.tmp/soak-lib", import.meta.url)));
const SOURCE = readFileSync(new URL("soak.erl", import.meta.url), "utf8");
/** These forget when they are full, and not before: whom the worker has heard of, and who prints for it. */
const SOFT = ["maxRevealed", "maxLeaders"];

/** The nodes, the gateway, and what happens to them. */
class World {
  readonly outside: BeamNode;
  gateway: SoakGateway;
  inside: BeamNode;
  readonly #options: GatewayOptions;
  readonly #startInside: () => Promise<BeamNode>;
  #reloads = 0;

  private constructor(
    outside: BeamNode,
    gateway: SoakGateway,
    inside: BeamNode,
    options: GatewayOptions,
    startInside: () => Promise<BeamNode>,
  ) {
    this.outside = outside;
    this.gateway = gateway;
    this.inside = inside;
    this.#options = options;
    this.#startInside = startInside;
  }

  static async start(rig: Rig): Promise<World> {
    const [insideEpmd, outside] = await Promise.all([startEpmd(), rig.elixir("outside"), compile(LIBRARY)]);
    rig.closes(() => insideEpmd.stop());
    const [listen, insidePort] = [await lastingPort(), await lastingPort()];
    const options: GatewayOptions = {
      pairs: [
        {
          inside: { node: INSIDE, address: `tcp://127.0.0.1:${insidePort}`, cookie: COOKIE },
          outside: { nodes: [OUTSIDE], listen: `tcp://127.0.0.1:${listen}`, cookie: COOKIE },
          filter: { limits: { answerMs: ANSWER_MS } },
        },
      ],
      dangerous: { plaintext: true },
    };
    const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
    const registration = await registerAtEpmd(parts, "127.0.0.1", epmdEntry("inside", listen, true));
    rig.closes(() => registration.close());
    const ports = ["inet_dist_listen_min", "inet_dist_listen_max"].flatMap((name) => [
      "-kernel",
      name,
      `${insidePort}`,
    ]);
    const beam = { name: INSIDE, cookie: COOKIE, epmdPort: insideEpmd.port, home: rig.home, args: ports };
    const startInside = async (): Promise<BeamNode> => {
      const node = await startElixir(beam);
      await load(node);
      await node.erl("soak:serve()");
      await node.erl(`soak:intrude('${OUTSIDE}')`);
      return node;
    };
    await load(outside);
    await outside.erl("soak:trap()");
    const world = new World(
      outside,
      await SoakGateway.start(LIBRARY, options),
      await startInside(),
      options,
      startInside,
    );
    rig.closes(() => world.inside.kill());
    rig.closes(() => world.gateway.kill());
    return world;
  }

  async killWorker(): Promise<void> {
    await this.inside.kill();
    this.inside = await this.#startInside();
  }

  async restartGateway(): Promise<void> {
    await this.gateway.kill();
    this.gateway = await SoakGateway.start(LIBRARY, this.#options);
  }

  /** Another list of granted names, which nothing here uses. */
  async reload(): Promise<void> {
    const allow = { granted: this.#reloads++ % 2 === 0 ? ["init"] : [] };
    const pairs = this.#options.pairs.map((pair) => ({ ...pair, filter: { ...pair.filter, allow } }));
    await this.gateway.reload({ ...this.#options, pairs });
  }

  /** Rows of each table of the session that is up, but for empty ones. */
  async tables(): Promise<Record<string, number>> {
    const { pairs } = await this.gateway.status();
    const reports = pairs.flatMap(({ sessions }) => sessions.map(({ report }) => report?.tables ?? {}));
    expect(reports).toHaveLength(1);
    const rows = Object.entries(reports[0] ?? {}).map(([name, { size }]) => [name, size] as const);
    expect(rows.length).toBeGreaterThan(7);
    return Object.fromEntries(rows.filter(([, size]) => size > 0));
  }

  /** Waits until nothing is under way. */
  async settled(): Promise<void> {
    await eventually(async () => {
      expect(await this.outside.erl(`rpc:call('${INSIDE}', soak, echo, [1])`)).toBe("{echo,1}");
      const rows = Object.keys(await this.tables()).filter((name) => !SOFT.includes(name));
      expect(rows).toEqual([]);
    });
  }
}

async function load(node: BeamNode): Promise<void> {
  const binary = `<<${JSON.stringify(SOURCE)}/utf8>>`;
  const path = JSON.stringify("soak.erl");
  await node.erl(
    `ok = file:write_file(${path}, ${binary}), {ok, soak, Code} = compile:file(${path}, [binary, return_errors]), ` +
      `{module, soak} = code:load_binary(soak, ${path}, Code), ok`,
  );
}

describeWithElixir("a gateway under load and misfortune", () => {
  const t = useRig("tcp", async (rig) => ({ world: await World.start(rig) }));

  it(
    `is left with empty tables by ${COUNT} casts and ${COUNT} tasks in one session`,
    async () => {
      const { world } = t;
      const ask = (text: string): Promise<string> => inTime(world.outside, text);
      expect(await ask(`soak:casts('${INSIDE}', ${COUNT})`)).toBe(`${COUNT}`);
      expect(await ask(`soak:tasks('${INSIDE}', ${COUNT})`)).toBe(`${COUNT}`);
      await world.settled();
      const { sessions, totals } = (await world.gateway.status()).pairs[0] ?? {};
      expect([sessions?.length, totals?.up]).toEqual([1, 1]);
      expect(Object.keys(totals?.denied ?? {}).filter((who) => who.startsWith("commander"))).toEqual([]);
      console.log(`after ${COUNT} casts and tasks: ${JSON.stringify(await world.tables())}`);
    },
    60_000 + COUNT * 10,
  );

  it(
    `delivers nothing wrong in ${SECONDS} s of mixed traffic with kills, restarts and reloads`,
    async () => {
      console.log(`gateway-soak: SALLYPORT_SEED=${SEED}`);
      const { world } = t;
      const dice = new Dice(SEED);
      const until = performance.now() + SECONDS * 1_000;
      const traffic = inTime(world.outside, `soak:run('${INSIDE}', ${SEED}, ${LOOPS}, ${SECONDS * 1_000})`);
      const done = { worker: 0, gateway: 0, reload: 0 };
      const memory: Memory[] = [];
      while (performance.now() < until) {
        await new Promise((next) => setTimeout(next, PAUSE_MS.least + dice.below(PAUSE_MS.most - PAUSE_MS.least)));
        const { left } = { left: (until - performance.now()) / (SECONDS * 1_000) };
        // The gateway only in the first half, so that one life is long enough to see whether it grows.
        const kinds = left > 0.5 ? (["worker", "gateway", "reload"] as const) : (["worker", "reload"] as const);
        const what = kinds[done.gateway === 0 && left > 0.5 ? 1 : dice.below(kinds.length)] ?? "reload";
        done[what]++;
        if (what === "worker") await world.killWorker();
        else if (what === "gateway") await world.restartGateway();
        else await world.reload();
        if (left < 0.4) memory.push(await world.gateway.memory());
      }
      const [right = 0, lost = 0] = JSON.parse((await traffic).replace("{", "[").replace("}", "]")) as number[];
      expect(await world.outside.erl("soak:wrong()")).toBe("[]");
      expect(await world.outside.erl("soak:trapped()")).toBe("0");
      await world.settled();
      memory.push(await world.gateway.memory());
      console.log(`${JSON.stringify({ right, lost, ...done })}, tables ${JSON.stringify(await world.tables())}`);
      console.log(`MiB used, resident: ${memory.map(({ used, rss }) => `${mib(used)}, ${mib(rss)}`).join("; ")}`);
      expect(right).toBeGreaterThan(SECONDS * 20);
      expect(done.worker + done.reload).toBeGreaterThan(0);
      const [first, last] = [memory[0] as Memory, memory.at(-1) as Memory];
      expect(last.used - first.used).toBeLessThan(MOST_GROWTH_BYTES);
      expect(last.rss - first.rss).toBeLessThan(MOST_RESIDENT_GROWTH_BYTES);
    },
    (SECONDS + 120) * 1_000,
  );
});

/** Evaluates what takes longer than a question may. */
async function inTime(node: BeamNode, text: string): Promise<string> {
  const key = `soak_result_${Math.floor(performance.now() * 1_000)}`;
  await node.erl(`spawn(fun() -> persistent_term:put(${key}, catch ${text}) end), ok`);
  return vi.waitFor(
    async () => {
      const result = await node.erl(`persistent_term:get(${key}, soak_waits)`);
      if (result === "soak_waits") throw new Error(`no result of ${text}`);
      return result;
    },
    { timeout: (SECONDS + COUNT / 100 + 60) * 1_000, interval: 100 },
  );
}

/**
 * A free port that no dialling socket is given while its owner is away: below those that the system chooses from. Chance, since two
 * runs at once must not meet.
 */
async function lastingPort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((done) => {
      server.once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => done(true));
    });
    await new Promise((closed) => server.close(closed));
    if (isFree) return port;
  }
}

/** Numbers that a seed gives. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }
}

function mib(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}
