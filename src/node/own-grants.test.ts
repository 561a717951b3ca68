import { describe, expect, it } from "vitest";
import { Atom, Pid } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { ScriptedNode } from "../testkit/scripted-peer.ts";
import { exit } from "./api.ts";
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

/** Timers of a node with one session, at rest. */
async function idleTimers(): Promise<number> {
  return (await make()).world.clock.pendingTimers;
}
