import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { decodeTerm } from "../term/decode.ts";
import { ExportFun, ImproperList, Pid, type Term, tuple } from "../term/types.ts";
import {
  a,
  aliasTag,
  COMMANDER,
  cPid,
  cRef,
  GatewayTraffic,
  genCall,
  WORKER,
  wPid,
  wRef,
} from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { type CommanderProfile, commanderProfile } from "./profile.ts";
import type { Outgoing } from "./verdict.ts";

const ME = cPid(100);
const SERVER = wPid(50);
const DENIED = tuple(a("sallyport_denied"), Buffer.from("ID7"));
const FUN = new ExportFun("m", "f", 1);

function world(profile: CommanderProfile = {}, options: Partial<FilterOptions> = {}) {
  const filter = new GatewayFilter(
    { commander: COMMANDER, worker: WORKER, decide: commanderProfile(profile, () => "ID7"), ...options },
    1_000 as MonotonicMs,
  );
  return { filter, paths: filter.paths, wire: new GatewayTraffic(filter) };
}

function said(out: Outgoing | undefined): Term {
  if (out === undefined) throw new Error("nothing is sent");
  return decodeTerm(Buffer.concat([Buffer.from([131]), out.buffer.subarray(out.start, out.end)]));
}

const named = (name: string): Control => ({ kind: "reg-send", from: ME, name });
const toServer: Control = { kind: "send", from: ME, to: SERVER };
const monitor = (n: number, target: Pid | string = "srv"): Control => ({
  kind: "monitor",
  from: ME,
  target,
  ref: cRef(n),
});
const spawn = (n: number, fn: string, arity: number, module = "m"): Control => ({
  kind: "spawn-request",
  ref: cRef(n),
  from: ME,
  groupLeader: ME,
  module,
  function: fn,
  arity,
  options: [a("monitor")],
});
const execute = (n: number): Control => spawn(n, "execute_call", 4, "erpc");
const failed = (n: number, result: string) => ({ kind: "spawn-reply", ref: cRef(n), to: ME, flags: 0, result });
const kill = (to: Pid): Control => ({ kind: "exit2", from: ME, to, reason: "payload" });

describe("a ping", () => {
  it("passes whatever the rules are, its monitor included, and no other monitor with it", () => {
    const { wire } = world({}, { decide: () => ({ allowed: false, id: "ID7", rule: "none" }) });
    expect(wire.c(monitor(1, "net_kernel")).forward).toBeDefined();
    const ping = genCall(ME, aliasTag(cRef(1)), tuple(a("is_auth"), a("c@h")));
    expect(wire.c(named("net_kernel"), ping).forward).toBeDefined();
    expect(wire.c(monitor(2, "init")).forward).toBeUndefined();
    expect(wire.c(named("net_kernel"), genCall(ME, aliasTag(cRef(3)), a("stop"))).forward).toBeUndefined();
  });
});

