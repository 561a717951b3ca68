import { describe, expect, it } from "vitest";
import type { PolicyDocument } from "../policy/document.ts";
import { Atom, ExportFun, Pid, type Term, tuple } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { ScriptedNode } from "../testkit/scripted-peer.ts";
import { exit, type GrantOptions } from "./api.ts";
import { SPENT_LOOK_MS } from "./own-grants.ts";

async function make(maxGrants?: number) {
  const world = new ScriptedNode(maxGrants === undefined ? {} : { guardLimits: { maxGrants } });
  const own = world.node.spawn(() => exit(new Atom("normal")));
  await world.connect();
  return { world, node: world.node, own };
}

describe("node.grant", () => {
  it("shows what was handed over, and to whom", async () => {
    const { world, node, own } = await make();
    const plain = node.grant(own, { to: "p@h" });
    expect(plain).toMatchObject({ pid: own.pid, to: "p@h", verbs: ["send"], expiresInMs: null });
    expect(plain.usesLeft).toBe(Number.POSITIVE_INFINITY);
    const bounded = node.grant(own.pid, { to: "P@H".toLowerCase(), verbs: ["call", "exit"], uses: 2.9, ttlMs: 100 });
    expect(bounded).toMatchObject({ verbs: ["call", "exit"], usesLeft: 2, expiresInMs: 100 });
    expect(bounded.alias).not.toEqual(plain.alias);
    world.clock.advance(40);
    expect(node.grants().map(({ id, expiresInMs }) => [id, expiresInMs])).toEqual([
      [plain.id, null],
      [bounded.id, 60],
    ]);
    world.clock.advance(60);
    expect(node.grants().map(({ id }) => id)).toEqual([plain.id]);
    expect([plain.revoke(), plain.revoke(), node.grants().length]).toEqual([true, false, 0]);
  });

  it("may name a key that has no session yet", async () => {
    const { node, own } = await make();
    const key = `SHA256:${"A".repeat(43)}`;
    expect(node.grant(own, { to: key }).to).toBe(key);
  });

  it("ends with the process", async () => {
    const { world, node, own } = await make();
    node.grant(own, { to: "p@h" });
    node.grant(own, { to: "p@h", verbs: ["call"] });
    node.send(own, 1);
    await world.settle();
    expect(node.grants()).toEqual([]);
    expect(failureOf(() => node.grant(own, { to: "p@h" }))).toBe("ERR_API_MISUSE GRANT_INVALID");
  });

  it.each([
    ["no verbs", { verbs: [] }],
    ["a verb that cannot be given", { verbs: ["rpc"] }],
    ["no uses", { uses: 0 }],
    ["uses that are no number", { uses: Number.NaN }],
    ["no time", { ttlMs: 0 }],
    ["a time that is no number", { ttlMs: Number.NaN }],
  ])("refuses %s", async (_, options) => {
    const { node, own } = await make();
    expect(failureOf(() => node.grant(own, { to: "p@h", ...(options as object) }))).toBe(
      "ERR_API_MISUSE GRANT_INVALID",
    );
    expect(node.grants()).toEqual([]);
  });

  it("refuses who is not there, what does not live here, and more than may stand", async () => {
    const { node, own } = await make(1);
    expect(failureOf(() => node.grant(own, { to: "q@h" }))).toBe("ERR_API_MISUSE GRANT_HOLDER_UNKNOWN");
    expect(failureOf(() => node.grant(new Pid("p@h", 1, 0, 77), { to: "p@h" }))).toBe("ERR_API_MISUSE GRANT_INVALID");
    node.grant(own, { to: "p@h" });
    expect(failureOf(() => node.grant(own, { to: "p@h" }))).toBe("ERR_LIMIT GRANT_LIMIT");
  });
});

describe("what rests on a grant", () => {
  async function makeTied() {
    const made = await make();
    const own = made.world.node.spawn(() => undefined);
    const p = await made.world.connect({ name: "p@h" });
    return { ...made, own, p };
  }
  const kindsOf = (answers: readonly { readonly kind: string }[]) => answers.map(({ kind }) => kind).sort();

  it("ends with its time, each at its own", async () => {
    const { world, node, own, p } = await makeTied();
    const other = node.spawn(() => undefined);
    const tie = { to: "p@h", verbs: ["monitor", "link"] as const };
    node.grant(own, { ...tie, ttlMs: 200 });
    node.grant(other, { ...tie, ttlMs: 100 });
    for (const { pid } of [own, other]) {
      p.write({ kind: "monitor", from: p.from, target: pid, ref: p.ref() });
      p.write({ kind: "link", from: p.from, to: pid });
    }
    expect(kindsOf(await p.answers())).toEqual([]);
    world.clock.advance(99);
    expect(kindsOf(await p.answers())).toEqual([]);
    world.clock.advance(1);
    expect(kindsOf(await p.answers())).toEqual(["exit", "monitor-exit"]);
    world.clock.advance(99);
    expect(kindsOf(await p.answers())).toEqual([]);
    world.clock.advance(1);
    expect(kindsOf(await p.answers())).toEqual(["exit", "monitor-exit"]);
  });

  it("ends with its last use", async () => {
    const { node, own, p } = await makeTied();
    const { pid } = node.grant(own, { to: "p@h", verbs: ["send", "link"], uses: 2 });
    p.write({ kind: "link", from: p.from, to: pid });
    p.send(pid, 1);
    expect(kindsOf(await p.answers())).toEqual([]);
    p.send(pid, 2);
    expect(kindsOf(await p.answers())).toEqual(["exit"]);
  });

  it("ends with the call that was its last use, which is still answered", async () => {
    const { world, node, p } = await makeTied();
    let answer: (value: number) => void = () => undefined;
    const service = node.register("s", {
      call: () =>
        new Promise<number>((resolve) => {
          answer = resolve;
        }),
    });
    const { pid } = node.grant(service, { to: "p@h", verbs: ["call", "link"], uses: 1 });
    p.write({ kind: "link", from: p.from, to: pid });
    p.call(pid, 1);
    await p.answers();
    world.clock.advance(5 * SPENT_LOOK_MS);
    expect(kindsOf(await p.answers())).toEqual([]);
    answer(7);
    expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    world.clock.advance(SPENT_LOOK_MS);
    expect(kindsOf(await p.answers())).toEqual(["exit", "monitor-exit"]);
    expect(world.clock.pendingTimers).toBe(await idleTimers());
  });
});

