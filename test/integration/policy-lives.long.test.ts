import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Trap } from "../attack/client.ts";
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, tuple } from "../attack/etf.ts";
import { op } from "../attack/frames.ts";
import { type Attacker, deniedId, shown } from "../attack/policy-client.ts";
import { everyoneLives, upshot } from "../attack/policy-desktop.ts";
import {
  aliasTerm,
  BOB,
  DESKTOP,
  type Document,
  EC2,
  eventually,
  type Grant,
  type Machine,
  World,
} from "../attack/policy-rig.ts";

// Acceptance scenarios UT-A12 to UT-A22 (requirements 3.4): peers that die, are revoked, hand on what was handed to them, or
// command no further than they may. UT-A17 is the matrix; A08, A11 and A20 belong to the life of a node.

/** Another machine of the owner. */
const LAB = "lab_node@home";

let world: World;
let trap: Trap;
let desktop: Machine;
let ec2: Machine;

const desktopPolicy = (more: Document = {}): Document => ({
  version: 1,
  node: DESKTOP,
  peers: { ec2: world.entry(EC2), bob: world.entry(BOB) },
  ...more,
});
const ec2Policy = (more: Document = {}): Document => ({
  version: 1,
  node: EC2,
  peers: { desk: world.entry(DESKTOP), bob: world.entry(BOB), lab: world.entry(LAB) },
  rules: [
    { id: "desk-work", from: "desk", allow: "spawn", to: ["worker", "stay"] },
    { id: "desk-run", from: "desk", allow: "rpc", to: ["jobs:run/1", "jobs:stay/0"] },
    { id: "desk-jobs", from: "desk", allow: ["call", "send", "monitor"], to: ["jobs", "slow"] },
    { id: "bob-work", from: "bob", allow: "spawn", to: "worker" },
    { id: "bob-jobs", from: "bob", allow: "call", to: "jobs" },
  ],
  ...more,
});

beforeAll(async () => {
  world = await World.create();
  trap = await world.trap();
  ec2 = await world.start({ name: EC2, policy: ec2Policy(), pinned: [DESKTOP, BOB, LAB] });
  desktop = await world.start({
    name: DESKTOP,
    policy: desktopPolicy(),
    pinned: [EC2, BOB],
    reach: { [EC2]: ec2.port, [BOB]: trap.port },
  });
});
afterEach(async () => {
  for (const machine of [desktop, ec2]) {
    await machine.dropAttackers();
    await machine.arrived();
    await machine.ask("release");
    expect([machine.name, await everyoneLives(machine)]).toEqual([machine.name, []]);
  }
});
afterAll(() => world.stop());

const target = (machine: Machine, peer: Attacker, name: string): Bytes =>
  peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });

