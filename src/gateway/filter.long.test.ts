import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { Pid, Reference, type Term, tuple } from "../term/types.ts";
import {
  a,
  aliasTag,
  COMMANDER,
  cPid,
  GatewayTraffic,
  genCall,
  WORKER,
  wPid,
  wRef,
} from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import { commanderProfile } from "./profile.ts";
import type { Verdict } from "./verdict.ts";

const ROUNDS = 100_000;
const ME = cPid(100);
const SERVER = wPid(50);

const ref = (n: number): Reference => new Reference(COMMANDER.node, COMMANDER.creation, [n & 0x3ffff, n >>> 18, 5]);
const toMe: Control = { kind: "send", from: SERVER, to: ME };
const toServer: Control = { kind: "send", from: ME, to: SERVER };
const toName: Control = { kind: "reg-send", from: ME, name: "srv" };
const toAlias = (n: number): Control => ({ kind: "alias-send", from: SERVER, alias: ref(n) });
const monitor = (n: number, target: Pid | string): Control => ({ kind: "monitor", from: ME, target, ref: ref(n) });
const demonitor = (n: number, target: Pid | string): Control => ({ kind: "demonitor", from: ME, target, ref: ref(n) });

/** `[from commander?, control, payload]` in the order of the wire; each must be passed on. */
type Message = readonly ["c" | "w", Control, Term?];

/** A cast, as `gen_server:cast` sends it. */
const cast = (n: number): Message[] => [["c", toName, tuple(a("$gen_cast"), tuple(a("add"), n))]];

const call = (n: number): Message[] => [
  ["c", monitor(n, "srv")],
  ["c", toName, genCall(ME, aliasTag(ref(n)), n)],
  ["w", toAlias(n), tuple(aliasTag(ref(n)), n)],
  ["c", demonitor(n, "srv")],
];

const timedOut = (n: number): Message[] => [...call(n).slice(0, 2), ["c", demonitor(n, "srv")]];

/** `Task.Supervisor.async_nolink` of Elixir: start the child, monitor it, hand it over; it watches its owner. */
const task = (n: number): Message[] => {
  const child = wPid(1_000 + (n & 0xffff));
  const tag = ref(2 * n + 1);
  return [
    ...call(2 * n),
    ["c", monitor(2 * n + 1, child)],
    ["c", { kind: "send", from: ME, to: child }, tuple(ME, tag, tag, a("fun"))],
    ["w", { kind: "monitor", from: child, target: ME, ref: wRef(n) }],
    ["w", { kind: "alias-send", from: child, alias: tag }, tuple(tag, n)],
    ["c", demonitor(2 * n + 1, child)],
    ["w", { kind: "demonitor", from: child, target: ME, ref: wRef(n) }],
  ];
};

/** One of `Task.async_stream`, whose tag is `{Ref, N}`. */
const streamed = (n: number): Message[] => {
  const tag = tuple(ref(n), n & 7);
  return [
    ["c", monitor(n, SERVER)],
    ["c", toServer, tuple(ME, tag, a("go"))],
    ["w", toMe, tuple(tag, 1)],
    ["c", demonitor(n, SERVER)],
  ];
};

/** `rpc:call` */
const rpc = (n: number): Message[] => {
  const child = wPid(1_000 + (n & 0xffff));
  return [
    [
      "c",
      {
        kind: "spawn-request",
        ref: ref(2 * n),
        from: ME,
        groupLeader: ME,
        module: "erpc",
        function: "execute_call",
        arity: 4,
        options: [a("monitor")],
      },
      [ref(2 * n + 1), a("m"), a("f"), []],
    ],
    ["w", { kind: "spawn-reply", ref: ref(2 * n), to: ME, flags: 2, result: child }],
    [
      "w",
      { kind: "monitor-exit", target: child, to: ME, ref: ref(2 * n), reason: "payload" },
      tuple(ref(2 * n + 1), a("return"), n),
    ],
  ];
};

/** `rpc:cast` (rulings S8: once it left a child each time). */
const rpcCast = (n: number): Message[] => [
  [
    "c",
    {
      kind: "spawn-request",
      ref: ref(n),
      from: ME,
      groupLeader: ME,
      module: "erpc",
      function: "execute_cast",
      arity: 3,
      options: [],
    },
    [a("m"), a("f"), []],
  ],
  ["w", { kind: "spawn-reply", ref: ref(n), to: ME, flags: 0, result: wPid(1_000 + (n & 0xffff)) }],
];

