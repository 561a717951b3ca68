import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Trap } from "../attack/client.ts";
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, ref, tuple, u32 } from "../attack/etf.ts";
import { firstFragment, nextFragment, op } from "../attack/frames.ts";
import { accept, selfOf } from "../attack/native-client.ts";
import { type Attacker, deniedId } from "../attack/policy-client.ts";
import { everyoneLives, upshot } from "../attack/policy-desktop.ts";
import { BOB, COOKIE, DESKTOP, type Document, EC2, eventually, type Machine, World } from "../attack/policy-rig.ts";

// Acceptance scenarios UT-A01 to UT-A10 (requirements 3.4): my_desktop commands ec2_node and bob_colo, and neither commands it.
// The desktop and ec2 are real nodes; whoever is hostile is the client of the attacks.

let world: World;
let desktop: Machine;
let ec2: Machine;
let bob: Machine;

const DESK_RULES: readonly Document[] = [
  { id: "desk-work", from: "desk", allow: "spawn", to: ["worker", "stay"] },
  { id: "desk-run", from: "desk", allow: "rpc", to: "jobs:run/1" },
  { id: "desk-jobs", from: "desk", allow: ["call", "cast", "send", "monitor"], to: ["jobs", "slow"] },
];

const desktopPolicy = (rules: readonly Document[]): Document => ({
  version: 1,
  node: DESKTOP,
  peers: { ec2: world.entry(EC2), bob: world.entry(BOB) },
  rules,
});
const EC2_JOBS: Document = { id: "ec2-jobs", from: "ec2", allow: ["call", "monitor"], to: "jobs" };

beforeAll(async () => {
  world = await World.create();
  const workerPolicy = (node: string, peers: Document): Document => ({
    version: 1,
    node,
    peers: { desk: world.entry(DESKTOP), ...peers },
    rules: [
      ...DESK_RULES,
      ...(node === EC2
        ? [{ id: "bob-slow", from: "bob", allow: "call", to: "slow", limits: { inflight: 8 } }]
        : [{ id: "ec2-work", from: "ec2", allow: "spawn", to: "worker" }]),
    ],
  });
  [ec2, bob] = await Promise.all([
    world.start({
      name: EC2,
      policy: workerPolicy(EC2, { bob: world.entry(BOB) }),
      pinned: [DESKTOP, BOB],
      audit: true,
    }),
    world.start({ name: BOB, policy: workerPolicy(BOB, { ec2: world.entry(EC2) }), pinned: [DESKTOP, EC2] }),
  ]);
  desktop = await world.start({
    name: DESKTOP,
    policy: desktopPolicy([]),
    pinned: [EC2, BOB],
    reach: { [EC2]: ec2.port, [BOB]: bob.port },
    listen: [],
    audit: true,
  });
});
afterEach(async () => {
  for (const machine of [desktop, ec2, bob]) {
    await machine.dropAttackers();
    await machine.arrived();
    await machine.ask("release");
    expect([machine.name, await everyoneLives(machine)]).toEqual([machine.name, []]);
  }
});
afterAll(() => world.stop());

const target = (machine: Machine, peer: Attacker, name: string): Bytes =>
  peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });

/** Everything that would be a command. */
function commands(machine: Machine): (peer: Attacker) => void {
  return (peer) => {
    peer.spawn(["sallyport_fn", "worker", 0], NIL, "link");
    peer.spawn(["os", "cmd", 1], list(bin("id")));
    peer.rpc("jobs", "run", list(int(1)));
    for (const name of Object.keys(machine.pids)) {
      peer.send(op.exit2(peer.pid(), target(machine, peer, name), atom("kill")));
      peer.send(op.link(peer.pid(), target(machine, peer, name)));
      peer.send(op.sendSender(peer.pid(), target(machine, peer, name)), bin("hello"));
      peer.regSend(name, bin("hello"));
      peer.cast(name, bin("hello"));
      peer.call(name, bin("hello"));
      peer.regSend(name, tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), atom("get_state")));
      peer.send(op.groupLeader(peer.pid(), target(machine, peer, name)));
    }
    peer.regSend("init", tuple(atom("stop"), atom("stop")));
    peer.regSend(
      "rex",
      genCall(peer.pid(), peer.ref(), tuple(atom("call"), atom("os"), atom("cmd"), list(bin("id")), peer.pid())),
    );
  };
}

