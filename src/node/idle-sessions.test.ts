import { describe, expect, it } from "vitest";
import { Atom, type Term } from "../term/types.ts";
import { NativeNodes } from "../testkit/native-nodes.ts";
import { encodeLinkFrame, type LinkFrame } from "../wire/link-frames.ts";
import type { SallyportNode } from "./node.ts";

const A = "a@h";
const B = "b@h";
const AFTER_MS = 100;

/** Services of a node: `echo` answers, `never` does not, `log` keeps what comes. */
function serve(node: SallyportNode): Term[] {
  const log: Term[] = [];
  node.register("echo", { call: (request) => request }, { allow: "pinned" });
  node.register("never", { call: () => new Promise<Term>(() => {}) }, { allow: "pinned" });
  node.register("log", { cast: (message) => void log.push(message) }, { allow: "pinned" });
  return log;
}

/** Tells of sessions as `up` and the reason of their end. */
function lives(node: SallyportNode): string[] {
  const told: string[] = [];
  node.on("nodeup", () => void told.push("up"));
  node.on("nodedown", (_, reason) => void told.push(reason));
  return told;
}

describe("the question whether a session may end, with messages under way", () => {
  it.each(Array.from({ length: 12 }, (_, i) => i + 1))("loses nothing (seed %i)", async (seed) => {
    const world = new NativeNodes(seed, [A, B], 20);
    const { dice } = world;
    const idle = { afterMs: AFTER_MS };
    const nodes = [world.node(A, { idle }), world.node(B, { idle })];
    const logs = nodes.map(serve);
    const told = nodes.map(lives);
    const sent: Term[][] = [[], []];
    const calls: Promise<Term>[] = [];
    let number = 0;
    const say = (side: number): void => {
      const [from, to] = [nodes[side] as SallyportNode, side === 0 ? B : A];
      number++;
      if (dice.below(3) === 0) calls.push(from.call({ name: "echo", node: to }, number, { timeoutMs: 20_000 }));
      else {
        sent[1 - side]?.push(number);
        from.cast({ name: "log", node: to }, number);
      }
    };
    for (let round = 0; round < 30; round++) {
      // Long enough for a question in most rounds, and short enough to come in the middle of one.
      await world.pass(AFTER_MS + dice.below(80));
      for (let i = dice.below(5); i >= 0; i--) {
        say(dice.below(2));
        await world.pass(dice.below(15));
      }
    }
    await world.pass(1_000);
    expect(logs).toEqual(sent);
    const answers = await Promise.allSettled(calls);
    expect(answers.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const each of told) {
      // Down before the next up, by agreement each time, and the last one too.
      each.forEach((what, i) => void expect(what).toBe(i % 2 === 0 ? "up" : "IDLE"));
      expect(each.length % 2).toBe(0);
      expect(each.length).toBeGreaterThan(10);
    }
    expect(nodes.map((node) => node.vitals().connectedCount)).toEqual([0, 0]);
  });
});

/** Two nodes with a session that nothing needs yet; `other` is what the one that does not ask is set to. */
async function pair(
  idleA: { afterMs: number } | false = { afterMs: AFTER_MS },
  idleB: typeof idleA = { afterMs: 1e6 },
) {
  const world = new NativeNodes(1, [A, B]);
  const [a, b] = [world.node(A, { idle: idleA }), world.node(B, { idle: idleB })];
  const logs = [a, b].map(serve);
  const told = [a, b].map(lives);
  const connected = a.connect(B);
  await world.pass(5);
  await connected;
  return { world, a, b, logs, told };
}

