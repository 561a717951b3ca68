import { describe, expect, it } from "vitest";
import { AuditWorld, crypto } from "../testkit/audit-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { ChainAnchors, ChainSummary } from "./chain-checker.ts";
import { GENESIS } from "./record.ts";
import { type LogPlace, VERIFY_PROGRESS_MS, type VerifyProgress, verifyLog } from "./verify-log.ts";

/** A log of several files, none of which was removed yet. */
function written(maxFiles: number = 16): AuditWorld {
  const world = new AuditWorld(new FaultyFiles(), { maxFileBytes: 2_000, maxFiles }).start();
  for (let i = 0; i < 40; i++) world.log.record({ kind: "attempt", address: `192.0.2.1:${i}` });
  return world;
}

const clock = new VirtualClock();

function verify(files: FaultyFiles, anchors: ChainAnchors = {}): ChainSummary<LogPlace> {
  return verifyLog("/audit", anchors, { files, crypto, clock });
}

const pathsOf = ({ files }: AuditWorld): readonly string[] => files.list("/audit").map((name) => `/audit/${name}`);
const read = ({ files }: AuditWorld, path: string): string[] =>
  files.read(path).toString("latin1").trimEnd().split("\n");
const write = ({ files }: AuditWorld, path: string, lines: readonly string[]): void => {
  files.put(path, `${lines.join("\n")}\n`);
};
const nameOf = (path: string): string => path.slice("/audit/".length);
const numberOf = (line: string | undefined): number => Number(/"seq":(\d+)/.exec(line ?? "")?.[1]);

describe("verifyLog", () => {
  it("accepts a log of several files, and says where it stands", () => {
    const world = written();
    expect(pathsOf(world).length).toBeGreaterThan(4);
    const summary = verify(world.files, { from: GENESIS, head: world.log.head });
    expect(summary).toMatchObject({
      fault: undefined,
      begins: "first",
      first: 1,
      head: world.log.head,
      torn: 0,
      lost: 0,
    });
    expect(summary.records).toBe(world.log.head.seq);
  });

  it("tells whether the log itself removed what was before it", () => {
    const world = written(3);
    expect(verify(world.files)).toMatchObject({ fault: undefined, begins: "rotated" });
    world.files.take(pathsOf(world)[0] ?? "");
    expect(verify(world.files)).toMatchObject({ fault: undefined, begins: "cut" });
    expect(verify(world.files, { from: GENESIS })).toMatchObject({
      fault: { kind: "removed", at: { line: 1 }, seq: 1 },
    });
  });

  it("names file, line and number of a changed record", () => {
    const world = written();
    const path = pathsOf(world)[2] ?? "";
    const lines = read(world, path);
    write(world, path, lines.with(2, (lines[2] ?? "").replace("192.0.2.1", "192.0.2.9")));
    const at = { file: nameOf(path), line: 3 };
    expect(verify(world.files).fault).toEqual({ kind: "changed", at, seq: numberOf(lines[2]), found: null });
  });

  it("tells removed records from records that stand elsewhere, also in another file", () => {
    const world = written();
    const [from = "", to = ""] = [pathsOf(world)[1], pathsOf(world)[3]];
    const lines = read(world, from);
    write(world, from, lines.toSpliced(2, 1));
    const fault = { at: { file: nameOf(from), line: 3 }, seq: numberOf(lines[2]), found: numberOf(lines[3]) };
    expect(verify(world.files).fault).toEqual({ kind: "removed", ...fault });
    write(world, to, [...read(world, to), lines[2] ?? ""]);
    expect(verify(world.files).fault).toEqual({ kind: "reordered", ...fault });
  });

  it("finds a whole file that is gone, and files whose names were exchanged", () => {
    const world = written();
    const [, second = "", third = ""] = pathsOf(world);
    const [of2, of3] = [read(world, second), read(world, third)];
    world.files.take(second);
    expect(verify(world.files).fault).toMatchObject({ kind: "removed", at: { file: nameOf(third), line: 1 } });
    write(world, second, of3);
    write(world, third, of2);
    expect(verify(world.files).fault).toMatchObject({ kind: "reordered", at: { file: nameOf(second), line: 1 } });
  });

  it("finds records cut off the end by the head alone", () => {
    const world = written();
    const path = pathsOf(world).at(-1) ?? "";
    const { head } = world.log;
    write(world, path, read(world, path).slice(0, -1));
    expect(verify(world.files).fault).toBeUndefined();
    expect(verify(world.files, { head }).fault).toMatchObject({ kind: "removed", seq: head.seq, found: null });
  });

  it("calls a last line without its end torn, a whole one whole, and a broken one with an end changed", () => {
    const world = written();
    const path = pathsOf(world).at(-1) ?? "";
    const text = world.files.read(path).toString("latin1");
    world.files.put(path, text.slice(0, -1));
    expect(verify(world.files).fault).toBeUndefined();
    world.files.put(path, text.slice(0, -9));
    expect(verify(world.files).fault).toMatchObject({ kind: "torn", seq: world.log.head.seq });
    world.files.put(path, `${text.slice(0, -9)}\n`);
    expect(verify(world.files).fault).toMatchObject({ kind: "changed" });
  });

  it("knows what the log says of itself: pieces and lost records", () => {
    const world = new AuditWorld().start();
    world.files.failAt(3, "ENOSPC");
    world.trail.close();
    const next = new AuditWorld(world.files.survivor()).start();
    expect(verify(next.files)).toMatchObject({ fault: undefined, torn: 1 });
  });

  it("does not take for tampering what the log removes while it is read", () => {
    const world = written(3);
    const { files } = world;
    const openRead = files.openRead.bind(files);
    let opened = 0;
    files.openRead = (path) => {
      const file = openRead(path);
      if (++opened === 1) for (let i = 0; i < 40; i++) world.log.record({ kind: "attempt", address: `192.0.2.2:${i}` });
      return file;
    };
    expect(verify(files)).toMatchObject({ fault: undefined, begins: "rotated", head: world.log.head });
    expect(opened).toBeGreaterThan(4);
  });

  it("tells how far it is once a second", () => {
    const world = new AuditWorld().start();
    for (let i = 0; i < 1_000; i++) world.log.record({ kind: "attempt", address: `192.0.2.1:${i}` });
    const told: VerifyProgress[] = [];
    let now = 0;
    const slow = {
      now() {
        now += VERIFY_PROGRESS_MS;
        return now as ReturnType<VirtualClock["now"]>;
      },
    };
    verifyLog("/audit", {}, { files: world.files, crypto, clock: slow }, (progress) => told.push(progress));
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)?.bytes).toBeGreaterThan(told[0]?.bytes ?? 0);
  });
});
