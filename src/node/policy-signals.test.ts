import { describe, expect, it } from "vitest";
import type { PeerEntry, RuleEntry } from "../policy/document.ts";
import { Atom, Pid, type Term, tuple } from "../term/types.ts";
import { NODE_CREATION, NODE_NAME, REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";

const a = (name: string) => new Atom(name);

/** A node with this policy, and its one peer. */
async function make(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}) {
  const world = new ScriptedNode({
    policy: {
      version: 1,
      node: "n@h",
      peers: { p: { names: ["p@h"], assurance: "cookie", ...peer } },
      rules,
    },
  });
  return { world, node: world.node, p: await world.connect() };
}

const kindsOf = (answers: readonly { readonly kind: string }[]) => answers.map(({ kind }) => kind);

describe("processes of the node itself", () => {
  it("are neither ended nor linked to by a peer that may end every process", async () => {
    const { world, node, p } = await make([{ id: "all", from: "p", allow: ["exit", "link", "monitor"], to: "*" }]);
    const downs: Term[] = [];
    node.monitor(p.pid(9), ({ reason }) => downs.push(reason));
    const own = node.spawn(() => {});
    const [monitor] = await p.answers();
    if (monitor?.kind !== "monitor") throw new Error("no monitor was set");
    const before = node.vitals().processes;
    for (let id = 0; id < 6; id++) {
      const to = new Pid(NODE_NAME, id, 0, NODE_CREATION);
      if (to.id === own.pid.id) continue;
      p.write({ kind: "link", from: p.from, to });
      p.write({ kind: "exit", from: p.from, to, reason: "payload" }, a("boom"));
      p.write({ kind: "exit2", from: p.from, to, reason: "payload" }, a("kill"));
    }
    expect(new Set(kindsOf(await p.answers()))).toEqual(new Set(["exit"]));
    expect(node.vitals().processes).toBe(before);
    p.write({ kind: "exit2", from: p.from, to: own.pid, reason: "payload" }, a("kill"));
    p.write({ kind: "monitor-exit", target: p.pid(9), to: monitor.from, ref: monitor.ref, reason: "payload" }, a("x"));
    p.call("net_kernel", tuple(a("is_auth"), a("p@h")));
    expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    expect([downs, own.alive]).toEqual([[a("x")], false]);
    expect(new Set(world.refusals().map((line) => line.replace(/<.*>/, "pid")))).toEqual(
      new Set(["link pid deny-default", "exit pid deny-default"]),
    );
  });
});

describe("exit signals", () => {
  it("are weighed like other messages: size of the reason, rate, funs", async () => {
    const { world, node, p } = await make([
      { id: "r", from: "p", allow: "exit", to: "any-pid", limits: { payload: 20, rate: "2/s" } },
    ]);
    const own = node.spawn(() => {}, { trapExit: true });
    const exit2 = (reason: Term) => p.write({ kind: "exit2", from: p.from, to: own.pid, reason: "payload" }, reason);
    exit2(Buffer.alloc(100));
    await world.settle();
    expect(world.refusals()).toEqual([`exit <${own.pid.id}.0> deny-limit r`]);
    for (let i = 0; i < 3; i++) exit2(a("x"));
    await world.settle();
    expect(world.refusals()).toEqual([`exit <${own.pid.id}.0> deny-limit r`]);
  });

  it("over a link of a peer without an exit grant arrive as messages", async () => {
    const { world, node, p } = await make([{ id: "r", from: "p", allow: "link", to: "any-pid" }]);
    const heard: Term[] = [];
    const own = node.spawn((message) => void heard.push(message));
    p.write({ kind: "link", from: p.from, to: own.pid });
    p.write({ kind: "exit", from: p.from, to: own.pid, reason: "payload" }, a("boom"));
    await world.settle();
    expect([own.alive, heard]).toEqual([true, [tuple(a("EXIT"), p.from, a("boom"))]]);
  });

  it("over a link of a peer with an exit grant end the process", async () => {
    const { world, node, p } = await make([{ id: "r", from: "p", allow: ["link", "exit"], to: "any-pid" }]);
    const own = node.spawn(() => {});
    p.write({ kind: "link", from: p.from, to: own.pid });
    p.write({ kind: "exit", from: p.from, to: own.pid, reason: "payload" }, a("boom"));
    await world.settle();
    expect(own.alive).toBe(false);
  });
});

describe("monitors", () => {
  it("come with a call grant, and say noproc only where there is a grant on that very target", async () => {
    const { node, p } = await make([{ id: "r", from: "p", allow: "call", to: ["s", "gone"] }]);
    node.register("s", { call: (request) => request });
    const ref = p.ref();
    p.write({ kind: "monitor", from: p.from, target: "s", ref });
    expect(await p.answers()).toEqual([]);
    for (const target of ["gone", "other"]) p.write({ kind: "monitor", from: p.from, target, ref: p.ref() });
    expect((await p.answers()).map(({ payload }) => payload)).toEqual([a("noproc"), REFUSED]);
    node.unregister("s");
    expect((await p.answers()).map(({ payload }) => payload)).toEqual([a("normal")]);
  });

  it("are refused by a deny rule although the target may be called", async () => {
    const { world, node, p } = await make([
      { id: "r", from: "p", allow: "call", to: "s" },
      { id: "no", from: "p", deny: "monitor", to: "*" },
    ]);
    node.register("s", { call: (request) => request });
    p.call("s", 1);
    expect(kindsOf(await p.answers())).toEqual(["monitor-exit", "alias-send"]);
    expect(world.refusals()).toEqual(["monitor s deny-rule no"]);
  });
});
