import { describe, expect, it } from "vitest";
import type { PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom, ImproperList, type Reference, type Term, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode, type ScriptedPeer } from "../testkit/scripted-peer.ts";
import { genCall } from "./gen.ts";

const a = (name: string) => new Atom(name);

function policyOf(rules: readonly RuleEntry[]): PolicyDocument {
  return { version: 1, node: "n@h", peers: { p: { names: ["p@h"], assurance: "cookie" } }, rules };
}

const ALL: readonly RuleEntry[] = [
  { id: "use", from: "p", allow: ["call", "send", "monitor"], to: "s" },
  { id: "pids", from: "p", allow: ["link", "monitor"], to: "any-pid" },
  { id: "run", from: "p", allow: "rpc", to: "m:f/0" },
];

/** A node with a service and a function that answer when told so, and its peer. */
async function make(rules: readonly RuleEntry[] = ALL) {
  const world = new ScriptedNode({ policy: policyOf(rules) });
  const { node } = world;
  const waiting: (() => void)[] = [];
  const started: string[] = [];
  const aborted: string[] = [];
  const later = (what: string, signal: AbortSignal) => {
    started.push(what);
    signal.addEventListener("abort", () => aborted.push(what));
    return new Promise<Term>((resolve) => waiting.push(() => resolve("secret")));
  };
  const service = node.register("s", { call: (_, { signal }) => later("call", signal) });
  node.registerFunction({ module: "m", function: "f", arity: 0 }, (_, { signal }) => later("rpc", signal));
  const p = await world.connect();
  /** Lets everything finish that was begun, also what waited behind it. */
  const finish = async () => {
    for (let i = 0; i < 8; i++) {
      for (const done of waiting.splice(0)) done();
      await world.settle();
    }
  };
  const replace = (next: readonly RuleEntry[]) => expect(node.policy?.replace(policyOf(next)).ok).toBe(true);
  return { world, node, p, service, waiting, started, aborted, finish, replace };
}

const callWith = (p: ScriptedPeer, tag: Term) => p.send("s", tuple(a("$gen_call"), tuple(p.from, tag), 1));

/** Every form of a call that has no answer yet, by what it is. */
const CALLS: Readonly<Record<string, (p: ScriptedPeer) => unknown>> = {
  "a call behind a monitor": (p) => void p.call("s", 1),
  "a call without a monitor": (p) => p.send("s", genCall(p.from, p.ref(), true, 1)),
  "a call by pid of the peer alone": (p) => callWith(p, p.ref()),
  "a call with a tag that names no monitor": (p) => callWith(p, tuple(p.ref(), a("n"))),
  "a call with a tag as multi_call has it": (p) =>
    callWith(p, new ImproperList([new ImproperList([a("alias")], p.ref())], p.ref())),
  "two calls under one reference": (p) => {
    const ref = p.ref();
    p.call("s", 1, ref);
    p.call("s", 2, ref);
  },
  "calls that wait in the mailbox": (p) => {
    for (let i = 0; i < 3; i++) p.call("s", i);
  },
  "a call whose monitor was taken back": async (p) => {
    const ref = p.call("s", 1);
    await p.answers();
    p.write({ kind: "demonitor", from: p.from, target: "s", ref });
  },
  "rpc through rex": (p) => void p.call("rex", tuple(a("call"), a("m"), a("f"), [], a("user"))),
  "rpc through erpc": (p) => void p.spawn("erpc", "execute_call", [p.ref(), a("m"), a("f"), []], [a("monitor")]),
};

const isSecret = ({ payload }: { readonly payload: Term }) =>
  JSON.stringify(payload ?? null).includes('"data":[115,101');

describe("calls whose grant is withdrawn", () => {
  it.each(Object.keys(CALLS))("get no answer any more: %s", async (kind) => {
    const { world, p, finish, replace, started } = await make();
    await CALLS[kind]?.(p);
    await world.settle();
    expect(started.length).toBeGreaterThan(0);
    replace([]);
    await finish();
    const answers = await p.answers();
    expect(answers.filter(isSecret)).toEqual([]);
    expect(world.refusals().some((line) => /^(call|rpc) .*deny-default$/.test(line))).toBe(true);
  });

  it.each(Object.keys(CALLS))("would have got one: %s", async (kind) => {
    const { world, p, finish, replace } = await make();
    await CALLS[kind]?.(p);
    await world.settle();
    replace([...ALL, { id: "more", from: "p", allow: "send", to: "other" }]);
    await finish();
    expect((await p.answers()).filter(isSecret).length).toBeGreaterThan(0);
  });

  it("are answered as refused, once, and aborted", async () => {
    const { world, p, finish, replace, aborted } = await make();
    const ref = p.call("s", 1);
    const second = p.call("s", 2);
    p.call("rex", tuple(a("call"), a("m"), a("f"), [], a("user")));
    await world.settle();
    replace([]);
    await finish();
    const answers = await p.answers();
    const downs = answers.filter(({ kind }) => kind === "monitor-exit");
    expect(downs.map((down) => [(down as { ref: Reference }).ref.words[0], down.payload])).toEqual([
      [ref.words[0], REFUSED],
      [second.words[0], REFUSED],
    ]);
    const [badrpc] = answers.filter(({ kind }) => kind === "alias-send");
    expect(badrpc?.payload).toMatchObject({ elements: [expect.anything(), tuple(a("badrpc"), REFUSED)] });
    expect(answers).toHaveLength(3);
    expect([...aborted].sort()).toEqual(["call", "rpc"]);
  });

  it("give their places back", async () => {
    const { world, node, p, finish, replace } = await make([
      { id: "use", from: "p", allow: "call", to: "s", limits: { inflight: 2 } },
    ]);
    for (let i = 0; i < 2; i++) p.call("s", i);
    await world.settle();
    replace([]);
    await finish();
    replace([{ id: "use", from: "p", allow: "call", to: "s", limits: { inflight: 2 } }]);
    await p.answers();
    for (let i = 0; i < 2; i++) p.call("s", i);
    await finish();
    expect((await p.answers()).filter(isSecret)).toHaveLength(2);
    expect(node.vitals().counters["handler_errors"] ?? 0).toBe(0);
  });
});

