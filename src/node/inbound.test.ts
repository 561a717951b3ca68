import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../auth/otp-types.ts";
import type { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { Carrier, CarrierSink } from "../carrier/carrier.ts";
import { createMemoryPair } from "../carrier/memory.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { Atom, Pid, Reference, type Term, Tuple, tuple } from "../term/types.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import type { Denied } from "./api.ts";
import { exit } from "./api.ts";
import { genCall, genCast } from "./gen.ts";
import { SallyportNode } from "./node.ts";

const N = parseNodeName("n@h");
const P = parseNodeName("p@h");
const a = (name: string) => new Atom(name);
const from = new Pid(P, 5, 0, 77);
const here = (id: number) => new Pid(N, id, 0, 33);
let serial = 0;
const newRef = () => new Reference(P, 77, [++serial, 2, 3]);
const spawnRequest = (ref: Reference, module: string, fn: string, arity: number, options: Term): Control => ({
  kind: "spawn-request",
  ref,
  from,
  groupLeader: from,
  module,
  function: fn,
  arity,
  options,
});
const NO_ID = tuple(a("sallyport_denied"), "ID");

/** The same term with the id of a refusal blanked, after checking its form. */
function blank(term: Term): Term {
  if (!(term instanceof Tuple)) return term;
  const [head, id] = term.elements;
  if (head instanceof Atom && head.name === "sallyport_denied" && id instanceof Uint8Array) {
    expect(Buffer.from(id).toString()).toMatch(/^[0-9A-HJKMNP-TV-Z]{8,26}$/);
    return NO_ID;
  }
  return new Tuple(term.elements.map(blank));
}

/** A node, and a peer of which the test writes every message. */
async function make() {
  const clock = new VirtualClock();
  const handshake = (seed: number) => ({
    crypto: new RealCrypto(),
    random: new SeededRandom(seed),
    openChallenges: new OpenChallenges(),
    cookieFor: () => Buffer.from("secret"),
  });
  const node = new SallyportNode({
    own: { name: N, creation: 33, flags: DEFAULT_FLAGS },
    clock,
    random: new SeededRandom(1),
    handshake: handshake(2),
    dialers: {},
    resolver: { label: "none", resolve: () => Promise.resolve([]) },
    judgeCertificate: () => ({ matched: false, presented: [] }),
    limits: DEFAULT_DIST_LIMITS,
    ticks: DEFAULT_TICK_OPTIONS,
    onListenerError: (error) => {
      throw error;
    },
  });
  const denied: Denied[] = [];
  node.on("denied", (told) => denied.push(told));
  const downs: string[] = [];
  node.on("nodedown", (_, reason) => downs.push(reason));
  const got: { control: Control; payload: Term }[] = [];
  const pair = createMemoryPair({ clock });
  let peerSink: CarrierSink | undefined;
  const peer: DistConnection = new DistConnection(
    {
      own: { name: P, creation: 77, flags: DEFAULT_FLAGS },
      target: N,
      tools: handshake(3),
      clock,
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
    },
    {
      trustAsked: () => {},
      arbitrationAsked: () => {},
      commitAsked: () => {},
      secured: () => {},
      claimed: () => {},
      proven: () => peer.admit(),
      up: () => {},
      wanted: () => true,
      refused: () => {},
      message: (control, buffer, start, end) =>
        void got.push({ control, payload: end > start ? peer.terms.decodeAt(buffer, start, end) : undefined }),
      idleAsked: () => false,
      idleKept: () => {},
      strayPong: () => {},
      turnStarted: () => {},
      turnEnded: () => {},
      drained: () => {},
      down: () => {},
    },
    (sink): Carrier => {
      peerSink = sink;
      return pair.first;
    },
  );
  pair.connect(peerSink!, node.accept(pair.second, { release: () => {} }));
  const settle = async () => {
    for (let i = 0; i < 12; i++) {
      clock.runTurn();
      await Promise.resolve();
    }
  };
  await settle();
  expect(node.peers()).toHaveLength(1);
  /** What came back since the last look, with ids blanked. */
  const answers = async () => {
    await settle();
    return got.splice(0).map(({ control, payload }) => ({ ...control, payload: blank(payload) }));
  };
  const send = (target: Pid | string, payload: Term) =>
    peer.message(
      typeof target === "string" ? { kind: "reg-send", from, name: target } : { kind: "send", from, to: target },
      payload,
    );
  const call = (target: Pid | string, request: Term, ref = newRef()) => {
    peer.signal({ kind: "monitor", from, target, ref });
    send(target, genCall(from, ref, true, request));
    return ref;
  };
  return { node, peer, denied, downs, answers, send, call, settle, clock };
}

describe("what a peer without a grant gets back (rulings U9)", () => {
  const kinds: Readonly<Record<string, (to: Pid | string, ref: Reference) => readonly (readonly [Control, Term])[]>> = {
    send: (to) => [[typeof to === "string" ? { kind: "reg-send", from, name: to } : { kind: "send", from, to }, 1]],
    cast: (to) => [
      [typeof to === "string" ? { kind: "reg-send", from, name: to } : { kind: "send", from, to }, genCast(1)],
    ],
    monitor: (target, ref) => [[{ kind: "monitor", from, target, ref }, undefined]],
    call: (target, ref) => [
      [{ kind: "monitor", from, target, ref }, undefined],
      [
        typeof target === "string" ? { kind: "reg-send", from, name: target } : { kind: "send", from, to: target },
        genCall(from, ref, true, 1),
      ],
    ],
    link: (to) => (typeof to === "string" ? [] : [[{ kind: "link", from, to }, undefined]]),
    exit2: (to) => (typeof to === "string" ? [] : [[{ kind: "exit2", from, to, reason: "payload" }, a("kill")]]),
    "group-leader": (to) => (typeof to === "string" ? [] : [[{ kind: "group-leader", leader: from, to }, undefined]]),
  };
  const expected: Readonly<Record<string, (to: Pid | string, ref: Reference) => unknown[]>> = {
    send: () => [],
    cast: () => [],
    monitor: (target, ref) => [{ kind: "monitor-exit", target, to: from, ref, reason: "payload", payload: NO_ID }],
    call: (target, ref) => [{ kind: "monitor-exit", target, to: from, ref, reason: "payload", payload: NO_ID }],
    link: (to) => [{ kind: "exit", from: to, to: from, reason: "payload", payload: NO_ID }],
    exit2: () => [],
    "group-leader": () => [],
  };

  it.each(Object.keys(kinds))("is the same for %s to what exists and to what does not", async (kind) => {
    const { node, peer, answers, denied } = await make();
    const heard: Term[] = [];
    const handlers = {
      call: (r: Term) => void heard.push(r),
      cast: (r: Term) => void heard.push(r),
      info: (r: Term) => void heard.push(r),
    };
    const service = node.register("private", handlers);
    node.register("others", handlers, { allow: ["q@h"] });
    node.register("stronger", handlers, { allow: "ca" });
    const process = node.spawn((message) => void heard.push(message));
    const dead = node.spawn(() => exit(a("normal")));
    node.send(dead, 1);
    await answers();
    const targets = [
      "private",
      "others",
      "stronger",
      "missing",
      process.pid,
      service.pid,
      dead.pid,
      here(4_000),
      new Pid(N, 2, 0, 1),
    ];
    let wanted = 0;
    for (const target of targets) {
      const ref = newRef();
      const messages = kinds[kind]!(target, ref);
      for (const [control, payload] of messages) {
        if (control.kind === "send" || control.kind === "reg-send" || control.kind === "exit2")
          peer.message(control, payload);
        else peer.signal(control);
      }
      if (messages.length > 0) wanted++;
      expect([String(target), await answers()]).toEqual([
        String(target),
        messages.length === 0 ? [] : expected[kind]!(target, ref),
      ]);
    }
    expect([heard, process.alive, service.alive]).toEqual([[], true, true]);
    expect(denied.length).toBeGreaterThanOrEqual(wanted);
    expect(node.vitals().counters["denied"]).toBe(denied.length);
  });

  it("is eperm for spawns, whether there is such a function or not", async () => {
    const { node, peer, answers } = await make();
    const ran: string[] = [];
    node.registerFunction("private", () => void ran.push("private"));
    node.registerFunction({ module: "m", function: "f", arity: 0 }, () => void ran.push("m:f"), { allow: ["q@h"] });
    for (const [module, fn] of [
      ["sallyport_fn", "private"],
      ["sallyport_fn", "missing"],
      ["m", "f"],
      ["erlang", "halt"],
      ["os", "cmd"],
    ] as const) {
      const ref = newRef();
      peer.message(spawnRequest(ref, module, fn, 0, []), []);
      expect(await answers()).toEqual([
        { kind: "spawn-reply", ref, to: from, flags: 0, result: "eperm", payload: undefined },
      ]);
    }
    const ref = newRef();
    const args = [newRef(), a("m"), a("f"), []];
    peer.message(spawnRequest(ref, "erpc", "execute_call", 4, [a("monitor")]), args);
    expect(await answers()).toEqual([
      { kind: "spawn-reply", ref, to: from, flags: 0, result: "eperm", payload: undefined },
    ]);
    expect(ran).toEqual([]);
  });

  it("is badrpc for rex", async () => {
    const { node, answers, call } = await make();
    node.registerFunction({ module: "m", function: "f", arity: 0 }, () => 1);
    for (const fn of ["f", "missing"]) {
      call("rex", tuple(a("call"), a("m"), a(fn), [], a("user")));
      const [answer] = await answers();
      expect(answer).toMatchObject({ kind: "alias-send" });
      expect((answer!.payload as Tuple).elements[1]).toEqual(tuple(a("badrpc"), NO_ID));
    }
  });

  it("stays noproc only where the peer may reach the target", async () => {
    const { node, peer, answers } = await make();
    const process = node.spawn(() => exit(a("normal")), { allow: ["p@h"] });
    node.send(process, 1);
    await answers();
    const ref = newRef();
    peer.signal({ kind: "monitor", from, target: process.pid, ref });
    expect(await answers()).toEqual([
      { kind: "monitor-exit", target: process.pid, to: from, ref, reason: "payload", payload: a("noproc") },
    ]);
  });
});

describe("what a peer forges", () => {
  const stranger = new Pid("q@h", 5, 0, 77);

  it.each([
    ["a sender of another node", { kind: "reg-send", from: stranger, name: "open" }, 1],
    ["a sender of this node", { kind: "reg-send", from: here(1), name: "open" }, 1],
    ["a sender of an earlier life", { kind: "reg-send", from: new Pid(P, 5, 0, 76), name: "open" }, 1],
    ["a caller of another node", { kind: "reg-send", from, name: "open" }, genCall(stranger, newRef(), true, 1)],
    [
      "an alias of another node",
      { kind: "reg-send", from, name: "open" },
      genCall(from, new Reference("q@h", 77, [1, 2, 3]), true, 1),
    ],
  ] as const)("ends the session: %s", async (_, control, payload) => {
    const { node, peer, downs, settle } = await make();
    const heard: Term[] = [];
    node.register("open", { call: (r) => void heard.push(r), info: (m) => void heard.push(m) }, { allow: "cookie" });
    peer.message(control as Control, payload as Term);
    await settle();
    expect([downs, heard]).toEqual([["FORGED_IDENTIFIER"], []]);
  });

  it.each(["system", "EXIT", "DOWN", "io_request", "io_reply"])(
    "is refused as a message of the shape %s, also on the warm path",
    async (head) => {
      const { node, send, settle, denied } = await make();
      const heard: Term[] = [];
      node.register("open", { info: (m) => void heard.push(m) }, { allow: "cookie" });
      for (let i = 0; i < 3; i++) {
        send("open", i);
        send("open", tuple(a(head), from, a("x")));
      }
      await settle();
      expect(heard).toEqual([0, 1, 2]);
      expect(denied.map(({ verb, target }) => `${verb} ${target}`)).toEqual(
        Array(3).fill(`${head === "io_request" ? "io" : "system"} open`),
      );
    },
  );
});

describe("verbs", () => {
  it.each([
    ["call", ["call"], ["call"]],
    ["cast", ["cast"], ["cast"]],
    ["send", ["send"], ["info"]],
    ["all", ["call", "cast", "send"], ["call", "cast", "info"]],
  ] as const)("are told apart by the message: %s", async (_, verbs, expected) => {
    const { node, send, call, settle } = await make();
    const heard: string[] = [];
    const handlers = {
      call: () => void heard.push("call"),
      cast: () => void heard.push("cast"),
      info: () => void heard.push("info"),
    };
    node.register("s", handlers, { allow: { peers: ["p@h"], verbs } });
    for (let i = 0; i < 2; i++) {
      call("s", 1);
      send("s", genCast(1));
      send("s", tuple(a("hello"), 1));
      send("s", a("hello"));
    }
    await settle();
    expect(new Set(heard)).toEqual(new Set(expected));
  });
});

describe("the warm path", () => {
  it("ends when the name is taken off, and when it goes to a service with another rule", async () => {
    const { node, send, settle, denied } = await make();
    const heard: string[] = [];
    const open = { allow: "cookie" } as const;
    const service = (label: string) => ({ info: (m: Term) => void heard.push(`${label}${String(m)}`) });
    node.register("s", service("a"), open);
    for (let i = 0; i < 3; i++) send("s", i);
    await settle();
    node.unregister("s");
    send("s", 3);
    await settle();
    // It might send to it, so it is no refusal that nothing is there.
    expect([heard, denied.length]).toEqual([["a0", "a1", "a2"], 0]);
    node.register("s", service("private"));
    send("s", 4);
    await settle();
    expect([heard.length, denied.length]).toEqual([3, 1]);
    node.unregister("s");
    node.register("s", service("b"), open);
    for (let i = 5; i < 8; i++) send("s", i);
    await settle();
    expect(heard.slice(3)).toEqual(["b5", "b6", "b7"]);
    node.unregister("s");
    node.register("s", service("c"), { allow: { atLeast: "cookie", verbs: ["call"] } });
    send("s", 8);
    await settle();
    expect(heard).toHaveLength(6);
  });

  it("ends with the process, and does not carry over to another process or name", async () => {
    const { node, send, settle } = await make();
    const heard: Term[] = [];
    const process = node.spawn((m) => (m === 2 ? exit(a("normal")) : void heard.push(m)), { allow: "cookie" });
    const other = node.spawn((m) => void heard.push(m));
    for (let i = 0; i < 3; i++) send(process.pid, i);
    send(other.pid, "private");
    await settle();
    send(process.pid, 3);
    await settle();
    expect([heard, process.alive, other.alive]).toEqual([[0, 1], false, true]);
  });
});

describe("services", () => {
  const reply = (ref: Reference, value: Term) =>
    expect.objectContaining({
      kind: "alias-send",
      alias: ref,
      payload: expect.objectContaining({ elements: [expect.anything(), value] }),
    });

  it("answer in the order of the calls, and take no further message while a promise is open", async () => {
    const { node, call, send, answers } = await make();
    const log: string[] = [];
    const open: (() => void)[] = [];
    node.register(
      "s",
      {
        call: (r) => {
          log.push(`call ${String(r)}`);
          return r === 2 ? new Promise<Term>((resolve) => open.push(() => resolve(r))) : r;
        },
        cast: (m) => void log.push(`cast ${String(m)}`),
        info: (m) => void log.push(`info ${String(m)}`),
      },
      { allow: "cookie" },
    );
    const refs = [call("s", 1), call("s", 2)];
    send("s", genCast(3));
    send("s", 4);
    refs.push(call("s", 5));
    expect(await answers()).toEqual([reply(refs[0]!, 1)]);
    expect(log).toEqual(["call 1", "call 2"]);
    open[0]?.();
    expect(await answers()).toEqual([reply(refs[1]!, 2), reply(refs[2]!, 5)]);
    expect(log).toEqual(["call 1", "call 2", "cast 3", "info 4", "call 5"]);
  });

  it.each(["throws", "rejects"] as const)("whose handler %s tell the caller an id, and live on", async (how) => {
    const { node, call, send, answers } = await make();
    const failures: string[] = [];
    node.on("handlerError", ({ id, where, error }) => failures.push(`${where} ${(error as Error).message} ${id}`));
    const fail = () => {
      if (how === "throws") throw new Error("secret");
      return Promise.reject(new Error("secret"));
    };
    const service = node.register(
      "s",
      { call: (r) => (r === 1 ? fail() : r), cast: fail, info: fail },
      { allow: "cookie" },
    );
    const ref = call("s", 1);
    const got = await answers();
    expect(got).toHaveLength(1);
    expect(got[0]).toMatchObject({ kind: "monitor-exit", target: "s", ref, to: from });
    expect(JSON.stringify(got[0])).not.toContain("secret");
    const told = got[0]?.payload as Tuple;
    expect(failures).toEqual([`s.call secret ${Buffer.from(told.elements[1] as Uint8Array).toString()}`]);
    send("s", genCast(1));
    send("s", 1);
    const second = call("s", 2);
    expect(await answers()).toEqual([reply(second, 2)]);
    expect([failures.length, service.alive]).toEqual([3, true]);
  });

  it("refuse a call they have no handler for, and abort the work of a caller that gives up", async () => {
    const { node, peer, call, answers, settle } = await make();
    node.register("none", { cast: () => {} }, { allow: "cookie" });
    const ref = call("none", 1);
    expect(await answers()).toEqual([
      { kind: "monitor-exit", target: "none", to: from, ref, reason: "payload", payload: NO_ID },
    ]);
    const aborted: boolean[] = [];
    node.register(
      "slow",
      { call: (_, { signal }) => new Promise(() => signal.addEventListener("abort", () => aborted.push(true))) },
      { allow: "cookie" },
    );
    const slow = call("slow", 1);
    await settle();
    peer.signal({ kind: "demonitor", from, target: "slow", ref: slow });
    await settle();
    expect(aborted).toEqual([true]);
  });
});

describe("answers to calls of ours", () => {
  it("count once, for the right reference only; late and forged ones are dropped", async () => {
    const { node, peer, answers, settle, clock } = await make();
    const settled: Term[] = [];
    const calling = node.call({ name: "srv", node: P }, 1, { timeoutMs: 100 }).then((value) => settled.push(value));
    const [monitor, request] = await answers();
    if (monitor?.kind !== "monitor" || request?.kind !== "reg-send") throw new Error("no call");
    const { ref, from: main } = monitor;
    const tag = ((request.payload as Tuple).elements[1] as Tuple).elements[1] as Term;
    const wrong = new Reference(ref.node, ref.creation, [ref.words[0]! ^ 1, ...ref.words.slice(1)]);
    peer.message({ kind: "alias-send", from, alias: wrong }, tuple(tag, 6));
    peer.message({ kind: "alias-send", from, alias: ref }, tuple(wrong, 7));
    peer.message({ kind: "alias-send", from, alias: ref }, a("noise"));
    peer.signal({ kind: "monitor-exit", target: "other", to: main, ref, reason: { term: a("x") } });
    await settle();
    expect(settled).toEqual([]);
    peer.message({ kind: "alias-send", from, alias: ref }, tuple(tag, 8));
    peer.message({ kind: "alias-send", from, alias: ref }, tuple(tag, 9));
    await settle();
    await calling;
    expect(settled).toEqual([8]);
    expect(node.vitals().counters["late_replies"]).toBe(4);
    expect((await answers()).map(({ kind }) => kind)).toEqual(["demonitor"]);
    const late = node.call({ name: "srv", node: P }, 1, { timeoutMs: 100 });
    const failed = late.then(
      () => "answered",
      (error: SallyportError) => `${error.code} ${error.reason}`,
    );
    await settle();
    clock.advance(100);
    expect(await failed).toBe("ERR_DEADLINE CALL_TIMEOUT");
    expect((await answers()).map(({ kind }) => kind)).toEqual(["monitor", "reg-send", "demonitor"]);
  });
});

describe("processes", () => {
  it("are not ended over a link by a peer without an exit grant: the exit comes as a message (rulings C6)", async () => {
    const { node, peer, settle } = await make();
    const heard: Term[] = [];
    const guarded = node.spawn((m) => void heard.push(m), { allow: { peers: ["p@h"], verbs: ["link"] } });
    const open = node.spawn(() => {}, { allow: { peers: ["p@h"], verbs: ["link", "exit"] } });
    for (const to of [guarded.pid, open.pid]) {
      peer.signal({ kind: "link", from, to });
      peer.message({ kind: "exit", from, to, reason: "payload" }, a("boom"));
    }
    await settle();
    expect([guarded.alive, open.alive, heard]).toEqual([true, false, [tuple(a("EXIT"), from, a("boom"))]]);
    expect(await open.exited).toEqual(a("boom"));
  });

  it("trap exits when told so, but for kill", async () => {
    const { node, peer, settle } = await make();
    const heard: Term[] = [];
    const trapping = node.spawn((m) => void heard.push(m), {
      trapExit: true,
      allow: { peers: ["p@h"], verbs: ["exit"] },
    });
    peer.message({ kind: "exit2", from, to: trapping.pid, reason: "payload" }, a("boom"));
    await settle();
    expect([trapping.alive, heard]).toEqual([true, [tuple(a("EXIT"), from, a("boom"))]]);
    peer.message({ kind: "exit2", from, to: trapping.pid, reason: "payload" }, a("kill"));
    await settle();
    expect([trapping.alive, await trapping.exited]).toEqual([false, a("killed")]);
  });

  it("tell their watchers the class of a reason only, unless they expose it", async () => {
    const { node, peer, send, answers } = await make();
    const reason = tuple(a("bad"), "state");
    for (const exposeReasons of [false, true]) {
      const process = node.spawn(() => exit(reason), { allow: "cookie", exposeReasons });
      peer.signal({ kind: "monitor", from, target: process.pid, ref: newRef() });
      send(process.pid, 1);
      const [down] = await answers();
      expect(down?.payload).toEqual(exposeReasons ? tuple(a("bad"), Buffer.from("state")) : a("error"));
    }
  });
});

describe("registered functions", () => {
  it("run for peers with a grant: reply first, then the end", async () => {
    const { node, peer, answers } = await make();
    node.registerFunction("worker", (args) => void args, { allow: "cookie" });
    node.registerFunction({ module: "m", function: "add", arity: 2 }, ([x, y]) => Number(x) + Number(y), {
      allow: "cookie",
    });
    const ref = newRef();
    peer.message(spawnRequest(ref, "sallyport_fn", "worker", 1, [a("monitor")]), [1]);
    const spawned = await answers();
    expect(spawned.map(({ kind }) => kind)).toEqual(["spawn-reply", "monitor-exit"]);
    expect(spawned[0]).toMatchObject({ ref, flags: 2 });
    expect(spawned[1]).toMatchObject({ ref, payload: a("normal") });
    const call = newRef();
    const result = newRef();
    peer.message(spawnRequest(call, "erpc", "execute_call", 4, [a("monitor")]), [result, a("m"), a("add"), [2, 3]]);
    const [, down] = await answers();
    expect(down?.payload).toEqual(tuple(result, a("return"), 5));
  });

  it.each([
    ["fewer arguments than announced", "sallyport_fn", "worker", 1, []],
    ["no list", "sallyport_fn", "worker", 1, a("x")],
    ["another arity", "m", "add", 1, [1]],
    ["an erpc call of three", "erpc", "execute_call", 3, [1, 2, 3]],
    ["an erpc call of a name that is no atom", "erpc", "execute_call", 4, [newRef(), "m", a("add"), [1, 2]]],
    ["an erpc call with arguments that are no list", "erpc", "execute_call", 4, [newRef(), a("m"), a("add"), a("x")]],
    ["the spawn verb through erpc", "erpc", "execute_call", 4, [newRef(), a("sallyport_fn"), a("worker"), [1]]],
  ] as const)("are not reached by %s", async (_, module, fn, arity, args) => {
    const { node, peer, answers } = await make();
    const ran: string[] = [];
    node.registerFunction("worker", () => void ran.push("worker"), { allow: "cookie" });
    node.registerFunction({ module: "m", function: "add", arity: 2 }, () => void ran.push("add"), { allow: "cookie" });
    peer.message(spawnRequest(newRef(), module, fn, arity, []), args as Term);
    expect((await answers()).map((answer) => (answer.kind === "spawn-reply" ? answer.result : answer.kind))).toEqual([
      "eperm",
    ]);
    expect(ran).toEqual([]);
  });

  it("keep rpc and spawn apart", async () => {
    const { node, peer, answers } = await make();
    node.registerFunction({ module: "m", function: "f", arity: 0 }, () => 1, {
      allow: { atLeast: "cookie", verbs: ["rpc"] },
    });
    peer.message(spawnRequest(newRef(), "m", "f", 0, []), []);
    expect(await answers()).toMatchObject([{ kind: "spawn-reply", result: "eperm" }]);
  });
});
