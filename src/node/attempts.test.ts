import { expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { AuditWorld } from "../testkit/audit-world.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import type { Peer } from "./api.ts";
import { Attempts } from "./attempts.ts";

it("an attempt draws an id for the audit log only", () => {
  for (const isAudited of [true, false]) {
    const world = new AuditWorld().start();
    const random = new SeededRandom(1);
    const before = new SeededRandom(1).bytes(16);
    const audit = isAudited ? world.trail : undefined;
    const attempt = new Attempts({ clock: world.clock, random, audit }).begin(parseNodeName("b@h"));
    attempt.secured("native");
    attempt.accepted({
      name: "b@h",
      address: "192.0.2.1:1",
      fingerprint: null,
      assurance: "cookie",
    } as unknown as Peer);
    attempt.ended("closed");
    expect(random.bytes(16).equals(before)).toBe(!isAudited);
    const shared = { role: "initiator", protocol: "native", address: "192.0.2.1:1", peer: "b@h" };
    const records = world.records.filter(({ kind }) => kind === "attempt" || kind === "end");
    expect(records).toEqual(isAudited ? Array(2).fill(expect.objectContaining(shared)) : []);
    expect(new Set(records.map(({ id }) => id)).size).toBe(isAudited ? 1 : 0);
  }
});
