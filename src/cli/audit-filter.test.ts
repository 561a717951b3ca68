import { describe, expect, it } from "vitest";
import type { AuditFields } from "../audit/record.ts";
import type { AuditTailFlags } from "./audit-commands.ts";
import { auditFilter } from "./audit-filter.ts";

const at = "2026-01-01T12:00:00.000Z";
const NOW = Date.parse("2026-01-01T13:00:00.000Z");

const RECORDS: Readonly<Record<string, AuditFields>> = {
  attempt: {
    at,
    kind: "attempt",
    id: "A1",
    peer: "Shop@db1.example",
    address: "[2001:db8::7]:9100",
    outcome: "refused",
    reason: "KEY_UNTRUSTED",
  },
  decision: { at, kind: "decision", id: "D1", alias: "desk", peer: "d@h", outcome: "deny-rule", rule: "no-rpc" },
  summary: { at, kind: "summary", of: "attempt", source: "192.0.2.7", reason: "KEY_UNTRUSTED", lastId: "A9", count: 3 },
  log: { at: "2026-01-01T10:00:00.000Z", kind: "log", event: "rotated" },
  text: { at, kind: "refused", why: "shape", peer: "no name at all" },
};

const taken = (flags: AuditTailFlags): string[] => {
  const filter = auditFilter(flags, NOW);
  return Object.entries(RECORDS).flatMap(([name, fields]) => (filter(fields) ? [name] : []));
};

describe("auditFilter", () => {
  it.each<[string, AuditTailFlags, string[]]>([
    ["nothing", {}, Object.keys(RECORDS)],
    ["kinds", { kind: ["log", "refused"] }, ["log", "text"]],
    ["a name, whatever the case of its host", { peer: ["Shop@DB1.example"] }, ["attempt"]],
    ["half a name", { peer: ["*@h"] }, ["decision"]],
    ["an alias", { peer: ["desk"] }, ["decision"]],
    ["an IPv6 range", { address: ["2001:db8::/32"] }, ["attempt"]],
    ["an IPv4 address", { address: ["192.0.2.7"] }, ["summary"]],
    ["an outcome", { outcome: ["refused"] }, ["attempt"]],
    ["every way of refusing an operation", { outcome: ["deny"] }, ["decision"]],
    ["a reason, also of what was only counted", { reason: ["KEY_UNTRUSTED"] }, ["attempt", "summary"]],
    ["a rule, an event and a why", { reason: ["no-rpc", "rotated", "shape"] }, ["decision", "log", "text"]],
    ["an id, also of the last of many", { id: ["D1", "A9"] }, ["decision", "summary"]],
    ["a moment", { since: { atMs: Date.parse(at) } }, ["attempt", "decision", "summary", "text"]],
    ["a time ago", { since: { agoMs: 7_200_000 } }, ["attempt", "decision", "summary", "text"]],
    ["several at once", { kind: ["attempt", "summary"], address: ["192.0.2.0/24"] }, ["summary"]],
  ])("asks for %s", (_, flags, names) => {
    expect(taken(flags)).toEqual(names);
  });

  it("refuses a pattern that is none", () => {
    expect(() => auditFilter({ peer: ["a*@h"] }, NOW)).toThrow(expect.objectContaining({ reason: "NAME_PATTERN" }));
  });
});
