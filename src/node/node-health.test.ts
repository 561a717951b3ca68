import { beforeAll, describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CertificateExpiry } from "../health/expiry-watch.ts";
import { DAY_MS, ExpiryWatch } from "../health/expiry-watch.ts";
import { RealRandom } from "../system/real-random.ts";
import { Atom, tuple } from "../term/types.ts";
import { MemoryNodes } from "../testkit/memory-nodes.ts";
import { ScriptedNode, type ScriptedPeer } from "../testkit/scripted-peer.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { createAuthority, issueNodeCertificate } from "../x509/issue.ts";
import type { Health } from "./api.ts";
import { readGenCall } from "./gen.ts";
import { LOST_PEER_MS, LostPeers, MAX_LOST_PEERS } from "./lost-peers.ts";
import { NodeHealth, type NodeHealthParts } from "./node-health.ts";

/** Answers every question of the node, as a peer that lives. */
async function answer(peer: ScriptedPeer): Promise<number> {
  let count = 0;
  for (const { kind, payload } of await peer.answers()) {
    const call = kind === "reg-send" ? readGenCall(payload) : undefined;
    if (call?.replyTo.alias === undefined) continue;
    count++;
    peer.write(
      { kind: "alias-send", from: peer.from, alias: call.replyTo.alias },
      tuple(call.replyTo.tag, new Atom("yes")),
    );
  }
  return count;
}

/** Health once all that can happen without time has happened, or after so much time. */
async function healthOf(net: MemoryNodes, node: { health(): Promise<Health> }, ms = 0): Promise<Health> {
  const health = node.health();
  await (ms === 0 ? net.settle() : net.pass(ms));
  return health;
}

/** What health is made of, around sessions that are none. */
function fakeParts(all: readonly object[]) {
  const clock = new VirtualClock();
  const counters = { snapshot: () => ({}) };
  return {
    core: { clock, name: "a@h", processes: { size: 0 }, calls: { size: 0 }, counters },
    host: {
      sessions: { all: () => all },
      health: {
        expiry: new ExpiryWatch({ clock, tell: () => undefined }),
        lost: new LostPeers(clock),
        lastRefusal: null,
      },
    },
    policy: { policy: undefined, isRejecting: false },
    joining: { health: () => [], problems: () => [] },
    attachments: [],
    isOpen: () => true,
    parts: {},
  };
}

const lists = ({ connectedNodes, reachableNodes, unreachableNodes }: Health) => [
  connectedNodes,
  reachableNodes,
  unreachableNodes,
];

