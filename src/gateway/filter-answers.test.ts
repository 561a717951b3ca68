import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { decodeTerm } from "../term/decode.ts";
import { ExportFun, ImproperList, Pid, Reference, type Term, tuple } from "../term/types.ts";
import {
  a,
  aliasTag,
  bytesOf,
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
import { commanderProfile } from "./profile.ts";
import type { Outgoing, Verdict } from "./verdict.ts";

const ME = cPid(100);
const SERVER = wPid(50);
const CHILD = wPid(60);

function world(options: Partial<FilterOptions> = {}) {
  const filter = new GatewayFilter(
    { commander: COMMANDER, worker: WORKER, decide: commanderProfile({}, () => "ID7"), ...options },
    1_000 as MonotonicMs,
  );
  return { filter, paths: filter.paths, wire: new GatewayTraffic(filter) };
}

/** The payload of what is sent, as a term. */
function said(out: Outgoing | undefined): Term {
  if (out === undefined) throw new Error("nothing is sent");
  return decodeTerm(Buffer.concat([Buffer.from([131]), out.buffer.subarray(out.start, out.end)]));
}

function isDropped(verdict: Verdict): boolean {
  return verdict.forward === undefined && verdict.answer === undefined && verdict.close === undefined;
}

const toMe = (from: Pid = SERVER): Control => ({ kind: "send", from, to: ME });
const toAlias = (ref: Reference): Control => ({ kind: "alias-send", from: SERVER, alias: ref });
const monitor = (ref: Reference, target: Pid | string = "srv"): Control => ({ kind: "monitor", from: ME, target, ref });
const down = (ref: Reference, target: Pid | string = "srv", to: Pid = ME): Control => ({
  kind: "monitor-exit",
  target,
  to,
  ref,
  reason: "payload",
});
const named = (name: string): Control => ({ kind: "reg-send", from: ME, name });
const spawn = (ref: Reference, options: readonly string[], fn: [string, string, number] = ["m", "f", 0]): Control => ({
  kind: "spawn-request",
  ref,
  from: ME,
  groupLeader: ME,
  module: fn[0],
  function: fn[1],
  arity: fn[2],
  options: options.map(a),
});
const reply = (ref: Reference, flags: number, result: Pid | string = CHILD): Control => ({
  kind: "spawn-reply",
  ref,
  to: ME,
  flags,
  result,
});

/** A call as gen_server makes it. */
function call(
  wire: GatewayTraffic<Verdict>,
  ref: Reference,
  tag: Term = aliasTag(ref),
  request: Term = a("q"),
): Verdict {
  wire.c(monitor(ref));
  return wire.c(named("srv"), genCall(ME, tag, request));
}

describe("answers to calls", () => {
  it("come to the alias of the call, once (L1, D10b)", () => {
    const { wire, paths } = world();
    expect(call(wire, cRef(1)).forward).toBeDefined();
    const answer = wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 42));
    expect(said(answer.forward)).toEqual(tuple(aliasTag(cRef(1)), 42));
    expect(isDropped(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 42)))).toBe(true);
    wire.c({ kind: "demonitor", from: ME, target: "srv", ref: cRef(1) });
    expect([paths.calls.size, paths.monitors.size, paths.expected.size, paths.indexedRefs]).toEqual([0, 0, 0, 0]);
  });

  it("come to the pid of the caller, as net_kernel of OTP 25 answers a ping", () => {
    const { wire } = world();
    wire.c(monitor(cRef(1), "net_kernel"));
    const ping = genCall(ME, aliasTag(cRef(1)), tuple(a("is_auth"), a("c@h")));
    expect(wire.c(named("net_kernel"), ping).forward).toBeDefined();
    expect(wire.w(toMe(), tuple(aliasTag(cRef(1)), a("yes"))).forward).toBeDefined();
  });

  it.each<[string, Term, Control]>([
    ["{Ref, Node} of OTP 25, by pid", tuple(cRef(1), a("w@h")), toMe()],
    [
      "[[alias | AliasRef] | Ref] of OTP 27, to the reference inside",
      new ImproperList([aliasTag(cRef(5))], cRef(1)),
      toAlias(cRef(5)),
    ],
    ["a bare reference", cRef(1), toMe()],
  ])("carry the tag of multi_call: %s", (_, tag, control) => {
    const { wire } = world();
    call(wire, cRef(1), tag);
    expect(wire.w(control, tuple(tag, 1)).forward).toBeDefined();
    expect(isDropped(wire.w(control, tuple(tag, 1)))).toBe(true);
  });

  it("come for system messages too", () => {
    const { wire } = world();
    wire.c(monitor(cRef(1)));
    wire.c(named("srv"), tuple(a("system"), tuple(ME, aliasTag(cRef(1))), a("get_state")));
    expect(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 1)).forward).toBeDefined();
  });

  it("of a call without a monitor end with time, since nothing else would end them", () => {
    const { wire, paths } = world({ limits: { answerMs: 500 } });
    wire.c(named("srv"), genCall(ME, tuple(cRef(1), a("w@h")), 1));
    expect([paths.calls.size, paths.expected.size]).toEqual([0, 1]);
    wire.now = 1_500 as MonotonicMs;
    expect(isDropped(wire.w(toMe(), tuple(tuple(cRef(1), a("w@h")), 1)))).toBe(true);
    expect([paths.expected.size, paths.indexedRefs]).toEqual([0, 0]);
  });

  it("do not come after the caller gave up (L4)", () => {
    const { wire } = world();
    call(wire, cRef(1));
    wire.c({ kind: "demonitor", from: ME, target: "srv", ref: cRef(1) });
    expect(isDropped(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 1)))).toBe(true);
  });

  it("are learned from no call for somebody else", () => {
    const { wire, paths } = world();
    wire.c(monitor(cRef(1)));
    wire.c(named("srv"), genCall(SERVER, aliasTag(wRef(1)), 1));
    expect(paths.calls.size).toBe(0);
  });
});

