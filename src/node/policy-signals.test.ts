import { describe, expect, it } from "vitest";
import type { PeerEntry, RuleEntry } from "../policy/document.ts";
import { Atom, Pid, type Term, tuple } from "../term/types.ts";
import { NODE_CREATION, NODE_NAME, ScriptedNode } from "../testkit/scripted-peer.ts";

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
    const before = node.health().processes;
    for (let id = 0; id < 6; id++) {
      const to = new Pid(NODE_NAME, id, 0, NODE_CREATION);
      if (to.id === own.pid.id) continue;
      p.write({ kind: "link", from: p.from, to });
      p.write({ kind: "exit", from: p.from, to, reason: "payload" }, a("boom"));
      p.write({ kind: "exit2", from: p.from, to, reason: "payload" }, a("kill"));
    }
    expect(new Set(kindsOf(await p.answers()))).toEqual(new Set(["exit"]));
    expect(node.health().processes).toBe(before);
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
