import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { attemptFields } from "./attempt-entries.ts";
import type { AuditLog } from "./audit-log.ts";
import { AuditTrail } from "./audit-trail.ts";
import { FLOOD_WINDOW_MS } from "./flood-limiter.ts";
import { type RefusedEntry, refusedFields } from "./gateway-entries.ts";
import { DEFAULT_AUDIT_LIMITS } from "./limits.ts";
import { type AuditFields, canonicalJson, MAX_LINE_BYTES } from "./record.ts";

const REFUSED: RefusedEntry = {
  id: "ID",
  pair: "desk",
  peer: "shop@h",
  node: "desk@h",
  why: "unasked",
  operation: "reg-send",
  target: "watch",
  head: "tick/2",
  observed: false,
};
const COMMAND = { pair: "desk", peer: "shop@h", node: "desk@h", verb: "rpc", target: "lists:seq/2" };

function trail() {
  const clock = new VirtualClock();
  const records: AuditFields[] = [];
  const log = { record: (fields: AuditFields) => void records.push(fields) } as unknown as AuditLog;
  return { clock, records, trail: new AuditTrail(log, clock, DEFAULT_AUDIT_LIMITS) };
}

describe("the record of a gateway", () => {
  it("holds the first ten refused messages of a kind a minute, and the others as a count", () => {
    const { clock, records, trail: audit } = trail();
    for (let n = 0; n < 100; n++) audit.refused({ ...REFUSED, id: `ID${n}` });
    audit.refused({ ...REFUSED, head: "tock/2" });
    clock.advance(FLOOD_WINDOW_MS);
    expect(records.filter(({ kind }) => kind === "refused")).toHaveLength(11);
    const summary = {
      kind: "summary",
      of: "refused",
      source: "shop@h",
      reason: "unasked reg-send tick/2",
      count: 90,
      lastId: "ID99",
    };
    expect(records.filter(({ kind }) => kind === "summary")).toEqual([summary]);
  });

  it("tells each function that was run, however often others were, and no refusal is pushed out by it", () => {
    const { clock, records, trail: audit } = trail();
    for (let n = 0; n < 5_000; n++) audit.command(COMMAND);
    audit.command({ ...COMMAND, target: "os:cmd/1" });
    audit.refused(REFUSED);
    clock.advance(FLOOD_WINDOW_MS);
    expect(records.filter(({ kind }) => kind === "command")).toHaveLength(11);
    expect(records).toContainEqual({ kind: "command", ...COMMAND, target: "os:cmd/1" });
    expect(records).toContainEqual(expect.objectContaining({ kind: "refused" }));
    expect(records.at(-1)).toMatchObject({ of: "command", reason: "rpc lists:seq/2", count: 4_990 });
  });

  it("is one short line, whatever a peer says", () => {
    const long = "\u001b[2J\n".repeat(500);
    const line = canonicalJson(refusedFields({ ...REFUSED, peer: long, node: long, target: long, head: long }));
    expect(line.length).toBeLessThan(MAX_LINE_BYTES / 2);
    expect(line).toMatch(/^[ -~]+$/);
  });

  it("says of a connection both nodes, and who ended it", () => {
    const through = { pair: "desk", target: "desk@h", dialledBy: "outside", endedBy: null } as const;
    const who = { peer: "shop@h", peerIs: "proven", fingerprint: null, assurance: "ca", pinned: null } as const;
    const what = { outcome: "accepted", code: null, reason: null, stage: null, durationMs: 3 } as const;
    const entry = {
      id: "ID",
      role: "acceptor",
      protocol: "otp",
      address: "192.0.2.1:5",
      ...who,
      ...what,
      through,
    } as const;
    const { through: _, ...plain } = entry;
    expect(attemptFields(entry)).toEqual({ kind: "attempt", ...plain, ...through });
    expect(attemptFields(plain)).toEqual({ kind: "attempt", ...plain });
  });
});