describe("answers to messages (L2)", () => {
  it("have no proper list and no atom for a tag, whatever the commander sent", () => {
    const { wire, paths } = world();
    wire.c({ kind: "send", from: ME, to: SERVER }, tuple(ME, [cRef(1)], 1));
    expect(isDropped(wire.w(toMe(), tuple([cRef(1)], 1)))).toBe(true);
    wire.c(monitor(cRef(2)));
    wire.c(named("srv"), genCall(ME, a("EXIT"), cRef(2)));
    expect(paths.calls.size).toBe(0);
    expect(isDropped(wire.w(toMe(), tuple(a("EXIT"), 1)))).toBe(true);
  });

  it("come by a reference, a task tag {Ref, N} and an improper list", () => {
    for (const tag of [cRef(1), tuple(cRef(1), 3), aliasTag(cRef(1))]) {
      const { wire } = world();
      wire.c({ kind: "send", from: ME, to: SERVER }, tuple(ME, [cRef(9), tag], a("go")));
      expect(wire.w(toMe(), tuple(tag, 1)).forward).toBeDefined();
      expect(isDropped(wire.w(toMe(), tuple(tag, 1)))).toBe(true);
    }
  });

  it("stop at the number of terms that are looked at", () => {
    const { wire, paths } = world({ limits: { maxScannedTerms: 10 } });
    wire.c({ kind: "send", from: ME, to: SERVER }, [...new Array<number>(20).fill(1000), cRef(1)]);
    expect(paths.expected.size).toBe(0);
  });

  it("forget the oldest when there are too many", () => {
    const { wire, paths } = world({ limits: { maxExpectedAnswers: 2 } });
    for (const n of [1, 2, 3]) wire.c({ kind: "send", from: ME, to: SERVER }, tuple(ME, cRef(n), 1));
    expect([paths.expected.size, paths.indexedRefs]).toEqual([2, 2]);
    expect(isDropped(wire.w(toMe(), tuple(cRef(1), 1)))).toBe(true);
    expect(wire.w(toMe(), tuple(cRef(3), 1)).forward).toBeDefined();
  });

  it("come for requests to the worker's files and devices (L3, D10c)", () => {
    for (const word of ["io", "file"]) {
      const { wire } = world();
      wire.c(monitor(cRef(1), SERVER));
      wire.c({ kind: "send", from: ME, to: SERVER }, tuple(a(`${word}_request`), ME, cRef(1), a("getopts")));
      expect(isDropped(wire.w(toMe(), tuple(cRef(1), a("ok"))))).toBe(true);
      expect(wire.w(toMe(), tuple(a(`${word}_reply`), cRef(1), a("ok"))).forward).toBeDefined();
      expect(isDropped(wire.w(toMe(), tuple(a(`${word}_reply`), cRef(1), a("ok"))))).toBe(true);
    }
  });

  it("come once to who asked what rex can (L8)", () => {
    const { wire } = world();
    wire.c(named("rex"), tuple(ME, a("features_request")));
    const answer = tuple(a("features_reply"), a("w@h"), [a("erpc")]);
    expect(isDropped(wire.w({ kind: "send", from: SERVER, to: cPid(3) }, answer))).toBe(true);
    expect(wire.w(toMe(), answer).forward).toBeDefined();
    expect(isDropped(wire.w(toMe(), answer))).toBe(true);
  });
});

