import { describe, expect, it } from "vitest";
import type { AppendFile } from "../base/append-files.ts";
import { AuditWorld, attemptEntry, crypto, linesOf } from "../testkit/audit-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { AUDIT_RETRY_MS, AUDIT_SYNC_MS } from "./audit-log.ts";
import { AUDIT_WARNING_MS } from "./audit-trail.ts";
import { GENESIS, seal } from "./record.ts";
import { verifyChain } from "./verify-chain.ts";

const FIRST = "/audit/audit-000000000001.jsonl";

/** Knows what was done with files that only grow: `open`, `sync` and `close`, each with the file's number. */
class Watched extends FaultyFiles {
  readonly done: string[] = [];

  override openAppend(path: string, mode: number): AppendFile {
    const file = super.openAppend(path, mode);
    const note = (what: string): void => void this.done.push(`${what} ${Number(/\d+/.exec(path)?.[0])}`);
    note("open");
    return {
      append: (data) => file.append(data),
      size: () => file.size(),
      sync: () => note("sync"),
      close: () => note("close"),
    };
  }
}

/** Writes `count` attempts. */
function attempts(world: AuditWorld, count: number): void {
  for (let i = 0; i < count; i++) world.log.record({ kind: "attempt", address: `192.0.2.1:${i}`, peer: null });
}

