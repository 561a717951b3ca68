import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { BarrelCounts, MAX_MIGRATE_SERIES } from "./barrel-counts.ts";

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");

describe("BarrelCounts", () => {
  it("has changes of address by peer, streams without a tag, and bytes on stream 0 that are no ticks", () => {
    const counts = new BarrelCounts();
    expect(counts.snapshot(0)).toEqual([]);
    for (const peer of [A, B, A]) counts.add({ kind: "moved", peer });
    counts.add({ kind: "stray", peer: A, bytes: 5, isFirst: true });
    counts.add({ kind: "stray", peer: B, bytes: 2, isFirst: true });
    const kind = "counter";
    expect(counts.snapshot(4)).toEqual([
      { kind, name: "barrel_p2p.dist.migrate", labels: { peer: A, outcome: "ok" }, value: 2 },
      { kind, name: "barrel_p2p.dist.migrate", labels: { peer: B, outcome: "ok" }, value: 1 },
      { kind, name: "barrel_p2p.streams.preamble_dropped", labels: {}, value: 4 },
      { kind, name: "dist.control.stray_bytes", labels: {}, value: 7 },
    ]);
  });

  it("keeps a bounded number of peers apart", () => {
    const counts = new BarrelCounts();
    for (let i = 0; i < MAX_MIGRATE_SERIES + 2; i++) counts.add({ kind: "moved", peer: parseNodeName(`n${i}@h`) });
    counts.add({ kind: "moved", peer: parseNodeName("n0@h") });
    const seen = counts.snapshot(0).map((m) => [m.labels["peer"], "value" in m && m.value]);
    expect(seen).toHaveLength(MAX_MIGRATE_SERIES + 1);
    expect([seen[0], seen.at(-1)]).toEqual([
      ["n0@h", 2],
      ["OTHER", 2],
    ]);
  });
});