describe("forged answers", () => {
  it.each<[string, Control, Term]>([
    ["to another pid", { kind: "send", from: SERVER, to: cPid(101) }, tuple(aliasTag(cRef(1)), 1)],
    [
      "to a pid of an earlier life",
      { kind: "send", from: SERVER, to: new Pid("c@h", 100, 0, 6) },
      tuple(aliasTag(cRef(1)), 1),
    ],
    ["to another alias", toAlias(cRef(2)), tuple(aliasTag(cRef(1)), 1)],
    ["with the bare reference as tag", toMe(), tuple(cRef(1), 1)],
    ["with the next reference", toAlias(cRef(2)), tuple(aliasTag(cRef(2)), 1)],
    ["with the tag alone", toMe(), aliasTag(cRef(1))],
    ["with a third element", toMe(), tuple(aliasTag(cRef(1)), 1, 2)],
    ["as an answer of a device", toMe(), tuple(a("io_reply"), aliasTag(cRef(1)), 1)],
    ["as a call", toMe(), genCall(SERVER, aliasTag(wRef(1)), 1)],
    ["as a cast", toMe(), tuple(a("$gen_cast"), 1)],
    ["as a system message", toMe(), tuple(a("system"), tuple(SERVER, wRef(1)), a("get_state"))],
    ["as an exit", toMe(), tuple(a("EXIT"), SERVER, a("kill"))],
    ["as an atom", toMe(), a("stop")],
    ["as a request to a device that is no leader", toMe(), tuple(a("io_request"), SERVER, wRef(1), a("getopts"))],
    ["to a name", { kind: "reg-send", from: SERVER, name: "rex" }, tuple(aliasTag(cRef(1)), 1)],
    ["from nobody", { kind: "send", from: undefined, to: ME }, tuple(aliasTag(cRef(1)), 1)],
  ])("are dropped: %s", (_, control, payload) => {
    const { wire, filter } = world();
    call(wire, cRef(1));
    expect(isDropped(wire.w(control, payload))).toBe(true);
    expect(filter.takeEvents()).toMatchObject([{ kind: "denied", by: "worker", isFirst: true }]);
    expect(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 1)).forward).toBeDefined();
  });

  it.each<[string, Control, Term, string]>([
    ["of another creation", { kind: "send", from: new Pid("w@h", 50, 0, 8), to: ME }, 1, "FORGED_IDENTIFIER"],
    ["of a third node", { kind: "send", from: new Pid("x@h", 50, 0, 9), to: ME }, 1, "FORGED_IDENTIFIER"],
    ["of the commander", { kind: "alias-send", from: cPid(1), alias: cRef(1) }, 1, "FORGED_IDENTIFIER"],
    ["in a child", reply(cRef(1), 0, cPid(9)), undefined, "FORGED_IDENTIFIER"],
    ["in a reference", { kind: "monitor", from: SERVER, target: ME, ref: cRef(1) }, undefined, "FORGED_IDENTIFIER"],
    ["as an old unlink", { kind: "unlink", from: SERVER, to: ME }, undefined, "CONTROL_UNKNOWN_OP"],
    ["without a payload", toMe(), undefined, "CONTROL_MALFORMED"],
    ["with a payload too many", { kind: "link", from: SERVER, to: ME }, 1, "CONTROL_MALFORMED"],
  ])("end the session: a sender %s (D0)", (_, control, payload, reason) => {
    const { wire } = world();
    expect(wire.w(control, payload).close).toMatchObject({ code: "ERR_PEER_MISBEHAVED", reason });
  });

  it.each<[string, Buffer, string]>([
    [
      "trailing bytes",
      Buffer.concat([bytesOf(tuple(aliasTag(cRef(1)), 1)), Buffer.from([106])]),
      "PACKET_TRAILING_BYTES",
    ],
    ["a compressed term", Buffer.from([80, 0, 0, 0, 1, 1]), "TERM_TAG_REFUSED"],
    ["an atom of a header that there is not", Buffer.from([104, 1, 82, 0]), "TERM_ATOM_REF_INVALID"],
    ["such an atom for a node", Buffer.from([88, 82, 0, ...new Array<number>(12).fill(0)]), "TERM_ATOM_REF_INVALID"],
    ["a cut term", Buffer.from([104, 2, 97, 1]), "TERM_TRUNCATED"],
    ["a length of 2^32-1", Buffer.from([105, 255, 255, 255, 255]), "TERM_TRUNCATED"],
    [
      "600 tuples inside each other",
      Buffer.concat([Buffer.alloc(1200, Buffer.from([104, 1])), Buffer.from([106])]),
      "TERM_DEPTH",
    ],
  ])("end the session: %s", (_, payload, reason) => {
    const { wire } = world();
    call(wire, cRef(1));
    expect(wire.raw(toMe(), payload).close).toMatchObject({ reason });
  });

  it.each<[string, Term]>([
    ["fun m:f/1", new ExportFun("m", "f", 1)],
    ["a pid of a third node", new Pid("x@h", 1, 0, 1)],
    ["a pid of the commander's host in other letters", new Pid("c@H", 1, 0, 7)],
    ["a reference of a third node", new Reference("x@h", 1, [1, 2, 3])],
  ])("hold what may not cross: %s; the caller hears at once that the answer was rejected", (_, value) => {
    const { wire, paths } = world();
    call(wire, cRef(1));
    const verdict = wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), [value]));
    expect(verdict.forward?.control).toEqual(down(cRef(1)));
    expect(said(verdict.forward)).toEqual(tuple(a("gateway"), a("reply_rejected")));
    expect(verdict.answer?.control).toEqual({ kind: "demonitor", from: ME, target: "srv", ref: cRef(1) });
    expect([paths.calls.size, paths.monitors.size]).toEqual([0, 0]);
  });

  it("bring no more atoms than a session may (RS-01)", () => {
    const { wire, filter } = world({ limits: { maxAtoms: 4 } });
    call(wire, cRef(1));
    expect(wire.w(toMe(), [a("dropped"), a("uncounted"), a("x"), a("y"), a("z")]).close).toBeUndefined();
    expect(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), [a("one")])).forward).toBeDefined();
    expect(filter.atoms).toBe(3);
    call(wire, cRef(2));
    const over = wire.w(toAlias(cRef(2)), tuple(aliasTag(cRef(2)), [a("two"), a("three")]));
    expect([over.forward, over.close]).toMatchObject([undefined, { code: "ERR_LIMIT", reason: "GATEWAY_ATOMS" }]);
  });
});

