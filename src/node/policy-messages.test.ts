import { describe, expect, it } from "vitest";
import type { PeerEntry, PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom, ExportFun, ImproperList, Pid, type Term, type Tuple, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode, type ScriptedPeer } from "../testkit/scripted-peer.ts";
import { genCast } from "./gen.ts";

const a = (name: string) => new Atom(name);

/** A policy with one peer, `p@h`, as `p`. */
function policyOf(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}): PolicyDocument {
  return {
    version: 1,
    node: "n@h",
    peers: { p: { names: ["p@h"], assurance: "cookie", ...peer } },
    rules,
  };
}

/** A node with this policy, a service `s` that echoes and keeps what it hears, and the peer. */
async function make(
  rules: readonly RuleEntry[],
  peer: Partial<PeerEntry> = {},
  guardLimits: ConstructorParameters<typeof ScriptedNode>[0] = {},
) {
  const world = new ScriptedNode({ policy: policyOf(rules, peer), ...guardLimits });
  const heard: Term[] = [];
  const hear = (term: Term) => void heard.push(term);
  const service = world.node.register("s", {
    call: (request) => {
      heard.push(request);
      return request;
    },
    cast: hear,
    info: hear,
  });
  const p = await world.connect();
  return { world, node: world.node, p, heard, service };
}

const kindsOf = (answers: readonly { readonly kind: string }[]) => answers.map(({ kind }) => kind);

describe("a grant with a shape", () => {
  const rules: RuleEntry[] = [
    { id: "r", from: "p", allow: ["call", "cast", "send"], to: "s", shape: { tuple: ["add", "integer"] } },
  ];

  it("lets through what has it: the request of a call, the message of a cast, a message whole", async () => {
    const { world, p, heard } = await make(rules);
    const good = tuple(a("add"), 1);
    p.call("s", good);
    p.send("s", genCast(good));
    p.send("s", good);
    p.call("s", tuple(a("add"), "text"));
    p.send("s", genCast(a("add")));
    p.send("s", tuple(a("add"), 1, 2));
    expect(kindsOf(await p.answers()).sort()).toEqual(["alias-send", "monitor-exit"]);
    expect(heard).toEqual([good, good, good]);
    expect(world.refusals()).toEqual(["call s deny-default", "cast s deny-default", "send s deny-default"]);
  });

  it("gives the place of each answered call back", async () => {
    const { p } = await make(rules, {}, { guardLimits: { maxInflightPerPeer: 2 } });
    for (let i = 0; i < 6; i++) {
      p.call("s", tuple(a("add"), i));
      expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    }
  });
});

describe("rex", () => {
  const rules: RuleEntry[] = [
    { id: "one", from: "p", allow: "rpc", to: "m:f/1" },
    { id: "later", from: "p", allow: "rpc", to: "m:audited/0", mode: "audit", until: "2027-01-01" },
  ];

  async function makeWithFunctions() {
    const made = await make(rules);
    const ran: string[] = [];
    for (const [fn, arity] of [
      ["f", 1],
      ["f", 2],
      ["audited", 0],
    ] as const) {
      made.node.registerFunction({ module: "m", function: fn, arity }, () => void ran.push(`${fn}/${arity}`));
    }
    const ask = (fn: string, args: Term) => made.p.call("rex", tuple(a("call"), a("m"), a(fn), args, a("user")));
    return { ...made, ran, ask };
  }

  it("runs what is granted, and nothing that its argument list turns out to be", async () => {
    const { world, p, ran, ask } = await makeWithFunctions();
    ask("f", [1]);
    // On the wire a list of one element whose tail is a list of one element: the head claims one argument.
    ask("f", new ImproperList([1], [2] as unknown as Term));
    const answers = await p.answers();
    expect(ran).toEqual(["f/1"]);
    expect(answers.map(({ payload }) => (payload as Tuple).elements[1])).toEqual([
      tuple(a("badrpc"), REFUSED),
      undefined,
    ]);
    expect(world.refusals()).toEqual(["rpc m:f/1 deny-default"]);
  });

  it("records what only audit mode lets through", async () => {
    const { world, ran, ask } = await makeWithFunctions();
    ask("audited", []);
    await world.settle();
    expect([ran, world.refusals()]).toEqual([["audited/0"], ["rpc m:audited/0 allow later"]]);
  });
});

describe("a deny rule in audit mode", () => {
  it("lets through, and is the rule that the record names", async () => {
    const until = "2027-01-01";
    const { world, p, heard } = await make([
      { id: "grant", from: "p", allow: ["send", "call"], to: "s" },
      { id: "would-refuse", from: "p", deny: ["send", "monitor"], to: "s", mode: "audit", until },
    ]);
    p.send("s", 1);
    p.call("s", 2);
    await world.settle();
    expect(heard).toEqual([1, 2]);
    expect(world.refusals()).toEqual(["send s allow would-refuse", "monitor s allow would-refuse"]);
  });
});

