import { describe, expect, it } from "vitest";
import type { PeerEntry, RuleEntry } from "../policy/document.ts";
import { Atom, type Reference, type Term, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";
import { exit } from "./api.ts";

const a = (name: string) => new Atom(name);

/** A node whose policy grants nothing but what `rules` say, a process that keeps what it hears, and two peers. */
async function make(rules: readonly RuleEntry[] = [], peer: Partial<PeerEntry> = {}) {
  const world = new ScriptedNode({
    policy: {
      version: 1,
      node: "n@h",
      peers: {
        p: { names: ["p@h"], assurance: "cookie", ...peer },
        q: { names: ["q@h"], assurance: "cookie" },
      },
      rules,
    },
  });
  const heard: Term[] = [];
  const own = world.node.spawn((message) => (message === "end" ? exit(a("normal")) : void heard.push(message)));
  const p = await world.connect();
  const q = await world.connect({ name: "q@h" });
  const toAlias = (from: typeof p, alias: Reference, message: Term) =>
    from.write({ kind: "alias-send", from: from.from, alias }, message);
  return { world, node: world.node, p, q, own, heard, toAlias };
}

const kindsOf = (answers: readonly { readonly kind: string }[]) => answers.map(({ kind }) => kind);

describe("a process that was handed to a peer", () => {
  it("is reached by pid and by alias, by that peer alone, with the verbs that were given", async () => {
    const { world, node, p, q, own, heard, toAlias } = await make();
    const { pid, alias } = node.grant(own.pid, { to: "p@h" });
    p.send(pid, 1);
    toAlias(p, alias, 2);
    q.send(pid, 3);
    toAlias(q, alias, 4);
    p.send(pid, tuple(a("$gen_cast"), 5));
    p.write({ kind: "exit2", from: p.from, to: pid, reason: "payload" }, a("kill"));
    await world.settle();
    expect(heard).toEqual([1, 2]);
    expect(own.alive).toBe(true);
    const target = `<${pid.id}.0>`;
    expect([...world.refusals()].sort()).toEqual([
      `cast ${target} deny-default`,
      `exit ${target} deny-default`,
      `send ${target} deny-default`,
      "send alias deny-default",
    ]);
  });

  it("is called through it: the monitor that a caller sets first comes with it", async () => {
    const { node, p } = await make();
    const service = node.register("s", { call: (request) => request });
    const { pid } = node.grant(service, { to: "p@h", verbs: ["call"] });
    p.call(pid, 1);
    expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
  });

  it("is out of reach after its uses, its time, its revocation and its end", async () => {
    const { world, node, p, own, heard, toAlias } = await make();
    const twice = node.grant(own.pid, { to: "p@h", uses: 2 });
    for (let i = 0; i < 3; i++) p.send(twice.pid, `use ${i}`);
    await world.settle();
    const short = node.grant(own.pid, { to: "p@h", ttlMs: 50 });
    p.send(short.pid, "in time");
    await world.settle();
    world.clock.advance(50);
    p.send(short.pid, "late");
    toAlias(p, short.alias, "late");
    const revoked = node.grant(own.pid, { to: "p@h" });
    expect([revoked.revoke(), revoked.revoke()]).toEqual([true, false]);
    p.send(revoked.pid, "revoked");
    toAlias(p, revoked.alias, "revoked");
    await world.settle();
    expect(heard.map(String)).toEqual(["use 0", "use 1", "in time"]);
    const last = node.grant(own.pid, { to: "p@h" });
    node.send(own, "end");
    await world.settle();
    expect(node.grants()).toEqual([]);
    toAlias(p, last.alias, "dead");
    await world.settle();
    expect(heard).toHaveLength(3);
  });

  it.each(["granted-pids", "any-pid", "*"])("stays out of reach where a rule denies it: %s", async (to) => {
    const { world, node, p, own, heard, toAlias } = await make([{ id: "never", from: "p", deny: "send", to }]);
    const { pid, alias } = node.grant(own.pid, { to: "p@h" });
    p.send(pid, 1);
    toAlias(p, alias, 2);
    await world.settle();
    expect(heard).toEqual([]);
    expect(world.refusals()).toEqual([`send <${pid.id}.0> deny-rule never`, "send alias deny-rule never"]);
  });

  it("is reached by pid and by alias with what a rule grants on what was handed over", async () => {
    const { world, node, p, q, own, heard, toAlias } = await make([
      { id: "given", from: "*", allow: "cast", to: "granted-pids" },
    ]);
    const { pid, alias } = node.grant(own.pid, { to: "p@h", verbs: ["send"], uses: 1 });
    const cast = tuple(a("$gen_cast"), 1);
    p.send(pid, cast);
    toAlias(p, alias, cast);
    q.send(pid, cast);
    toAlias(q, alias, cast);
    await world.settle();
    expect(heard).toEqual([cast, cast]);
    expect(node.grants()).toHaveLength(1);
  });

  it("is used within the bounds of the peer, by pid and by alias", async () => {
    const { world, node, p, own, heard, toAlias } = await make([], { limits: { rate: "3/s", payload: 20 } });
    const { pid, alias } = node.grant(own.pid, { to: "p@h" });
    toAlias(p, alias, Buffer.alloc(100));
    p.send(pid, Buffer.alloc(100));
    for (let i = 0; i < 2; i++) {
      p.send(pid, i);
      toAlias(p, alias, i);
    }
    await world.settle();
    expect(heard).toEqual([0, 0, 1]);
    expect(world.refusals()).toEqual([
      "send alias deny-limit grant",
      `send <${pid.id}.0> deny-limit grant`,
      "send alias deny-limit grant",
    ]);
  });

  it("may be watched and linked to with these verbs, and only within the rate of the peer", async () => {
    const { node, p, own } = await make([], { limits: { rate: "2/s" } });
    const { pid } = node.grant(own.pid, { to: "p@h", verbs: ["monitor", "link"] });
    p.write({ kind: "monitor", from: p.from, target: pid, ref: p.ref() });
    p.write({ kind: "link", from: p.from, to: pid });
    expect(await p.answers()).toEqual([]);
    p.write({ kind: "monitor", from: p.from, target: pid, ref: p.ref() });
    expect((await p.answers()).map(({ payload }) => payload)).toEqual([REFUSED]);
  });
});
