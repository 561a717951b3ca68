import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { alias, atom, bin, genCall, int, NIL, tuple } from "../attack/etf.ts";
import { op } from "../attack/frames.ts";
import { selfOf } from "../attack/native-client.ts";
import { Attacker, shown } from "../attack/policy-client.ts";
import { everyoneLives, upshot } from "../attack/policy-desktop.ts";
import {
  BOB,
  COOKIE,
  DESKTOP,
  type Document,
  EC2,
  eventually,
  type Health,
  type Machine,
  World,
} from "../attack/policy-rig.ts";
import type { VictimEvent } from "../attack/victim.ts";

// A policy that changes under live sessions: what is good applies within a second, what is not changes nothing, and what was
// withdrawn is closed.

const SECOND = 1_000;
/** A certificate this short-lived is used for the whole of its life. */
const CERTIFICATE_SECONDS = 12;

let world: World;
let desktop: Machine;

const ALL_RULES: readonly Document[] = [
  { id: "ec2-jobs", from: "ec2", allow: ["send", "call", "cast", "monitor"], to: ["jobs", "slow"] },
  { id: "ec2-tie", from: "ec2", allow: "link", to: "machine" },
];
const policy = (more: Document = {}): Document => ({
  version: 1,
  node: DESKTOP,
  peers: { ec2: world.entry(EC2), bob: world.entry(BOB), leaf: { names: [LEAF, BEAM], assurance: "ca" } },
  rules: ALL_RULES,
  ...more,
});
const LEAF = "leaf@rented";
const BEAM = "beam@rented";

interface Reload extends VictimEvent {
  readonly ok: boolean;
  readonly generation: number;
  readonly reason?: string;
}

/** Something else is written; gives the event that says what came of it. */
async function written(content: Document | string): Promise<Reload> {
  const mark = desktop.victim.events.length;
  desktop.writePolicy(content);
  return (await desktop.victim.event(({ event, what }) => event === "reload" && what === "policy", mark)) as Reload;
}

const generation = async (): Promise<number> => (await desktop.ask<{ generation: number }>("policy")).generation;

/** What is wrong besides the certificates of the two peers below, which are about to end. */
const problemsOf = ({ problems }: Health): readonly string[] => problems.filter((one) => one !== "PEER_CERT_EXPIRING");

/** Two sessions of peers that are known by a short-lived certificate of the authority, native and Erlang's. */
interface ShortLived {
  readonly peer: Attacker;
  readonly notAfterMs: number;
}
const shortLived: ShortLived[] = [];

async function certificate(name: string): Promise<{ cert: Buffer; key: Buffer; notAfterMs: number }> {
  const issued = await world.authority.issue(name, { days: CERTIFICATE_SECONDS / 86_400 });
  const cert = readFileSync(issued.certFile);
  return { cert, key: readFileSync(issued.keyFile), notAfterMs: Date.parse(new X509Certificate(cert).validTo) };
}

beforeAll(async () => {
  world = await World.create(COOKIE);
  desktop = await world.start({
    name: DESKTOP,
    policy: policy(),
    isFile: true,
    pinned: [EC2, BOB],
    hasAuthority: true,
    audit: true,
    node: { cookie: COOKIE },
  });
  const leaf = await certificate(LEAF);
  const native = await Attacker.native(desktop.port, DESKTOP, selfOf(LEAF, undefined, COOKIE), leaf);
  shortLived.push({ peer: native, notAfterMs: leaf.notAfterMs });
  const beam = await certificate(BEAM);
  shortLived.push({ peer: await desktop.beam(BEAM, 0, beam), notAfterMs: beam.notAfterMs });
});
afterEach(async () => {
  await desktop.arrived();
  await desktop.ask("release");
  expect(await everyoneLives(desktop)).toEqual([]);
});
afterAll(() => world.stop());

describe("a good change of the file", () => {
  it("applies to a live session within a second, and raises the generation by one", async () => {
    const before = await generation();
    const peer = await desktop.attacker(BOB);
    expect((await upshot(desktop, peer, (it) => it.regSend("jobs", bin("early")))).arrived).toEqual([]);
    const at = Date.now();
    const rules = [...ALL_RULES, { id: "bob", from: "bob", allow: "send", to: "jobs" }];
    expect(await written(policy({ rules }))).toMatchObject({ ok: true, generation: before + 1 });
    expect(Date.now() - at).toBeLessThan(SECOND + 500);
    expect((await upshot(desktop, peer, (it) => it.regSend("jobs", bin("now")))).arrived).toEqual([
      'jobs.info <<"now">>',
    ]);
    // And back: what was kept of the earlier verdict does not count.
    expect((await written(policy())).ok).toBe(true);
    expect((await upshot(desktop, peer, (it) => it.regSend("jobs", bin("late")))).arrived).toEqual([]);
    expect(await generation()).toBe(before + 2);
    peer.destroy();
  });
});

