import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { exit, type Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import type { Resolver } from "../../src/node/ports.ts";
import { staticResolver } from "../../src/resolvers.ts";
import { printTerm } from "../../src/term/text-print.ts";
import { Atom, Pid, type Term, Tuple } from "../../src/term/types.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// Two nodes and the conformance peer of barrel_p2p, as one cluster over QUIC.

const C = "c@127.0.0.1";
const PLAIN = "plain@127.0.0.1";
const COOKIE = "cookie-of-the-barrel-tests";
const BIG = 20 * 1024 * 1024;
const rig = new NativeRig();
const room = makeRoom(COOKIE);
const peers: PeerProcess[] = [];
const peer = (name: string, args: readonly string[] = []): PeerProcess => {
  const made = new PeerProcess(room, name, ["--listen", "127.0.0.1:0", "--auth-timeout", "60000", ...args]);
  peers.push(made);
  return made;
};
const portOf = async (of: PeerProcess): Promise<string> =>
  `127.0.0.1:${(await of.wait({ event: "listening" }))["port"]}`;

afterAll(async () => {
  await Promise.all(peers.map((each) => each.stop()));
  room.remove();
});

/** Where nodes are that were made later than the one that looks. */
const addresses = new Map<string, string>();
const late: Resolver = {
  label: "the test",
  async resolve(name) {
    const [host = "", port = ""] = addresses.get(name)?.split(":") ?? [];
    return host === "" ? [] : [{ scheme: "quic", host, port: Number(port) }];
  },
};
const got = new Map<string, unknown[]>();
async function makeNode(
  name: string,
  resolve: Readonly<Record<string, string>>,
  extra: Partial<NodeOptions> = {},
): Promise<Node> {
  const node = await rig.node(name, "tofu", {
    cookie: COOKIE,
    quic: {},
    listen: ["quic://127.0.0.1:0"],
    tickTimeMs: 600_000,
    resolve,
    limits: { maxTlsHandshakeMs: 60_000, maxHandshakeMs: 60_000 },
    ...extra,
  });
  got.set(name, []);
  const take = (message: unknown): void => {
    got.get(name)?.push(message);
  };
  node.register("echo", { call: (request) => request, cast: take, info: take }, { allow: "cookie" });
  node.register("short", { call: (request) => request }, { allow: "cookie" });
  return node;
}
const hear = (name: string, isIt: (message: unknown) => boolean): Promise<void> =>
  expect.poll(() => got.get(name)?.some(isIt), { timeout: 45_000 }).toBe(true);
const apart = async (node: Node, other: string): Promise<void> => {
  node.disconnect(other);
  await expect.poll(() => node.peers().some(({ name }) => name === other), { timeout: 45_000 }).toBe(false);
};
const hostOf = (node: Node): string => new URL(node.endpoints[0] ?? "").host;
const add = (a: number, b: number): Tuple => new Tuple([new Atom("add"), a, b]);

describe("two nodes and a barrel peer", () => {
  it("form a cluster, every pair dialled from either side", async () => {
    const c = peer(C, ["--tick-ms", "500", "--trace"]);
    const plain = peer(PLAIN, ["--fragments", "off"]);
    const known: Record<string, string> = {
      [C]: `quic://${await portOf(c)}`,
      [PLAIN]: `quic://${await portOf(plain)}`,
    };
    const b = await makeNode(B, known, { resolve: [staticResolver(known), late] });
    const a = await makeNode(A, { ...known, [B]: b.endpoints[0] ?? "" });
    addresses.set(A, hostOf(a));
    // Each of the two nodes dials the other; who dialled shows in what each knows the other by.
    const levels = (node: Node): unknown => node.peers().map(({ name, assurance }) => [name, assurance]);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      expect(await from.connect(to.name)).toMatchObject({ assurance: "tofu", protocol: "barrel" });
      expect([await a.call({ name: "echo", node: B }, 1), await b.call({ name: "echo", node: A }, 2)]).toEqual([1, 2]);
      expect([levels(from), levels(to)]).toEqual([[[to.name, "tofu"]], [[from.name, "cookie"]]]);
      await apart(from, to.name);
      await expect.poll(() => to.peers(), { timeout: 45_000 }).toEqual([]);
    }
    await a.connect(B);
    for (const [node, name] of [
      [a, A],
      [b, B],
    ] as const) {
      // We dial the barrel peer.
      expect(await node.connect(C, { timeoutMs: 45_000 })).toMatchObject({ assurance: "tofu", protocol: "barrel" });
      expect(await node.call({ name: "calc", node: C }, add(2, 3))).toBe(5);
      expect(await c.command("call", { node: name, name: "echo", term: 6 })).toMatchObject({ value: 6 });
      expect((await node.ping(C)).peer.name).toBe(C);
      await apart(node, C);
      // It dials us.
      const mark = c.mark;
      await c.dial(name, hostOf(node));
      await c.wait({ event: "up", name, role: "dialer" }, mark);
      await expect
        .poll(() => node.peers().find((each) => each.name === C)?.assurance, { timeout: 45_000 })
        .toBe("cookie");
      expect(await node.call({ name: "calc", node: C }, add(3, 4))).toBe(7);
      expect(await c.command("call", { node: name, name: "echo", term: 8 })).toMatchObject({ value: 8 });
    }
    expect(
      a
        .peers()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([B, C].sort());

    // Messages to registered names, casts, both ways.
    await c.command("send", { node: A, to: "echo", term: "from the barrel peer" });
    await hear(A, (message) => String(message) === "from the barrel peer");
    expect(a.send({ name: "echo", node: C }, "to the barrel peer")).toBe(true);
    await c.wait({ event: "received", node: A, to: { atom: "echo" }, message: "to the barrel peer" });
    expect(a.cast({ name: "echo", node: C }, 77)).toBe(true);
    await c.wait({ event: "received", node: A, message: { tuple: [{ atom: "$gen_cast" }, 77] } });

    // Monitors, both ways; a name that is not there.
    const down = new Promise((resolve) => a.monitor({ name: "echo", node: C }, ({ reason }) => resolve(reason)));
    // The monitor is there once what was asked after it is answered.
    await a.ping(C);
    await c.command("kill", { name: "echo", reason: "tired" });
    expect(await down).toEqual(new Atom("tired"));
    const watched = c.command("monitor", { node: B, name: "short" });
    expect(await c.command("ping", { node: B })).toEqual({ answer: "pong" });
    b.unregister("short");
    expect(await watched).toMatchObject({ reason: { atom: "normal" } });
    // Of a name that it may not watch it does not learn whether it is there.
    expect(await c.command("monitor", { node: B, name: "nobody" })).toMatchObject({
      reason: { tuple: [{ atom: "sallyport_denied" }, expect.any(String)] },
    });

    // Links: to nobody there, and to a process of the other node.
    const exits: unknown[] = [];
    const near = a.spawn((message) => void exits.push(message), { trapExit: true });
    const creation = a.peers().find(({ name }) => name === C)?.incarnation ?? 0;
    a.link(near, new Pid(C, 999_999, 0, creation));
    const shown = (): string => exits.map((each) => printTerm(each as Term).replace(/#Pid<[^>]*>/, "PID")).join(" ");
    await expect.poll(shown, { timeout: 20_000 }).toBe("{'EXIT',PID,noproc}");
    const may = { atLeast: "cookie", verbs: ["send", "link"] } as const;
    const far = b.spawn(() => exit(new Atom("done")), { allow: may, exposeReasons: true });
    a.link(near, far.pid);
    a.send(far.pid, "end");
    await expect.poll(shown, { timeout: 20_000 }).toBe("{'EXIT',PID,noproc} {'EXIT',PID,done}");

    // 20 MB each way, in the form with fragments and in the form without.
    await a.connect(PLAIN, { timeoutMs: 45_000 });
    for (const [other, name] of [
      [c, C],
      [plain, PLAIN],
    ] as const) {
      const mark = other.mark;
      a.send({ name: "sink", node: name }, Buffer.alloc(BIG, 0xff));
      await other.wait({ event: "received", node: A, to: { atom: "sink" }, message: { bytes: BIG } }, mark);
      await other.command("burst", { node: A, to: "echo", bytes: BIG, count: 1 });
      await hear(A, (message) => message instanceof Uint8Array && message.length === BIG);
      got.set(A, []);
    }

    // Pins in their forms: 32 raw bytes, at the one who dialled here, and at both there.
    const keyOf = (dir: string): string => readFileSync(join(dir, "node.pub")).toString("hex");
    const pinOf = (dir: string, of: string): string => readFileSync(join(dir, `${of}.pub`)).toString("hex");
    expect(pinOf(join(rig.keyDir(A), "first-use"), C)).toBe(keyOf(c.keyDir));
    expect(pinOf(join(rig.keyDir(A), "first-use"), B)).toBe(keyOf(rig.keyDir(B)));
    expect(pinOf(join(c.keyDir, "trusted"), A)).toBe(keyOf(rig.keyDir(A)));
    // It went on through many of its tick periods.
    await expect.poll(() => c.since(0, { event: "period" }).length, { timeout: 45_000 }).toBeGreaterThan(4);
    expect(c.since(0, { event: "bad_frame" })).toEqual([]);
  });

  it("keep sessions alive whose peer only answers packets, and notice a peer that is gone without a word", async () => {
    const tickTimeMs = 4_000;
    // A QUIC PING in less than our tick: it has always just sent something when a tick comes. By itself it gives up after four of them.
    const three = ["idle", "sent", "streamed"].map((what) =>
      peer(`${what}@127.0.0.1`, ["--tick-ms", "1500", "--acceptor-delay", "0"]),
    );
    const [idle, sent, streamed] = three as [PeerProcess, PeerProcess, PeerProcess];
    const resolve: Record<string, string> = {};
    for (const each of three) resolve[each.name] = `quic://${await portOf(each)}`;
    const a = await makeNode(A, resolve, { tickTimeMs, quic: { visible: true } });
    const downs: string[] = [];
    a.on("nodedown", ({ name }, why) => downs.push(`${name} ${why}`));
    for (const each of three) await a.connect(each.name, { timeoutMs: 45_000 });
    const stream = await a.openStream(streamed.name, "sink");
    const work = setInterval(() => {
      a.send({ name: "sink", node: sent.name }, "one way");
      void stream.write(Buffer.alloc(1000));
    }, 300);
    rig.atEnd(() => clearInterval(work));
    await new Promise((done) => setTimeout(done, 4 * tickTimeMs));
    expect(downs).toEqual([]);
    clearInterval(work);
    idle.freeze();
    await expect.poll(() => downs, { timeout: 4 * tickTimeMs }).toEqual([`${idle.name} PEER_SILENT`]);
  });

  it("answer ticks with ticks where nothing else is sent", async () => {
    const c = peer("ticks@127.0.0.1", ["--tick-ms", "600000"]);
    const a = await makeNode(A, { [c.name]: `quic://${await portOf(c)}` }, { tickTimeMs: 4_000 });
    await a.connect(c.name, { timeoutMs: 45_000 });
    await c.wait({ event: "tick" }, c.mark);
  });
});

describe("the key directory of barrel_p2p", () => {
  it("starts a node, with its pins", async () => {
    const made = peer("made@127.0.0.1", []);
    const other = peer("other@127.0.0.1");
    const { key } = await other.command("identity");
    await made.command("pin", { name: other.name, key });
    const own = (await made.command("identity"))["key"];
    await made.stop();
    cpSync(made.keyDir, rig.keyDir(A), { recursive: true });
    const a = await rig.node(made.name, "strict", {
      identity: { dir: rig.keyDir(A) },
      cookie: COOKIE,
      quic: {},
      listen: ["quic://127.0.0.1:0"],
      resolve: { [other.name]: `quic://${await portOf(other)}` },
    });
    expect(a.identity?.publicKey.toString("hex")).toBe(own);
    expect(await a.connect(other.name, { timeoutMs: 45_000 })).toMatchObject({ assurance: "pinned" });
  });

  it("is what a node makes: a barrel peer starts with it, with its pins", async () => {
    await rig.acquainted(A, B);
    const b = await rig.node(B, "strict", { cookie: COOKIE, quic: {}, listen: ["quic://127.0.0.1:0"] });
    b.register("echo", { call: (request) => request }, { allow: "cookie" });
    const dir = join(room.dir, "from-a-node");
    mkdirSync(join(dir, "trusted"), { recursive: true });
    for (const file of ["node.key", "node.pub", `trusted/${B}.pub`]) {
      writeFileSync(join(dir, file), readFileSync(join(rig.keyDir(A), file)));
    }
    const a = peer(A, ["--key-dir", dir, "--trust", "strict"]);
    const connection = await a.dial(B, hostOf(b));
    await a.wait({ event: "up", connection });
    expect(await a.command("call", { connection, name: "echo", term: 1 })).toMatchObject({ value: 1 });
    expect(b.peers()[0]?.publicKey?.toString("hex")).toBe((await a.command("identity"))["key"]);
  });
});
