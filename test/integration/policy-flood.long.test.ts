import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { atom, type Bytes, bin, genCall, int, list, NIL } from "../attack/etf.ts";
import { op } from "../attack/frames.ts";
import { type Attacker, deniedId } from "../attack/policy-client.ts";
import { everyoneLives } from "../attack/policy-desktop.ts";
import { BOB, DESKTOP, EC2, type Machine, World } from "../attack/policy-rig.ts";

// UT-11 and the flood of CM-17, CM-22: bob sends the desktop what he may not, as fast as he can. Its memory and its log stay bounded,
// it goes on reading, and its own calls to ec2 are answered.

const COUNT = 2_000;
/** Each of ten peers in the flood of all kinds. */
const CROWD_COUNT = 5_000;
/** More monitors and links than the tables of a session hold. */
const TABLES_COUNT = 12_000;
const CROWD = Array.from({ length: 10 }, (_, i) => `crowd_${i}@colo`);
const MIB = 1024 * 1024;
/** Memory that an attack may leave behind, once everything was collected. */
const MAX_LEFT_BYTES = 24 * MIB;
/** Records of one kind of refusal in a minute, and the minutes that one test may touch. */
const MAX_RECORDS = 10;
const MINUTES = 2;

let world: World;
let desktop: Machine;
beforeAll(async () => {
  world = await World.create();
  const ec2 = await world.start({
    name: EC2,
    policy: {
      version: 1,
      node: EC2,
      peers: { desk: world.entry(DESKTOP) },
      rules: [{ id: "jobs", from: "desk", allow: ["call", "monitor"], to: "jobs" }],
    },
    pinned: [DESKTOP],
  });
  desktop = await world.start({
    name: DESKTOP,
    policy: {
      version: 1,
      node: DESKTOP,
      peers: {
        bob: world.entry(BOB),
        ec2: world.entry(EC2),
        lab: world.entry("lab@colo"),
        ...Object.fromEntries(CROWD.map((name, i) => [`crowd_${i}`, world.entry(name)])),
      },
      rules: [
        { id: "lab-watch", from: "lab", allow: ["monitor", "link"], to: "jobs" },
        { id: "lab-call", from: "lab", allow: "call", to: "slow", limits: { inflight: 64 } },
        { id: "lab-send", from: "lab", allow: "send", to: "events", limits: { rate: "20/s", payload: "8KiB" } },
      ],
    },
    pinned: [BOB, EC2, "lab@colo", ...CROWD],
    reach: { [EC2]: ec2.port },
    audit: true,
  });
  await desktop.ask("connect", { to: EC2 });
});
afterEach(async () => {
  await desktop.dropAttackers();
  await desktop.ask("release");
  await desktop.arrived();
  expect(await everyoneLives(desktop)).toEqual([]);
});
afterAll(() => world.stop());

/** Writes messages as fast as the desktop takes them. */
async function floods(peer: Attacker, make: (i: number) => Bytes, count = COUNT): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    const chunk = Buffer.concat(Array.from({ length: Math.min(500, count - from) }, (_, i) => make(from + i)));
    if (peer.closed) return;
    if (!peer.raw.socket.write(chunk)) await drained(peer);
  }
}

function drained(peer: Attacker): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ["drain", "close"]) peer.raw.socket.once(event, () => resolve());
  });
}

/** The desktop's calls to ec2 while something else goes on: how many were answered, and how many not. */
async function callsWhile(work: Promise<void>): Promise<{ readonly answered: number; readonly failed: number }> {
  const came = { answered: 0, failed: 0 };
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  for (let i = 0; !isOver || came.answered + came.failed === 0; i++) {
    const key = `flood${i}`;
    await desktop.ask("call", { key, name: "jobs", to: EC2, timeoutMs: 10_000 });
    if ((await desktop.ended(key)).state === "answered") came.answered++;
    else came.failed++;
  }
  await work;
  return came;
}