describe("peers in health", () => {
  it("of three nodes: well, degraded without one, isolated without both", async () => {
    const net = new MemoryNodes(3);
    const a = net.start("a@ha", { seeds: ["b@hb", "c@hc"] });
    const [b, c] = [net.start("b@hb"), net.start("c@hc")];
    await net.pass(5_000);
    expect(await healthOf(net, a)).toMatchObject({
      status: "healthy",
      alive: 2,
      dead: 0,
      hasQuorum: true,
      problems: [],
    });
    await net.kill(b);
    await net.pass(1_000);
    const one = await healthOf(net, a);
    expect(one).toMatchObject({ status: "degraded", alive: 1, suspect: 0, dead: 1, hasQuorum: true });
    expect(lists(one)).toEqual([["c@hc"], ["c@hc"], []]);
    await net.kill(c);
    await net.pass(1_000);
    const none = await healthOf(net, a);
    expect(none).toMatchObject({ status: "isolated", alive: 0, dead: 2, hasQuorum: false, connectedCount: 0 });
    expect(none.peers.map(({ name, state }) => `${name} ${state}`)).toEqual(["b@hb dead", "c@hc dead"]);
  });

  it("divide the connected ones in their order, and say why those do not answer", async () => {
    const world = new ScriptedNode();
    const peers: ScriptedPeer[] = [];
    for (const name of ["silent@h", "lives@h", "goes@h"]) peers.push(await world.connect({ name, dialled: true }));
    const [, lives, goes] = peers;
    const health = world.node.health();
    await world.settle();
    expect(await answer(lives!)).toBe(1);
    goes!.connection.destroy(new SallyportError("ERR_CLOSED", "CUT", "cut by the test"));
    for (let i = 0; i < 80; i++) {
      world.clock.advance(100);
      await world.settle();
    }
    const told = await health;
    expect(lists(told)).toEqual([["silent@h", "lives@h", "goes@h"], ["lives@h"], ["silent@h", "goes@h"]]);
    expect(told.peers.map(({ reason }) => reason)).toEqual(["DEADLINE", null, "CONNECTION_LOST"]);
    expect(told).toMatchObject({ state: "yellow", problems: ["PEER_UNREACHABLE"], status: "degraded", suspect: 2 });
    // The one that was dialled and is gone is missed from now on, for why its session ended.
    const later = world.node.health();
    await world.settle();
    await answer(lives!);
    for (let i = 0; i < 80; i++) {
      world.clock.advance(100);
      await world.settle();
    }
    expect((await later).peers.map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ["silent@h", "suspect", "DEADLINE"],
      ["lives@h", "alive", null],
      ["goes@h", "dead", expect.stringMatching(/^[A-Z_]+$/)],
    ]);
  });

  it("that are broken in different ways have different reasons", async () => {
    const net = new MemoryNodes(5);
    const a = net.start("a@ha", { seeds: ["gone@hg", "other@ho"] });
    net.start("other@ho", { cookie: "another cookie than the others" });
    await net.pass(3_000);
    const { peers, lastRefusal } = await healthOf(net, a);
    expect(peers.map(({ name, reason }) => `${name} ${reason}`)).toEqual([
      "gone@hg PORT_CLOSED",
      "other@ho SECRET_MISMATCH",
    ]);
    expect(lastRefusal).toMatchObject({
      role: "initiator",
      peer: "other@ho",
      code: "ERR_DENIED",
      reason: "SECRET_MISMATCH",
    });
  });

  it("are not dialled for it, and not missed once nobody wants them", async () => {
    const net = new MemoryNodes(9);
    const [a, b] = [net.start("a@ha"), net.start("b@hb")];
    await Promise.all([a.connect("b@hb"), net.settle()]);
    await net.cut(a.name, b.name);
    expect((await healthOf(net, a)).peers).toMatchObject([{ name: "b@hb", state: "dead" }]);
    const dials = net.dials.length;
    await healthOf(net, a, 10_000);
    expect(net.dials).toHaveLength(dials);
    expect((await healthOf(net, b)).peers).toEqual([]);
    a.disconnect("b@hb");
    expect((await healthOf(net, a)).peers).toEqual([]);
  });

  it("are not missed for an old loss when they came back and left", async () => {
    const net = new MemoryNodes(11);
    const [a, b] = [net.start("a@ha"), net.start("b@hb")];
    await Promise.all([a.connect("b@hb"), net.settle()]);
    await net.cut(a.name, b.name);
    await Promise.all([b.connect("a@ha"), net.settle()]);
    b.disconnect("a@ha");
    await net.settle();
    expect(a.peers()).toEqual([]);
    expect((await healthOf(net, a)).peers).toEqual([]);
  });

  it("to which nothing may be sent now are not asked, and count by their session", async () => {
    const asked: string[] = [];
    const session = (name: string, more: object) => ({ peer: { name }, holdsName: true, isAsking: false, ...more });
    const all = [
      session("stranger@h", { holdsName: false }),
      session("idle@h", { isAsking: true }),
      session("p@h", {}),
    ];
    const { core, host, ...parts } = fakeParts(all);
    const outbound = {
      ping: async ({ peer }: { peer: { name: string } }) => asked.push(peer.name),
    };
    const health = await new NodeHealth({ core, host, ...parts, outbound } as unknown as NodeHealthParts).health();
    expect(asked).toEqual(["p@h"]);
    expect(health.peers.map(({ name, state, rttMs }) => [name, state, rttMs])).toEqual([
      ["stranger@h", "alive", null],
      ["idle@h", "alive", null],
      ["p@h", "alive", 0],
    ]);
  });

  it("are told though a part of the node cannot be counted", async () => {
    const net = new MemoryNodes(8);
    const a = net.start("a@ha");
    const counters = (): never => {
      throw new Error("broken");
    };
    a.attach({ counters, close: async () => undefined });
    expect(await healthOf(net, a)).toMatchObject({ state: "yellow", problems: ["CHECK_FAILED"], isReady: true });
  });

  it.each([
    ["all of its listeners", [false, false], "red", false, ["tls://h:1", "quic://h:2"]],
    ["one of its listeners", [true, false], "yellow", false, ["quic://h:2"]],
    ["none of its listeners", [true, true], "green", true, []],
  ] as const)("may find the node away from %s", async (_of, [tls, quic], state, isReady, away) => {
    const net = new MemoryNodes(12);
    const a = net.start("a@ha");
    const close = async (): Promise<void> => undefined;
    a.attach({ endpoint: "tls://h:1", isListening: () => tls, close });
    a.attach({ endpoint: "quic://h:2", isListening: () => quic, close });
    const problems = away.length > 0 ? ["NOT_LISTENING"] : [];
    const listener = isReady
      ? { name: "listener", ok: true }
      : { name: "listener", ok: false, reason: "NOT_LISTENING" };
    const vitals = a.vitals();
    expect(vitals).toMatchObject({ state, problems, isReady, away });
    expect(vitals.checks).toContainEqual(listener);
    await Promise.all([a.close({ timeoutMs: 0 }), net.settle()]);
    expect(a.vitals()).toMatchObject({ away: [], isReady: false });
    expect(a.vitals().problems).toEqual([]);
  });

  it("are none of a closed node, which says so and does not fail", async () => {
    const net = new MemoryNodes(2);
    const [a] = [net.start("a@ha"), net.start("b@hb")];
    await Promise.all([a.connect("b@hb"), net.settle()]);
    a.attach({ endpoint: "quic://ha:1", isListening: () => false, close: () => Promise.resolve() });
    expect(a.vitals().away).toEqual(["quic://ha:1"]);
    await net.kill(a);
    expect(await healthOf(net, a)).toMatchObject({
      away: [],
      isDistributed: false,
      connectedNodes: [],
      connectedCount: 0,
      reachableNodes: [],
      unreachableNodes: [],
      peers: [],
      isReady: false,
      checks: [{ name: "open", ok: false, reason: "NODE_CLOSED" }, { ok: true }, { ok: true }, { ok: true }],
    });
  });
});