describe("the default profile", () => {
  it("lets messages, calls, casts, spawns, links and kills pass with the very bytes they came with", () => {
    const { wire } = world();
    const messages: [Control, Term][] = [
      [toServer, tuple(a("x"), FUN)],
      [named("srv"), tuple(a("$gen_cast"), 1)],
      [named("rex"), tuple(a("$gen_cast"), tuple(a("cast"), a("os"), a("cmd"), [1], ME))],
      [{ kind: "alias-send", from: ME, alias: wRef(1) }, 1],
      [spawn(1, "f", 1), [FUN]],
      [execute(2), [cRef(3), a("os"), a("cmd"), []]],
      [kill(SERVER), a("kill")],
    ];
    for (const [control, payload] of messages) {
      const { forward } = wire.c(control, payload);
      expect(forward?.control).toBe(control);
      expect(said(forward)).toEqual(payload);
    }
    expect(wire.c({ kind: "link", from: ME, to: SERVER }).forward).toBeDefined();
    expect(wire.c({ kind: "group-leader", leader: ME, to: SERVER }).forward).toBeDefined();
    expect(wire.c({ kind: "group-leader", leader: new Pid("x@h", 1, 0, 1), to: SERVER }).forward).toBeUndefined();
    expect(wire.c({ kind: "unlink-id-ack", id: 1n, from: ME, to: SERVER }).forward).toBeDefined();
  });

  it.each(["auth", "init", "net_kernel"])("refuses %s, where the caller hears of it by DOWN", (name) => {
    const { wire, filter } = world();
    wire.c(monitor(1, name));
    const verdict = wire.c(named(name), genCall(ME, aliasTag(cRef(1)), tuple(a("spawn"), a("m"), a("f"), [], ME)));
    expect(verdict.answer?.control).toEqual({
      kind: "monitor-exit",
      target: name,
      to: ME,
      ref: cRef(1),
      reason: "payload",
    });
    expect(said(verdict.answer)).toEqual(DENIED);
    expect(verdict.forward?.control).toEqual({ kind: "demonitor", from: ME, target: name, ref: cRef(1) });
    expect(filter.takeEvents()).toMatchObject([{ by: "commander", why: "policy", target: name, rule: "granted" }]);
    expect(filter.paths.monitors.size).toBe(0);
    expect(wire.c(named(name), tuple(a("stop"), a("stop")))).toEqual({});
  });

  it("pings, and lets a granted name pass", () => {
    const { wire } = world({ granted: ["init"] });
    wire.c(monitor(1, "net_kernel"));
    const ping = genCall(ME, aliasTag(cRef(1)), tuple(a("is_auth"), a("c@h")));
    expect(wire.c(named("net_kernel"), ping).forward).toBeDefined();
    expect(wire.c(named("net_kernel"), tuple(ME, tuple(a("is_auth"), 1))).forward).toBeUndefined();
    expect(wire.c(named("init"), tuple(a("stop"), a("stop"))).forward).toBeDefined();
  });

  it.each<[string, Control, Term]>([
    ["from", { kind: "send", from: wPid(1), to: SERVER }, 1],
    ["creation", { kind: "send", from: new Pid("c@h", 100, 0, 8), to: SERVER }, 1],
    ["reference", { ...(monitor(1) as object), ref: wRef(1) } as Control, undefined],
  ])("ends the session for a forged %s", (_, control, payload) => {
    const { wire } = world();
    expect(wire.c(control, payload).close).toMatchObject({ reason: "FORGED_IDENTIFIER" });
  });

  it("passes nothing of third nodes on (TR-01)", () => {
    const { wire } = world();
    const third = new Pid("x@h", 1, 0, 1);
    expect(wire.c(toServer, [third])).toEqual({});
    expect(wire.c({ kind: "send", from: ME, to: third }, 1)).toEqual({});
    expect(said(wire.c(monitor(1, third)).answer)).toEqual(a("noconnection"));
    expect(said(wire.c({ kind: "link", from: ME, to: third }).answer)).toEqual(a("noconnection"));
    expect(wire.c({ ...(spawn(1, "f", 0) as object), groupLeader: third } as Control, []).answer?.control).toEqual(
      failed(1, "noconnection"),
    );
    wire.c(monitor(2));
    const call = wire.c(named("srv"), genCall(ME, aliasTag(cRef(2)), third));
    expect(said(call.answer)).toEqual(a("noconnection"));
  });

  it("reduces exit reasons of the commander to their class, unless they are granted (rulings S11)", () => {
    const cases: [Term, string][] = [
      [a("normal"), "normal"],
      [tuple(a("shutdown"), [1]), "shutdown"],
      [a("kill"), "killed"],
      [a("other"), "error"],
      [a("constructor"), "error"],
      [tuple(tuple(a("badmatch"), 1), [a("state")]), "error"],
      ["text", "error"],
    ];
    for (const [reason, expected] of cases) {
      for (const wholeReasons of [false, true]) {
        const { wire } = world({}, { wholeReasons });
        wire.c({ kind: "link", from: ME, to: SERVER });
        const { forward } = wire.c({ kind: "exit", from: ME, to: SERVER, reason: "payload" }, reason);
        expect(said(forward)).toEqual(
          wholeReasons ? (typeof reason === "string" ? Buffer.from(reason) : reason) : a(expected),
        );
      }
    }
  });

  it("drops what crossed with the end of its link or monitor, without a word", () => {
    const { wire, filter } = world();
    expect(wire.c({ kind: "exit", from: ME, to: SERVER, reason: "payload" }, a("normal"))).toEqual({});
    expect(wire.c({ kind: "demonitor", from: ME, target: "srv", ref: cRef(1) })).toEqual({});
    expect(filter.takeEvents()).toEqual([]);
  });
});