describe("limits of a grant", () => {
  const target = { from: "p", to: "s" } as const;

  it("refuse what exceeds them, under the rule whose limit it was, and with an id that the owner can look up", async () => {
    const { world, node, p, heard } = await make([
      { ...target, id: "r", allow: ["call", "send"], limits: { payload: 40, depth: 1, newAtoms: 1 } },
    ]);
    p.send("s", Buffer.alloc(100));
    p.send("s", [[1.5]]);
    p.send("s", tuple(a("x"), a("y")));
    const ref = p.call("s", Buffer.alloc(200));
    const answers = await p.answers();
    expect(answers).toMatchObject([{ kind: "monitor-exit", ref, target: "s", payload: REFUSED }]);
    expect(heard).toEqual([]);
    const ids = world.denied.map(({ decision }) => decision);
    expect(ids.map((id) => node.why(id))).toMatchObject(
      ["send", "send", "send", "call"].map((verb) => ({
        verb,
        outcome: "deny-limit",
        rule: "r",
        nearestMiss: { rule: "r", why: "limit" },
        peer: "p@h",
        alias: "p",
        target: "s",
        generation: 1,
      })),
    );
    expect(node.why("NOTHERE00000")).toBeUndefined();
  });

  it("bound the rate, over the sessions of a peer, and are new with the policy", async () => {
    const rules: RuleEntry[] = [{ ...target, id: "r", allow: "send", limits: { rate: "2/s" } }];
    const { world, node, p, heard } = await make(rules);
    for (let i = 0; i < 3; i++) p.send("s", i);
    await world.settle();
    p.connection.end();
    await world.settle();
    const again = await world.connect();
    again.send("s", 3);
    await world.settle();
    expect(heard).toEqual([0, 1]);
    world.clock.advance(500);
    again.send("s", 4);
    await world.settle();
    expect(heard).toEqual([0, 1, 4]);
    node.policy?.replace(policyOf(rules));
    for (let i = 5; i < 8; i++) again.send("s", i);
    await world.settle();
    expect(heard).toEqual([0, 1, 4, 5, 6]);
  });

  it("bound the calls that are not answered, and give each place back", async () => {
    const open: (() => void)[] = [];
    const { world, node, p } = await make([{ id: "r", from: "p", allow: "call", to: "slow", limits: { inflight: 2 } }]);
    node.register("slow", { call: () => new Promise<Term>((resolve) => open.push(() => resolve(1))) });
    for (let i = 0; i < 3; i++) p.call("slow", i);
    expect(kindsOf(await p.answers())).toEqual(["monitor-exit"]);
    p.send("slow", tuple(a("$gen_call"), tuple(p.from, tuple(p.ref(), a("n"))), 1));
    expect(await p.answers()).toEqual([]);
    expect(world.refusals()).toEqual(["call slow deny-limit", "call slow deny-limit"]);
    open.shift()?.();
    expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    p.call("slow", 3);
    expect(await p.answers()).toEqual([]);
    node.unregister("slow");
    node.register("slow", { call: (request) => request });
    await p.answers();
    for (let i = 0; i < 5; i++) {
      p.call("slow", i);
      expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    }
  });

  it("bound functions that run, by spawn, erpc and rex alike", async () => {
    const { node, p } = await make([
      { id: "r", from: "p", allow: ["spawn", "rpc"], to: ["worker", "m:f/0"], limits: { inflight: 2 } },
    ]);
    const open: (() => void)[] = [];
    const wait = () => new Promise<void>((resolve) => open.push(resolve));
    node.registerFunction("worker", wait);
    node.registerFunction({ module: "m", function: "f", arity: 0 }, wait);
    p.spawn("sallyport_fn", "worker", []);
    expect(kindsOf(await p.answers())).toEqual(["spawn-reply"]);
    p.call("rex", tuple(a("call"), a("m"), a("f"), [], a("user")));
    expect(await p.answers()).toEqual([]);
    p.spawn("erpc", "execute_call", [p.ref(), a("m"), a("f"), []]);
    expect(await p.answers()).toMatchObject([{ kind: "spawn-reply", result: "system_limit" }]);
    p.call("rex", tuple(a("call"), a("m"), a("f"), [], a("user")));
    const [full] = await p.answers();
    expect(full?.payload).toMatchObject({ elements: [expect.anything(), tuple(a("badrpc"), a("system_limit"))] });
    for (const done of open.splice(0)) done();
    await p.answers();
    p.spawn("erpc", "execute_call", [p.ref(), a("m"), a("f"), []]);
    expect(kindsOf(await p.answers())).toEqual(["spawn-reply"]);
  });
});

