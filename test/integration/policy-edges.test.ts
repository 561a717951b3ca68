import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Trap } from "../attack/client.ts";
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, tuple, u8, u16, u32 } from "../attack/etf.ts";
import { firstFragment, nextFragment, op } from "../attack/frames.ts";
import { type Attacker, shown } from "../attack/policy-client.ts";
import { everyoneLives, upshot } from "../attack/policy-desktop.ts";
import { aliasTerm, DESKTOP, type Document, type Machine, World } from "../attack/policy-rig.ts";

// Where two mechanisms meet: what was kept and what has changed, what one message left behind for the next, what a wide grant
// reaches that it should not.

const PEER = "peer@a";
const OTHER = "other@b";
const OWNER = "owner@c";
const THIRD_PID = pid("third@elsewhere", 9, 0, 5);

let world: World;
let trap: Trap;
let desktop: Machine;

const RULES: readonly Document[] = [
  { id: "jobs", from: "peer", allow: ["send", "call", "cast"], to: "jobs" },
  { id: "run", from: "peer", allow: "rpc", to: ["jobs:run/1", "jobs:stay/0"] },
  { id: "work", from: "peer", allow: "spawn", to: ["worker", "stay", "jobs:run/1"] },
  { id: "tie", from: "peer", allow: ["link", "monitor"], to: "machine" },
  { id: "owner", from: "owner", allow: ["send", "call", "cast", "monitor", "link", "exit", "io"], to: "*" },
  { id: "not-private", from: "*", deny: ["send", "call", "cast", "monitor", "link", "exit", "io"], to: "private" },
];
const policy = (rules: readonly Document[] = RULES): Document => ({
  version: 1,
  node: DESKTOP,
  peers: { peer: world.entry(PEER), other: world.entry(OTHER), owner: world.entry(OWNER) },
  rules,
});

beforeAll(async () => {
  world = await World.create();
  trap = await world.trap();
  desktop = await world.start({
    name: DESKTOP,
    policy: policy(),
    pinned: [PEER, OTHER, OWNER],
    reach: { [PEER]: trap.port },
  });
});
afterEach(async () => {
  await desktop.dropAttackers();
  await desktop.ask("release");
  await desktop.arrived();
  await desktop.ask("replace", { document: policy() });
  expect(await everyoneLives(desktop)).toEqual([]);
});
afterAll(() => world.stop());

const target = (peer: Attacker, name: string): Bytes => peer.theirPid(desktop.pids[name] ?? { id: 0, serial: 0 });

describe("a request to rex", () => {
  const rex = (peer: Attacker, fn: string, args: Bytes): void => {
    const request = tuple(atom("call"), atom("jobs"), atom(fn), args, peer.pid());
    peer.regSend("rex", genCall(peer.pid(), peer.ref(), request));
  };
  it("runs the function that was granted", async () => {
    const came = await upshot(desktop, await desktop.attacker(PEER), (peer) => rex(peer, "run", list(int(1))));
    expect(came.arrived).toEqual(["jobs:run/1 [1]"]);
    expect(came.said.join()).not.toContain("denied");
  });

  it.each<[string, string, Bytes]>([
    ["a list in two parts", "run", Buffer.concat([u8(108), u32(1), int(1), list(int(2))])],
    ["a list in three parts", "run", Buffer.concat([u8(108), u32(1), int(1), u8(108), u32(1), int(2), list(int(3))])],
    ["nothing, with a list behind it", "run", Buffer.concat([u8(108), u32(0), list(int(1), int(2))])],
    ["one, with a string behind it", "run", Buffer.concat([u8(108), u32(1), int(1), u8(107), u16(1), u8(2)])],
    ["two", "run", list(int(1), int(2))],
    ["none", "run", NIL],
  ])("does not run another one of that name: arguments as %s", async (_, fn, args) => {
    const came = await upshot(desktop, await desktop.attacker(PEER), (peer) => rex(peer, fn, args));
    expect(came.arrived).toEqual([]);
  });

  it("does not run what one may only spawn, nor the other way round", async () => {
    const came = await upshot(desktop, await desktop.attacker(PEER), (peer) => {
      peer.regSend(
        "rex",
        genCall(peer.pid(), peer.ref(), tuple(atom("call"), atom("sallyport_fn"), atom("worker"), NIL, peer.pid())),
      );
      peer.spawn(["jobs", "stay", 0], NIL);
    });
    expect(came.arrived).toEqual([]);
  });
});