describe("monitors, links and spawns", () => {
  it("DOWN comes for a monitor of the commander with its very target, once (D6)", () => {
    const { wire } = world();
    call(wire, cRef(1));
    for (const forged of [
      down(cRef(1), "other"),
      down(cRef(1), SERVER),
      down(cRef(1), "srv", cPid(1)),
      down(cRef(2)),
    ]) {
      expect(isDropped(wire.w(forged, a("normal")))).toBe(true);
    }
    expect(said(wire.w(down(cRef(1)), a("normal")).forward)).toEqual(a("normal"));
    expect(isDropped(wire.w(down(cRef(1)), a("normal")))).toBe(true);
    expect(isDropped(wire.w(toAlias(cRef(1)), tuple(aliasTag(cRef(1)), 1)))).toBe(true);
  });

  it("reasons of the worker lose funs and foreign pids, and nothing else", () => {
    const { wire } = world();
    const fun = new ExportFun("m", "f", 1);
    wire.c(monitor(cRef(1)));
    const reason = tuple(tuple(a("badfun"), fun), [tuple(a("m"), new Pid("x@h", 1, 0, 1)), 5]);
    const removed = a("removed_by_gateway");
    expect(said(wire.w(down(cRef(1)), reason).forward)).toEqual(
      tuple(tuple(a("badfun"), removed), [tuple(a("m"), removed), 5]),
    );
    wire.c(monitor(cRef(2)));
    const inKey = tuple(a("shutdown"), new Map([[tuple(fun), 1]]));
    expect(said(wire.w(down(cRef(2)), inKey).forward)).toEqual(a("shutdown"));
    wire.c(monitor(cRef(3)));
    const inValue = new Map([[a("k"), fun]]);
    expect(said(wire.w(down(cRef(3)), inValue).forward)).toEqual(new Map([[a("k"), removed]]));
  });

  it("erpc: the result travels in the reason, whole (L6, D8, D6)", () => {
    const { wire, paths } = world();
    const request = spawn(cRef(1), ["monitor"], ["erpc", "execute_call", 4]);
    expect(wire.c(request, [cRef(2), a("m"), a("f"), [1]]).forward).toBeDefined();
    expect(isDropped(wire.w({ ...reply(cRef(1), 2), to: cPid(1) } as Control))).toBe(true);
    expect(wire.w(reply(cRef(1), 2)).forward).toBeDefined();
    expect([paths.spawns.size, paths.children.size]).toEqual([0, 1]);
    const result = tuple(cRef(2), a("return"), [a("state"), 5]);
    expect(said(wire.w(down(cRef(1), CHILD), result).forward)).toEqual(result);
    expect([paths.children.size, paths.monitors.size, paths.expected.size]).toEqual([0, 0, 0]);
  });

  it("erpc: a returned fun is rejected, that in an error is removed", () => {
    const fun = new ExportFun("m", "f", 1);
    for (const [kind, expected] of [
      ["return", tuple(a("gateway"), a("reply_rejected"))],
      ["error", tuple(cRef(2), a("error"), a("removed_by_gateway"))],
    ] as const) {
      const { wire } = world();
      wire.c(spawn(cRef(1), ["monitor"], ["erpc", "execute_call", 4]), [cRef(2), a("m"), a("f"), []]);
      wire.w(reply(cRef(1), 2));
      expect(said(wire.w(down(cRef(1), CHILD), tuple(cRef(2), a(kind), fun)).forward)).toEqual(expected);
    }
  });

  it.each<[string, Control]>([
    ["a link that was not asked for (CM-05)", reply(cRef(1), 3)],
    ["a failure with a monitor", reply(cRef(1), 2, "system_limit")],
  ])("a spawn reply ends the session: %s", (_, control) => {
    const { wire } = world();
    wire.c(spawn(cRef(1), ["monitor"]), []);
    expect(wire.w(control).close).toMatchObject({ reason: "SPAWN_REPLY_FORGED" });
  });

  it("a child that is reported twice ends the session", () => {
    const { wire } = world();
    for (const n of [1, 2]) wire.c(spawn(cRef(n), ["monitor"]), []);
    expect(wire.w(reply(cRef(1), 2)).forward).toBeDefined();
    expect(wire.w(reply(cRef(2), 2)).close).toMatchObject({ reason: "SPAWN_REPLY_FORGED" });
  });

  it("a spawn without link and monitor makes no child (rulings S8)", () => {
    const { wire, paths } = world();
    wire.c(spawn(cRef(1), []), []);
    expect(wire.w(reply(cRef(1), 0)).forward).toBeDefined();
    expect([paths.spawns.size, paths.children.size]).toEqual([0, 0]);
    expect(isDropped(wire.w(toMe(CHILD), tuple(CHILD, 1)))).toBe(true);
    expect(isDropped(wire.w(reply(cRef(1), 0)))).toBe(true);
  });

  it("a child may tell its parent, as much as a rate allows, until it is let go (D10d, rulings S9)", () => {
    const { wire } = world({ limits: { childMessagesPerSecond: 2 } });
    wire.c(spawn(cRef(1), ["monitor", "link"]), []);
    wire.w(reply(cRef(1), 3));
    expect(isDropped(wire.w({ kind: "send", from: CHILD, to: cPid(5) }, tuple(CHILD, 1)))).toBe(true);
    expect(isDropped(wire.w(toMe(CHILD), tuple(CHILD, new ExportFun("m", "f", 1))))).toBe(true);
    expect(wire.w(toMe(CHILD), tuple(CHILD, 1)).forward).toBeDefined();
    expect(wire.w(toMe(CHILD), tuple(CHILD, 1, 2, 3, 4, 5, 6)).forward).toBeDefined();
    expect(isDropped(wire.w(toMe(CHILD), tuple(CHILD, 1)))).toBe(true);
    wire.now = 2_000 as MonotonicMs;
    wire.c({ kind: "demonitor", from: ME, target: CHILD, ref: cRef(1) });
    expect(wire.w(toMe(CHILD), tuple(CHILD, 1)).forward).toBeDefined();
    expect(wire.w({ kind: "exit", from: CHILD, to: ME, reason: "payload" }, a("done")).forward).toBeDefined();
    expect(isDropped(wire.w(toMe(CHILD), tuple(CHILD, 1)))).toBe(true);
  });

  it("EXIT comes over a link of the commander, once (L5, D7)", () => {
    const { wire, paths } = world();
    const exit: Control = { kind: "exit", from: SERVER, to: ME, reason: "payload" };
    expect(isDropped(wire.w(exit, a("kill")))).toBe(true);
    expect(wire.c({ kind: "link", from: ME, to: SERVER }).forward).toBeDefined();
    expect(isDropped(wire.w({ ...exit, from: CHILD } as Control, a("kill")))).toBe(true);
    expect(wire.w(exit, a("boom")).forward).toBeDefined();
    expect(isDropped(wire.w(exit, a("boom")))).toBe(true);
    wire.c({ kind: "link", from: ME, to: SERVER });
    wire.c({ kind: "exit", from: ME, to: SERVER, reason: "payload" }, a("normal"));
    expect(paths.links.size).toBe(0);
  });

  it("the reason in the form before EXIT_PAYLOAD is taken for the same", () => {
    const { wire } = world();
    wire.c({ kind: "link", from: ME, to: SERVER });
    const verdict = wire.w({ kind: "exit", from: SERVER, to: ME, reason: { term: new ExportFun("m", "f", 1) } });
    expect(verdict.forward?.control).toMatchObject({ kind: "exit", reason: "payload" });
    expect(said(verdict.forward)).toEqual(a("removed_by_gateway"));
  });

  it("an unlink is acknowledged with its id (L5, D9)", () => {
    const { wire, paths } = world();
    wire.c({ kind: "link", from: ME, to: SERVER });
    wire.c({ kind: "unlink-id", id: 8n, from: ME, to: SERVER });
    expect(isDropped(wire.w({ kind: "exit", from: SERVER, to: ME, reason: "payload" }, a("late")))).toBe(true);
    expect(isDropped(wire.w({ kind: "unlink-id-ack", id: 9n, from: SERVER, to: ME }))).toBe(true);
    expect(wire.w({ kind: "unlink-id-ack", id: 8n, from: SERVER, to: ME }).forward).toBeDefined();
    expect(paths.links.size).toBe(0);
  });

  it("an unlink of the worker ends a link; one that meets none is acknowledged here", () => {
    const { wire, paths } = world();
    const unlink: Control = { kind: "unlink-id", id: 3n, from: SERVER, to: ME };
    expect(wire.w(unlink).answer?.control).toEqual({ kind: "unlink-id-ack", id: 3n, from: ME, to: SERVER });
    wire.c({ kind: "link", from: ME, to: SERVER });
    expect(wire.w(unlink).forward?.control).toEqual(unlink);
    expect(paths.links.size).toBe(0);
  });
});

