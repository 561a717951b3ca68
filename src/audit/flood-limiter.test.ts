import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { AuditWorld, attemptEntry } from "../testkit/audit-world.ts";
import type { DecisionEntry } from "./decision-entries.ts";
import { FLOOD_WINDOW_MS, FloodLimiter, MAX_FLOOD_REASONS } from "./flood-limiter.ts";
import { DEFAULT_AUDIT_LIMITS } from "./limits.ts";

const NOW = 5 as MonotonicMs;

describe("FloodLimiter", () => {
  it("lets the first ten of each source and reason through, and counts the rest with the last id", () => {
    const limiter = new FloodLimiter(DEFAULT_AUDIT_LIMITS);
    const taken = Array.from({ length: 25 }, (_, i) => limiter.take("192.0.2.1", "A", `id${i}`, NOW));
    expect(taken.filter(Boolean)).toHaveLength(10);
    expect(taken.indexOf(false)).toBe(10);
    expect(limiter.take("192.0.2.1", "B", "x", NOW)).toBe(true);
    expect(limiter.take("192.0.2.2", "A", "y", NOW)).toBe(true);
    expect(limiter.drain()).toEqual([{ source: "192.0.2.1", reason: "A", count: 15, lastId: "id24" }]);
    expect(limiter.size).toBe(0);
    expect(limiter.take("192.0.2.1", "A", "z", NOW)).toBe(true);
  });

  it("is bounded against ever new sources, and counts what it cannot tell apart by reason", () => {
    const limiter = new FloodLimiter({ ...DEFAULT_AUDIT_LIMITS, maxKeys: 4 });
    let written = 0;
    for (let i = 0; i < 1_000; i++) if (limiter.take(`source ${i}`, "A", `id${i}`, NOW)) written++;
    expect(limiter.size).toBe(5);
    expect(written).toBe(10);
    expect(limiter.drain()).toEqual([{ source: null, reason: "A", count: 990, lastId: "id999" }]);
  });

  it("writes so many in all, but the first of each reason always", () => {
    const limiter = new FloodLimiter({ ...DEFAULT_AUDIT_LIMITS, maxPerMinute: 20 });
    let written = 0;
    for (let i = 0; i < 500; i++) if (limiter.take(`source ${i % 100}`, "A", "a", NOW)) written++;
    expect(written).toBe(20);
    expect(limiter.take("source 1", "KEY_MISMATCH", "m", NOW)).toBe(true);
    expect(limiter.take("source 1", "KEY_MISMATCH", "m", NOW)).toBe(false);
  });

  it("is bounded against ever new reasons", () => {
    const limiter = new FloodLimiter({ ...DEFAULT_AUDIT_LIMITS, maxKeys: 4 });
    for (let i = 0; i < 2_000; i++) limiter.take("s", `R${i}`, "a", NOW);
    expect(limiter.size).toBeLessThanOrEqual(4 + MAX_FLOOD_REASONS + 1);
  });
});

describe("AuditTrail", () => {
  it("writes a flood as ten records and one summary at the end of the minute", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 300; i++) {
      const host = i % 2 === 0 ? "192.0.2.1" : "[::ffff:192.0.2.1]";
      world.trail.attempt(attemptEntry({ address: `${host}:${i}`, id: `ID${i}` }));
      world.clock.advance(100);
    }
    expect(world.records.filter(({ kind }) => kind === "attempt")).toHaveLength(10);
    world.clock.advance(FLOOD_WINDOW_MS);
    const summary = { of: "attempt", source: "192.0.2.1", reason: "KEY_UNTRUSTED", count: 290, lastId: "ID299" };
    expect(world.records.filter(({ kind }) => kind === "summary")).toEqual([expect.objectContaining(summary)]);
    expect(world.trail.counters()).toMatchObject({ audit_summarised: 290, audit_written: 12 });
    expect(world.clock.pendingTimers).toBe(0);
    world.trail.attempt(attemptEntry());
    expect(world.words.at(-1)).toBe("attempt");
  });

  it("begins a new minute when one is over, also when nothing had to be counted", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 10; i++) world.trail.attempt(attemptEntry());
    world.clock.advance(FLOOD_WINDOW_MS - 1);
    world.trail.attempt(attemptEntry());
    expect(world.words.filter((word) => word === "attempt")).toHaveLength(10);
    world.clock.advance(1);
    for (let i = 0; i < 10; i++) world.trail.attempt(attemptEntry());
    world.clock.advance(FLOOD_WINDOW_MS);
    for (let i = 0; i < 10; i++) world.trail.attempt(attemptEntry());
    expect(world.words.filter((word) => word === "attempt")).toHaveLength(30);
  });

  it("counts sessions apart from failures, and by peer", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 40; i++) world.trail.attempt(attemptEntry());
    const session = { outcome: "accepted", reason: null, code: null, stage: null } as const;
    for (let i = 0; i < 12; i++) world.trail.attempt(attemptEntry({ ...session, peer: "b@h", id: `B${i}` }));
    world.trail.attempt(attemptEntry({ ...session, peer: "c@h" }));
    expect(world.records.filter(({ outcome }) => outcome === "accepted")).toHaveLength(11);
    world.trail.close();
    expect(world.records.filter(({ kind }) => kind === "summary")).toEqual([
      expect.objectContaining({ of: "attempt", count: 30 }),
      expect.objectContaining({ of: "session", source: "b@h", reason: "ACCEPTED", count: 2, lastId: "B11" }),
    ]);
    expect(world.words.at(-1)).toBe("closed");
    expect(world.verify()).toMatchObject({ ok: true });
  });

  it("warns when others may look into its directory", () => {
    const world = new AuditWorld();
    world.files.makeDirectory("/audit", 0o755);
    world.files.pretend("/audit", { mode: 0o755 });
    expect(world.start().warnings).toEqual(["AUDIT_EXPOSED"]);
  });

  it("counts a fault of its own and throws nothing", () => {
    const world = new AuditWorld().start();
    world.trail.attempt(attemptEntry({ durationMs: Number.NaN }));
    expect(world.trail.counters()).toMatchObject({ audit_lost: 1, audit_waiting: 0 });
    expect(world.log.isFailing).toBe(false);
    world.trail.attempt(attemptEntry());
    expect(world.words).toEqual(["opened", "gap", "attempt"]);
  });
});