async function expectNothing(machine: Machine, peer: Attacker): Promise<void> {
  const { processes } = await machine.health();
  const came = await upshot(machine, peer, commands(machine));
  expect([came.stands, came.arrived]).toEqual([true, []]);
  expect(came.said.filter((text) => !/sallyport_denied|eperm/.test(text))).toEqual([]);
  expect(await everyoneLives(machine)).toEqual([]);
  expect((await machine.health()).processes).toBe(processes);
}

describe("commands go down", () => {
  it("UT-A01 the desktop dials both, starts a worker on each and gets results", async () => {
    for (const [key, to] of [
      ["a01e", EC2],
      ["a01b", BOB],
    ] as const) {
      await desktop.ask("spawn", { key, to, fn: "worker" });
      expect(await desktop.ended(key, ({ downs }) => downs?.length === 1)).toMatchObject({
        state: "answered",
        downs: ["normal"],
      });
      await desktop.ask("rpc", { key: `${key}r`, to, module: "jobs", fn: "run" });
      expect(await desktop.ended(`${key}r`)).toMatchObject({ state: "answered", value: "argument" });
      await desktop.ask("call", { key: `${key}c`, to, name: "jobs" });
      expect(await desktop.ended(`${key}c`)).toMatchObject({ state: "answered", value: "{done,question}" });
    }
    expect(await ec2.arrived()).toEqual(["worker []", "jobs:run/1 [argument]", "jobs.call question"]);
    expect(await bob.arrived()).toEqual(["worker []", "jobs:run/1 [argument]", "jobs.call question"]);
    // What it may not, it may not either: one link, two directions, each with its own rights.
    await desktop.ask("rpc", { key: "a01x", to: EC2, module: "metrics", fn: "all" });
    expect(await desktop.ended("a01x")).toMatchObject({ state: "failed", code: "ERR_DENIED" });
  });

  it("UT-A03 bob, on his own link to ec2: nothing, and nothing changed", async () => {
    await expectNothing(ec2, await ec2.attacker(BOB));
  });
});

