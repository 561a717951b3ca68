import { describe, expect, it } from "vitest";
import { AuditWorld, crypto } from "../testkit/audit-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { LogTail } from "./log-tail.ts";
import type { AuditFields, SealedRecord } from "./record.ts";

const anything = (): boolean => true;
const attempts = ({ kind }: AuditFields): boolean => kind === "attempt";

function write(world: AuditWorld, from: number, to: number): void {
  for (let i = from; i < to; i++) world.log.record({ kind: "attempt", address: `192.0.2.1:${i}` });
}

const small = (files: FaultyFiles = new FaultyFiles()): AuditWorld =>
  new AuditWorld(files, { maxFileBytes: 2_000, maxFiles: 3 }).start();

const tailOf = ({ files }: AuditWorld): LogTail => new LogTail({ files, crypto, path: "/audit" });
const addresses = (records: readonly SealedRecord[]): unknown[] => records.map(({ fields }) => fields["address"]);
const ports = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `192.0.2.1:${from + i}`);

describe("LogTail", () => {
  it("finds the last records that are wanted, over as many files as that takes", () => {
    const world = small();
    write(world, 0, 20);
    expect(addresses(tailOf(world).begin(3, attempts, undefined).records)).toEqual(ports(17, 20));
    expect(addresses(tailOf(world).begin(12, attempts, undefined).records)).toEqual(ports(8, 20));
    expect(tailOf(world).begin(0, attempts, undefined).records).toEqual([]);
  });

  it("opens no file that is older than what is asked for", () => {
    const world = small();
    write(world, 0, 20);
    const opened: string[] = [];
    const openRead = world.files.openRead.bind(world.files);
    world.files.openRead = (path) => {
      opened.push(path);
      return openRead(path);
    };
    tailOf(world).begin(1, attempts, undefined);
    expect(opened).toHaveLength(1);
    tailOf(world).begin(10_000, attempts, world.clock.wallMs() + 1);
    expect(opened).toHaveLength(2);
    tailOf(world).begin(10_000, attempts, 0);
    expect(opened).toHaveLength(5);
  });

  it("follows over rotations, and says how many records it missed", () => {
    const world = small();
    write(world, 0, 3);
    const tail = tailOf(world);
    tail.begin(1, attempts, undefined);
    const more = (): unknown[] =>
      [...tail.more()].flatMap((entry) => {
        if (entry.kind !== "record") return [`${entry.kind} ${entry.kind === "skipped" ? entry.count : ""}`];
        return attempts(entry.record.fields) ? [entry.record.fields["address"]] : [];
      });
    write(world, 3, 12);
    expect(more()).toEqual(ports(3, 12));
    write(world, 12, 60);
    const late = more();
    expect(late.filter((entry) => String(entry).startsWith("skipped"))).toHaveLength(1);
    expect(late.at(-1)).toBe("192.0.2.1:59");
    expect(more()).toEqual([]);
  });

  it("counts lines that are no records, and says where one comes", () => {
    const world = small();
    write(world, 0, 1);
    const path = `/audit/${world.files.list("/audit").at(-1)}`;
    const add = (text: string): void =>
      world.files.put(path, Buffer.concat([world.files.read(path), Buffer.from(text)]));
    add("no record\n");
    const tail = tailOf(world);
    expect(tail.begin(9, anything, undefined)).toMatchObject({ unreadable: 1, records: { length: 2 } });
    add("nor this\n");
    expect([...tail.more()]).toMatchObject([{ kind: "unreadable", line: { text: "nor this", line: 4 } }]);
  });

  it("reads a file anew that was written over, and shows no record twice", () => {
    const world = small();
    write(world, 0, 4);
    const path = `/audit/${world.files.list("/audit").at(-1)}`;
    const before = world.files.read(path);
    const tail = tailOf(world);
    tail.begin(9, anything, undefined);
    world.files.put(path, before.subarray(0, before.length - 40));
    expect([...tail.more()]).toMatchObject([{ kind: "shortened" }]);
    world.files.put(path, before);
    expect([...tail.more()]).toEqual([]);
  });
});