describe("deny rules", () => {
  it("beat rules that allow, and what code allows", async () => {
    const { world, node, p } = await make([
      { id: "all", from: "p", allow: ["send", "call", "cast"], to: "*" },
      { id: "never", from: "p", deny: "call", to: ["vault", "open"] },
    ]);
    const heard: string[] = [];
    for (const name of ["vault", "open"]) {
      const hear = () => void heard.push(name);
      node.register(name, { call: hear, cast: hear, info: hear }, name === "open" ? { allow: "cookie" } : {});
    }
    for (const name of ["vault", "open"]) {
      p.call(name, 1);
      p.send(name, 1);
    }
    expect(kindsOf(await p.answers())).toEqual(["monitor-exit", "monitor-exit"]);
    expect(heard).toEqual(["vault", "open"]);
    expect(world.refusals()).toEqual(["call vault deny-rule never", "call open deny-rule never"]);
  });
});

describe("a peer in audit mode", () => {
  it("is let through and recorded where no rule grants, system excepted, and refused from its end on", async () => {
    const { world, p, heard } = await make([{ id: "granted", from: "p", allow: "send", to: "s" }], {
      mode: "audit",
      until: "2026-01-02",
    });
    p.send("s", 1);
    p.send("s", genCast(2));
    p.call("s", 3);
    p.send("s", tuple(a("system"), p.from, 4));
    await world.settle();
    expect(heard).toEqual([1, 2, 3]);
    expect(world.refusals()).toEqual([
      "cast s allow peer",
      "monitor s allow peer",
      "call s allow peer",
      "system s deny-default",
    ]);
    world.clock.advance(24 * 3_600_000);
    const late = await world.connect();
    late.send("s", genCast(5));
    late.send("s", 6);
    await world.settle();
    expect(heard).toEqual([1, 2, 3, 6]);
  });
});

describe("a malformed call or cast", () => {
  const pid = (p: ScriptedPeer) => p.from;
  it.each<[string, (p: ScriptedPeer) => Term]>([
    ["a call of two", (p) => tuple(a("$gen_call"), tuple(pid(p), p.ref()))],
    ["a call of four", (p) => tuple(a("$gen_call"), tuple(pid(p), p.ref()), 1, 2)],
    ["a call of one", () => tuple(a("$gen_call"))],
    ["a caller that is no tuple", (p) => tuple(a("$gen_call"), pid(p), 1)],
    ["a caller of three", (p) => tuple(a("$gen_call"), tuple(pid(p), p.ref(), 1), 1)],
    ["a caller without a pid", (p) => tuple(a("$gen_call"), tuple(a("x"), p.ref()), 1)],
    ["a cast of one", () => tuple(a("$gen_cast"))],
    ["a cast of three", () => tuple(a("$gen_cast"), 1, 2)],
  ])("is refused without an answer although calls and casts are granted: %s", async (_, make_) => {
    const { world, p, heard } = await make([{ id: "r", from: "p", allow: ["call", "cast", "send"], to: "s" }]);
    p.send("s", make_(p));
    expect(await p.answers()).toEqual([]);
    expect(heard).toEqual([]);
    expect(world.refusals()).toEqual([expect.stringMatching(/^(call|cast) s deny-default$/)]);
    expect(p.ended).toBeUndefined();
  });

  it.each<[string, (p: ScriptedPeer) => Term, string]>([
    ["[alias|Ref]", (p) => new ImproperList([a("alias")], p.ref()), "alias-send"],
    ["Ref", (p) => p.ref(), "send"],
    ["{Ref, Node}", (p) => tuple(p.ref(), a("n@h")), "send"],
    ["[[alias|Ref]|Ref]", (p) => new ImproperList([new ImproperList([a("alias")], p.ref())], p.ref()), "alias-send"],
    ["an atom", () => a("tag"), "send"],
    ["a proper list", (p) => [a("alias"), p.ref()], "send"],
    ["[other|Ref]", (p) => new ImproperList([a("other")], p.ref()), "send"],
  ])("is none with any tag, which comes back as it was: %s", async (_, tagOf, kind) => {
    const { p, heard } = await make([{ id: "r", from: "p", allow: "call", to: "s" }]);
    const tag = tagOf(p);
    p.send("s", tuple(a("$gen_call"), tuple(p.from, tag), 7));
    const [answer, ...others] = await p.answers();
    expect([heard, answer?.kind, others]).toEqual([[7], kind, []]);
    expect(answer?.payload).toEqual(tuple(tag, 7));
  });
});