describe("the lower side dies", () => {
  it("UT-A12 a node that is powered off in the middle of a call is a dead target, and nothing else", async () => {
    const worker = "worker_node@colo";
    const machine = await world.start({
      name: worker,
      policy: {
        version: 1,
        node: worker,
        peers: { desk: world.entry(LAB) },
        rules: [
          { id: "desk", from: "desk", allow: ["call", "monitor"], to: "slow" },
          { id: "work", from: "desk", allow: "spawn", to: "stay" },
        ],
      },
      pinned: [LAB],
    });
    const caller = await world.start({
      name: LAB,
      policy: { version: 1, node: LAB, peers: { worker: world.entry(worker) } },
      pinned: [worker],
      reach: { [worker]: machine.port },
      listen: [],
    });
    await caller.ask("call", { key: "call", name: "slow", to: worker, timeoutMs: 30_000 });
    await caller.ask("spawn", { key: "spawn", fn: "stay", to: worker, link: "actor" });
    await caller.ask("monitor", { key: "monitor", name: "slow", to: worker });
    expect(await caller.ended("spawn")).toMatchObject({ state: "answered" });
    await eventually(
      async () => (await machine.health()).held,
      (held) => held === 2,
    );
    await machine.victim.kill();
    expect(await caller.ended("call")).toMatchObject({ state: "failed", reason: "TARGET_DOWN" });
    expect((await caller.ended("spawn", ({ downs }) => downs?.length === 1)).downs).toEqual(["noconnection"]);
    expect((await caller.ended("monitor")).downs).toEqual(["noconnection"]);
    expect(await everyoneLives(caller)).toEqual([]);
    await caller.ask("call", { key: "other", name: "jobs", to: LAB });
    expect(await caller.ended("other")).toMatchObject({ state: "answered" });
    await caller.ask("close");
  });

  it("UT-A15 a linked worker of bob that crashes is a message to the desktop's actor, never its death", async () => {
    const bob = await desktop.dials(BOB, trap);
    for (const [key, reason] of [
      ["a15-boom", "boom"],
      ["a15-kill", "kill"],
    ] as const) {
      const mark = bob.heard.length;
      await desktop.ask("spawn", { key, fn: "worker", to: BOB, link: "actor" });
      const asked = await bob.hears(({ op: what }) => what === 29, mark);
      const [, reference, parent] = asked.control as [unknown, { raw: Bytes }, { raw: Bytes }];
      const child = bob.pid(500 + mark);
      bob.send(op.spawnReply(reference.raw, parent.raw, 3, child));
      expect((await desktop.ended(key)).state).toBe("answered");
      const actor = target(desktop, bob, "actor");
      const came = await upshot(desktop, bob, (peer) => {
        peer.send(op.payloadExit(child, actor), atom(reason));
        // Once more, and for a link that never was.
        peer.send(op.payloadExit(child, actor), atom(reason));
        peer.send(op.payloadExit(peer.pid(9), actor), atom(reason));
      });
      expect(came.stands).toBe(true);
      expect(came.arrived).toEqual([expect.stringMatching(new RegExp(`^actor \\{'EXIT',.*,${reason}\\}$`))]);
      expect(await everyoneLives(desktop)).toEqual([]);
    }
  });

  it("UT-A15 nor is the end of the connection", async () => {
    const bob = await desktop.dials(BOB, trap);
    await desktop.ask("spawn", { key: "a15-cut", fn: "worker", to: BOB, link: "actor" });
    const asked = await bob.hears(({ op: what }) => what === 29);
    const [, reference, parent] = asked.control as [unknown, { raw: Bytes }, { raw: Bytes }];
    bob.send(op.spawnReply(reference.raw, parent.raw, 3, bob.pid(600)));
    expect((await desktop.ended("a15-cut")).state).toBe("answered");
    await desktop.arrived();
    bob.destroy();
    const arrived = await eventually(
      () => desktop.arrived(),
      (lines) => lines.length > 0,
    );
    expect(arrived).toEqual([expect.stringMatching(/^actor \{'EXIT',.*,noconnection\}$/)]);
  });
});

describe("authority ends", () => {
  it("UT-A13 bob's key is revoked on both: his sessions are cut within a second, and he does not get in again", async () => {
    const own = await World.create();
    try {
      const peers = { bob: own.entry(BOB) };
      const [one, other] = await Promise.all([
        own.start({ name: DESKTOP, policy: { version: 1, node: DESKTOP, peers }, pinned: [BOB] }),
        own.start({ name: EC2, policy: { version: 1, node: EC2, peers }, pinned: [BOB] }),
      ]);
      for (const machine of [one, other]) {
        const peer = await machine.attacker(BOB);
        const mark = machine.victim.events.length;
        const revokedAt = Date.now();
        machine.revokeKey(BOB);
        const down = await machine.victim.down(BOB, mark);
        expect(Number(down["atMs"]) - revokedAt).toBeLessThan(1_000);
        expect(await peer.settles()).toBe(false);
        expect((await machine.tries(own.self(BOB))).isIn).toBe(false);
        expect((await machine.health()).connectedNodes).toEqual([]);
      }
    } finally {
      await own.stop();
    }
  });

  it("UT-A14 bob registers a name that ec2 has: refused, and ec2's lookups are what they were", async () => {
    const bob = await desktop.dials(BOB, trap);
    await desktop.ask("call", { key: "a14-before", name: "jobs", to: EC2 });
    expect(await desktop.ended("a14-before")).toMatchObject({ state: "answered" });
    const came = await upshot(desktop, bob, (peer) => {
      const request = tuple(atom("register"), atom("jobs"), peer.pid(), atom("undefined"));
      peer.regSend("global_name_server", genCall(peer.pid(), peer.ref(), request));
      peer.regSend("pg", tuple(atom("join"), peer.pid(), atom("jobs"), peer.pid()));
      peer.regSend("stream", tuple(atom("open"), atom("jobs")));
    });
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 3]);
    await desktop.ask("call", { key: "a14-after", name: "jobs", to: EC2 });
    expect(await desktop.ended("a14-after")).toMatchObject({ state: "answered" });
    await desktop.ask("call", { key: "a14-own", name: "jobs", to: DESKTOP });
    expect(await desktop.ended("a14-own")).toMatchObject({ state: "answered" });
  });

  it("UT-A22 the desktop is switched off: what it had started on ec2 with a link ends, and its name alone commands nothing", async () => {
    const own = await World.create();
    try {
      const worker = await own.start({
        name: EC2,
        policy: {
          version: 1,
          node: EC2,
          peers: { desk: own.entry(DESKTOP) },
          rules: [
            { id: "work", from: "desk", allow: "spawn", to: ["worker", "stay"] },
            { id: "run", from: "desk", allow: "rpc", to: "jobs:stay/0" },
            { id: "jobs", from: "desk", allow: ["call", "monitor"], to: "jobs" },
          ],
        },
        pinned: [DESKTOP],
      });
      const idle = (await worker.health()).processes;
      const desk = {
        name: DESKTOP,
        policy: { version: 1, node: DESKTOP },
        pinned: [EC2],
        reach: { [EC2]: worker.port },
        listen: [],
      };
      const first = await own.start(desk);
      await first.ask("spawn", { key: "stay", fn: "stay", to: EC2, link: "actor" });
      expect((await first.ended("stay")).state).toBe("answered");
      const grant = await worker.grant("handed", "handed", DESKTOP);
      expect((await worker.health()).processes).toBe(idle + 1);
      await first.victim.kill();
      const left = await eventually(
        async () => (await worker.health()).processes,
        (count) => count === idle,
      );
      expect(left).toBe(idle);
      // Somebody with the name but not the key.
      expect((await worker.tries({ ...own.self(BOB), name: DESKTOP })).isIn).toBe(false);
      // The desktop again, in a new life, has its rights by its key.
      const second = await own.start(desk);
      await second.ask("call", { key: "again", name: "jobs", to: EC2 });
      expect(await second.ended("again")).toMatchObject({ state: "answered" });
      expect(grant.id).not.toBe("");
    } finally {
      await own.stop();
    }
  });
});

