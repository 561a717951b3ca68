import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../../src/base/errors.ts";
import type { Term } from "../../src/term/types.ts";
import { atomName } from "../../src/term/types.ts";
import { countOf, printedSeed } from "./lifecycle-rig.ts";
import { CALM, type Machine, Simulation } from "./simulation.ts";

// A thousand nodes in memory on one virtual clock: a quarter of them native, the others as BEAM nodes speak. Replay:
//   SALLYPORT_SEED=12345 npx vitest run --project integration thousand-nodes
const SEED = printedSeed("thousand-nodes");
const NODES = countOf("SALLYPORT_NODES", 1_000);
/** Each node dials so many others; about twice as many sessions end there. */
const DIALS = 8;
const TICK_TIME_MS = 40_000;
/** After so long nobody is taken for alive who is not; interval and timeout of a heartbeat by default are 25 s. */
const DETECTION_MS = 60_000;

interface Heard {
  readonly events: string[];
  /** What monitors said, by peer. */
  readonly monitors: Map<string, string[]>;
}

/** Runs it all; gives a digest of everything that anybody heard. */
async function cluster(seed: number, nodes: number): Promise<string> {
  const simulation = new Simulation(seed, TICK_TIME_MS);
  const { dice } = simulation;
  const native = (n: number) => n % 4 === 0;
  // Chosen first, for a native node must hold the keys of whom it meets.
  const dials = Array.from({ length: nodes }, (_, n) => {
    const chosen = new Set<number>();
    while (chosen.size < Math.min(DIALS, nodes - 1)) {
      const other = native(n) && chosen.size < DIALS / 2 ? 4 * dice.below(Math.ceil(nodes / 4)) : dice.below(nodes);
      if (other !== n) chosen.add(other);
    }
    return [...chosen];
  });
  const pins = dials.map((): number[] => []);
  dials.forEach((others, n) => {
    for (const other of others) {
      if (!native(n) || !native(other)) continue;
      pins[n]?.push(other);
      pins[other]?.push(n);
    }
  });
  const heard = new Map<Machine, Heard>();
  const machines = dials.map((_, n) => {
    const machine = simulation.start(n, native(n) ? [...new Set(pins[n])] : undefined);
    const events: string[] = [];
    heard.set(machine, { events, monitors: new Map() });
    machine.node.on("nodeup", (peer) => events.push(`up ${peer.name}`));
    machine.node.on("nodedown", (peer) => events.push(`down ${peer.name}`));
    machine.node.register("echo", { call: (request) => request }, { allow: "cookie" });
    return machine;
  });
  const heardBy = (machine: Machine): Heard => heard.get(machine) ?? { events: [], monitors: new Map() };

  // Everybody dials at once over a network that delays everything and cuts some connections; who fails tries again.
  simulation.weather = { delayMs: () => dice.below(40), resets: () => dice.below(400) === 0 };
  let open = 0;
  const failures = new Set<string>();
  const connect = (machine: Machine, to: string): void => {
    open++;
    machine.node.connect(to, { timeoutMs: 60_000 }).then(
      () => void open--,
      (error) => {
        open--;
        failures.add(isSallyportError(error) ? error.code : String(error));
        connect(machine, to);
      },
    );
  };
  machines.forEach((machine, n) => {
    for (const other of dials[n] ?? []) connect(machine, machines[other]!.name);
  });
  for (let steps = 0; open > 0 && steps < 1_000; steps++) await simulation.pass(100, 20);
  expect(open).toBe(0);
  for (const code of failures) expect(["ERR_CLOSED", "ERR_DEADLINE"]).toContain(code);
  // What was cut after it stood is dialled once more, in calm weather.
  simulation.weather = CALM;
  await simulation.pass(2_000);
  machines.forEach((machine, n) => {
    for (const other of dials[n] ?? []) connect(machine, machines[other]!.name);
  });
  await simulation.pass(2_000);
  const edges = new Map(machines.map((machine) => [machine.name as string, new Set<string>()]));
  machines.forEach((machine, n) => {
    for (const other of dials[n] ?? []) {
      edges.get(machine.name)?.add(machines[other]!.name);
      edges.get(machines[other]!.name)?.add(machine.name);
    }
  });
  expectRegistries(machines, edges);

  for (const machine of machines) {
    const { monitors } = heardBy(machine);
    for (const peer of machine.node.peers()) {
      const told: string[] = [];
      monitors.set(peer.name, told);
      const target = { name: "echo", node: peer.name };
      machine.node.monitor(target, ({ reason }) => void told.push(String(atomName(reason))));
    }
  }
  await simulation.pass(500);
  for (const { events } of heard.values()) events.length = 0;

  // Three of ten lose their power, one after the other, under calls and while connections of others are cut.
  const killed = new Set<Machine>();
  while (killed.size < Math.round(nodes * 0.3)) killed.add(machines[dice.below(nodes)]!);
  const answers: Promise<string>[] = [];
  simulation.weather = { delayMs: () => dice.below(40), resets: () => dice.below(2_000) === 0 };
  const victims = [...killed];
  for (let at = 0; at < victims.length || answers.length < nodes; at += Math.ceil(nodes / 100)) {
    for (const victim of victims.slice(at, at + Math.ceil(nodes / 100))) victim.isDead = true;
    for (let n = 0; n < Math.ceil(nodes / 50); n++) answers.push(call(machines[dice.below(nodes)]!, dice.below(DIALS)));
    await simulation.pass(100, 50);
  }
  simulation.weather = CALM;
  await simulation.pass(DETECTION_MS, 250);

  const dead = new Set<string>(victims.map(({ name }) => name));
  const survivors = machines.filter((machine) => !machine.isDead);
  for (const machine of survivors) {
    const { events, monitors } = heardBy(machine);
    const own = edges.get(machine.name)!;
    for (const peer of [...own]) {
      const told = events.filter((event) => event.endsWith(` ${peer}`)).map((event) => event.split(" ")[0]);
      const isDead = dead.has(peer);
      // At most cut once, dialled again by a call perhaps; a dead one is not up.
      expect([machine.name, peer, told]).toEqual([
        machine.name,
        peer,
        told.map((_, i) => (i % 2 === 0 ? "down" : "up")),
      ]);
      if (isDead) expect([peer, told.length % 2]).toEqual([peer, 1]);
      expect([machine.name, peer, monitors.get(peer)]).toEqual([
        machine.name,
        peer,
        told.length === 0 ? [] : ["noconnection"],
      ]);
      if (told.length % 2 === 1) own.delete(peer);
    }
    expect(machine.node.vitals().openCalls).toBe(0);
  }
  expectRegistries(survivors, edges);
  const outcomes = await Promise.all(answers.map((answer) => Promise.race([answer, Promise.resolve("dead caller")])));
  const digest = createHash("sha256");
  for (const machine of machines) digest.update(JSON.stringify([machine.name, heardBy(machine).events]));
  digest.update(JSON.stringify(outcomes));
  const count = (word: string) => outcomes.filter((outcome) => outcome === word).length;
  console.log(
    `${nodes} nodes, ${survivors.reduce((sum, { name }) => sum + (edges.get(name)?.size ?? 0), 0) / 2} sessions between ` +
      `${survivors.length} survivors, ${outcomes.length} calls: ${count("ok")} answered, ` +
      `${count("TARGET_DOWN")} lost their target, ${count("dead caller")} had a dead caller`,
  );
  await Promise.all(survivors.map((machine) => machine.node.close({ timeoutMs: 0 })));
  return digest.digest("hex");
}