describe("calls that keep their grant", () => {
  it.each(["by pid", "by alias"])("stay open when other rules change, also with the last use: %s", async (how) => {
    const { world, node, p, service, finish, replace } = await make([]);
    const grant = node.grant(service, { to: "p@h", verbs: ["call"], uses: 1 });
    const request = genCall(p.from, p.ref(), true, 1);
    if (how === "by pid") p.send(grant.pid, request);
    else p.write({ kind: "alias-send", from: p.from, alias: grant.alias }, request);
    await world.settle();
    expect(node.grants()).toEqual([]);
    replace([{ id: "other", from: "p", allow: "send", to: "other" }]);
    await finish();
    expect((await p.answers()).filter(isSecret)).toHaveLength(1);
  });

  it("by pid under a rule about pids stay open as well, and end when pids are denied", async () => {
    const byPid: RuleEntry = { id: "pids", from: "p", allow: "call", to: "any-pid" };
    const { world, p, service, finish, replace } = await make([byPid]);
    p.call(service.pid, 1);
    await world.settle();
    replace([byPid, { id: "other", from: "p", allow: "send", to: "other" }]);
    await finish();
    expect((await p.answers()).filter(isSecret)).toHaveLength(1);
    p.call(service.pid, 1);
    await world.settle();
    replace([
      { id: "names", from: "p", allow: "call", to: "s" },
      { id: "no", from: "p", deny: "call", to: "any-pid" },
    ]);
    await finish();
    const answers = await p.answers();
    expect(answers.filter(isSecret)).toEqual([]);
    expect(answers).toMatchObject([{ kind: "monitor-exit", target: service.pid, payload: REFUSED }]);
  });
});

describe("monitors and links whose grant is withdrawn", () => {
  it("end as refused, and the process hears nothing of it", async () => {
    const { world, node, p, service, replace } = await make();
    const heard: Term[] = [];
    const own = node.spawn((message) => void heard.push(message), { trapExit: true });
    p.write({ kind: "link", from: p.from, to: own.pid });
    const refs = [p.ref(), p.ref()];
    p.write({ kind: "monitor", from: p.from, target: "s", ref: refs[0] as Reference });
    p.write({ kind: "monitor", from: p.from, target: own.pid, ref: refs[1] as Reference });
    expect(await p.answers()).toEqual([]);
    replace([{ id: "use", from: "p", allow: "call", to: "s" }]);
    expect((await p.answers()).map(({ kind, payload }) => [kind, payload])).toEqual([
      ["monitor-exit", REFUSED],
      ["exit", REFUSED],
    ]);
    replace([]);
    expect((await p.answers()).map(({ kind, payload }) => [kind, payload])).toEqual([["monitor-exit", REFUSED]]);
    p.write({ kind: "exit", from: p.from, to: own.pid, reason: "payload" }, a("late"));
    await world.settle();
    expect([heard, own.alive, service.alive]).toEqual([[], true, true]);
  });
});

describe("what was kept ready for the next message", () => {
  it("is gone with the rules: the warm path is refused as well", async () => {
    const { world, node, p, replace } = await make([]);
    const heard: Term[] = [];
    node.register("open", { info: (message) => void heard.push(message) });
    replace([{ id: "r", from: "p", allow: "send", to: "open" }]);
    for (let i = 0; i < 3; i++) p.send("open", i);
    await world.settle();
    replace([{ id: "r", from: "p", allow: "call", to: "open" }]);
    p.send("open", 3);
    await world.settle();
    expect(heard).toEqual([0, 1, 2]);
    expect(world.refusals()).toEqual(["send open deny-default"]);
  });
});

describe("the peer itself", () => {
  it("is cut in the same turn when it may not connect any more", async () => {
    const { world, node, p } = await make();
    node.policy?.replace({ version: 1, node: "n@h", rules: [] });
    expect(node.peers()).toEqual([]);
    await world.settle();
    expect(p.ended).toBe("CONNECT_WITHDRAWN");
  });

  it("stays as it was when the new policy fails: the generation too", async () => {
    const { world, node, p, finish } = await make();
    const broken = { ...policyOf([]), tests: [], level: "high" } as unknown as PolicyDocument;
    expect(node.policy?.replace(broken)).toMatchObject({ ok: false, generation: 1, reason: "POLICY_INVALID" });
    expect(node.vitals()).toMatchObject({ state: "yellow", problems: ["POLICY_REJECTED"] });
    p.call("s", 1);
    await world.settle();
    await finish();
    expect((await p.answers()).filter(isSecret)).toHaveLength(1);
    expect(node.policy?.replace(policyOf(ALL))).toMatchObject({ ok: true, generation: 2 });
    expect(node.vitals().state).toBe("green");
  });
});