describe("funs and identifiers of third nodes", () => {
  const third = new Pid("third@h", 1, 0, 1);
  const fun = new ExportFun("os", "cmd", 1);

  it.each([
    ["a pid of a third node", third],
    ["an external fun", fun],
  ] as const)("are refused in messages, calls, casts, exit reasons and arguments: %s", async (_, what) => {
    const { world, node, p, heard } = await make([
      { id: "r", from: "p", allow: ["call", "cast", "send"], to: "s" },
      { id: "x", from: "p", allow: "exit", to: "any-pid" },
      { id: "f", from: "p", allow: ["rpc", "spawn"], to: ["m:f/1", "worker"] },
    ]);
    const ran: string[] = [];
    node.registerFunction({ module: "m", function: "f", arity: 1 }, () => void ran.push("rpc"));
    node.registerFunction("worker", () => void ran.push("spawn"));
    const own = node.spawn(() => {});
    p.send("s", [what]);
    p.send("s", genCast(what));
    p.call("s", tuple(1, what));
    p.write({ kind: "exit2", from: p.from, to: own.pid, reason: "payload" }, tuple(a("x"), what));
    p.call("rex", tuple(a("call"), a("m"), a("f"), [what], a("user")));
    p.spawn("sallyport_fn", "worker", [what]);
    const answers = await p.answers();
    expect([heard, ran, own.alive]).toEqual([[], [], true]);
    expect(kindsOf(answers)).toEqual(["monitor-exit", "alias-send", "spawn-reply"]);
    expect(world.refusals()).toEqual([
      "send s deny-limit",
      "cast s deny-limit",
      "call s deny-limit",
      `exit <${own.pid.id}.0> deny-limit`,
      "rpc m:f/1 deny-limit",
      "spawn worker deny-limit",
    ]);
  });

  it("pass where a limit of the rule or of the peer says so", async () => {
    const { world, p, heard } = await make([
      { id: "r", from: "p", allow: "send", to: "s", limits: { foreign: true } },
      { id: "c", from: "p", allow: "cast", to: "s", limits: { funs: true } },
    ]);
    p.send("s", third);
    p.send("s", genCast(fun));
    p.send("s", fun);
    p.send("s", genCast(third));
    await world.settle();
    expect(heard).toEqual([third, fun]);
    const open = await make([{ id: "r", from: "p", allow: "send", to: "s" }], {
      limits: { foreign: true, funs: true },
    });
    open.p.send("s", tuple(third, fun));
    await open.world.settle();
    expect(open.heard).toHaveLength(1);
  });

  it("fail the call that they answer, and are scrubbed from the reasons of DOWN and EXIT", async () => {
    const { node, p } = await make([]);
    const call = node.call({ name: "srv", node: "p@h" }, 1).catch((error: unknown) => error);
    const asked = (await p.answers()).find(({ kind }) => kind === "monitor");
    if (asked?.kind !== "monitor") throw new Error("no call went out");
    const tag = new ImproperList([a("alias")], asked.ref);
    p.write({ kind: "alias-send", from: p.from, alias: asked.ref }, tuple(tag, [third]));
    await p.answers();
    expect(await call).toMatchObject({ code: "ERR_DENIED", reason: "ANSWER_REFUSED", detail: { option: "foreign" } });
    const reasons: Term[] = [];
    const own = node.spawn((message) => void reasons.push(message), { trapExit: true });
    node.monitor(p.pid(8), ({ reason }) => reasons.push(reason));
    node.link(own, p.pid(9));
    const watched = (await p.answers()).find(({ kind }) => kind === "monitor");
    if (watched?.kind !== "monitor") throw new Error("nothing is watched");
    const { ref, from: to } = watched;
    p.write({ kind: "monitor-exit", target: p.pid(8), to, ref, reason: "payload" }, tuple(a("badfun"), fun));
    p.write({ kind: "exit", from: p.pid(9), to: own.pid, reason: "payload" }, third);
    await p.answers();
    expect(reasons).toEqual([a("sallyport_scrubbed"), tuple(a("EXIT"), p.pid(9), a("sallyport_scrubbed"))]);
  });
});

describe("a peer that asks in vain without end", () => {
  it("is not read for a moment, and then read on", async () => {
    const { world, node, p, heard } = await make(
      [{ id: "r", from: "p", allow: "send", to: "s" }],
      {},
      { guardLimits: { maxDenialsPerSecond: 20, denialPauseMs: 100, maxToldPerKind: 2 } },
    );
    for (let i = 0; i < 50; i++) p.send("private", i);
    await world.settle();
    expect(node.vitals().counters).toMatchObject({ denied: 50, denial_pauses: 30 });
    p.send("s", "later");
    await world.settle();
    expect(heard).toEqual([]);
    world.clock.advance(100);
    await world.settle();
    expect(heard.map(String)).toEqual(["later"]);
    expect(world.denied.map(({ count }) => count)).toEqual([1, 1]);
    world.clock.advance(60_000);
    expect(world.denied.map(({ count }) => count)).toEqual([1, 1, 48]);
  });
});