describe("a process handed over as a group leader", () => {
  async function makeLeader(options: Partial<GrantOptions> = {}, policy?: PolicyDocument) {
    const world = new ScriptedNode(policy === undefined ? {} : { policy });
    const heard: Term[] = [];
    const leader = world.node.spawn((message) => void heard.push(message));
    const p = await world.connect();
    const q = await world.connect({ name: "q@h" });
    world.node.grant(leader, { to: "p@h", verbs: ["io", "monitor"], ...options });
    const request = (what: Term) => tuple(new Atom("io_request"), p.from, p.ref(), what);
    return { world, heard, leader, p, q, request };
  }

  it("takes io requests of its holder, and nothing else", async () => {
    const { world, heard, leader, p, q, request } = await makeLeader();
    p.send(leader.pid, request(1));
    q.send(leader.pid, request(2));
    p.send(leader.pid, "plain");
    p.send(leader.pid, tuple(new Atom("EXIT"), p.from, new Atom("kill")));
    p.send(leader.pid, tuple(new Atom("$gen_cast"), 1));
    p.write({ kind: "link", from: p.from, to: leader.pid });
    p.write({ kind: "exit2", from: p.from, to: leader.pid, reason: "payload" }, new Atom("kill"));
    await world.settle();
    expect(heard).toHaveLength(1);
    expect(leader.alive).toBe(true);
    expect(world.refusals()).toHaveLength(6);
  });

  it("takes funs and identifiers of third nodes in them where the grant says so", async () => {
    const third = new Pid("third@h", 1, 0, 1);
    for (const [options, taken] of [
      [{}, 0],
      [{ funs: true }, 1],
      [{ foreign: true }, 1],
      [{ funs: true, foreign: true }, 2],
    ] as const) {
      const { world, heard, leader, p, request } = await makeLeader(options);
      p.send(leader.pid, request(new ExportFun("m", "f", 1)));
      p.send(leader.pid, request(third));
      await world.settle();
      expect(heard).toHaveLength(taken);
    }
  });

  it("takes them also where a rule lets the peer send io without them", async () => {
    const peer = (name: string) => ({ names: [name], assurance: "cookie" }) as const;
    const policy: PolicyDocument = {
      version: 1,
      node: "n@h",
      peers: { p: peer("p@h"), q: peer("q@h") },
      rules: [{ id: "io", from: "p", allow: "io", to: "any-pid" }],
    };
    const { world, heard, leader, p, request } = await makeLeader({ funs: true }, policy);
    p.send(leader.pid, request(new ExportFun("m", "f", 1)));
    await world.settle();
    expect(heard).toHaveLength(1);
  });

  it("is named as group leader of what is run and started, and the output of that comes to nobody else", async () => {
    const { world, leader, p } = await makeLeader();
    void world.node.rpc("p@h", "m", "f", [], { groupLeader: leader }).catch(() => undefined);
    void world.node.spawnRemote("p@h", "m:f", [], { groupLeader: leader }).catch(() => undefined);
    const asked = (await p.answers()).filter((answer) => answer.kind === "spawn-request");
    expect(asked.map((answer) => answer.kind === "spawn-request" && answer.groupLeader)).toEqual([
      leader.pid,
      leader.pid,
    ]);
    void world.node.rpc("p@h", "m", "f", []).catch(() => undefined);
    const [other] = await p.answers();
    const sink = other?.kind === "spawn-request" ? other.groupLeader : leader.pid;
    expect(sink).not.toEqual(leader.pid);
    p.send(sink, tuple(new Atom("io_request"), p.from, p.ref(), tuple(new Atom("put_chars"), "taken")));
    expect(world.refusals()).toEqual([]);

    const elsewhere = await makeLeader();
    void elsewhere.world.node.rpc("p@h", "m", "f", [], { groupLeader: elsewhere.leader }).catch(() => undefined);
    elsewhere.p.send(sink, tuple(new Atom("io_request"), p.from, p.ref(), tuple(new Atom("put_chars"), "refused")));
    await elsewhere.world.settle();
    expect(elsewhere.world.refusals()).toEqual(["io output deny-default"]);
  });
});

/** Timers of a node with one session, at rest. */
async function idleTimers(): Promise<number> {
  return (await make()).world.clock.pendingTimers;
}