describe("what the worker begins", () => {
  it("is answered where somebody waits, and dropped elsewhere (D2, D3, D4)", () => {
    const { wire } = world();
    const spawned = wire.w({ ...spawn(wRef(1), []), from: SERVER, groupLeader: SERVER } as Control, []);
    expect([spawned.forward, spawned.answer?.control]).toEqual([
      undefined,
      { kind: "spawn-reply", ref: wRef(1), to: SERVER, flags: 0, result: "noconnection" },
    ]);
    const linked = wire.w({ kind: "link", from: SERVER, to: ME });
    expect([linked.forward, linked.answer?.control]).toEqual([
      undefined,
      { kind: "exit", from: ME, to: SERVER, reason: "payload" },
    ]);
    expect(said(linked.answer)).toEqual(a("noconnection"));
    for (const target of ["rex", cPid(0)]) {
      const monitored = wire.w({ kind: "monitor", from: SERVER, target, ref: wRef(2) });
      expect(monitored.forward).toBeUndefined();
      expect(monitored.answer?.control).toEqual({ ...down(wRef(2), target, SERVER) });
      expect(said(monitored.answer)).toEqual(a("noconnection"));
    }
    expect(isDropped(wire.w({ kind: "exit2", from: SERVER, to: ME, reason: "payload" }, a("kill")))).toBe(true);
    expect(isDropped(wire.w({ kind: "group-leader", leader: SERVER, to: ME }))).toBe(true);
    expect(isDropped(wire.w({ kind: "demonitor", from: SERVER, target: ME, ref: wRef(1) }))).toBe(true);
  });

  it("monitors of revealed processes stand, and end with DOWN of the commander (D4, D5, L10)", () => {
    const { wire, paths } = world();
    wire.c({ kind: "send", from: ME, to: SERVER }, tuple(a("work"), ME));
    const watch = (n: number): Control => ({ kind: "monitor", from: SERVER, target: ME, ref: wRef(n) });
    expect(wire.w(watch(1)).forward).toBeDefined();
    expect(wire.w(watch(2)).forward).toBeDefined();
    expect(wire.w({ kind: "demonitor", from: SERVER, target: ME, ref: wRef(1) }).forward).toBeDefined();
    const died = wire.c(down(wRef(2), ME, SERVER), tuple(a("badarg"), [a("secret")]));
    expect(said(died.forward)).toEqual(a("error"));
    expect(paths.workerMonitors.size).toBe(0);
    expect(isDropped(wire.c(down(wRef(2), ME, SERVER), a("normal")))).toBe(true);
  });

  it("only so many monitors stand; more are answered with noconnection", () => {
    const { wire } = world({ limits: { maxWorkerMonitors: 1 } });
    wire.c({ kind: "send", from: ME, to: SERVER }, ME);
    expect(wire.w({ kind: "monitor", from: SERVER, target: ME, ref: wRef(1) }).forward).toBeDefined();
    expect(said(wire.w({ kind: "monitor", from: SERVER, target: ME, ref: wRef(2) }).answer)).toEqual(a("noconnection"));
  });

  it("messages pass an inbox rule for their name or for revealed pids, as it says", () => {
    const { wire } = world({
      inbox: [
        { to: "log_in", shape: { tuple: ["line", "any"] }, uses: 2, maxBytes: 40 },
        { to: { revealed: true }, shape: "any", rate: { count: 1, perMs: 1_000 } },
        { to: "casts", shape: { tuple: ["$gen_cast", "any"] } },
      ],
    });
    const name = (to: string): Control => ({ kind: "reg-send", from: SERVER, name: to });
    expect(isDropped(wire.w(name("other"), tuple(a("line"), 1)))).toBe(true);
    expect(isDropped(wire.w(name("log_in"), tuple(a("other"), 1)))).toBe(true);
    expect(isDropped(wire.w(name("log_in"), tuple(a("line"), Buffer.alloc(60))))).toBe(true);
    expect(isDropped(wire.w(name("log_in"), tuple(a("line"), new ExportFun("m", "f", 0))))).toBe(true);
    for (let i = 0; i < 2; i++) expect(wire.w(name("log_in"), tuple(a("line"), 1)).forward).toBeDefined();
    expect(isDropped(wire.w(name("log_in"), tuple(a("line"), 1)))).toBe(true);
    expect(isDropped(wire.w(toMe(), tuple(a("result"), 1)))).toBe(true);
    wire.c({ kind: "send", from: ME, to: SERVER }, ME);
    for (const head of ["$gen_call", "$gen_cast", "system", "EXIT", "io_request", "log", "$anything"]) {
      expect(isDropped(wire.w(toMe(), tuple(a(head), 1)))).toBe(true);
    }
    expect(wire.w(toMe(), tuple(a("result"), 1)).forward).toBeDefined();
    expect(isDropped(wire.w(toMe(), tuple(a("result"), 1)))).toBe(true);
    expect(wire.w(name("casts"), tuple(a("$gen_cast"), 1)).forward).toBeDefined();
  });

  it("is told to the operator with the rule that would allow it, and as new only once", () => {
    const { wire, filter } = world();
    wire.w(toMe(), tuple(a("result"), 1));
    wire.w({ kind: "send", from: SERVER, to: cPid(7) }, tuple(a("result"), 2));
    wire.w({ kind: "reg-send", from: SERVER, name: "x\n" }, 1);
    expect(filter.takeEvents()).toEqual([
      {
        kind: "denied",
        by: "worker",
        why: "unasked",
        operation: "send",
        target: "<100.0>@c@h",
        head: "result/2",
        rule: 'inbox: { "to": { "revealed": true }, "shape": { "tuple": [{"atom":"result"}, "any"] } }',
        id: undefined,
        isFirst: true,
        observed: false,
      },
      expect.objectContaining({ target: "<7.0>@c@h", isFirst: false }),
      expect.objectContaining({ target: "x\\x0a", head: "", isFirst: true }),
    ]);
    expect(filter.takeEvents()).toEqual([]);
  });

  it("ends the session when there is no end to it (CM-17)", () => {
    const { wire } = world({ limits: { maxRefusals: 3 } });
    const kill = (n: number) => wire.w({ kind: "exit2", from: SERVER, to: cPid(n), reason: "payload" }, a("kill"));
    for (let n = 0; n < 3; n++) expect(isDropped(kill(n))).toBe(true);
    expect(kill(3).close).toMatchObject({ code: "ERR_LIMIT", reason: "GATEWAY_REFUSALS" });
  });
});