interface Flooded {
  readonly peer: Attacker;
  readonly denied: number;
  readonly events: number;
  readonly records: number;
  readonly left: number;
}

async function flooded(name: string, make: (peer: Attacker, i: number) => Bytes): Promise<Flooded> {
  const peer = await desktop.attacker(name);
  const before = await desktop.ask<{ used: number }>("memory");
  const [deniedBefore, recordsBefore, mark] = [
    await desktop.counter("denied"),
    decisionRecords(),
    desktop.victim.events.length,
  ];
  expect((await callsWhile(floods(peer, (i) => make(peer, i)))).failed).toBe(0);
  expect(await peer.settles()).toBe(true);
  expect(await desktop.arrived()).toEqual([]);
  const after = await desktop.ask<{ used: number }>("memory");
  return {
    peer,
    denied: (await desktop.counter("denied")) - deniedBefore,
    events: desktop.victim.events.slice(mark).filter(({ event }) => event === "denied").length,
    records: decisionRecords() - recordsBefore,
    left: after.used - before.used,
  };
}

const decisionRecords = (): number => desktop.auditRecords().filter(({ kind }) => kind === "decision").length;

const FLOODS: [string, (peer: Attacker, i: number) => Bytes, number][] = [
  ["sends to one name", (peer, i) => peer.framed(op.regSend(peer.pid(), "jobs"), int(i & 0xff)), 0],
  ["sends to ever new names", (peer, i) => peer.framed(op.regSend(peer.pid(), `name_${i}`), atom(`a_${i}`)), 0],
  [
    "sends to ever new pids",
    (peer, i) => peer.framed(op.sendSender(peer.pid(), peer.theirPid({ id: 1_000 + i, serial: 0 })), NIL),
    0,
  ],
  [
    "calls",
    (peer, i) => peer.framed(op.regSend(peer.pid(), "jobs"), genCall(peer.pid(), peer.ref(), int(i & 0xff))),
    1,
  ],
  ["monitors", (peer) => peer.framed(op.monitor(peer.pid(), atom("jobs"), peer.ref())), 1],
  ["monitors of ever new names", (peer, i) => peer.framed(op.monitor(peer.pid(), atom(`n_${i}`), peer.ref())), 1],
  ["links", (peer, i) => peer.framed(op.link(peer.pid(i), peer.theirPid({ id: 5, serial: 0 }))), 1],
  [
    "spawns",
    (peer) => peer.framed(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["os", "cmd", 1]), list(bin("id"))),
    1,
  ],
  [
    "spawns of ever new functions",
    (peer, i) => peer.framed(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), [`m_${i}`, "f", 0]), NIL),
    1,
  ],
  [
    "exit signals",
    (peer, i) => peer.framed(op.exit2(peer.pid(), peer.theirPid({ id: i % 300, serial: 0 }), atom("kill"))),
    0,
  ],
];