/** A call of a machine to one of its peers: `ok`, or the reason of its failure. */
function call({ node, isDead }: Machine, which: number): Promise<string> {
  const peer = node.peers()[which];
  if (isDead || peer === undefined) return Promise.resolve("dead caller");
  return node.call({ name: "echo", node: peer.name }, 1 as Term, { timeoutMs: 120_000 }).then(
    () => "ok",
    (error) => (isSallyportError(error) ? error.reason : String(error)),
  );
}

/** Each lists exactly those with whom it has a session, and they list it. */
function expectRegistries(machines: readonly Machine[], edges: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const { name, node } of machines) {
    expect([
      name,
      node
        .peers()
        .map((peer) => peer.name)
        .sort(),
    ]).toEqual([name, [...(edges.get(name) ?? [])].sort()]);
    for (const peer of node.peers())
      expect([name, peer.name, edges.get(peer.name)?.has(name)]).toEqual([name, peer.name, true]);
  }
}

describe("a thousand nodes, of which three hundred lose their power", () => {
  it("leave registries that are right at every survivor, and each death is told once", async () => {
    await cluster(SEED, NODES);
  }, 120_000);

  it("do the same again for the same seed", async () => {
    expect(await cluster(SEED, 60)).toBe(await cluster(SEED, 60));
  });
});