describe("a spawn", () => {
  it("of M:F/A runs it with A arguments", async () => {
    const came = await upshot(desktop, await desktop.attacker(PEER), (peer) =>
      peer.spawn(["jobs", "run", 1], list(int(1))),
    );
    expect(came.arrived).toEqual(["jobs:run/1 [1]"]);
  });

  it.each<[string, Bytes, number]>([
    ["no", NIL, 0],
    ["one", list(int(1)), 1],
    ["two", list(int(1), int(2)), 2],
  ])("of a plain function that is called like M:F/A does not run M:F/A with %s arguments", async (_, args, arity) => {
    const came = await upshot(desktop, await desktop.attacker(PEER), (peer) =>
      peer.spawn(["sallyport_fn", "jobs:run/1", arity], args),
    );
    expect(came.arrived).toEqual([]);
  });
});

describe("what one message held", () => {
  const left: [string, (peer: Attacker) => void][] = [
    ["somebody of a third node", (peer) => peer.regSend("jobs", tuple(THIRD_PID))],
    ["a fun", (peer) => peer.regSend("jobs", Buffer.concat([u8(113), atom("os"), atom("cmd"), int(1)]))],
  ];
  it.each(left)("is forgotten with the next: %s", async (_, first) => {
    const peer = await desktop.attacker(PEER);
    peer.send(op.link(peer.pid(5), target(peer, "machine")));
    const came = await upshot(desktop, peer, (it) => {
      first(it);
      it.send(op.exit(it.pid(5), target(it, "machine"), atom("boom")));
      it.regSend("jobs", bin("clean"));
    });
    expect(came.arrived).toEqual([
      expect.stringMatching(/^machine\.info \{'EXIT',.*,boom\}$/),
      'jobs.info <<"clean">>',
    ]);
  });

  it.each(left)("does not pass in a reason, wherever that stands: %s", async (what) => {
    const term = what === "a fun" ? Buffer.concat([u8(113), atom("os"), atom("cmd"), int(1)]) : tuple(THIRD_PID);
    const peer = await desktop.attacker(PEER);
    peer.send(op.link(peer.pid(5), target(peer, "machine")));
    peer.send(op.link(peer.pid(6), target(peer, "machine")));
    const came = await upshot(desktop, peer, (it) => {
      it.send(op.exit(it.pid(5), target(it, "machine"), term));
      it.send(op.payloadExit(it.pid(6), target(it, "machine")), term);
    });
    expect(came.stands).toBe(true);
    expect(came.arrived.join()).not.toMatch(/third@elsewhere|cmd/);
    expect(came.arrived).toHaveLength(2);
  });

  it.each(left)("does not pass in the reason of a DOWN that was asked for: %s", async (what) => {
    const term = what === "a fun" ? Buffer.concat([u8(113), atom("os"), atom("cmd"), int(1)]) : tuple(THIRD_PID);
    const peer = await desktop.dials(PEER, trap);
    for (const isPayload of [true, false]) {
      const [key, mark] = [`${what}${isPayload}`, peer.heard.length];
      await desktop.ask("monitor", { key, name: "jobs", to: PEER });
      const asked = await peer.hears(({ op: how }) => how === 19, mark);
      const [, watcher, , reference] = asked.control as [unknown, { raw: Bytes }, unknown, { raw: Bytes }];
      if (isPayload) peer.send(op.payloadMonitorExit(atom("jobs"), watcher.raw, reference.raw), term);
      else peer.send(op.monitorExit(atom("jobs"), watcher.raw, reference.raw, term));
      const { downs } = await desktop.ended(key);
      expect(downs).toHaveLength(1);
      expect(downs?.join()).not.toMatch(/third@elsewhere|cmd/);
    }
  });
});