describe("lost peers", () => {
  const cut = new SallyportError("ERR_CLOSED", "CUT", "");
  const named = (i: number) => parseNodeName(`n${i}@h`);

  it("are missed for ten minutes, and only so many", () => {
    const clock = new VirtualClock();
    const lost = new LostPeers(clock);
    for (let i = 0; i <= MAX_LOST_PEERS; i++) lost.down(named(i), "initiator", cut);
    expect([lost.list().length, lost.list()[0]]).toEqual([MAX_LOST_PEERS, { name: "n1@h", reason: "CUT" }]);
    clock.advance(LOST_PEER_MS - 1);
    expect(lost.list()).toHaveLength(MAX_LOST_PEERS);
    clock.advance(1);
    expect(lost.list()).toEqual([]);
  });

  it.each<readonly [string, "initiator" | "acceptor", SallyportError | undefined]>([
    ["dialled in", "acceptor", cut],
    ["were ended here", "initiator", undefined],
    ["left", "initiator", new SallyportError("ERR_CLOSED", "PEER_LEFT", "")],
    ["nothing needed", "initiator", new SallyportError("ERR_CLOSED", "IDLE", "")],
  ])("are not those that %s", (_, role, cause) => {
    const lost = new LostPeers(new VirtualClock());
    lost.down(named(1), role, cause);
    expect(lost.list()).toEqual([]);
  });
});

describe("certificates in health", () => {
  const begin = Date.UTC(2026, 0, 1);
  const parts = { clock: new VirtualClock(begin), random: new RealRandom() };
  let files: { certPem: string; caPem: string };
  let renewed: { certPem: string; caPem: string };

  beforeAll(async () => {
    const authority = await createAuthority(parts, { days: 400 });
    const issue = async (days: number) => {
      const { certPem } = await issueNodeCertificate(parts, authority, { name: parseNodeName("a@ha"), days });
      return { certPem, caPem: authority.certPem };
    };
    files = await issue(40);
    renewed = await issue(90);
  });

  it("are counted down to red, each mark told once, and begin anew with the next one", async () => {
    const net = new MemoryNodes(4);
    const a = net.start("a@ha");
    const told: string[] = [];
    a.on("expiry", ({ role, withinDays }: CertificateExpiry) => told.push(`${role} ${withinDays}`));
    a.ownCertificates([files, files]);
    const { checks, state, certificates } = a.vitals();
    expect(state).toBe("green");
    expect(checks.every(({ ok }) => ok)).toBe(true);
    expect(certificates.map(({ role, of, daysLeft }) => [role, of, daysLeft])).toEqual([
      ["own", "a@ha", 40],
      ["ca", "a@ha", 400],
    ]);
    net.clock.advance(10 * DAY_MS);
    net.clock.runTurn();
    expect([told, a.vitals().state]).toEqual([["own 30"], "green"]);
    net.clock.advance(16 * DAY_MS);
    net.clock.runTurn();
    expect([told.at(-1), a.vitals()]).toMatchObject([
      "own 14",
      { state: "yellow", problems: ["CERT_EXPIRING"], isReady: true },
    ]);
    net.clock.advance(14 * DAY_MS);
    net.clock.runTurn();
    expect(told).toEqual(["own 30", "own 14", "own 7", "own 1", "own 0"]);
    expect(a.vitals()).toMatchObject({ state: "red", problems: ["CERT_EXPIRED"], isReady: false });
    expect(a.vitals().checks).toContainEqual({ name: "certificates", ok: false, reason: "CERT_EXPIRED" });
    a.ownCertificates([renewed]);
    expect(a.vitals()).toMatchObject({ state: "green", problems: [], isReady: true });
    net.clock.advance(21 * DAY_MS);
    net.clock.runTurn();
    expect(told.slice(5)).toEqual(["own 30"]);
    await net.kill(a);
    net.clock.advance(100 * DAY_MS);
    net.clock.runTurn();
    expect(told).toHaveLength(6);
  });

  it("are a metric by node and role", () => {
    const net = new MemoryNodes(6);
    const a = net.start("a@ha");
    a.ownCertificates([files]);
    const [own, ca] = a.metrics().filter(({ name }) => name === "cert_seconds_left");
    expect(own).toMatchObject({ kind: "gauge", labels: { node: "a@ha", role: "own" } });
    expect(ca).toMatchObject({ labels: { role: "ca" } });
  });
});
