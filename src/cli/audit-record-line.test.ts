import { describe, expect, it } from "vitest";
import type { AuditFields } from "../audit/record.ts";
import { auditRecordLine } from "./audit-record-line.ts";
import { Terminal } from "./terminal.ts";

const stream = { isTTY: false, write: (): boolean => true };
const { colours } = new Terminal({ stdout: stream, stderr: stream, environment: () => undefined, json: false });
const at = "2026-01-01T00:00:00.000Z";
const line = (fields: AuditFields): string => auditRecordLine(7, { at, ...fields }, colours);

const attempt = {
  kind: "attempt",
  id: "0123456789AB",
  role: "acceptor",
  protocol: "native",
  address: "192.0.2.1:50000",
  peer: "a@h",
  peerIs: "claimed",
  assurance: null,
  outcome: "refused",
  reason: "KEY_UNTRUSTED",
  stage: "identity",
  durationMs: 12,
};
const decision = {
  kind: "decision",
  alias: "desk",
  peer: "d@h",
  verb: "call",
  target: "cart",
  miss: null,
  mode: "enforce",
};

describe("auditRecordLine", () => {
  it.each<[AuditFields, string]>([
    [
      attempt,
      "refused       from a@h (claimed) at 192.0.2.1:50000 (native): KEY_UNTRUSTED at identity, 12 ms 0123456789AB",
    ],
    [
      {
        ...attempt,
        role: "initiator",
        outcome: "accepted",
        peerIs: "proven",
        assurance: "pinned",
        reason: null,
        pair: "p",
      },
      "accepted      to a@h at 192.0.2.1:50000 (native, pinned), 12 ms, pair p 0123456789AB",
    ],
    [
      { ...attempt, kind: "end", peer: null, reason: "CLOSED", stage: null },
      "end           from somebody at 192.0.2.1:50000 (native): CLOSED, 12 ms 0123456789AB",
    ],
    [{ ...decision, outcome: "deny-rule", rule: "r1" }, "deny-rule     desk (d@h) call cart: rule r1"],
    [
      {
        ...decision,
        outcome: "allow",
        alias: null,
        rule: null,
        miss: "r2:shape",
        mode: "audit",
        node: "n@h",
        verb: "connect",
      },
      "allow         d@h connect on n@h: nearest r2:shape, audit mode",
    ],
    [
      { kind: "summary", of: "attempt", source: null, reason: "BUSY", count: 9, lastId: "X" },
      "summary       9 more of attempt by several: BUSY, last X",
    ],
    [{ kind: "log", event: "gap", lost: 3 }, "gap           lost=3"],
    [{ kind: "refused", why: "shape", head: null, peer: "w@h" }, "refused       why=shape peer=w@h"],
  ])("shows %j", (fields, text) => {
    expect(line(fields)).toBe(`2026-01-01 00:00:00.000 7 ${text}`);
  });

  it("sends a terminal nothing that it would act on", () => {
    expect(line({ kind: "refused", peer: "\u001b]52;c;x\u0007" })).not.toMatch(/[\u0000-\u001f]/);
  });
});