describe("a flood of what is refused", () => {
  it.each(FLOODS)(
    `${COUNT} %s: each refused, memory flat, the log bounded, calls to ec2 answered`,
    async (_, make, answers) => {
      const came = await flooded(BOB, make);
      expect(came.denied).toBe(COUNT);
      expect(came.peer.heard.length).toBe(answers * COUNT);
      expect(came.left).toBeLessThan(MAX_LEFT_BYTES);
      expect(came.records).toBeLessThanOrEqual(MAX_RECORDS * MINUTES);
      expect(came.events).toBeLessThanOrEqual(MAX_RECORDS * MINUTES);
    },
  );

  it("of every kind at once, from ten peers", async () => {
    const before = await desktop.ask<{ used: number }>("memory");
    const [denied, records] = [await desktop.counter("denied"), decisionRecords()];
    const peers = await Promise.all(CROWD.map((name) => desktop.attacker(name)));
    const all = Promise.all(
      peers.map((peer, kind) => floods(peer, (i) => FLOODS[kind]?.[1](peer, i) ?? NIL, CROWD_COUNT)),
    );
    expect((await callsWhile(all.then(() => undefined))).failed).toBe(0);
    for (const peer of peers) expect(await peer.settles()).toBe(true);
    expect((await desktop.counter("denied")) - denied).toBe(CROWD.length * CROWD_COUNT);
    expect(decisionRecords() - records).toBeLessThanOrEqual(CROWD.length * MAX_RECORDS * MINUTES);
    expect(await desktop.arrived()).toEqual([]);
    await desktop.dropAttackers();
    expect((await desktop.ask<{ used: number }>("memory")).used - before.used).toBeLessThan(MAX_LEFT_BYTES);
  });

  it("leaves one summary with the count and the last id, and no more than ten records of a kind in a minute", async () => {
    const records = desktop.auditRecords().filter(({ kind }) => kind === "decision");
    const byKind = new Map<string, number>();
    for (const { peer, verb, rule, at } of records) {
      const key = `${peer} ${verb} ${rule} ${String(at).slice(0, 16)}`;
      byKind.set(key, (byKind.get(key) ?? 0) + 1);
    }
    // A name, a pid and a function are targets of different classes.
    for (const [kind, count] of byKind) expect([kind, count <= MAX_RECORDS * 2]).toEqual([kind, true]);
    expect(records.length).toBeGreaterThan(0);
  });
});

describe("a flood of what is allowed", () => {
  it("monitors and links beyond the table are refused, the others stand, and the desktop forgets them with the session", async () => {
    const before = await desktop.ask<{ used: number }>("memory");
    const peer = await desktop.attacker("lab@colo");
    const jobs = peer.theirPid(desktop.pids["jobs"] ?? { id: 0, serial: 0 });
    await floods(
      peer,
      (i) =>
        i % 2 === 0
          ? peer.framed(op.monitor(peer.pid(), atom("jobs"), peer.ref()))
          : peer.framed(op.link(peer.pid(i), jobs)),
      TABLES_COUNT,
    );
    expect(await peer.settles()).toBe(true);
    const refused = peer.heard.filter(({ op: what }) => what === 28 || what === 24).length;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(TABLES_COUNT);
    await desktop.dropAttackers();
    await desktop.arrived();
    expect((await desktop.ask<{ used: number }>("memory")).used - before.used).toBeLessThan(MAX_LEFT_BYTES);
  });

  it("calls beyond the rule's `inflight` are refused at once", async () => {
    const peer = await desktop.attacker("lab@colo");
    await floods(
      peer,
      (i) => peer.framed(op.regSend(peer.pid(), "slow"), genCall(peer.pid(), peer.ref(), int(i & 0xff))),
      2_000,
    );
    expect(await peer.settles()).toBe(true);
    const ids = peer
      .said()
      .map(deniedId)
      .filter((id) => id !== undefined);
    expect(ids).toHaveLength(2_000 - 64);
    expect(await desktop.ask("why", { decision: ids[0] })).toMatchObject({
      outcome: "deny-limit",
      verb: "call",
      alias: "lab",
    });
  });

  it("messages above a rule's rate and size are dropped, also over a new session", async () => {
    const sends = async (): Promise<number> => {
      const peer = await desktop.attacker("lab@colo");
      await floods(peer, (i) => peer.framed(op.regSend(peer.pid(), "events"), int(i & 0xff)), 500);
      expect(await peer.settles()).toBe(true);
      const count = (await desktop.arrived()).filter((line) => line.startsWith("events.info")).length;
      await desktop.dropAttackers();
      return count;
    };
    const [first, second] = [await sends(), await sends()];
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(60);
    expect(second).toBeLessThanOrEqual(60);
    const peer = await desktop.attacker("lab@colo");
    peer.regSend("events", bin("x".repeat(9_000)));
    expect(await peer.settles()).toBe(true);
    expect((await desktop.arrived()).filter((line) => line.includes("xxx"))).toEqual([]);
  });
});