describe("AuditLog", () => {
  it("keeps its files to the owner", () => {
    const { files } = new AuditWorld().start();
    expect([files.mode("/audit"), files.mode(FIRST)]).toEqual([0o700, 0o600]);
  });

  it("goes on where an earlier run ended", () => {
    const first = new AuditWorld().start();
    attempts(first, 2);
    first.log.close();
    const second = new AuditWorld(first.files.survivor()).start();
    attempts(second, 1);
    expect(second.words).toEqual(["opened", "attempt", "attempt", "closed", "opened", "attempt"]);
    expect(second.verify()).toMatchObject({ ok: true, records: 6, head: second.log.head });
  });

  it("survives a crash at every step, and the chain goes on over what was torn", () => {
    let torn = 0;
    let crashes = 0;
    for (let step = 0; ; step++) {
      const files = new FaultyFiles();
      files.crashAt(step);
      const world = new AuditWorld(files).start();
      attempts(world, 3);
      world.log.close();
      if (!world.log.isFailing) break;
      crashes++;
      const next = new AuditWorld(files.survivor()).start();
      attempts(next, 1);
      const verdict = next.verify();
      expect(verdict, `step ${step}: ${next.lines.join("\n")}`).toMatchObject({ ok: true });
      expect(next.words.slice(-2)).toEqual(["opened", "attempt"]);
      if (verdict.ok) torn += verdict.torn;
    }
    expect(crashes).toBeGreaterThan(50);
    expect(torn).toBeGreaterThan(40);
  });

  it("survives a crash at every step of taking up a torn log", () => {
    const files = new FaultyFiles();
    const world = new AuditWorld(files).start();
    attempts(world, 1);
    files.put(FIRST, Buffer.concat([files.read(FIRST), Buffer.from('{"address":"192.0')]));
    for (let step = 0; ; step++) {
      const second = files.survivor();
      second.crashAt(step);
      const taking = new AuditWorld(second).start();
      if (!taking.log.isFailing) break;
      const third = new AuditWorld(second.survivor()).start();
      expect(third.verify(), `step ${step}`).toMatchObject({ ok: true });
      expect(third.words.at(-1)).toBe("opened");
      expect(step).toBeLessThan(200);
    }
  });

  it("takes a whole record without its line break for what it is, and bytes that are no text for a piece", () => {
    const files = new FaultyFiles();
    const line = seal(GENESIS, { kind: "attempt" }, crypto).line;
    files.put(FIRST, line);
    const whole = new AuditWorld(files).start();
    expect(whole.words).toEqual(["attempt", "opened"]);
    expect(whole.verify()).toMatchObject({ ok: true, torn: 0 });
    files.put(FIRST, Buffer.concat([Buffer.from(`${line}\n`), Buffer.from([0, 0xff, 10, 10, 0x80])]));
    const broken = new AuditWorld(files).start();
    expect(broken.words).toEqual(["attempt", "torn", "opened"]);
    expect(broken.verify()).toMatchObject({ ok: true, torn: 1 });
  });

  it("goes on in a new file when one is full, and removes the oldest", () => {
    const world = new AuditWorld(new FaultyFiles(), { maxFileBytes: 2_000, maxFiles: 3 }).start();
    attempts(world, 60);
    const names = world.files.list("/audit");
    expect(names).toHaveLength(3);
    for (const name of names) expect(world.files.read(`/audit/${name}`).length).toBeLessThanOrEqual(2_000);
    const verdict = verifyChain(world.lines, crypto, { head: world.log.head });
    expect(verdict).toMatchObject({ ok: true, head: world.log.head });
    const first = world.records[0]!;
    expect(names[0]).toBe(`audit-${String(first["seq"]).padStart(12, "0")}.jsonl`);
    expect(first).toMatchObject({ event: "rotated" });
    expect(world.records.filter(({ event }) => event === "removed").at(-1)!["file"]).toMatch(/^audit-\d{12}\.jsonl$/);
    expect(world.records.filter(({ kind }) => kind === "attempt").at(-1)).toMatchObject({ address: "192.0.2.1:59" });
  });

  it("survives a crash at every step of a rotation", () => {
    const limits = { maxFileBytes: 1_000, maxFiles: 2 };
    const files = new FaultyFiles();
    attempts(new AuditWorld(files, limits).start(), 9);
    for (let step = 0, done = false; !done; step++) {
      const copy = files.survivor();
      copy.crashAt(step);
      const world = new AuditWorld(copy, limits).start();
      attempts(world, 6);
      done = !world.log.isFailing;
      const after = done ? world : new AuditWorld(copy.survivor(), limits).start();
      expect(after.verify({}), `step ${step}`).toMatchObject({ ok: true });
    }
  });

  it("keeps records while the disk fails, warns once, and writes them in order when it works again", () => {
    const world = new AuditWorld().start();
    world.files.failAt(3, "ENOSPC");
    attempts(world, 5);
    expect(world.log.isFailing).toBe(true);
    world.clock.runTurn();
    expect(world.warnings).toEqual(["AUDIT_NOT_WRITTEN"]);
    expect(world.trail.counters()).toMatchObject({ audit_written: 1, audit_lost: 0, audit_waiting: 5 });
    const before = new Date(world.clock.wallMs()).toISOString();
    world.clock.advance(AUDIT_RETRY_MS);
    expect(world.log).toMatchObject({ isFailing: false, waiting: 0, lost: 0 });
    expect(world.words).toEqual(["opened", "torn", ...new Array(5).fill("attempt")]);
    const told = world.records.filter(({ kind }) => kind === "attempt");
    expect(told.map(({ address }) => address)).toEqual([0, 1, 2, 3, 4].map((i) => `192.0.2.1:${i}`));
    for (const { at } of told) expect(at).toBe(before);
    expect(world.verify()).toMatchObject({ ok: true, torn: 1, lost: 0 });
  });

  it("drops what does not fit, counts it, and tells how many when it works again", () => {
    const world = new AuditWorld(new FaultyFiles(), { maxWaiting: 2 }).start();
    world.files.failAt(3, "ENOSPC");
    attempts(world, 5);
    expect(world.trail.counters()).toMatchObject({ audit_lost: 3, audit_waiting: 2 });
    world.clock.advance(AUDIT_RETRY_MS);
    attempts(world, 1);
    expect(world.words).toEqual(["opened", "torn", "attempt", "attempt", "gap", "attempt"]);
    expect(world.verify()).toMatchObject({ ok: true, torn: 1, lost: 3 });
  });

  it("writes each record exactly once, at whatever step the disk fails", () => {
    const wanted = Array.from({ length: 9 }, (_, i) => `192.0.2.1:${i}`);
    for (let step = 0, reached = true; reached; step += 3) {
      const world = new AuditWorld(new FaultyFiles(), { maxFileBytes: 1_000 }).start();
      const first = world.files.steps;
      world.files.failAt(step);
      attempts(world, 9);
      reached = world.log.isFailing;
      world.clock.advance(AUDIT_RETRY_MS);
      const told = world.records.filter(({ kind }) => kind === "attempt").map(({ address }) => address);
      expect(told, `step ${step}`).toEqual(wanted);
      expect(world.verify(), `step ${step}`).toMatchObject({ ok: true, lost: 0 });
      expect(world.files.steps).toBeGreaterThan(first);
    }
  });

  it("lets no record that nothing could write hold up those that wait behind it", () => {
    const world = new AuditWorld().start();
    world.files.failAt(0);
    attempts(world, 1);
    world.log.record({ kind: "attempt", durationMs: Number.NaN });
    attempts(world, 1);
    world.clock.advance(AUDIT_RETRY_MS);
    expect(world.words).toEqual(["opened", "attempt", "attempt", "gap"]);
    expect(world.log).toMatchObject({ isFailing: false, waiting: 0, lost: 1 });
  });

  it("counts what still waits when it is closed as lost", () => {
    const world = new AuditWorld().start();
    world.files.crashAt(0);
    attempts(world, 3);
    world.trail.close();
    expect(world.log).toMatchObject({ waiting: 0, lost: 4 });
  });

  it("fails in no way that a caller notices, at whatever step", () => {
    for (let step = 0, reached = true; reached; step++) {
      const world = new AuditWorld();
      world.files.failAt(step);
      world.start();
      world.trail.attempt(attemptEntry());
      world.clock.advance(AUDIT_RETRY_MS);
      world.trail.attempt(attemptEntry());
      reached = step < world.files.steps;
      world.trail.close();
      expect(world.verify(), `step ${step}`).toMatchObject({ ok: true });
      if (reached) expect(world.words.at(-1)).toBe("closed");
      else expect(step).toBeGreaterThan(50);
    }
  });

  it("tries again for as long as the disk fails, and warns at most once a minute", () => {
    const world = new AuditWorld();
    world.files.put("/audit", "a file stands in the way");
    world.start();
    for (let i = 0; i < 30; i++) {
      attempts(world, 1);
      world.clock.advance(AUDIT_RETRY_MS);
    }
    expect(world.log).toMatchObject({ isFailing: true, waiting: 31, lost: 0 });
    expect(world.warnings).toEqual(["AUDIT_NOT_WRITTEN"]);
    expect(world.clock.pendingTimers).toBe(1);
  });

  it("warns of a disk that comes and goes at most once a minute", () => {
    const world = new AuditWorld().start();
    const outage = (): void => {
      world.files.failAt(0);
      attempts(world, 1);
      world.clock.advance(AUDIT_RETRY_MS);
      expect(world.log.isFailing).toBe(false);
    };
    outage();
    outage();
    expect(world.warnings).toEqual(["AUDIT_NOT_WRITTEN"]);
    world.clock.advance(AUDIT_WARNING_MS);
    outage();
    expect(world.warnings).toHaveLength(2);
  });

  it("follows no link, and reads nothing that is no file of its own", () => {
    for (const facts of [{ link: true }, { kind: "other" as const }, { bytes: 1e9 }]) {
      const world = new AuditWorld();
      world.files.put(FIRST, "");
      world.files.pretend(FIRST, facts);
      expect(world.start().warnings).toEqual(["AUDIT_NOT_WRITTEN"]);
    }
  });

  it("is synced within a second, and by close", () => {
    const world = new AuditWorld().start();
    const before = world.files.steps;
    world.clock.advance(AUDIT_SYNC_MS);
    expect(world.files.steps - before).toBe(1);
    world.clock.advance(AUDIT_SYNC_MS * 3);
    expect(world.files.steps - before).toBe(1);
    world.log.close();
    expect(world.clock.pendingTimers).toBe(0);
  });

  it("syncs a full file before it goes on in the next", () => {
    const files = new Watched();
    const world = new AuditWorld(files, { maxFileBytes: 1_000 }).start();
    while (files.list("/audit").length < 2) attempts(world, 1);
    expect(files.done.map((what) => what.replace(/\d+$/, ""))).toEqual(["open ", "sync ", "close ", "open "]);
  });

  it("still writes what comes after close, and keeps no file open for it", () => {
    const files = new Watched();
    const world = new AuditWorld(files).start();
    world.log.close();
    attempts(world, 1);
    expect(world.words).toEqual(["opened", "closed", "attempt"]);
    expect(world.clock.pendingTimers).toBe(0);
    expect(files.done).toEqual(["open 1", "sync 1", "close 1", "open 1", "close 1"]);
  });

  it("takes the chain up anew when another writer was there", () => {
    const files = new FaultyFiles();
    const one = new AuditWorld(files).start();
    const two = new AuditWorld(files).start();
    for (let i = 0; i < 3; i++) {
      attempts(one, 1);
      attempts(two, 2);
    }
    expect(verifyChain(linesOf(files), crypto, { from: GENESIS })).toMatchObject({ ok: true, records: 11 });
  });

  it("leaves a hole in the chain when records are removed from under it", () => {
    const world = new AuditWorld().start();
    attempts(world, 3);
    world.files.take(FIRST);
    attempts(world, 1);
    expect(world.records[0]).toMatchObject({ seq: 5 });
    expect(world.verify()).toMatchObject({ ok: false, line: 1, fault: "removed" });
  });
});