describe("UT-A16 a reference that was handed out", () => {
  const send = (peer: Attacker, grant: Grant, what = bin("used")): void =>
    peer.send(op.aliasSend(peer.pid(), aliasTerm(grant)), what);

  it("is its holder's alone: bob, who was told its bytes, has nothing of it", async () => {
    const grant = await ec2.grant("a16", "handed", LAB);
    const holder = await ec2.attacker(LAB);
    const bob = await ec2.attacker(BOB);
    const stolen = await upshot(ec2, bob, (peer) => {
      send(peer, grant);
      peer.send(op.sendSender(peer.pid(), peer.theirPid(grant.pid)), bin("by pid"));
      peer.send(op.aliasSend(peer.pid(), aliasTerm(grant)), genCall(peer.pid(), peer.ref(), int(1)));
      peer.send(op.exit2(peer.pid(), peer.theirPid(grant.pid), atom("kill")));
      peer.send(op.link(peer.pid(), peer.theirPid(grant.pid)));
      peer.monitor(peer.theirPid(grant.pid));
    });
    expect([stolen.stands, stolen.arrived]).toEqual([true, []]);
    const used = await upshot(ec2, holder, (peer) => {
      send(peer, grant);
      peer.send(op.sendSender(peer.pid(), peer.theirPid(grant.pid)), bin("by pid"));
    });
    expect(used.arrived).toEqual(['handed <<"used">>', 'handed <<"by pid">>']);
    await ec2.ask("revoke", { key: "a16" });
    const after = await upshot(ec2, holder, (peer) => {
      send(peer, grant);
      peer.send(op.sendSender(peer.pid(), peer.theirPid(grant.pid)), bin("by pid"));
    });
    expect([after.stands, after.arrived]).toEqual([true, []]);
  });

  it("cannot be guessed from another one, and says no more than it was given for", async () => {
    const grant = await ec2.grant("a16-guess", "handed", LAB);
    const next = await ec2.grant("a16-next", "handed", LAB);
    const { words } = grant.alias;
    expect(words.filter((word, i) => word === next.alias.words[i]).length).toBeLessThanOrEqual(1);
    const holder = await ec2.attacker(LAB);
    const guesses = words.map((_, i) => ({
      ...grant,
      alias: { ...grant.alias, words: words.map((w, j) => (i === j ? (w ^ 1) >>> 0 : w)) },
    }));
    const came = await upshot(ec2, holder, (peer) => {
      for (const guess of guesses) send(peer, guess);
      peer.send(op.exit2(peer.pid(), peer.theirPid(grant.pid), atom("kill")));
      peer.send(op.link(peer.pid(), peer.theirPid(grant.pid)));
      peer.send(
        op.aliasSend(peer.pid(), aliasTerm(grant)),
        tuple(atom("system"), tuple(peer.pid(), peer.ref()), atom("get_state")),
      );
    });
    expect([came.stands, came.arrived]).toEqual([true, []]);
    await ec2.ask("revoke", { key: "a16-guess" });
    await ec2.ask("revoke", { key: "a16-next" });
  });

  it("ends with its uses, its time and its process", async () => {
    const holder = await ec2.attacker(LAB);
    const twice = await ec2.grant("a16-twice", "handed", LAB, { uses: 2 });
    const used = await upshot(ec2, holder, (peer) => {
      for (let i = 0; i < 4; i++) send(peer, twice, int(i));
    });
    expect(used.arrived).toEqual(["handed 0", "handed 1"]);
    const short = await ec2.grant("a16-short", "handed", LAB, { ttlMs: 150 });
    expect((await upshot(ec2, holder, (peer) => send(peer, short))).arrived).toHaveLength(1);
    await eventually(
      async () => JSON.stringify(await ec2.ask("grants")),
      (text) => !text.includes(short.id),
      1_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 160));
    expect((await upshot(ec2, holder, (peer) => send(peer, short))).arrived).toEqual([]);
    const mortal = await ec2.grant("a16-mortal", "mortal", LAB, { verbs: ["send", "monitor"] });
    const watch = holder.monitor(holder.theirPid(mortal.pid));
    expect(await holder.settles()).toBe(true);
    await ec2.ask("unregister", { name: "mortal" });
    await holder.hears(({ op: what, text }) => what === 28 && text.includes(shown(watch)));
    expect(JSON.stringify(await ec2.ask("grants"))).not.toContain(mortal.id);
    await ec2.ask("again", { name: "mortal" });
    ec2.pids = await ec2.ask("pids");
  });

  it("outlives a session, since it is bound to the key", async () => {
    const grant = await ec2.grant("a16-again", "handed", LAB);
    const first = await ec2.attacker(LAB);
    expect((await upshot(ec2, first, (peer) => send(peer, grant))).arrived).toHaveLength(1);
    await ec2.dropAttackers();
    const second = await ec2.attacker(LAB);
    expect((await upshot(ec2, second, (peer) => send(peer, grant))).arrived).toHaveLength(1);
    await ec2.ask("revoke", { key: "a16-again" });
  });
});