describe("records that a source has for itself", () => {
  const own = { ...DEFAULT_AUDIT_LIMITS, perSource: 10 };

  it("are written though others have used up all the rest", () => {
    const limiter = new FloodLimiter(own);
    const wrote = (source: string, times: number) => {
      let written = 0;
      for (let i = 0; i < times; i++) if (limiter.take(source, `R${i % 100}`, "a", NOW)) written++;
      return written;
    };
    for (const source of ["p", "q", "r"]) wrote(source, 2_000);
    expect(wrote("silent", 12)).toBe(10);
    expect(wrote("silent", 100)).toBe(0);
  });

  it("are still at most ten of each reason, and end with the window", () => {
    const limiter = new FloodLimiter({ ...own, maxPerKey: 3, maxPerMinute: 1 });
    const taken = () => [1, 2, 3, 4, 5].map(() => limiter.take("p", "A", "a", NOW));
    expect(taken()).toEqual([true, true, true, false, false]);
    expect(limiter.drain()).toEqual([{ source: "p", reason: "A", count: 2, lastId: "a" }]);
    expect(taken()).toEqual([true, true, true, false, false]);
  });

  it("are for so many sources at most", () => {
    const limiter = new FloodLimiter({ ...own, maxKeys: 4, maxPerMinute: 0 });
    let written = 0;
    for (let i = 0; i < 1_000; i++) if (limiter.take(`source ${i % 100}`, "A", "a", NOW)) written++;
    expect(written).toBe(40);
  });
});

describe("decisions in the audit log", () => {
  const entry = (over: Partial<DecisionEntry> = {}): DecisionEntry => ({
    id: "0123456789AB",
    outcome: "deny-default",
    rule: null,
    miss: null,
    alias: "p",
    peer: "p@h",
    key: null,
    verb: "send",
    target: "s",
    generation: 1,
    mode: "enforce",
    ...over,
  });
  const decisionsOf = (world: AuditWorld, what: Readonly<Record<string, unknown>>) =>
    world.records.filter(({ kind, ...record }) => {
      return kind === "decision" && Object.entries(what).every(([key, value]) => record[key] === value);
    });

  it("of three peers that flood do not silence a fourth", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 9_000; i++) {
      world.trail.decision(entry({ peer: `p${i % 3}@h`, rule: `r${i % 100}`, outcome: "deny-rule" }));
    }
    for (let i = 0; i < 12; i++) world.trail.decision(entry({ peer: "quiet@h", rule: "r1", outcome: "deny-rule" }));
    expect(decisionsOf(world, { peer: "quiet@h" })).toHaveLength(10);
  });

  it("that allow do not push refusals of the same peer out", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 9_000; i++) world.trail.decision(entry({ outcome: "allow", rule: `r${i % 100}` }));
    for (let i = 0; i < 12; i++) world.trail.decision(entry());
    expect(decisionsOf(world, { outcome: "deny-default" })).toHaveLength(10);
    world.trail.close();
    expect(world.words.at(-1)).toBe("closed");
    const summed = world.records.filter(({ kind }) => kind === "summary").map(({ count }) => Number(count));
    expect(decisionsOf(world, {}).length + summed.reduce((sum, count) => sum + count, 0)).toBe(9_012);
  });

  it("of functions that audit mode let run tell each function", () => {
    const world = new AuditWorld().start();
    const ran = { outcome: "allow", mode: "audit", verb: "rpc", rule: "peer" } as const;
    for (let i = 0; i < 20; i++) world.trail.decision(entry({ ...ran, target: "lists:reverse/1" }));
    world.trail.decision(entry({ ...ran, target: "os:cmd/1" }));
    expect(decisionsOf(world, { target: "os:cmd/1" })).toHaveLength(1);
    world.trail.close();
    expect(world.records.find(({ kind }) => kind === "summary")).toMatchObject({
      reason: "allow rpc lists:reverse/1 peer",
      count: 10,
    });
  });
});