describe("what was kept", () => {
  it("ends when the rule's time is over, also for a target that was just used", async () => {
    const until = new Date(Date.now() + 1_200).toISOString();
    const timed = { id: "timed", from: "peer", allow: "send", to: "events", when: { before: until } };
    await desktop.ask("replace", { document: policy([timed]) });
    const peer = await desktop.attacker(PEER);
    const sends = async (): Promise<number> =>
      (await upshot(desktop, peer, (it) => it.regSend("events", bin("x")))).arrived.length;
    expect(await sends()).toBe(1);
    expect(await sends()).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(await sends()).toBe(0);
  });

  it("ends with the process: another one of that name, or that pid's name, is judged anew", async () => {
    const peer = await desktop.attacker(PEER);
    const byPid = (it: Attacker): void => it.send(op.sendSender(it.pid(), target(it, "jobs")), bin("by pid"));
    expect((await upshot(desktop, peer, byPid)).arrived).toEqual(['jobs.info <<"by pid">>']);
    const old = target(peer, "jobs");
    await desktop.ask("unregister", { name: "jobs" });
    expect((await upshot(desktop, peer, (it) => it.send(op.sendSender(it.pid(), old), bin("old")))).arrived).toEqual(
      [],
    );
    await desktop.ask("again", { name: "jobs" });
    desktop.pids = await desktop.ask("pids");
    const came = await upshot(desktop, peer, (it) => {
      it.send(op.sendSender(it.pid(), old), bin("old"));
      byPid(it);
      it.regSend("jobs", bin("by name"));
    });
    expect(came.arrived).toEqual(['jobs.info <<"by pid">>', 'jobs.info <<"by name">>']);
  });

  it("of a message half of which had come is judged when it is whole", async () => {
    const peer = await desktop.attacker(PEER);
    const payload = bin("x".repeat(1_000));
    peer.raw.frame(firstFragment(3n, 2n, op.regSend(peer.pid(), "jobs"), payload.subarray(0, 400)), 4);
    expect(await peer.settles()).toBe(true);
    await desktop.ask("replace", { document: policy([]) });
    const came = await upshot(desktop, peer, (it) => it.raw.frame(nextFragment(3n, 1n, payload.subarray(400)), 4));
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 1]);
  });

  it.each<[string, (peer: Attacker) => Bytes]>([
    ["erpc", (peer) => peer.rpc("jobs", "stay", NIL)],
    [
      "rex",
      (peer) => {
        const reference = peer.ref();
        const request = tuple(atom("call"), atom("jobs"), atom("stay"), NIL, peer.pid());
        peer.regSend("rex", genCall(peer.pid(), reference, request));
        return reference;
      },
    ],
    ["a spawn with its monitor", (peer) => peer.spawn(["sallyport_fn", "stay", 0], NIL, "monitor")],
    ["a call", (peer) => peer.call("slow", NIL)],
    ["a call without a monitor", (peer) => peer.call("slow", NIL, false)],
  ])("of what runs ends when it is withdrawn, and nothing leaves afterwards: %s", async (_, begin) => {
    const slow = { id: "slow", from: "peer", allow: "call", to: "slow" };
    await desktop.ask("replace", { document: policy([...RULES, slow]) });
    const peer = await desktop.attacker(PEER);
    const reference = shown(begin(peer));
    expect(await peer.settles()).toBe(true);
    await desktop.arrived();
    expect((await desktop.health()).held).toBe(1);
    await desktop.ask("replace", { document: policy([]) });
    const isEnd = (text: string): boolean => text.includes(reference) && text.includes("sallyport_denied");
    await peer.hears(({ text }) => isEnd(text));
    expect(await peer.settles()).toBe(true);
    expect(peer.said().filter(isEnd)).toHaveLength(1);
    const mark = peer.heard.length;
    await desktop.ask("release");
    expect(await peer.settles()).toBe(true);
    expect(peer.said(mark)).toEqual([]);
  });
});