/** Spawned with a link; unlinked, or ended. */
const linked = (n: number): Message[] => {
  const child = wPid(1_000 + (n & 0xffff));
  const start: Message[] = [
    [
      "c",
      {
        kind: "spawn-request",
        ref: ref(n),
        from: ME,
        groupLeader: ME,
        module: "m",
        function: "f",
        arity: 0,
        options: [a("link")],
      },
      [],
    ],
    ["w", { kind: "spawn-reply", ref: ref(n), to: ME, flags: 1, result: child }],
    ["w", { kind: "send", from: child, to: ME }, tuple(child, a("ready"))],
  ];
  if (n % 2 === 0) return [...start, ["w", { kind: "exit", from: child, to: ME, reason: "payload" }, a("normal")]];
  return [
    ...start,
    ["c", { kind: "unlink-id", id: BigInt(n), from: ME, to: child }],
    ["w", { kind: "unlink-id-ack", id: BigInt(n), from: child, to: ME }],
  ];
};

describe(`${ROUNDS} in a row leave nothing in any table`, () => {
  it.each<[string, (n: number) => Message[], number]>([
    ["casts", cast, ROUNDS],
    ["calls", call, ROUNDS],
    ["calls that time out", timedOut, ROUNDS],
    ["tasks", task, ROUNDS],
    ["tasks of a stream", streamed, ROUNDS],
    ["rpc calls", rpc, ROUNDS],
    ["rpc casts", rpcCast, ROUNDS],
    ["linked children", linked, ROUNDS],
  ])("%s", { timeout: 120_000 }, (_, exchange, rounds) => {
    const filter = new GatewayFilter(
      { commander: COMMANDER, worker: WORKER, decide: commanderProfile({}, () => "ID") },
      1_000 as MonotonicMs,
    );
    const wire = new GatewayTraffic<Verdict>(filter);
    for (let n = 0; n < rounds; n++) {
      wire.now = (1_000 + n * 2) as MonotonicMs;
      for (const [from, control, payload] of exchange(n)) {
        const verdict = wire[from](control, payload);
        if (verdict.forward?.control !== control) throw new Error(`round ${n}: ${control.kind} did not pass`);
      }
    }
    const { paths } = filter;
    const hard = [paths.calls, paths.monitors, paths.links, paths.spawns, paths.children, paths.workerMonitors];
    expect(hard.map((table) => table.size)).toEqual([0, 0, 0, 0, 0, 0]);
    expect([paths.expected.size, paths.indexedRefs]).toEqual([0, 0]);
    // One process, however often it was revealed or printed to.
    expect(paths.revealed.size).toBeLessThanOrEqual(1);
    expect(paths.leaders.size).toBeLessThanOrEqual(1);
    expect(filter.takeEvents()).toEqual([]);
  });
});

describe("memory", () => {
  it("stays bounded when a commander never lets go, and the worker never answers", { timeout: 120_000 }, () => {
    const filter = new GatewayFilter(
      { commander: COMMANDER, worker: WORKER, decide: commanderProfile({}, () => "ID") },
      1_000 as MonotonicMs,
    );
    const wire = new GatewayTraffic<Verdict>(filter);
    for (let n = 0; n < 40_000; n++) {
      const from = new Pid(COMMANDER.node, n, 0, COMMANDER.creation);
      wire.c({ kind: "monitor", from, target: "srv", ref: ref(2 * n) });
      wire.c({ kind: "reg-send", from, name: "srv" }, genCall(from, aliasTag(ref(2 * n)), ref(2 * n + 1)));
      wire.c({ kind: "link", from, to: SERVER });
      filter.takeEvents();
    }
    const { paths } = filter;
    expect([paths.calls.size, paths.monitors.size, paths.links.size]).toEqual([16_384, 16_384, 4_096]);
    expect([paths.expected.size, paths.revealed.size]).toEqual([16_384, 16_384]);
    expect(paths.indexedRefs).toBeLessThanOrEqual(2 * 16_384);
  });
});
