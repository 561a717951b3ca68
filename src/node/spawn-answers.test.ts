import { describe, expect, it } from "vitest";
import { Atom, ImproperList, type Pid, type Reference, type Term, tuple } from "../term/types.ts";
import { ScriptedNode, type ScriptedPeer } from "../testkit/scripted-peer.ts";

const a = (name: string) => new Atom(name);

/** A request of ours to start something on the peer, as it went out. */
async function asked(p: ScriptedPeer): Promise<{ readonly ref: Reference; readonly from: Pid }> {
  const request = (await p.answers()).find(({ kind }) => kind === "spawn-request");
  if (request?.kind !== "spawn-request") throw new Error("nothing was asked for");
  return request;
}

/** Everything but a SPAWN_REPLY that could be taken for an answer to `ref`. */
function answerOtherwise(p: ScriptedPeer, ref: Reference, main: Pid, target: string): void {
  const tag = new ImproperList([a("alias")], ref);
  p.write({ kind: "alias-send", from: p.from, alias: ref }, tuple(tag, "forged"));
  p.write({ kind: "send", from: p.from, to: main }, tuple(tag, "forged"));
  p.write({ kind: "monitor-exit", target, to: main, ref, reason: "payload" }, a("forged"));
}

describe("a remote process that is being started", () => {
  it("is answered by its SPAWN_REPLY only: the promise holds a pid of the peer", async () => {
    const world = new ScriptedNode();
    const p = await world.connect();
    const settled: Term[] = [];
    void world.node.spawnRemote("p@h", "worker", []).then((value) => settled.push(value));
    const { ref, from } = await asked(p);
    answerOtherwise(p, ref, from, "worker");
    await world.settle();
    expect(settled).toEqual([]);
    p.write({ kind: "spawn-reply", ref, to: from, flags: 0, result: p.pid(9) });
    await world.settle();
    expect(settled).toEqual([p.pid(9)]);
  });

  it("is linked and watched only while somebody waits for it", async () => {
    const world = new ScriptedNode();
    const p = await world.connect();
    const heard: Term[] = [];
    const own = world.node.spawn((message) => void heard.push(message), { trapExit: true });
    const outcome = world.node
      .spawnRemote("p@h", "worker", [], { link: own, timeoutMs: 100, onDown: ({ reason }) => heard.push(reason) })
      .catch((error: { readonly reason: string }) => error.reason);
    const { ref, from } = await asked(p);
    answerOtherwise(p, ref, from, "worker");
    await world.settle();
    world.clock.advance(100);
    expect(await outcome).toBe("CALL_TIMEOUT");
    p.write({ kind: "spawn-reply", ref, to: from, flags: 3, result: p.pid(9) });
    p.write({ kind: "exit", from: p.pid(9), to: own.pid, reason: "payload" }, a("late"));
    p.write({ kind: "monitor-exit", target: p.pid(9), to: from, ref, reason: "payload" }, a("late"));
    await world.settle();
    expect(heard).toEqual([]);
  });
});

describe("a remote function that runs", () => {
  it("is answered by the end of its process only", async () => {
    const world = new ScriptedNode();
    const p = await world.connect();
    const settled: unknown[] = [];
    void world.node.rpc("p@h", "m", "f", []).then((value) => settled.push(value));
    const { ref, from } = await asked(p);
    answerOtherwise(p, ref, from, "m:f/0");
    await world.settle();
    expect(settled).toEqual([]);
    expect(world.node.vitals().openCalls).toBe(1);
  });
});