describe("what waits in a mailbox", () => {
  it("is not handled any more when its grant is withdrawn, and its callers hear so", async () => {
    const slow = { id: "slow", from: "peer", allow: ["call", "cast", "send"], to: "slow" };
    await desktop.ask("replace", { document: policy([...RULES, slow]) });
    const peer = await desktop.attacker(PEER);
    const references = [peer.call("slow", int(0)), peer.call("slow", int(1))].map(shown);
    for (let i = 0; i < 20; i++) peer.cast("slow", int(i));
    for (let i = 0; i < 20; i++) peer.regSend("slow", int(i));
    expect(await peer.settles()).toBe(true);
    // The service waits for what its first call waits for.
    expect(await desktop.arrived()).toEqual([]);
    await desktop.ask("replace", { document: policy([]) });
    for (const reference of references) {
      await peer.hears(({ text }) => text.includes(reference) && text.includes("sallyport_denied"));
    }
    await desktop.ask("release");
    await desktop.ask("release");
    expect(await desktop.arrived()).toEqual([]);
  });
});

describe("a deny", () => {
  it.each<[string, (peer: Attacker, handed: Bytes) => void]>([
    ["REG_SEND", (peer) => peer.regSend("private", bin("by name"))],
    ["SEND", (peer) => peer.send(op.sendSender(peer.pid(), target(peer, "private")), bin("by pid"))],
    ["ALIAS_SEND", (peer, handed) => peer.send(op.aliasSend(peer.pid(), handed), bin("by alias"))],
    ["EXIT2", (peer) => peer.send(op.exit2(peer.pid(), target(peer, "private"), atom("kill")))],
    ["LINK", (peer) => peer.send(op.link(peer.pid(), target(peer, "private")))],
    ["MONITOR_P by name", (peer) => peer.monitor(atom("private"))],
    ["MONITOR_P by pid", (peer) => peer.monitor(target(peer, "private"))],
  ])("of a name holds for its pid and for an alias that was handed out: %s", async (_, attack) => {
    const verbs = ["send", "call", "cast", "monitor", "link", "exit"];
    const grant = await desktop.grant("deny", "private", OWNER, { verbs });
    const came = await upshot(desktop, await desktop.attacker(OWNER), (peer) => attack(peer, aliasTerm(grant)));
    const dead = await everyoneLives(desktop);
    if (dead.length > 0) await desktop.ask("again", { name: "private" });
    desktop.pids = await desktop.ask("pids");
    await desktop.ask("revoke", { key: "deny" });
    expect([came.stands, came.arrived, came.denied, dead]).toEqual([true, [], 1, []]);
    expect(came.said.filter((text) => !text.includes("sallyport_denied"))).toEqual([]);
  });
});

describe("an alias that was handed out and taken back", () => {
  it("takes its monitors and links with it", async () => {
    const grant = await desktop.grant("watch", "handed", OTHER, { verbs: ["monitor", "link", "send"] });
    const peer = await desktop.attacker(OTHER);
    const watch = shown(peer.monitor(peer.theirPid(grant.pid)));
    peer.send(op.link(peer.pid(5), peer.theirPid(grant.pid)));
    expect(await peer.settles()).toBe(true);
    expect(peer.said()).toEqual([]);
    await desktop.ask("revoke", { key: "watch" });
    await peer.hears(({ op: what, text }) => what === 28 && text.includes(watch));
    await peer.hears(({ op: what }) => what === 24);
  });
});

