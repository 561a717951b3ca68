import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { Atom, type Term, tuple } from "../term/types.ts";
import { type MemoryNodeOptions, MemoryNodes } from "../testkit/memory-nodes.ts";
import { ScriptedNode } from "../testkit/scripted-peer.ts";
import { PEERS_PROCESS } from "./exchange-words.ts";
import { readGenCall } from "./gen.ts";
import type { SallyportNode } from "./node.ts";

function make() {
  const net = new MemoryNodes(7);
  const start = (name: string, options: MemoryNodeOptions = {}) => net.start(name, options);
  return { net, start };
}

const peersOf = (node: SallyportNode) =>
  node
    .peers()
    .map((peer) => peer.name)
    .sort();
const seedOf = (node: SallyportNode) => node.vitals().seeds[0]!;
const outcome = (promise: Promise<unknown>) => promise.then(String, (error) => String(error.reason));

describe("seeds of a node", () => {
  it("are joined when they come later, and again when they were lost, with one nodedown and one nodeup each", async () => {
    const { net, start } = make();
    const a = start("a@ha", { seeds: ["a@ha", "b@hb"] });
    const told: string[] = [];
    a.on("nodeup", ({ name }) => told.push(`up ${name}`));
    a.on("nodedown", ({ name }) => told.push(`down ${name}`));
    await net.pass(10_000);
    expect(a.vitals()).toMatchObject({ state: "yellow", problems: ["SEED_NOT_JOINED"] });
    expect(seedOf(a)).toMatchObject({ name: "b@hb", from: "seeds", lastReason: "PORT_CLOSED" });
    let b = start("b@hb");
    await net.pass(60_000);
    expect(a.vitals()).toMatchObject({ state: "green", seeds: [{ state: "joined", attempts: 0, nextDialInMs: null }] });
    for (let i = 0; i < 3; i++) {
      await net.kill(b);
      await net.pass(20_000);
      b = start("b@hb");
      await net.pass(60_000);
      expect(peersOf(a)).toEqual(["b@hb"]);
    }
    expect(told).toEqual(["up b@hb", "down b@hb", "up b@hb", "down b@hb", "up b@hb", "down b@hb", "up b@hb"]);
  });

  it("count as joined when the seed dials, and nothing more is dialled then", async () => {
    const { net, start } = make();
    const a = start("a@ha", { seeds: ["b@hb"] });
    const b = start("b@hb", { listens: false });
    await net.pass(1_000);
    await Promise.all([b.connect(a.name), net.settle()]);
    expect(seedOf(a).state).toBe("joined");
    const dials = net.dials.length;
    await net.pass(100_000, 1_000);
    expect(net.dials).toHaveLength(dials);
  });

  it("are tried now and then when they refuse, with one warning, and named by health", async () => {
    const { net, start } = make();
    start("b@hb", { cookie: "another" });
    const a = start("a@ha", { seeds: ["b@hb"] });
    const refused: string[] = [];
    a.on("refused", ({ error }) => refused.push(error.reason));
    await net.pass(600_000, 5_000);
    expect(net.warnings).toEqual(["a@ha SEED_REFUSED"]);
    expect(refused).toEqual([]);
    // Somebody else waits for that dial: then its failure is told.
    const asking = outcome(a.connect("b@hb"));
    await net.settle();
    expect([await asking, refused]).toEqual(["SECRET_MISMATCH", ["SECRET_MISMATCH"]]);
    expect(a.vitals()).toMatchObject({ problems: ["SEED_NOT_JOINED"], seeds: [{ lastReason: "SECRET_MISMATCH" }] });
    // On average every half minute.
    expect(net.dials.length).toBeGreaterThan(8);
    expect(net.dials.length).toBeLessThan(45);
  });

  it("are left alone after disconnect, until connect", async () => {
    const { net, start } = make();
    const b = start("b@hb");
    const a = start("a@ha", { seeds: ["b@hb"] });
    await net.settle();
    expect(a.disconnect("b@hb")).toBe(true);
    await net.pass(200_000, 5_000);
    expect([seedOf(a).state, peersOf(a), a.vitals().problems]).toEqual(["stopped", [], []]);
    const connected = a.connect("b@hb");
    await net.settle();
    expect((await connected).name).toBe("b@hb");
    a.disconnect("b@hb");
    await net.settle();
    await net.kill(b);
    expect(seedOf(a).state).toBe("stopped");
    // The wish counts although it cannot be had now.
    const failing = outcome(a.connect("b@hb"));
    await net.settle();
    expect([await failing, seedOf(a).state]).toEqual(["PORT_CLOSED", "waiting"]);
  });

  it("that resolve to an address which may not be dialled leave nothing behind", async () => {
    const { net, start } = make();
    const dial = () => {
      throw new SallyportError("ERR_CONFIG", "SCHEME_NOT_ALLOWED", "x");
    };
    const a = start("a@ha", { seeds: ["b@hb"], dialers: { tls: { dial } } });
    await net.settle();
    // The node's own timers, and that of the next dial.
    const timers = net.clock.pendingTimers;
    await net.pass(200_000, 5_000);
    expect([seedOf(a).lastReason, net.clock.pendingTimers]).toEqual(["SCHEME_NOT_ALLOWED", timers]);
  });

  it("are dialled no more when the node closes", async () => {
    const { net, start } = make();
    const a = start("a@ha", { seeds: ["b@hb"] });
    await net.pass(5_000);
    await net.kill(a);
    const dials = net.dials.length;
    start("b@hb");
    await net.pass(200_000, 5_000);
    expect([net.dials.length, a.vitals().seeds]).toEqual([dials, [expect.objectContaining({ state: "stopped" })]]);
  });
});

