import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import type { Term } from "../term/types.ts";
import { type NativeNodeOptions, NativeNodes } from "../testkit/native-nodes.ts";
import { encodeLinkFrame } from "../wire/link-frames.ts";
import { Doors } from "./doors.ts";
import type { SallyportNode } from "./node.ts";

const A = "a@h";
const B = "b@h";
/** Life of the first certificates, and what is left of it when a test begins. */
const LIFE_MS = 40_000;
const LEFT_MS = 4_000;

interface World {
  readonly world: NativeNodes;
  readonly nodes: readonly [SallyportNode, SallyportNode];
  /** What each node was sent, in the order in which it came. */
  readonly logs: readonly [Term[], Term[]];
  /** Sessions as `up` and the reason of their end. */
  readonly told: readonly [string[], string[]];
  renew(...names: string[]): void;
}

/** Two nodes of one authority with a session that A has dialled, on certificates that end in four seconds. */
async function pair(seed: number, maxDelayMs: number, ofA: NativeNodeOptions = {}): Promise<World> {
  const world = new NativeNodes(seed, [A, B], maxDelayMs, "authority");
  const notAfterMs = world.clock.wallMs() + LEFT_MS;
  for (const name of [A, B]) {
    world.certificates.set(name, { serial: 1, notBeforeMs: notAfterMs - LIFE_MS, notAfterMs });
  }
  const nodes = [world.node(A, ofA), world.node(B)] as const;
  const logs: [Term[], Term[]] = [[], []];
  const told: [string[], string[]] = [[], []];
  nodes.forEach((node, i) => {
    node.register("echo", { call: (request) => request }, { allow: "ca" });
    node.register("log", { cast: (message) => void logs[i]?.push(message) }, { allow: "ca" });
    node.on("nodeup", () => void told[i]?.push("up"));
    node.on("nodedown", (_, reason) => void told[i]?.push(reason));
  });
  const connected = nodes[0].connect(B);
  await world.pass(10 * (maxDelayMs + 1));
  await connected;
  const renew = (...names: string[]): void => {
    for (const name of names) {
      world.certificates.set(name, { serial: 2, notBeforeMs: notAfterMs - LIFE_MS, notAfterMs: notAfterMs + 1e9 });
    }
  };
  return { world, nodes, logs, told, renew };
}

/** Lets `ms` pass with casts and calls of both sides; tells what was cast, and what became of the calls. */
async function traffic({ world, nodes }: World, ms: number): Promise<{ sent: Term[][]; calls: Promise<Term>[] }> {
  const sent: Term[][] = [[], []];
  const calls: Promise<Term>[] = [];
  const endsAt = world.clock.now() + ms;
  for (let number = 0; world.clock.now() < endsAt; number++) {
    const side = world.dice.below(2);
    const [from, to] = [nodes[side] as SallyportNode, side === 0 ? B : A];
    if (world.dice.below(3) === 0) calls.push(from.call({ name: "echo", node: to }, number, { timeoutMs: 20_000 }));
    else {
      sent[1 - side]?.push(number);
      from.cast({ name: "log", node: to }, number);
    }
    await world.pass(world.dice.below(4));
  }
  return { sent, calls };
}

const rejected = async (calls: readonly Promise<Term>[]): Promise<number> =>
  (await Promise.allSettled(calls)).filter(({ status }) => status === "rejected").length;

const moved = ({ nodes }: World): unknown[] => nodes.map((node) => node.vitals().counters["sessions_moved"]);

