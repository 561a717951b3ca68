import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { ExportFun, tuple } from "../term/types.ts";
import { a, COMMANDER, cPid, cRef, GatewayTraffic, WORKER, wPid, wRef } from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { commanderProfile } from "./profile.ts";

const ME = cPid(100);
const FAR = wPid(50);

function world(options: Partial<FilterOptions> = {}) {
  const decide = commanderProfile({}, () => "ID");
  const filter = new GatewayFilter({ commander: COMMANDER, worker: WORKER, decide, ...options }, 1_000 as MonotonicMs);
  return { filter, paths: filter.paths, wire: new GatewayTraffic(filter) };
}

const link: Control = { kind: "link", from: ME, to: FAR };
const unlink = (id: bigint): Control => ({ kind: "unlink-id", id, from: ME, to: FAR });
const acknowledged = (id: bigint): Control => ({ kind: "unlink-id-ack", id, from: FAR, to: ME });

describe("acknowledgements of an unlink", () => {
  it("that a new link has overtaken are dropped without a word, as many as there were", () => {
    const { wire, filter, paths } = world();
    wire.c(link);
    for (const id of [1n, 2n, 3n]) {
      wire.c(unlink(id));
      wire.c(link);
    }
    for (const id of [1n, 2n, 3n]) expect(wire.w(acknowledged(id))).toEqual({});
    expect(filter.takeEvents()).toEqual([]);
    expect(wire.w(acknowledged(4n))).toEqual({});
    expect(filter.takeEvents()).toMatchObject([{ why: "unasked", operation: "unlink-id-ack" }]);
    wire.c(unlink(5n));
    expect(wire.w(acknowledged(5n)).forward).toBeDefined();
    expect(paths.links.size).toBe(0);
  });

  it("that another unlink has overtaken leave the link until its own comes", () => {
    const { wire, filter, paths } = world();
    wire.c(unlink(1n));
    wire.c(unlink(2n));
    expect(wire.w(acknowledged(1n))).toEqual({});
    expect([paths.links.size, filter.takeEvents()]).toEqual([1, []]);
    expect(wire.w(acknowledged(2n)).forward).toBeDefined();
    expect(paths.links.size).toBe(0);
    expect(wire.w(acknowledged(2n))).toEqual({});
    expect(filter.takeEvents()).toMatchObject([{ why: "unasked" }]);
  });
});

describe("unlinks of the worker", () => {
  it("cross one of the commander once, and are acknowledged by the gateway from then on", () => {
    const { wire } = world();
    const fromWorker = (id: bigint): Control => ({ kind: "unlink-id", id, from: FAR, to: ME });
    for (let round = 0; round < 2; round++) {
      wire.c(link);
      wire.c(unlink(1n));
      expect(wire.w(fromWorker(1n)).forward).toBeDefined();
      for (const id of [2n, 3n]) {
        const { answer, forward } = wire.w(fromWorker(id));
        expect([answer?.control, forward]).toEqual([{ kind: "unlink-id-ack", id, from: ME, to: FAR }, undefined]);
      }
    }
  });
});

describe("the rule that an event names", () => {
  it("is none for a message that no inbox rule lets in", () => {
    const { wire, filter } = world({
      inbox: [
        { to: "logger_proxy", shape: "any" },
        { to: { revealed: true }, shape: "any" },
      ],
    });
    const fun = new ExportFun("m", "f", 1);
    wire.c({ kind: "send", from: ME, to: FAR }, ME);
    expect(wire.w({ kind: "reg-send", from: FAR, name: "logger_proxy" }, tuple(a("event"), fun))).toEqual({});
    expect(wire.w({ kind: "send", from: FAR, to: ME }, tuple(a("event"), fun))).toEqual({});
    expect(wire.w({ kind: "reg-send", from: FAR, name: "other" }, a("event"))).toEqual({});
    expect(filter.takeEvents()).toMatchObject([
      { why: "fun", rule: undefined },
      { why: "fun", rule: undefined },
      { why: "operation", rule: 'inbox: { "to": "other", "shape": "any" }' },
    ]);
  });

  it("is the limit that was met", () => {
    const { wire, filter } = world({
      limits: { maxWorkerMonitors: 1, childMessagesPerSecond: 2, childBytesPerSecond: 100 },
    });
    const spawn: Control = {
      kind: "spawn-request",
      ref: cRef(1),
      from: ME,
      groupLeader: ME,
      module: "m",
      function: "f",
      arity: 0,
      options: [a("monitor")],
    };
    wire.c(spawn, []);
    wire.w({ kind: "spawn-reply", ref: cRef(1), to: ME, flags: 2, result: FAR });
    for (const n of [1, 2]) {
      wire.w({ kind: "monitor", from: FAR, target: ME, ref: wRef(n) });
    }
    const toMe: Control = { kind: "send", from: FAR, to: ME };
    for (const size of [1, 100, 1, 1]) wire.w(toMe, tuple(FAR, Buffer.alloc(size)));
    expect(filter.takeEvents().flatMap((event) => (event.kind === "denied" ? [[event.why, event.rule]] : []))).toEqual([
      ["full", "maxWorkerMonitors"],
      ["rate", "childBytesPerSecond"],
      ["rate", "childMessagesPerSecond"],
    ]);
  });
});