describe("the desktop's own links", () => {
  let hostile: World;
  let listener: Trap;
  let asked: Machine;
  beforeAll(async () => {
    hostile = await World.create();
    listener = await hostile.trap();
    asked = await hostile.start({
      name: DESKTOP,
      policy: { version: 1, node: DESKTOP, peers: { ec2: hostile.entry(EC2) }, rules: [] },
      pinned: [EC2, BOB],
      reach: { [EC2]: listener.port, [BOB]: listener.port },
      listen: [],
      audit: true,
    });
  });
  afterEach(() => asked.dropAttackers());
  afterAll(() => hostile.stop());

  it("UT-A02 ec2 tries everything over it: all refused, and nothing changed", async () => {
    await expectNothing(asked, await asked.dials(EC2, listener));
  });

  it("UT-A02, UT-A03 a node that was dialled and is in no entry may answer, and nothing else", async () => {
    const peer = await asked.dials(BOB, listener);
    await expectNothing(asked, peer);
    await asked.ask("call", { key: "a02", name: "jobs", to: BOB });
    const { text } = await peer.hears((message) => message.text.includes("$gen_call"));
    answer(peer, text, atom("fine"));
    expect(await asked.ended("a02")).toMatchObject({ state: "answered", value: "fine" });
  });

  it("UT-A05 bob sends in ec2's name over his own link: that ends it", async () => {
    await asked.dials(EC2, listener);
    const peer = await asked.dials(BOB, listener);
    const mark = asked.victim.events.length;
    peer.send(op.regSend(pid(EC2, 100, 0, 77), "jobs"), bin("in ec2's name"));
    expect(await peer.settles()).toBe(false);
    expect((await asked.victim.down(BOB, mark))["reason"]).toBe("FORGED_IDENTIFIER");
    expect(await asked.arrived()).toEqual([]);
  });

  it("UT-A06 bob answers for ec2 with his own key: refused, and in the audit log", async () => {
    const outcome = asked.ask("connect", { to: EC2 }).then(
      () => "up",
      (error: { code?: string }) => error.code,
    );
    const raw = await listener.next();
    await accept(raw, { ...hostile.self(BOB), name: EC2 });
    expect(await outcome).toBe("ERR_DENIED");
    raw.destroy();
    expect(await lastRefused(asked)).toMatchObject({
      peer: EC2,
      fingerprint: hostile.fingerprint(BOB),
      pinned: hostile.fingerprint(EC2),
    });
  });

  it.each<[string, (peer: Attacker, reference: Bytes) => void, RegExp]>([
    [
      "cut off",
      (peer, reference) =>
        peer.send(op.aliasSend(peer.pid(), reference), tuple(alias(reference), bin("cut off")).subarray(0, -3)),
      /TERM_TRUNCATED/,
    ],
    [
      "with bytes after it",
      (peer, reference) =>
        peer.send(op.aliasSend(peer.pid(), reference), Buffer.concat([tuple(alias(reference), int(1)), int(2)])),
      /PACKET_TRAILING_BYTES/,
    ],
    ["said to have 1 GiB", (peer) => peer.raw.write(u32(1024 * 1024 * 1024)), /FRAME_TOO_LARGE/],
    [
      "of a GiB in fragments",
      (peer, reference) => {
        const part = Buffer.alloc(8 * 1024 * 1024);
        peer.raw.frame(firstFragment(1n, 128n, op.aliasSend(peer.pid(), reference), part), 4);
        for (let id = 127n; id > 116n; id--) peer.raw.frame(nextFragment(1n, id, part), 4);
      },
      /MESSAGE_TOO_LARGE|REASSEMBLY/,
    ],
  ])("UT-A09 an answer that is %s ends the session, and the call with a typed error", async (what, attack, reason) => {
    const peer = await asked.dials(EC2, listener);
    await asked.ask("call", { key: what, name: "jobs", to: EC2, timeoutMs: 20_000 });
    const { text } = await peer.hears((message) => message.text.includes("$gen_call"));
    const before = (await asked.ask<{ used: number }>("memory")).used;
    const mark = asked.victim.events.length;
    attack(peer, referenceIn(peer, text));
    expect((await asked.victim.down(EC2, mark))["reason"]).toMatch(reason);
    const ended = await asked.ended(what);
    expect([ended.state, ended.code !== undefined, ended.reason !== undefined]).toEqual(["failed", true, true]);
    expect((await asked.ask<{ used: number }>("memory")).used - before).toBeLessThan(16 * 1024 * 1024);
  });

  it("UT-A09 what is no answer at all is dropped, and the call fails when its time is over", async () => {
    const peer = await asked.dials(EC2, listener);
    await asked.ask("call", { key: "junk", name: "jobs", to: EC2, timeoutMs: 100 });
    const { text } = await peer.hears((message) => message.text.includes("$gen_call"));
    const reference = referenceIn(peer, text);
    for (const junk of [Buffer.from("6802", "hex"), Buffer.from("ff", "hex"), NIL, atom("yes"), tuple(reference)]) {
      peer.send(op.aliasSend(peer.pid(), reference), junk);
    }
    const ended = await asked.ended("junk");
    expect([ended.state, ended.code !== undefined]).toEqual(["failed", true]);
  });

  it("UT-A09 an answer that comes late, twice, or never", async () => {
    const peer = await asked.dials(EC2, listener);
    await asked.ask("call", { key: "never", name: "jobs", to: EC2, timeoutMs: 60 });
    const { text } = await peer.hears((message) => message.text.includes("$gen_call"));
    expect(await asked.ended("never")).toMatchObject({ state: "failed", reason: "CALL_TIMEOUT" });
    const late = await upshot(asked, peer, () => answer(peer, text, atom("late")));
    expect([late.stands, late.unsolicited]).toEqual([true, 1]);
    const mark = peer.heard.length;
    await asked.ask("call", { key: "twice", name: "jobs", to: EC2 });
    const again = await peer.hears((message) => message.text.includes("$gen_call"), mark);
    const twice = await upshot(asked, peer, () => {
      answer(peer, again.text, atom("first"));
      answer(peer, again.text, atom("second"));
    });
    expect(await asked.ended("twice")).toMatchObject({ state: "answered", value: "first" });
    expect([twice.stands, twice.unsolicited]).toEqual([true, 1]);
  });

  it("UT-A09 an answer that holds a fun, or somebody of a third node, is none", async () => {
    const peer = await asked.dials(EC2, listener);
    for (const [key, value] of [
      ["fun", Buffer.concat([Buffer.from([113]), atom("os"), atom("cmd"), int(1)])],
      ["third", pid("third@elsewhere", 9, 0, 5)],
    ] as const) {
      const mark = peer.heard.length;
      await asked.ask("call", { key, name: "jobs", to: EC2, timeoutMs: 1_000 });
      const { text } = await peer.hears((message) => message.text.includes("$gen_call"), mark);
      const came = await upshot(asked, peer, () => answer(peer, text, tuple(atom("ok"), value)));
      expect(came.stands).toBe(true);
      expect((await asked.ended(key)).state).toBe("failed");
    }
  });
});

