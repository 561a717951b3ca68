import { describe, expect, it } from "vitest";
import type { PeerEntry, PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom, ImproperList, type Term, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";
import { genCall, genCast } from "./gen.ts";

const a = (name: string) => new Atom(name);

function policyOf(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}): PolicyDocument {
  return { version: 1, node: "n@h", peers: { p: { names: ["p@h"], assurance: "cookie", ...peer } }, rules };
}

/** A node with a service whose calls wait until they are let go, a process, and a peer. */
async function make(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}) {
  const world = new ScriptedNode({ policy: policyOf(rules, peer) });
  const { node } = world;
  const heard: Term[] = [];
  const waiting: (() => void)[] = [];
  const service = node.register("s", {
    call: (request) => {
      heard.push(request);
      return new Promise<Term>((resolve) => waiting.push(() => resolve(a("done"))));
    },
    cast: (message) => {
      heard.push(message);
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
  });
  const process = node.spawn((message) => void heard.push(message));
  const p = await world.connect();
  const finish = async () => {
    for (let i = 0; i < 20; i++) {
      for (const done of waiting.splice(0)) done();
      await world.settle();
    }
  };
  return { world, node, p, service, process, heard, waiting, finish };
}

describe("what waits when its grant ends", () => {
  it("is not handled after the grant of the process was taken back", async () => {
    const { world, node, p, service, heard, finish } = await make([]);
    const grant = node.grant(service, { to: "p@h", verbs: ["call"] });
    for (let i = 0; i < 4; i++) p.send(grant.pid, genCall(p.from, p.ref(), true, i));
    await world.settle();
    expect(heard).toEqual([0]);
    grant.revoke();
    await finish();
    expect(heard).toEqual([0]);
    expect((await p.answers()).filter(({ kind }) => kind === "alias-send")).toEqual([]);
  });

  it("is handled after the last use of the grant by which it came", async () => {
    const { world, node, p, service, heard, finish } = await make([]);
    const grant = node.grant(service, { to: "p@h", verbs: ["cast"], uses: 2 });
    for (let i = 0; i < 3; i++) p.send(grant.pid, genCast(i));
    await world.settle();
    expect(node.grants()).toEqual([]);
    node.policy?.replace(policyOf([{ id: "x", from: "p", allow: "send", to: "other" }]));
    await finish();
    expect(heard).toEqual([0, 1]);
  });

  it("is not handled when its sender has left and may do it no more", async () => {
    const { world, node, p, heard, finish } = await make([{ id: "r", from: "p", allow: ["cast", "call"], to: "s" }]);
    for (let i = 0; i < 3; i++) p.send("s", genCast(i));
    p.call("s", 3);
    await world.settle();
    node.disconnect("p@h");
    await world.settle();
    node.policy?.replace(policyOf([]));
    await finish();
    expect(heard).toEqual([0]);
  });

  it("is not handled when its sender has left and may not even connect any more", async () => {
    const { world, node, p, heard, finish } = await make([{ id: "r", from: "p", allow: "cast", to: "s" }]);
    for (let i = 0; i < 3; i++) p.send("s", genCast(i));
    await world.settle();
    node.disconnect("p@h");
    await world.settle();
    const others: PolicyDocument = {
      version: 1,
      node: "n@h",
      peers: { q: { names: ["q@h"], assurance: "cookie" } },
      rules: [{ id: "r", from: "*", allow: "cast", to: "s" }],
    };
    expect(node.policy?.replace(others).ok).toBe(true);
    await finish();
    expect(heard).toEqual([0]);
  });

  it("is handled when its sender has left and still may", async () => {
    const rule: RuleEntry = { id: "r", from: "p", allow: "cast", to: "s" };
    const { world, node, p, heard, finish } = await make([rule]);
    for (let i = 0; i < 3; i++) p.send("s", genCast(i));
    await world.settle();
    node.disconnect("p@h");
    node.policy?.replace(policyOf([{ ...rule, id: "same" }]));
    await finish();
    expect(heard).toEqual([0, 1, 2]);
  });

  it("keeps its places under `inflight`, whoever connects anew", async () => {
    const { world, heard, waiting, finish, p } = await make([
      { id: "r", from: "p", allow: "call", to: "s", limits: { inflight: 1 } },
    ]);
    p.call("s", 0);
    await world.settle();
    const second = await world.connect();
    second.call("s", 1);
    await world.settle();
    expect([heard, waiting.length]).toEqual([[0], 1]);
    expect((await second.answers()).map(({ payload }) => payload)).toContainEqual(REFUSED);
    await finish();
    second.call("s", 2);
    await world.settle();
    expect(heard).toEqual([0, 2]);
  });
});

describe("a process that was handed out", () => {
  it("is reached no longer than its grant stands, however often it was reached before", async () => {
    const { world, node, p, process, heard } = await make([{ id: "g", from: "p", allow: "send", to: "granted-pids" }]);
    node.grant(process, { to: "p@h", verbs: ["monitor"], ttlMs: 50 });
    for (let i = 0; i < 3; i++) p.send(process.pid, i);
    await world.settle();
    expect(heard).toEqual([0, 1, 2]);
    world.clock.advance(60);
    for (let i = 3; i < 6; i++) p.send(process.pid, i);
    await world.settle();
    expect(heard).toEqual([0, 1, 2]);
  });
});

describe("exit signals", () => {
  it("with a reason in the control message are refused where it would have to be measured", async () => {
    const { world, node, p, process } = await make([
      { id: "e", from: "p", allow: "exit", to: "any-pid", limits: { payload: 64 } },
    ]);
    const large = new Array<Term>(500).fill(7);
    p.write({ kind: "exit2", from: p.from, to: process.pid, reason: { term: large } });
    await world.settle();
    expect([process.alive, world.refusals()]).toEqual([true, [`exit <${process.pid.id}.0> deny-limit`]]);
    p.write({ kind: "exit2", from: p.from, to: process.pid, reason: "payload" }, a("stop"));
    await world.settle();
    expect(process.alive).toBe(false);
    expect(node.vitals().counters["denied"]).toBe(1);
  });

  it.each<[string, Partial<RuleEntry>]>([
    ["a rate", { limits: { rate: "1/h" } }],
    ["audit mode", { mode: "audit", until: "2100-01-01" }],
  ])("over a link are messages where the exit grant has %s", async (_, more) => {
    const { world, p, process, heard } = await make([
      { id: "l", from: "p", allow: "link", to: "any-pid" },
      { id: "e", from: "p", allow: "exit", to: "any-pid", ...more },
    ]);
    p.write({ kind: "link", from: p.from, to: process.pid });
    p.write({ kind: "exit", from: p.from, to: process.pid, reason: "payload" }, a("boom"));
    await world.settle();
    expect([process.alive, heard]).toEqual([true, [tuple(a("EXIT"), p.from, a("boom"))]]);
  });
});

describe("bounds on one message", () => {
  it("hold for what stands around the request", async () => {
    const { world, p, heard } = await make([
      { id: "r", from: "p", allow: "call", to: "s", limits: { elements: 10, newAtoms: 3 } },
    ]);
    const wide = new ImproperList([new ImproperList([a("alias")], p.ref())], new Array<Term>(3_000).fill(1));
    p.send("s", tuple(a("$gen_call"), tuple(p.from, wide), 1));
    await world.settle();
    expect([heard, world.refusals()]).toEqual([[], ["call s deny-limit r"]]);
    p.call("s", 2);
    await world.settle();
    expect(heard).toEqual([2]);
  });

  it("hold for answers, which are recorded when they are refused", async () => {
    const { world, node, p } = await make([], { limits: { payload: 200 } });
    const answer = async (value: Term): Promise<unknown> => {
      const call = node.call({ name: "x", node: "p@h" }, 1).catch((error: unknown) => error);
      await world.settle();
      const asked = (await p.answers()).find(({ kind }) => kind === "monitor");
      if (asked?.kind !== "monitor") throw new Error("was not asked");
      const tag = new ImproperList([a("alias")], asked.ref);
      p.write({ kind: "alias-send", from: p.from, alias: asked.ref }, tuple(tag, value));
      await world.settle();
      return call;
    };
    expect(await answer(a("small"))).toEqual(a("small"));
    const refused = await answer(Buffer.alloc(1_000));
    expect(refused).toMatchObject({ code: "ERR_DENIED", reason: "ANSWER_REFUSED", detail: { option: "limits" } });
    expect(world.refusals()).toEqual(["reply x deny-limit"]);
  });
});

describe("refusals for want of a place", () => {
  it("are recorded: spawns, rpc and functions that nobody registered", async () => {
    const { world, node, p } = await make([
      { id: "f", from: "p", allow: ["spawn", "rpc"], to: ["w", "m:f/0", "m:none/0"], limits: { inflight: 1 } },
    ]);
    const never = () => new Promise<Term>(() => {});
    node.registerFunction("w", never);
    node.registerFunction({ module: "m", function: "f", arity: 0 }, never);
    p.spawn("sallyport_fn", "w", []);
    p.spawn("sallyport_fn", "w", []);
    p.call("rex", tuple(a("call"), a("m"), a("f"), [], a("user")));
    p.spawn("m", "none", []);
    await world.settle();
    // A rule grants it: what is missing is the function, and only its owner is told so.
    const [, missing] = world.denied;
    expect(world.denied.map(({ why }) => why)).toEqual([undefined, "not-registered", undefined]);
    expect(world.refusals()).toEqual(["spawn w deny-limit", "spawn m:none/0 deny-default", "rpc m:f/0 deny-limit"]);
    expect(world.node.why(missing?.decision ?? "")).toMatchObject({ why: "not-registered", alias: "p", rule: null });
  });
});

describe("a message that is allowed by one use of a grant, and refused for what it holds", () => {
  it("uses nothing up, and is not recorded as allowed", async () => {
    const { world, node, p, process, heard } = await make([]);
    const grant = node.grant(process, { to: "p@h", verbs: ["send"], uses: 1 });
    const { ExportFun } = await import("../term/types.ts");
    p.send(grant.pid, new ExportFun("os", "cmd", 1));
    await world.settle();
    expect([heard, node.grants()[0]?.usesLeft]).toEqual([[], 1]);
    p.send(grant.pid, 5);
    await world.settle();
    expect([heard, node.grants()]).toEqual([[5], []]);
  });
});

describe("a large message that is refused", () => {
  it("is recorded, and its caller answered, by its first fragment", async () => {
    const { world, p, heard } = await make([]);
    const large = Buffer.alloc(600_000);
    p.send("s", large);
    p.send("s", genCall(p.from, p.ref(), true, large));
    await world.settle();
    expect([heard, world.refusals()]).toEqual([[], ["send s deny-default", "call s deny-default"]]);
    const downs = (await p.answers()).filter(({ kind }) => kind === "monitor-exit");
    expect(downs.map(({ payload }) => payload)).toEqual([REFUSED]);
    expect(p.ended).toBeUndefined();
  });
});