describe("messages and upkeep", () => {
  it("never send anything twice: what a lost session took with it fails once, though the seed comes back", async () => {
    const { net, start } = make();
    const got: string[] = [];
    const service = (node: SallyportNode) =>
      node.register(
        "s",
        {
          call: () => {
            got.push("call");
            return new Promise<Term>(() => {});
          },
          cast: () => void got.push("cast"),
        },
        { allow: "cookie" },
      );
    let b = start("b@hb");
    service(b);
    const a = start("a@ha", { seeds: ["b@hb"] });
    await net.settle();
    a.cast({ name: "s", node: "b@hb" }, 1);
    const calling = outcome(a.call({ name: "s", node: "b@hb" }, 1, { timeoutMs: 600_000 }));
    await net.settle();
    expect(got).toEqual(["cast", "call"]);
    await net.kill(b);
    expect(await calling).toBe("TARGET_DOWN");
    // These wait for a dial that fails, and are gone with it.
    const waiting = outcome(a.call({ name: "s", node: "b@hb" }, 2, { timeoutMs: 600_000 }));
    a.cast({ name: "s", node: "b@hb" }, 2);
    await net.settle();
    expect(await waiting).toBe("PORT_CLOSED");
    b = start("b@hb");
    service(b);
    await net.pass(60_000);
    expect([seedOf(a).state, got]).toEqual(["joined", ["cast", "call"]]);
  });
});

const ask = tuple(new Atom("exchange"), [Buffer.from("tls://hb:1")]);
const EVIL: Term = [tuple(Buffer.from("evil@he"), [Buffer.from("tls://he:666")])];