describe("a bad change of the file", () => {
  const good = (): string => JSON.stringify(policy(), null, 2);
  const bad: [string, () => string][] = [
    ["a syntax error", () => good().replace('"version": 1,', '"version": 1,,')],
    ["an unknown key", () => JSON.stringify(policy({ allow: "*" }))],
    [
      "an unknown verb",
      () => JSON.stringify(policy({ rules: [{ id: "x", from: "bob", allow: "everything", to: "*" }] })),
    ],
    ["a wildcard for rpc", () => JSON.stringify(policy({ rules: [{ id: "x", from: "bob", allow: "rpc", to: "*" }] }))],
    [
      "an unknown alias",
      () => JSON.stringify(policy({ rules: [{ id: "x", from: "nobody", allow: "call", to: "jobs" }] })),
    ],
    ["the node of somebody else", () => JSON.stringify(policy({ node: EC2 }))],
    [
      "a test of its own that fails",
      () => JSON.stringify(policy({ tests: [{ from: "bob", verb: "rpc", to: "os:cmd/1", expect: "allow" }] })),
    ],
    ["nothing in it", () => ""],
    ["half of it", () => good().slice(0, good().length / 2)],
    ["an empty object", () => "{}"],
    ["zeros", () => "\0".repeat(512)],
  ];
  it.each(bad)("with %s: the old generation stays, and health turns yellow", async (_, content) => {
    const before = await generation();
    const ec2 = await desktop.attacker(EC2);
    const bob = await desktop.attacker(BOB);
    const told = await written(content());
    expect(told).toMatchObject({ ok: false, generation: before });
    expect(told.reason).toMatch(/^[A-Z_]+$/);
    const health = await desktop.health();
    expect([health.state, problemsOf(health)]).toEqual(["yellow", ["POLICY_REJECTED"]]);
    expect((await upshot(desktop, ec2, (it) => it.regSend("jobs", bin("still")))).arrived).toEqual([
      'jobs.info <<"still">>',
    ]);
    expect((await upshot(desktop, bob, (it) => it.regSend("jobs", bin("not")))).arrived).toEqual([]);
    expect([ec2.closed, bob.closed]).toEqual([false, false]);
    for (const peer of [ec2, bob]) peer.destroy();
  });

  it("is forgotten with the next good one", async () => {
    const before = await generation();
    expect(await written(`${good()}\n// mended\n`)).toMatchObject({ ok: true, generation: before + 1 });
    expect(problemsOf(await desktop.health())).toEqual([]);
  });

  it("is refused by `reload` too, which says why", async () => {
    const before = await generation();
    desktop.writePolicy("{");
    const came = await desktop.ask<{ ok: boolean; generation: number; reason?: string }>("reload");
    expect([came.ok, came.generation, typeof came.reason]).toEqual([false, before, "string"]);
    desktop.writePolicy(policy());
    expect(await desktop.ask("reload")).toMatchObject({ ok: true });
    const health = await eventually<Health>(
      () => desktop.health(),
      (it) => problemsOf(it).length === 0,
    );
    expect(problemsOf(health)).toEqual([]);
  });

  it("is refused by `replace` too, which leaves all as it was", async () => {
    const before = await generation();
    const came = await desktop.ask("replace", { document: policy({ rules: [{ id: "x" }] }) });
    expect(came).toMatchObject({ ok: false, generation: before, reason: expect.stringMatching(/^[A-Z_]+$/) });
    expect(await generation()).toBe(before);
    expect(await desktop.ask("replace", { document: policy() })).toMatchObject({ ok: true, generation: before + 1 });
  });
});

describe("at start", () => {
  it.each<[string, string]>([
    ["an empty file", ""],
    ["half a file", '{ "version": 1, "node":'],
    ["an unknown version", JSON.stringify({ version: 2, node: DESKTOP })],
    ["another node's policy", JSON.stringify({ version: 1, node: EC2 })],
  ])("%s is no policy: the node does not start", async (_, text) => {
    const own = await World.create();
    try {
      const path = `${own.directory}/broken.jsonc`;
      writeFileSync(path, text);
      await expect(own.start({ name: DESKTOP, node: { policy: path } })).rejects.toThrow(/POLICY|ERR_CONFIG/);
    } finally {
      await own.stopAnyway();
    }
  });

  it("a policy of nobody lets nobody in", async () => {
    const own = await World.create();
    try {
      const machine = await own.start({ name: DESKTOP, policy: { version: 1, node: DESKTOP }, pinned: [EC2] });
      expect((await machine.tries(own.self(EC2))).isIn).toBe(false);
    } finally {
      await own.stop();
    }
  });
});