describe("full trust, and none", () => {
  it("UT-A18 three machines of one domain are a classic cluster: all may everything but system", async () => {
    const own = await World.create();
    try {
      const names = [DESKTOP, EC2, BOB];
      const peersOf = (name: string): Document =>
        Object.fromEntries(
          names
            .filter((other) => other !== name)
            .map((other) => [other.split("@")[0], own.entry(other, { domain: "home" })]),
        );
      const start = (name: string, reach: Record<string, number>): Promise<Machine> =>
        own.start({
          name,
          policy: { version: 1, node: name, domain: "home", peers: peersOf(name) },
          pinned: names.filter((other) => other !== name),
          reach,
        });
      const [one, two] = [await start(DESKTOP, {}), await start(EC2, {})];
      const three = await start(BOB, { [DESKTOP]: one.port, [EC2]: two.port });
      for (const to of [one, two]) {
        await three.ask("spawn", { key: to.name, fn: "worker", to: to.name, link: "actor" });
        expect(await three.ended(to.name, ({ downs }) => downs?.length === 1)).toMatchObject({ downs: ["normal"] });
        await to.ask("spawn", { key: "back", fn: "worker", to: BOB });
        expect(await to.ended("back", ({ downs }) => downs?.length === 1)).toMatchObject({ downs: ["normal"] });
        await to.ask("rpc", { key: "rpc", module: "jobs", fn: "run", to: BOB });
        expect(await to.ended("rpc")).toMatchObject({ state: "answered", value: "argument" });
        await to.ask("call", { key: "call", name: "private", to: BOB });
        expect(await to.ended("call")).toMatchObject({ state: "answered" });
      }
      await three.arrived();
      const member = await three.attacker(EC2);
      const came = await upshot(three, member, (peer) => {
        peer.regSend("private", tuple(atom("from"), pid(DESKTOP, 5, 0, 9)));
        peer.send(op.exit2(peer.pid(), target(three, peer, "mortal"), atom("kill")));
        peer.regSend("jobs", tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), atom("get_state")));
        peer.spawn(["os", "cmd", 1], list(bin("id")));
      });
      expect(came.arrived).toEqual([expect.stringMatching(/^private\.info \{from,/)]);
      expect(await everyoneLives(three)).toEqual(["mortal"]);
      // A stranger is no member.
      expect((await three.tries(own.self("eve@colo"))).isIn).toBe(false);
    } finally {
      await own.stop();
    }
  });

  it("UT-A19 ec2 turned: over bob it has what bob granted it, and the desktop has nothing to fear from either", async () => {
    const own = await World.create();
    try {
      const bob = await own.start({
        name: BOB,
        policy: {
          version: 1,
          node: BOB,
          peers: { ec2: own.entry(EC2), desk: own.entry(DESKTOP) },
          rules: [
            { id: "ec2-work", from: "ec2", allow: "spawn", to: "worker" },
            { id: "ec2-jobs", from: "ec2", allow: ["send", "call"], to: "jobs" },
            { id: "desk", from: "desk", allow: "call", to: "jobs" },
          ],
        },
        pinned: [EC2, DESKTOP],
      });
      const desk = await bob.attacker(DESKTOP);
      const turned = await bob.attacker(EC2);
      const may = await upshot(bob, turned, (peer) => {
        peer.spawn(["sallyport_fn", "worker", 0], NIL);
        peer.regSend("jobs", bin("sent"));
      });
      expect([may.denied, may.arrived]).toEqual([
        0,
        ['jobs.info <<"sent">>', "worker []"].sort((a, b) => may.arrived.indexOf(a) - may.arrived.indexOf(b)),
      ]);
      const heardByDesk = desk.heard.length;
      const mayNot = await upshot(bob, turned, (peer) => {
        peer.spawn(["sallyport_fn", "stay", 0], NIL);
        peer.rpc("jobs", "run", list(int(1)));
        peer.spawn(["os", "cmd", 1], list(bin("id")));
        peer.regSend("private", bin("sent"));
        peer.cast("jobs", bin("cast"));
        peer.send(op.exit2(peer.pid(), target(bob, peer, "jobs"), atom("kill")));
        peer.send(op.sendSender(peer.pid(), desk.pid()), bin("through bob"));
        peer.send(op.exit2(peer.pid(), desk.pid(), atom("kill")));
      });
      expect([mayNot.stands, mayNot.arrived]).toEqual([true, []]);
      expect(await desk.settles()).toBe(true);
      expect(desk.said(heardByDesk)).toEqual([]);
    } finally {
      await own.stop();
    }
  });

  it("UT-A21 tenants of a hub use the hub and never see each other", async () => {
    const own = await World.create();
    try {
      const [hubName, one, two] = ["hub@admin", "tenant_one@a", "tenant_two@b"];
      const hub = await own.start({
        name: hubName,
        policy: {
          version: 1,
          node: hubName,
          peers: { one: own.entry(one), two: own.entry(two) },
          rules: [{ id: "tenants", from: "*", allow: ["call", "monitor"], to: "jobs" }],
        },
        pinned: [one, two],
      });
      const [first, second] = [await hub.attacker(one), await hub.attacker(two)];
      for (const tenant of [first, second]) {
        tenant.call("jobs", bin("work"));
        await tenant.hears(({ op: what, text }) => what === 33 && text.includes("done"));
      }
      await hub.arrived();
      const mark = second.heard.length;
      const came = await upshot(hub, first, (peer) => {
        peer.rpc("peers", "names", NIL);
        peer.call("net_kernel", tuple(atom("get_net_ticktime")), false);
        peer.regSend("global_name_server", tuple(atom("in_no_sync"), peer.pid()));
        peer.send(op.sendSender(peer.pid(), second.pid()), bin("hello"));
        peer.send(op.monitor(peer.pid(), second.pid(), peer.ref()));
        peer.send(op.link(peer.pid(), second.pid()));
        peer.send(op.exit2(peer.pid(), second.pid(), atom("kill")));
        peer.send(op.groupLeader(peer.pid(), second.pid()));
      });
      expect(came.arrived).toEqual([]);
      expect(await second.settles()).toBe(true);
      expect(second.said(mark)).toEqual([]);
      // Whatever names the other tenant is what this one had said itself.
      for (const text of came.said.filter((line) => line.includes(two))) expect(deniedId(text)).not.toBe(undefined);
      expect(second.said().join()).not.toContain(one);
    } finally {
      await own.stop();
    }
  });
});