describe("a narrowed profile", () => {
  it("calls: names alone; pids only of own children", () => {
    const { wire } = world({ calls: ["srv"] });
    expect(wire.c(named("srv"), 1).forward).toBeDefined();
    expect(wire.c(named("code_server"), 1)).toEqual({});
    expect(wire.c(toServer, 1)).toEqual({});
    expect(wire.c(toServer, tuple(a("EXIT"), wRef(1), a("ok")))).toEqual({});
    wire.c(spawn(1, "f", 0), []);
    wire.w({ kind: "spawn-reply", ref: cRef(1), to: ME, flags: 2, result: SERVER });
    expect(wire.c(toServer, 1).forward).toBeDefined();
  });

  it("calls: answers to requests to print, each once, to the one that asked", () => {
    const { wire, paths } = world({ calls: ["srv"] });
    const answer = (n: number) => tuple(a("io_reply"), wRef(n), a("ok"));
    expect(wire.c(toServer, answer(1))).toEqual({});
    wire.c({ ...spawn(1, "f", 0), options: [] } as Control, []);
    const put = tuple(a("put_chars"), a("unicode"), [65]);
    for (const n of [1, 2])
      wire.w({ kind: "send", from: SERVER, to: ME }, tuple(a("io_request"), SERVER, wRef(n), put));
    expect(wire.c(toServer, answer(3))).toEqual({});
    expect(wire.c({ kind: "send", from: ME, to: wPid(51) }, answer(1))).toEqual({});
    expect(wire.c(toServer, answer(1)).forward).toBeDefined();
    expect(wire.c(toServer, answer(1))).toEqual({});
    expect(wire.c(toServer, answer(2)).forward).toBeDefined();
    expect(paths.printing.size).toBe(0);
  });

  it("calls: asks whether the other is there, unless it has no rules at all", () => {
    const ask = (mayAsk: boolean) => {
      const { wire } = world({ calls: [] }, { mayAsk, decide: () => ({ allowed: false, id: "ID7", rule: "none" }) });
      const ping = genCall(ME, aliasTag(cRef(1)), tuple(a("is_auth"), a("c@h")));
      return [
        wire.c(monitor(1, "net_kernel")),
        wire.c(monitor(2, "rex")),
        wire.c(named("net_kernel"), ping),
        wire.c(named("rex"), tuple(ME, a("features_request"))),
        wire.c(monitor(3, "srv")),
      ].map(({ forward }) => forward !== undefined);
    };
    expect(ask(true)).toEqual([true, true, true, true, false]);
    expect(ask(false)).toEqual([false, false, false, false, false]);
  });

  it.each<[string, Control, Term]>([
    ["another function by erpc", execute(1), [cRef(2), a("os"), a("cmd"), ["x"]]],
    ["another arity", execute(1), [cRef(2), a("m"), a("f"), [1, [2]]]],
    ["an arity hidden in the tail of the list", execute(1), [cRef(2), a("m"), a("f"), new ImproperList([1], a("x"))]],
    ["execute_call with the arguments of execute_cast", spawn(1, "execute_call", 3, "erpc"), [a("m"), a("f"), [1]]],
    ["a fun by erpc", execute(1), [cRef(2), a("m"), a("f"), [FUN]]],
    ["erlang:apply", execute(1), [cRef(2), a("erlang"), a("apply"), [FUN, []]]],
    ["another function by spawn", spawn(1, "g", 1), [1]],
    ["more arguments than the arity says", spawn(1, "f", 1), [1, [2]]],
    ["fewer arguments than the arity says", execute(1), [cRef(2), a("m"), a("f")]],
    ["a list of arguments that does not end", spawn(1, "f", 1), new ImproperList([1], a("x"))],
  ])("functions: refuses %s with eperm", (_, control, payload) => {
    const { wire, paths } = world({ functions: ["m:f/1"] });
    expect(wire.c(control, payload).answer?.control).toEqual(failed(1, "eperm"));
    expect(paths.spawns.size).toBe(0);
  });

  it("functions: runs those listed, by erpc, spawn and rex", () => {
    const { wire } = world({ functions: ["m:f/1"] });
    expect(wire.c(execute(1), [cRef(9), a("m"), a("f"), [1]]).forward).toBeDefined();
    expect(wire.c(spawn(2, "f", 1), [[1]]).forward).toBeDefined();
    expect(wire.c(spawn(3, "execute_cast", 3, "erpc"), [a("m"), a("f"), [300]]).forward).toBeDefined();
    const block = tuple(a("block_call"), a("m"), a("f"), [1], ME);
    expect(wire.c(named("rex"), genCall(ME, aliasTag(cRef(4)), block)).forward).toBeDefined();
    expect(
      wire.c(named("rex"), tuple(a("$gen_cast"), tuple(a("cast"), a("m"), a("f"), [1], ME))).forward,
    ).toBeDefined();
    expect(wire.c(named("rex"), tuple(ME, a("features_request"))).forward).toBeDefined();
  });

  it("functions: rex answers what is not listed with badrpc, and takes nothing else (rulings U9)", () => {
    const { wire, paths } = world({ functions: ["m:f/1"] });
    const request = tuple(a("call"), a("os"), a("cmd"), ["x"], ME);
    const { answer, forward } = wire.c(named("rex"), genCall(ME, aliasTag(cRef(4)), request));
    expect(forward).toBeUndefined();
    expect(answer?.control).toEqual({ kind: "send", from: wPid(0), to: ME });
    expect(said(answer)).toEqual(tuple(aliasTag(cRef(4)), tuple(a("badrpc"), DENIED)));
    expect(wire.c(named("rex"), tuple(a("$gen_cast"), tuple(a("cast"), a("os"), a("cmd"), [], ME)))).toEqual({});
    expect(wire.c(named("rex"), tuple(ME, request))).toEqual({});
    const hidden = tuple(a("cast"), a("m"), a("f"), new ImproperList([1], a("x")), ME);
    expect(wire.c(named("rex"), tuple(a("$gen_cast"), hidden))).toEqual({});
    expect(wire.c(named("rex"), tuple(a("send"), a("x"), 1))).toEqual({});
    expect(paths.calls.size + paths.expected.size).toBe(0);
  });

  it("funs: false spawns without them", () => {
    const { wire } = world({ funs: false });
    expect(wire.c(spawn(1, "f", 1), [FUN]).answer?.control).toEqual(failed(1, "eperm"));
    expect(wire.c(spawn(1, "f", 1), [a("x")]).forward).toBeDefined();
    expect(wire.c(toServer, FUN).forward).toBeDefined();
  });

  it("killOnlyChildren: kills what it spawned", () => {
    const { wire } = world({ killOnlyChildren: true });
    wire.c(spawn(1, "f", 0), []);
    wire.w({ kind: "spawn-reply", ref: cRef(1), to: ME, flags: 2, result: SERVER });
    expect(wire.c(kill(wPid(0)), a("kill"))).toEqual({});
    expect(wire.c(kill(SERVER), a("kill")).forward).toBeDefined();
  });
});

