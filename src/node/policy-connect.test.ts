import { describe, expect, it } from "vitest";
import type { PolicyDocument } from "../policy/document.ts";
import { Atom, ImproperList, type Term, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";

const a = (name: string) => new Atom(name);

const policy: PolicyDocument = {
  version: 1,
  node: "n@h",
  peers: {
    p: { names: ["p@h"], assurance: "cookie" },
    sure: { names: ["sure@h"], assurance: "ca" },
    barred: { names: ["barred@h"], assurance: "cookie" },
  },
  rules: [{ id: "out", from: "barred", deny: "connect" }],
};

describe("who may connect", () => {
  it.each([
    ["in no entry", { name: "unknown@h" }, "connect n@h deny-default"],
    ["with less assurance than its entry asks for", { name: "sure@h" }, "connect n@h deny-identity"],
    ["kept out by a rule", { name: "barred@h" }, "connect n@h deny-rule out"],
  ] as const)("is refused before a session stands: %s", async (_, peer, recorded) => {
    const world = new ScriptedNode({ policy });
    const ups: string[] = [];
    world.node.on("nodeup", ({ name }) => ups.push(name));
    const refused = await world.connect(peer);
    expect([world.node.peers(), ups, world.refused]).toEqual([[], [], ["PEER_NOT_ALLOWED"]]);
    expect(world.refusals()).toEqual([recorded]);
    expect(refused.connection.isUp).toBe(false);
  });

  it("is in an entry, with its name and the assurance that is asked for", async () => {
    const world = new ScriptedNode({ policy });
    await world.connect();
    await world.connect({ name: "sure@h", assurance: "ca" });
    expect(world.node.peers().map(({ name }) => name)).toEqual(["p@h", "sure@h"]);
    expect(world.refusals()).toEqual([]);
  });

  it.each(["sure@h", "barred@h"])("is the same for who is dialled and has an entry: %s", async (name) => {
    const world = new ScriptedNode({ policy });
    await world.connect({ name, dialled: true });
    expect(world.node.peers()).toEqual([]);
    expect(world.refusals()).toEqual([expect.stringMatching(/^connect n@h deny-(identity|rule out)$/)]);
  });
});

describe("a stranger that this node dialled", () => {
  it("may answer, and nothing else, whatever code and rules for everybody grant", async () => {
    const world = new ScriptedNode({
      policy: { ...policy, rules: [{ id: "all", from: "*", allow: ["send", "call", "monitor", "link"], to: "*" }] },
    });
    const heard: Term[] = [];
    const hear = (term: Term) => void heard.push(term);
    world.node.register("open", { call: hear, info: hear }, { allow: "cookie" });
    world.node.registerFunction("worker", () => void heard.push("ran"), { allow: "cookie" });
    const stranger = await world.connect({ name: "stranger@h", dialled: true });
    expect(world.node.peers().map(({ name }) => name)).toEqual(["stranger@h"]);
    stranger.send("open", 1);
    stranger.call("open", 2);
    stranger.call("net_kernel", tuple(a("is_auth"), a("stranger@h")));
    stranger.spawn("sallyport_fn", "worker", []);
    const answers = await stranger.answers();
    expect(heard).toEqual([]);
    expect(answers.map(({ kind, payload }) => [kind, payload])).toEqual([
      ["monitor-exit", REFUSED],
      ["monitor-exit", REFUSED],
      ["spawn-reply", undefined],
    ]);
    const call = world.node.call({ name: "srv", node: "stranger@h" }, 1);
    const asked = (await stranger.answers()).find(({ kind }) => kind === "monitor");
    if (asked?.kind !== "monitor") throw new Error("no call went out");
    const tag = new ImproperList([a("alias")], asked.ref);
    stranger.write({ kind: "alias-send", from: stranger.from, alias: asked.ref }, tuple(tag, 42));
    await world.settle();
    expect(await call).toBe(42);
  });
});