describe("an idle session", () => {
  it("ends at both ends when one of them finds it idle, and opens again for the next message", async () => {
    const { world, a, b, logs, told } = await pair();
    await world.pass(AFTER_MS);
    expect(told).toEqual([["up"], ["up"]]);
    await world.pass(AFTER_MS);
    expect(told).toEqual([
      ["up", "IDLE"],
      ["up", "IDLE"],
    ]);
    b.cast({ name: "log", node: A }, 1);
    await world.pass(5);
    expect([logs[0], a.peers().length, b.peers().length]).toEqual([[1], 1, 1]);
  });

  it("stays where it was turned off, at either end", async () => {
    const off = await pair(false, false);
    await off.world.pass(3 * AFTER_MS);
    const answering = await pair({ afterMs: AFTER_MS }, false);
    await answering.world.pass(5 * AFTER_MS);
    expect([off.told, answering.told]).toEqual([
      [["up"], ["up"]],
      [["up"], ["up"]],
    ]);
  });

  it("is none while messages go", async () => {
    const { world, a, told, logs } = await pair();
    for (let i = 0; i < 10; i++) {
      a.cast({ name: "log", node: B }, i);
      await world.pass(AFTER_MS / 2);
    }
    expect([told, logs[1]?.length]).toEqual([[["up"], ["up"]], 10]);
  });

  const nobody = (): void => {};
  type Nodes = Awaited<ReturnType<typeof pair>>;
  const pinned = { allow: { atLeast: "pinned", verbs: ["link", "monitor"] } } as const;
  const RIDES: readonly (readonly [string, (nodes: Nodes) => unknown])[] = [
    ["a call of this node", ({ a }) => void a.call({ name: "never", node: B }, 1, { timeoutMs: 1e6 }).catch(nobody)],
    ["a call of the peer", ({ b }) => void b.call({ name: "never", node: A }, 1, { timeoutMs: 1e6 }).catch(nobody)],
    ["a monitor of this node", ({ a }) => void a.monitor({ name: "echo", node: B }, nobody)],
    ["a monitor of the peer", ({ b }) => void b.monitor({ name: "echo", node: A }, nobody)],
    [
      "a link",
      ({ a, b }) => {
        const target = b.spawn(nobody, pinned);
        a.link(a.spawn(nobody), target);
      },
    ],
    [
      "a function that the peer had started",
      async ({ a, b, world }) => {
        a.registerFunction("work", () => new Promise<Term>(() => {}), { allow: "pinned" });
        const spawned = b.spawnRemote(A, "work", []);
        await world.pass(5);
        await spawned;
      },
    ],
    [
      "a function that runs on the peer",
      async ({ a, b, world }) => {
        b.registerFunction("work", () => new Promise<Term>(() => {}), { allow: "pinned" });
        const spawned = a.spawnRemote(B, "work", []);
        await world.pass(5);
        await spawned;
      },
    ],
  ];
  it.each(RIDES)("is none with %s on it, whichever end asks", async (_, begin) => {
    for (const [asks, answers] of [
      [{ afterMs: AFTER_MS }, { afterMs: 1e6 }],
      [{ afterMs: 1e6 }, { afterMs: AFTER_MS }],
    ] as const) {
      const nodes = await pair(asks, answers);
      await begin(nodes);
      await nodes.world.pass(5 * AFTER_MS);
      expect(nodes.told).toEqual([["up"], ["up"]]);
    }
  });

  it("is one again when what rode on it is over", async () => {
    const { world, a, told } = await pair();
    const ref = a.monitor({ name: "echo", node: B }, nobody);
    await world.pass(3 * AFTER_MS);
    expect(told[0]).toEqual(["up"]);
    a.demonitor(ref);
    await world.pass(3 * AFTER_MS);
    expect(told[0]).toEqual(["up", "IDLE"]);
  });

  it("that was used for rpc ends too: nothing of a Sallyport node writes to the one that called", async () => {
    const { world, a, b, told } = await pair();
    b.registerFunction({ module: "m", function: "f", arity: 0 }, () => new Atom("done"), { allow: "pinned" });
    const answer = a.rpc(B, "m", "f", []);
    await world.pass(5);
    expect(await answer).toEqual(new Atom("done"));
    await world.pass(3 * AFTER_MS);
    expect(told[0]).toEqual(["up", "IDLE"]);
  });

  it("does not keep what is sent in the middle of the question from a peer that never answers", async () => {
    const { world, a, told, logs } = await pair();
    // The question is lost, with all that goes over this connection.
    await world.pass(AFTER_MS);
    world.loseAll();
    await world.pass(AFTER_MS);
    a.cast({ name: "log", node: B }, 7);
    await world.pass(4_800);
    expect([told[0], logs[1]]).toEqual([["up"], []]);
    await world.pass(300);
    expect([told[0]?.slice(0, 3), logs[1]]).toEqual([["up", "IDLE_UNANSWERED", "up"], [7]]);
  });
});

describe("a peer that asks and answers as it likes", () => {
  const frame = (link: LinkFrame): Buffer => {
    const body = encodeLinkFrame(link);
    return Buffer.concat([Buffer.from([0, 0, 0, body.length]), body]);
  };
  /** A node that rests, and what its peer can make it take. */
  async function besieged() {
    const nodes = await pair({ afterMs: 1e6 }, { afterMs: 1e6 });
    const attack = async (link: LinkFrame, times = 1) => {
      for (let i = 0; i < times; i++) nodes.world.inject(0, frame(link));
      await nodes.world.pass(5);
    };
    return { ...nodes, attack };
  }

  it("is told KEEP while its count is wrong, however often it asks", async () => {
    const { attack, a, told, world } = await besieged();
    a.cast({ name: "log", node: B }, 1);
    await world.pass(5);
    for (const received of [0n, 2n, 2n ** 64n - 1n]) await attack({ kind: "idle", received }, 1_000);
    expect(told).toEqual([["up"], ["up"]]);
    await attack({ kind: "idle", received: 1n });
    expect(told[0]).toEqual(["up", "IDLE"]);
  });

  it("cannot end what this node rides on, nor make it dial", async () => {
    const { attack, a, told } = await besieged();
    let downs = 0;
    a.monitor({ name: "echo", node: B }, () => void downs++);
    await attack({ kind: "idle", received: 1n }, 1_000);
    await attack({ kind: "keep" }, 1_000);
    expect([told[0], downs]).toEqual([["up"], 0]);
  });

  it("has left when it says idle without having been asked", async () => {
    const { attack, told } = await besieged();
    await attack({ kind: "bye", reason: "idle" });
    expect(told[0]).toEqual(["up", "PEER_LEFT"]);
  });
});