/** The newest audit record of a refused connection. */
async function lastRefused(machine: Machine): Promise<unknown> {
  const refused = await eventually(
    () => machine.auditRecords().filter(({ kind, outcome }) => kind === "attempt" && outcome === "refused"),
    (records) => records.length > 0,
  );
  return refused.at(-1);
}

/** The reference of an outgoing call, out of what the peer heard. */
function referenceIn(peer: Attacker, text: string): Bytes {
  const words = /\[alias\|#Ref<[^>]*?((?:\.\d+)+)>\]/.exec(text)?.[1]?.slice(1).split(".").map(Number) ?? [];
  return ref(peer.victimName, peer.victimCreation, ...words);
}

function answer(peer: Attacker, text: string, value: Bytes): void {
  const reference = referenceIn(peer, text);
  peer.send(op.aliasSend(peer.pid(), reference), tuple(alias(reference), value));
}

describe("what a grant gives, and to whom", () => {
  it("UT-A04 ec2 calls a service of the desktop while there is a grant, and not a second longer", async () => {
    const denied = async (key: string): Promise<string | undefined> => {
      await ec2.ask("call", { key, name: "jobs", to: DESKTOP });
      return (await ec2.ended(key)).code;
    };
    await desktop.ask("connect", { to: EC2 });
    expect(await denied("a04-before")).toBe("ERR_DENIED");
    await desktop.ask("replace", { document: desktopPolicy([EC2_JOBS]) });
    await ec2.ask("call", { key: "a04", name: "jobs", to: DESKTOP });
    expect(await ec2.ended("a04")).toMatchObject({ state: "answered", value: "{done,question}" });
    await desktop.ask("replace", { document: desktopPolicy([]) });
    expect(await denied("a04-after")).toBe("ERR_DENIED");
    expect(await desktop.arrived()).toEqual(["jobs.call question"]);
  });

  it("UT-A05 bob sends the desktop a message through ec2, which passes nothing on", async () => {
    await desktop.ask("connect", { to: EC2 });
    const throughEc2 = await ec2.attacker(BOB);
    const toDesktop = pid(
      DESKTOP,
      desktop.pids["jobs"]?.id ?? 0,
      desktop.pids["jobs"]?.serial ?? 0,
      desktop.victim.creation,
    );
    const came = await upshot(ec2, throughEc2, (peer) => {
      peer.send(op.sendSender(peer.pid(), toDesktop), bin("relayed"));
      peer.send(op.exit2(peer.pid(), toDesktop, atom("kill")));
      peer.send(op.link(peer.pid(), toDesktop));
      peer.regSend("rex", tuple(atom("send"), tuple(atom("jobs"), atom(DESKTOP)), bin("relayed")));
    });
    expect(came.arrived).toEqual([]);
    expect(await desktop.arrived()).toEqual([]);
  });

  it("UT-A06 bob claims the desktop's name at ec2: refused, and in the audit log", async () => {
    const claimed = await ec2.tries({ ...world.self(BOB), name: DESKTOP });
    expect(claimed.isIn).toBe(false);
    expect(await lastRefused(ec2)).toMatchObject({
      peer: DESKTOP,
      fingerprint: world.fingerprint(BOB),
      pinned: world.fingerprint(DESKTOP),
    });
  });

  it("UT-A06 what the trust store lets in, the policy compares with its own entries", async () => {
    const own = await World.create();
    try {
      // The trust store knows eve by bob's key, and ec2 by one that the policy does not mean.
      const [eve, other] = ["eve@colo", "other"];
      const real = await own.start({
        name: DESKTOP,
        policy: {
          version: 1,
          node: DESKTOP,
          peers: { bob: own.entry(BOB), ec2: { keys: [own.fingerprint(other)], names: [EC2] } },
        },
        pinned: [EC2],
      });
      writeFileSync(join(real.keyDir, "trusted", `${eve}.pub`), own.self(BOB).publicKey);
      await real.ask("reloadIdentity");
      for (const self of [{ ...own.self(BOB), name: eve }, own.self(EC2)]) {
        const mark = real.victim.events.length;
        expect((await real.tries(self)).isIn).toBe(false);
        const told = await real.victim.event(
          ({ event, outcome }) => event === "denied" && outcome === "deny-identity",
          mark,
        );
        expect(told).toMatchObject({ verb: "connect", peer: self.name });
      }
    } finally {
      await own.stop();
    }
  });

  it("UT-A07 the cluster's secret without a trusted key opens nothing", async () => {
    const own = await World.create(COOKIE);
    try {
      const machine = await own.start({
        name: DESKTOP,
        policy: { version: 1, node: DESKTOP, peers: { ec2: own.entry(EC2) } },
        pinned: [EC2],
        listen: ["tls://127.0.0.1:0", "tcp://127.0.0.1:0"],
        node: { cookie: COOKIE, dangerous: { plaintext: true } },
      });
      expect((await machine.tries(own.self(EC2))).isIn).toBe(true);
      expect((await machine.tries(selfOf(BOB, undefined, COOKIE))).isIn).toBe(false);
      expect((await machine.tries(selfOf(EC2, undefined, COOKIE))).isIn).toBe(false);
      for (const name of [BOB, EC2]) {
        const outcome = machine.beam(name, 1).then(
          (peer) => peer.settles(),
          () => false,
        );
        expect(await Promise.race([outcome, afterMs(3_000)])).toBe(false);
      }
      expect((await machine.health()).connectedNodes).not.toContain(BOB);
    } finally {
      await own.stop();
    }
  });

  it("UT-A10 ten thousand calls: eight are open, the others are refused at once, and the desktop is served", async () => {
    const peer = await ec2.attacker(BOB);
    await desktop.ask("connect", { to: EC2 });
    const mark = peer.heard.length;
    const all: Bytes[] = [];
    for (let i = 0; i < 10_000; i++) {
      const reference = peer.ref();
      all.push(peer.framed(op.monitor(peer.pid(), atom("slow"), reference)));
      all.push(peer.framed(op.regSend(peer.pid(), "slow"), genCall(peer.pid(), reference, int(i % 200))));
    }
    peer.raw.write(Buffer.concat(all));
    await desktop.ask("call", { key: "a10", name: "jobs", to: EC2 });
    expect(await desktop.ended("a10")).toMatchObject({ state: "answered" });
    expect(await peer.settles()).toBe(true);
    const refused = peer
      .said(mark)
      .map(deniedId)
      .filter((id) => id !== undefined);
    expect(refused.length).toBeGreaterThanOrEqual(10_000 - 8);
    const { held } = await ec2.health();
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(8);
  });
});

function afterMs(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref());
}

describe("the client of these tests", () => {
  it("is one that could do harm: without a policy rule against it, it commands", async () => {
    const peer = await bob.attacker(EC2);
    const came = await upshot(bob, peer, (it) => it.spawn(["sallyport_fn", "worker", 0], NIL));
    expect(came.arrived).toEqual(["worker []"]);
  });
});