describe("full tables answer noconnection (L9)", () => {
  const one = (limits: FilterOptions["limits"]) => world({}, { limits: limits ?? {} });

  it("calls: DOWN, and the worker forgets the monitor", () => {
    const { wire, filter } = one({ maxCalls: 1 });
    for (const n of [1, 2]) wire.c(monitor(n));
    expect(wire.c(named("srv"), genCall(ME, aliasTag(cRef(1)), 1)).forward?.control.kind).toBe("reg-send");
    filter.takeEvents();
    const full = wire.c(named("srv"), genCall(ME, aliasTag(cRef(2)), 1));
    expect(said(full.answer)).toEqual(a("noconnection"));
    expect(full.forward?.control.kind).toBe("demonitor");
    expect(filter.takeEvents()).toMatchObject([{ why: "full", by: "commander" }]);
    wire.w({ kind: "alias-send", from: SERVER, alias: cRef(1) }, tuple(aliasTag(cRef(1)), 1));
    wire.c(monitor(3));
    expect(wire.c(named("srv"), genCall(ME, aliasTag(cRef(3)), 1)).forward?.control.kind).toBe("reg-send");
  });

  it("requests to devices: the same", () => {
    const { wire } = one({ maxCalls: 1 });
    for (const n of [1, 2]) wire.c(monitor(n, SERVER));
    const request = (n: number) => tuple(a("io_request"), ME, cRef(n), a("getopts"));
    expect(wire.c(toServer, request(1)).forward?.control).toBe(toServer);
    expect(said(wire.c(toServer, request(2)).answer)).toEqual(a("noconnection"));
  });

  it("a tag that is too long is not remembered, so the call is refused", () => {
    const { wire } = one({ maxTagBytes: 40 });
    wire.c(monitor(1));
    const verdict = wire.c(named("srv"), genCall(ME, tuple(cRef(1), Buffer.alloc(40)), 1));
    expect(said(verdict.answer)).toEqual(a("noconnection"));
  });

  it("monitors, links and spawns", () => {
    const { wire, filter } = one({ maxMonitors: 1, maxLinks: 1, maxSpawns: 1 });
    wire.c(monitor(1));
    expect(said(wire.c(monitor(2)).answer)).toEqual(a("noconnection"));
    wire.c({ kind: "link", from: ME, to: SERVER });
    expect(said(wire.c({ kind: "link", from: cPid(1), to: SERVER }).answer)).toEqual(a("noconnection"));
    const unlinked = wire.c({ kind: "unlink-id", id: 4n, from: cPid(1), to: SERVER });
    expect(unlinked.answer?.control).toEqual({ kind: "unlink-id-ack", id: 4n, from: SERVER, to: cPid(1) });
    expect(wire.c(spawn(3, "f", 0), []).answer?.control).toEqual(failed(3, "noconnection"));
    expect(filter.takeEvents().filter((event) => event.kind === "filling")).toMatchObject([
      { limit: "maxMonitors", size: 1, most: 1 },
      { limit: "maxLinks" },
    ]);
  });

  it("a spawn under way holds the places that its reply will take", () => {
    const { wire } = one({ maxMonitors: 2, maxChildren: 1 });
    expect(wire.c(spawn(1, "f", 0), []).forward).toBeDefined();
    expect(wire.c(spawn(2, "f", 0), []).answer?.control).toEqual(failed(2, "noconnection"));
    expect(wire.c(monitor(3)).forward).toBeDefined();
    expect(said(wire.c(monitor(4)).answer)).toEqual(a("noconnection"));
    expect(wire.w({ kind: "spawn-reply", ref: cRef(1), to: ME, flags: 2, result: SERVER }).forward).toBeDefined();
    expect(
      wire.w({ kind: "monitor-exit", target: SERVER, to: ME, ref: cRef(1), reason: "payload" }, 1).forward,
    ).toBeDefined();
    expect(wire.c(spawn(5, "f", 0), []).forward).toBeDefined();
  });
});