describe("what is withdrawn", () => {
  it("a peer: its session is cut within a second, and it does not get in again", async () => {
    const peer = await desktop.attacker(BOB);
    const ec2 = await desktop.attacker(EC2);
    const mark = desktop.victim.events.length;
    const at = Date.now();
    const { peers } = policy() as { peers: Record<string, unknown> };
    const { bob: _, ...others } = peers;
    desktop.writePolicy(policy({ peers: others }));
    const down = await desktop.victim.down(BOB, mark);
    expect(Number(down["atMs"]) - at).toBeLessThan(SECOND + 500);
    expect(await peer.settles()).toBe(false);
    expect((await desktop.tries(world.self(BOB))).isIn).toBe(false);
    expect([ec2.closed, await ec2.settles()]).toEqual([false, true]);
    ec2.destroy();
    expect((await written(policy())).ok).toBe(true);
    expect((await desktop.tries(world.self(BOB))).isIn).toBe(true);
  });

  it("a peer, by a deny of connect", async () => {
    const peer = await desktop.attacker(BOB);
    const rules = [...ALL_RULES, { id: "out", from: "bob", deny: "connect" }];
    const mark = desktop.victim.events.length;
    expect((await written(policy({ rules }))).ok).toBe(true);
    await desktop.victim.down(BOB, mark);
    expect(await peer.settles()).toBe(false);
    expect((await desktop.tries(world.self(BOB))).isIn).toBe(false);
    expect((await written(policy())).ok).toBe(true);
  });

  it("grants: monitors, links and running calls end as if refused, and the session stands", async () => {
    const ec2 = await desktop.attacker(EC2);
    const watch = shown(ec2.monitor(atom("jobs")));
    const machine = ec2.theirPid(desktop.pids["machine"] ?? { id: 0, serial: 0 });
    ec2.send(op.link(ec2.pid(5), machine));
    const call = shown(ec2.call("slow", int(1)));
    expect(await ec2.settles()).toBe(true);
    expect(ec2.said()).toEqual([]);
    expect((await written(policy({ rules: [] }))).ok).toBe(true);
    await ec2.hears(({ op: what, text }) => what === 28 && text.includes(watch) && text.includes("sallyport_denied"));
    await ec2.hears(({ op: what, text }) => what === 28 && text.includes(call) && text.includes("sallyport_denied"));
    await ec2.hears(({ op: what, text }) => what === 24 && text.includes("sallyport_denied"));
    const after = await upshot(desktop, ec2, (it) => {
      it.regSend("jobs", bin("late"));
      it.regSend("jobs", genCall(it.pid(), it.ref(), NIL));
      it.send(op.payloadExit(it.pid(5), machine), atom("late"));
    });
    expect([after.stands, after.arrived]).toEqual([true, []]);
    // The late answer of a call that was withdrawn does not leave.
    const mark = ec2.heard.length;
    await desktop.ask("release");
    expect(await ec2.settles()).toBe(true);
    expect(ec2.said(mark)).toEqual([]);
    expect((await written(policy())).ok).toBe(true);
    ec2.destroy();
  });

  it("during a storm of calls: nothing is let in after the second is over", async () => {
    const ec2 = await desktop.attacker(EC2);
    let isOver = false;
    const storm = (async () => {
      while (!isOver && !ec2.closed) {
        for (let i = 0; i < 20; i++) ec2.regSend("jobs", genCall(ec2.pid(), ec2.ref(), int(i)));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    expect((await written(policy({ rules: [] }))).ok).toBe(true);
    expect(await ec2.settles()).toBe(true);
    await desktop.arrived();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await desktop.arrived()).toEqual([]);
    isOver = true;
    await storm;
    expect(ec2.closed).toBe(false);
    expect((await written(policy())).ok).toBe(true);
    ec2.destroy();
  });

  it("does not touch what the desktop itself had asked", async () => {
    const ec2 = await desktop.attacker(EC2);
    await desktop.ask("call", { key: "own", name: "jobs", to: EC2 });
    const asked = await ec2.hears(({ text }) => text.includes("$gen_call"));
    expect((await written(policy({ rules: [] }))).ok).toBe(true);
    const [, , , reference] = asked.control as [unknown, unknown, unknown, { raw: Buffer } | undefined];
    const monitor = ec2.heard.find(({ op: what }) => what === 19);
    const [, , , raw] = (monitor?.control ?? []) as [unknown, unknown, unknown, { raw: Buffer }];
    expect(reference).toBeDefined();
    ec2.send(op.aliasSend(ec2.pid(), raw.raw), tuple(alias(raw.raw), atom("answer")));
    expect(await desktop.ended("own")).toMatchObject({ state: "answered", value: "answer" });
    expect((await written(policy())).ok).toBe(true);
    ec2.destroy();
  });
});

describe("a certificate that runs out", () => {
  it("ends the sessions whose peer is known by it, at its last second", async () => {
    for (const { peer, notAfterMs } of shortLived) {
      const down = await desktop.victim.event(({ event, peer: who }) => event === "nodedown" && who === peer.name);
      expect(Math.abs(Number(down["atMs"]) - notAfterMs)).toBeLessThan(2 * SECOND);
      expect(await peer.settles()).toBe(false);
    }
    expect(shortLived).toHaveLength(2);
  });
});