describe("peer exchange", () => {
  it("finds a node at the port that it told a third one", async () => {
    const { net, start } = make();
    const exchange = { with: ["c@hc"] };
    start("c@hc", { exchange: { allow: "cookie" } });
    const a = start("a@ha", { seeds: ["c@hc"], exchange, port: 77 });
    await net.settle();
    start("b@hb", { seeds: ["c@hc"], exchange, port: 88 });
    await net.pass(80_000, 1_000);
    const connected = a.connect("b@hb");
    await net.settle();
    expect((await connected).name).toBe("b@hb");
    expect(net.dials.filter((dial) => dial.startsWith("a@ha hb"))).toEqual(["a@ha hb:88"]);
    // Known, and not connected to without being asked.
    expect(a.vitals().seeds.map(({ name }) => name)).toEqual(["c@hc"]);
  });

  it("makes a full mesh of five nodes that join in a chain, and heals a lost link", async () => {
    const { net, start } = make();
    const names = [0, 1, 2, 3, 4].map((n) => `n${n}@h${n}`);
    // Each knows the one before it, and asks that one alone.
    const nodes = names.map((name, n) => {
      const before = n === 0 ? [] : [names[n - 1]!];
      const exchange = { with: before, connect: n > 0, allow: "cookie" } as const;
      return start(name, { port: 100 + n, exchange, seeds: before.map((seed) => `${seed}:${99 + n}`) });
    });
    await net.pass(400_000, 1_000);
    for (const node of nodes) expect(peersOf(node)).toEqual(names.filter((name) => name !== node.name));
    await net.cut(nodes[4]!.name, nodes[1]!.name);
    expect([peersOf(nodes[4]!), peersOf(nodes[1]!)].map((peers) => peers.length)).toEqual([3, 3]);
    await net.pass(90_000, 1_000);
    for (const node of nodes) expect(peersOf(node)).toEqual(names.filter((name) => name !== node.name));
  });

  it("learns nothing from what is told without a question (UT-A08)", async () => {
    const { net, start } = make();
    const d = start("d@hd", { exchange: { with: ["friend@hf"], connect: true } });
    const b = start("b@hb", { listens: false });
    await Promise.all([b.connect("d@hd"), net.settle()]);
    const before = [...net.dials];
    for (const message of [EVIL, tuple(new Atom("peers"), EVIL), tuple(b.makeRef(), EVIL), ask]) {
      b.send({ name: PEERS_PROCESS, node: "d@hd" }, message);
      b.cast({ name: PEERS_PROCESS, node: "d@hd" }, message);
      b.send({ name: "net_kernel", node: "d@hd" }, message);
    }
    const asking = outcome(b.call({ name: PEERS_PROCESS, node: "d@hd" }, ask));
    await net.settle();
    expect(await asking).toBe("POLICY_DENIED");
    await net.pass(400_000, 5_000);
    expect([net.dials, d.vitals().seeds]).toEqual([before, []]);
  });

  it("learns nothing of a peer that is not on the list, though that one may ask and answers when nobody asks (UT-A08)", async () => {
    const { net, start } = make();
    const d = start("d@hd", { exchange: { with: ["friend@hf"], connect: true, allow: ["b@hb", "friend@hf"] } });
    const b = start("b@hb");
    b.register("x", {});
    await Promise.all([b.connect("d@hd"), net.settle()]);
    const asking = b.call({ name: PEERS_PROCESS, node: "d@hd" }, ask);
    await net.settle();
    expect(await asking).toEqual([]);
    await net.pass(400_000, 5_000);
    expect([net.dials, d.vitals().seeds, d.vitals().counters["exchange_failed"]]).toEqual([
      ["b@hb hd:1"],
      [],
      undefined,
    ]);
  });

  /** A node whose only friend answers what the test says. */
  async function asked(answer: () => Term) {
    const world = new ScriptedNode({ exchange: { with: ["p@h"], connect: true } });
    const p = await world.connect();
    const pass = async (ms: number) => {
      for (let left = ms; left > 0; left -= 1_000) {
        world.clock.advance(1_000);
        for (const { kind, payload } of await p.answers()) {
          const call = kind === "reg-send" ? readGenCall(payload) : undefined;
          if (call?.replyTo.alias === undefined) continue;
          p.write({ kind: "alias-send", from: p.from, alias: call.replyTo.alias }, tuple(call.replyTo.tag, answer()));
        }
        await world.settle();
      }
    };
    const learned = () => world.node.vitals().seeds.map(({ name, from }) => `${name} ${from}`);
    return { world, p, pass, learned };
  }

  it("takes of a hostile answer hints and nothing else: neither itself nor what it may not dial", async () => {
    const { world, pass, learned } = await asked(() => [
      tuple(Buffer.from("n@H"), [Buffer.from("tls://he:1")]),
      tuple(Buffer.from("plain@hp"), [Buffer.from("tcp://hp:1")]),
      tuple(Buffer.from("garbage"), [Buffer.from("tls://he:2")]),
      tuple(Buffer.from("p@h"), [Buffer.from("tls://he:3")]),
      tuple(Buffer.from("x@hx"), [Buffer.from("tls://he:4")]),
      new Atom("x"),
    ]);
    await pass(20_000);
    expect(learned()).toEqual(["p@h peer exchange", "x@hx peer exchange"]);
    expect([...new Set(world.dials)]).toEqual(["he:4"]);
    // What a peer made up is no problem of this node.
    expect(world.node.vitals()).toMatchObject({ problems: [], seeds: [{ state: "joined" }, { state: "waiting" }] });
  });

  it("drops a whole answer that is too large, and forgets what nobody tells any more", async () => {
    let answer: Term = EVIL;
    const { world, pass, learned } = await asked(() => answer);
    await pass(2_000);
    expect(learned()).toEqual(["evil@he peer exchange"]);
    answer = Array.from({ length: 20_000 }, (_, n) => tuple(Buffer.from(`x${n}@he`), [Buffer.from("tls://he:1")]));
    await pass(400_000);
    expect(learned()).toEqual([]);
    expect(world.node.vitals().counters["exchange_answers_refused"]).toBeGreaterThan(3);
  });

  it("is asked over the session that stands, and dials nobody for it", async () => {
    const { world, p, pass } = await asked(() => []);
    await pass(2_000);
    p.connection.end();
    await world.settle();
    await pass(400_000);
    expect(world.dials).toEqual([]);
  });

  it("answers nobody without a rule, and is a name that users may not have", async () => {
    const { net, start } = make();
    const c = start("c@hc", { exchange: {} });
    const plain = start("p@hp");
    const a = start("a@ha");
    const asking = ["c@hc", "p@hp"].map((node) => outcome(a.call({ name: PEERS_PROCESS, node }, ask)));
    await net.settle();
    expect(await Promise.all(asking)).toEqual(["POLICY_DENIED", "POLICY_DENIED"]);
    expect(() => plain.register(PEERS_PROCESS, {})).toThrow(/reserved/);
    expect(c.unregister(PEERS_PROCESS)).toBe(false);
  });

  it("asks a peer that refuses less often", async () => {
    const { net, start } = make();
    const c = start("c@hc", { exchange: {} });
    const denied: string[] = [];
    c.on("denied", ({ target }) => denied.push(target));
    start("a@ha", { seeds: ["c@hc"], exchange: { with: ["c@hc"] } });
    await net.pass(440_000, 5_000);
    expect(denied.length).toBeLessThanOrEqual(2);
  });
});