describe("what this node started elsewhere", () => {
  it("may write to the sink that it was given, and nothing runs here for it; nobody else may", async () => {
    const peer = await desktop.dials(PEER, trap);
    await desktop.ask("spawn", { key: "io", to: PEER, fn: "worker" });
    const asked = await peer.hears(({ op: what }) => what === 29);
    const [, reference, parent, leader] = asked.control as [unknown, { raw: Bytes }, { raw: Bytes }, { raw: Bytes }];
    peer.send(op.spawnReply(reference.raw, parent.raw, 2, peer.pid(7)));
    const io = (from: Attacker, request: Bytes): Bytes => tuple(atom("io_request"), from.pid(7), from.ref(), request);
    const chars = tuple(atom("put_chars"), atom("unicode"), bin("hello"));
    const mfa = tuple(atom("put_chars"), atom("unicode"), atom("os"), atom("cmd"), list(bin("id")));
    const until = tuple(atom("get_until"), atom("unicode"), NIL, atom("os"), atom("cmd"), list(bin("id")));
    const came = await upshot(desktop, peer, (it) => {
      for (const request of [chars, mfa, until, tuple(atom("requests"), list(mfa, mfa))]) {
        it.send(op.sendSender(it.pid(7), leader.raw), io(it, request));
      }
      it.send(
        op.sendSender(it.pid(7), leader.raw),
        tuple(atom("system"), tuple(it.pid(7), it.ref()), atom("get_state")),
      );
      it.send(op.sendSender(it.pid(7), leader.raw), genCall(it.pid(7), it.ref(), int(1)));
    });
    expect([came.stands, came.arrived]).toEqual([true, []]);
    expect(came.said.filter((text) => text.includes("io_reply")).length).toBeGreaterThan(0);
    const other = await desktop.attacker(OTHER);
    const stolen = await upshot(desktop, other, (it) => it.send(op.sendSender(it.pid(7), leader.raw), io(it, chars)));
    expect([stolen.said, stolen.denied]).toEqual([[], 1]);
  });
});

describe("the node's own processes", () => {
  it("are not in `*`: an owner of every process cannot end what makes the node a node", async () => {
    const own = await World.create();
    try {
      const machine = await own.start({
        name: DESKTOP,
        policy: {
          version: 1,
          node: DESKTOP,
          peers: { owner: own.entry(OWNER), peer: own.entry(PEER) },
          rules: [
            { id: "owner", from: "owner", allow: ["send", "call", "cast", "monitor", "link", "exit", "io"], to: "*" },
            { id: "run", from: "peer", allow: "rpc", to: "jobs:run/1" },
          ],
        },
        pinned: [OWNER, PEER],
      });
      const owner = await machine.attacker(OWNER);
      await upshot(machine, owner, (it) => {
        for (let id = 0; id < 40; id++) {
          it.send(op.link(it.pid(id), it.theirPid({ id, serial: 0 })));
          it.send(op.payloadExit(it.pid(id), it.theirPid({ id, serial: 0 })), atom("kill"));
          it.send(op.payloadExit2(it.pid(), it.theirPid({ id, serial: 0 })), atom("kill"));
        }
      });
      const peer = await machine.attacker(PEER);
      peer.call("net_kernel", tuple(atom("is_auth"), atom(PEER)));
      await peer.hears(({ text }) => text.includes(",yes}"));
      const request = tuple(atom("call"), atom("jobs"), atom("run"), list(int(1)), peer.pid());
      peer.regSend("rex", genCall(peer.pid(), peer.ref(), request));
      await peer.hears(({ text }) => text.endsWith(",1}"));
    } finally {
      await own.stop();
    }
  });
});

describe("a peer in audit mode", () => {
  it("is let through and recorded, but not to the node's machinery, not in another's name, and not after its time", async () => {
    const own = await World.create();
    try {
      const until = new Date(Date.now() + 2_500).toISOString();
      const machine = await own.start({
        name: DESKTOP,
        policy: {
          version: 1,
          node: DESKTOP,
          peers: { peer: own.entry(PEER, { mode: "audit", until }) },
          rules: [{ id: "never", from: "peer", deny: "send", to: "private" }],
        },
        pinned: [PEER],
      });
      const peer = await machine.attacker(PEER);
      const came = await upshot(machine, peer, (it) => {
        it.regSend("jobs", bin("audited"));
        it.regSend("private", bin("denied"));
        it.regSend("jobs", tuple(atom("system"), tuple(it.pid(), alias(it.ref())), atom("get_state")));
        it.spawn(["os", "cmd", 1], list(bin("id")));
      });
      expect(came.arrived).toEqual(['jobs.info <<"audited">>']);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, Date.parse(until) - Date.now()) + 50));
      expect((await upshot(machine, peer, (it) => it.regSend("jobs", bin("late")))).arrived).toEqual([]);
    } finally {
      await own.stop();
    }
  });
});