describe("a session whose certificates end soon", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "goes over to newer ones under traffic, and loses and reorders nothing (seed %i)",
    async (seed) => {
      const pairOf = await pair(seed, 15);
      const { world, nodes, logs, told, renew } = pairOf;
      let downs = 0;
      for (const [i, to] of [B, A].entries()) nodes[i]?.monitor({ name: "echo", node: to }, () => void downs++);
      const pending = nodes[1].call({ name: "echo", node: A }, "held", { timeoutMs: 60_000 });
      renew(A, B);
      const { sent, calls } = await traffic(pairOf, LEFT_MS + 500);
      await world.pass(200);
      expect(logs).toEqual(sent);
      expect([await rejected([...calls, pending]), downs, told]).toEqual([0, 0, [["up"], ["up"]]]);
      expect(moved(pairOf)).toEqual([1, 1]);
      expect(world.standing).toBe(1);
      for (const [i, other] of [B, A].entries()) {
        expect(nodes[i]?.peers()[0]?.certificate?.toString()).toContain(`${other} 2 `);
      }
    },
  );

  it.each([
    ["the dialler", [A]],
    ["the acceptor", [B]],
    ["neither", []],
  ])("ends with them where %s alone has newer ones", async (_, names) => {
    const pairOf = await pair(1, 0);
    const { world, told, renew } = pairOf;
    renew(...names);
    await world.pass(LEFT_MS - 100);
    expect(told).toEqual([["up"], ["up"]]);
    // It was tried, and again, and each try has ended.
    expect([world.dialled > 2, world.standing, moved(pairOf)]).toEqual([true, 1, [undefined, undefined]]);
    await world.pass(200);
    expect(told.map((each) => each[1]).sort()).toContain("CERT_EXPIRED_IN_USE");
    expect(world.standing).toBe(0);
  });

  it("stays where it is while nothing may be dialled, and goes over when it may again", async () => {
    let isClosed = false;
    const refusal = new SallyportError("ERR_DENIED", "AUDIT_NOT_WRITTEN", "no new connection", {});
    const stop = {
      get isClosed() {
        return isClosed;
      },
      get refusal() {
        return isClosed ? refusal : undefined;
      },
    };
    const pairOf = await pair(1, 0, { doors: new Doors(stop) });
    const { world, told, renew } = pairOf;
    renew(A, B);
    isClosed = true;
    await world.pass(LEFT_MS / 2);
    expect([world.dialled, moved(pairOf), told]).toEqual([1, [undefined, undefined], [["up"], ["up"]]]);
    isClosed = false;
    await world.pass(LEFT_MS);
    expect([moved(pairOf), told]).toEqual([
      [1, 1],
      [["up"], ["up"]],
    ]);
  });

  it("is not touched before the margin", async () => {
    const world = new NativeNodes(1, [A, B], 0, "authority");
    const notAfterMs = world.clock.wallMs() + LEFT_MS;
    for (const name of [A, B]) {
      // Nearly all of its life is to come.
      world.certificates.set(name, { serial: 1, notBeforeMs: notAfterMs - LEFT_MS - 100, notAfterMs });
    }
    const a = world.node(A);
    world.node(B);
    void a.connect(B);
    await world.pass(LEFT_MS / 2);
    expect([a.peers().length, world.dialled]).toEqual([1, 1]);
  });

  it("goes on over the old connection when the new one dies before anything went over to it", async () => {
    const pairOf = await pair(1, 5);
    const { world, nodes, told, renew } = pairOf;
    renew(A, B);
    while (world.dialled < 2) await world.pass(1);
    world.cut(1);
    await world.pass(100);
    const answer = nodes[0].call({ name: "echo", node: B }, 1);
    await world.pass(20);
    expect([await answer, told, moved(pairOf)]).toEqual([1, [["up"], ["up"]], [undefined, undefined]]);
    await world.pass(LEFT_MS);
    expect([told, moved(pairOf)]).toEqual([
      [["up"], ["up"]],
      [1, 1],
    ]);
  });

  it.each(Array.from({ length: 24 }, (_, i) => i))(
    "is whole or over when a connection dies %i ms into it",
    async (ms) => {
      for (const which of [0, 1]) {
        const pairOf = await pair(ms + 1, 3);
        const { world, nodes, told, renew, logs } = pairOf;
        renew(A, B);
        while (world.dialled < 2) await world.pass(1);
        const { sent, calls } = await traffic(pairOf, ms);
        world.cut(which);
        const ended = calls.map((call) => call.catch(() => "lost"));
        await world.pass(300);
        await Promise.all(ended);
        // Nobody holds half a session: both have it, or both have lost it and have it anew.
        const answer = nodes[1].call({ name: "echo", node: A }, 7, { timeoutMs: 20_000 });
        await world.pass(50);
        expect(await answer).toBe(7);
        expect(told[0].length).toBe(told[1].length);
        for (const [i, log] of logs.entries()) {
          // In order and none twice, even where some were lost with the session.
          expect(log).toEqual((sent[i] ?? []).filter((message) => log.includes(message)));
          if (told[0].length === 1) expect(log).toEqual(sent[i]);
        }
        expect(world.standing).toBe(1);
      }
    },
  );

  it("ends when the peer lets both connections stand and never goes over", async () => {
    const pairOf = await pair(1, 5);
    const { world, told, renew } = pairOf;
    renew(A, B);
    while (world.dialled < 2) await world.pass(1);
    // The new connection stands at the dialler, and the old one carries nothing any more.
    while (world.standing === 2 && moved(pairOf)[0] === undefined) {
      world.lose(0);
      await world.pass(1);
      if (world.clock.now() > 100_000) break;
    }
    expect(told[0][1]).toMatch(/^(MOVE_UNFINISHED|HEARTBEAT_TIMEOUT|CERT_EXPIRED_IN_USE)$/);
  });
});

describe("a peer that says MOVED", () => {
  it("without another connection has broken the protocol", async () => {
    const { world, told } = await pair(1, 0);
    const body = encodeLinkFrame({ kind: "moved" });
    world.inject(0, Buffer.concat([Buffer.from([0, 0, 0, body.length]), body]));
    await world.pass(5);
    expect(told[0]).toEqual(["up", "MOVED_UNASKED"]);
  });
});
