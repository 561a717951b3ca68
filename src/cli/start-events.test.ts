import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CertificateExpiry } from "../health/expiry-watch.ts";
import type { Denied } from "../node/api.ts";
import {
  auditModeEvent,
  deniedEvent,
  eventJson,
  eventLine,
  handlerErrorEvent,
  refusedEvent,
  type StartEvent,
} from "./start-events.ts";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const PLAIN = pc.createColors(false);
const COLOURED = pc.createColors(true);

const DENIED: Denied = {
  decision: "V5HK7R82HXHW",
  outcome: "deny-rule",
  rule: "never",
  peer: parseNodeName("b@h"),
  verb: "call",
  target: "calc",
  count: 1,
};

const EXPIRY: StartEvent = {
  event: "expiry",
  role: "own",
  of: "a@h",
  subject: "a@h",
  fingerprint: "AB:CD",
  notAfter: "2026-01-12T00:00:00.000Z",
  withinDays: 14,
  daysLeft: 9,
};

const EVENTS: readonly StartEvent[] = [
  EXPIRY,
  { event: "nodedown", peer: "b@h", reason: "CLOSED" },
  { event: "warning", reason: "X", message: "a\u001b[2Jb" },
  refusedEvent(
    "10.0.0.1:1\u001b[2J",
    "acceptor",
    new SallyportError("ERR_DENIED", "NO", "no\u001b[2J", { advice: "do\u001b[2J" }),
  ),
  handlerErrorEvent("ID", "calc.call", new Error("bad\u001b[2J\nsecond line")),
  deniedEvent(DENIED),
  { event: "reload", what: "policy", generation: 2, ok: false, reason: "X", message: "bad\u001b[2J" },
  { event: "output", peer: "b@h", text: "one\u001b[2J" },
  { event: "stopped", reason: "SIGTERM" },
];

describe("events of start", () => {
  it("carry their kind first and the time as ISO text in JSON", () => {
    const json = JSON.stringify(eventJson({ event: "nodedown", peer: "b@h", reason: "CLOSED" }, AT));
    expect(json).toBe('{"event":"nodedown","at":"2026-01-02T03:04:05.006Z","peer":"b@h","reason":"CLOSED"}');
    for (const event of EVENTS) expect(JSON.stringify(eventJson(event, AT))).not.toContain("\u001b");
  });

  it("are one line with the time for people, without controls from elsewhere", () => {
    for (const event of EVENTS) expect(eventLine(event, AT, PLAIN)).toMatch(/^03:04:05 [a-z]+ +[\x20-\x7e]+$/);
  });

  it.each<readonly [Partial<CertificateExpiry>, string]>([
    [
      {},
      "expires   the certificate of a@h (a@h) ends at 2026-01-12T00:00:00.000Z, in 9 days; renew it: sallyport certs renew",
    ],
    [
      { daysLeft: 1 },
      "expires   the certificate of a@h (a@h) ends at 2026-01-12T00:00:00.000Z, in 1 day; renew it: sallyport certs renew",
    ],
    [
      { daysLeft: 0, withinDays: 1, role: "ca" },
      "expires   a CA certificate trusted by a@h (a@h) ends at 2026-01-12T00:00:00.000Z, in less than a day; renew it: sallyport certs renew",
    ],
    [
      { daysLeft: 0, withinDays: 0, role: "peer" },
      "expired   the certificate shown by a@h (a@h) ended at 2026-01-12T00:00:00.000Z; its owner has to renew it",
    ],
  ])("say of a certificate whose it is, when it ends and what to do: %j", (change, line) => {
    expect(eventLine({ ...EXPIRY, ...change } as StartEvent, AT, PLAIN)).toBe(`03:04:05 ${line}`);
  });

  it("say where probes ask", () => {
    const listening = { event: "listening", name: "a@h", endpoints: [], fingerprint: null } as const;
    const health = "http://127.0.0.1:9180";
    expect(eventLine({ ...listening, health }, AT, PLAIN)).toMatch(/, health at http:\/\/127\.0\.0\.1:9180$/);
    expect(eventLine(listening, AT, PLAIN)).not.toContain("health");
  });

  it("say where a peer is that this node dialled, and from where one came that dialled in", () => {
    const up = { event: "nodeup", peer: "b@h", protocol: "barrel", assurance: "pinned", fingerprint: null } as const;
    const line = (event: StartEvent): string => eventLine(event, AT, PLAIN).slice(9);
    expect(line({ ...up, address: "h:1", role: "initiator" })).toContain("b@h at h:1 (");
    expect(line({ ...up, address: "h:1", role: "acceptor" })).toContain("b@h from h:1 (");
    const failed = new SallyportError("ERR_DENIED", "NO", "x", { advice: "y" });
    expect(line(refusedEvent("h:1", "initiator", failed))).toMatch(/^refused {3}at "?h:1"?: /);
    expect(line(refusedEvent("h:1", "acceptor", failed))).toMatch(/^refused {3}from "?h:1"?: /);
  });

  it("have our colours only where they are on", () => {
    const [first] = EVENTS;
    expect(eventLine(first!, AT, COLOURED)).toContain("\u001b[");
  });

  it("name the code, reason and advice of a refused connection", () => {
    const refused = eventJson(
      refusedEvent("h:1", "acceptor", new SallyportError("ERR_DENIED", "NO", "x", { advice: "y" })),
      AT,
    );
    expect(refused).toMatchObject({
      event: "refused",
      address: "h:1",
      role: "acceptor",
      code: "ERR_DENIED",
      reason: "NO",
      advice: "on the other node: y",
    });
  });

  it("tell what audit mode let through apart from what was refused", () => {
    const audited = deniedEvent({ ...DENIED, outcome: "allow", rule: "peer" });
    expect(eventJson(deniedEvent(DENIED), AT)).toMatchObject({ event: "denied", count: 1, rule: "never" });
    expect(eventJson(audited, AT)).toMatchObject({ event: "audited", outcome: "allow" });
    expect(eventLine(deniedEvent(DENIED), AT, PLAIN)).toBe(
      "03:04:05 denied    call of calc to b@h (deny-rule by never, decision V5HK7R82HXHW)",
    );
    expect(eventLine(audited, AT, PLAIN)).toBe(
      "03:04:05 audited   call of calc to b@h let through (peer, decision V5HK7R82HXHW)",
    );
  });

  it("say what the outcome of a refused operation does not, and leave that of a connection to its own line", () => {
    const missing = deniedEvent({ ...DENIED, outcome: "deny-default", rule: null, why: "not-registered" });
    expect(eventLine(missing, AT, PLAIN)).toContain(
      "(deny-default: is granted, and no function of this name is registered in the node, decision V5HK7R82HXHW)",
    );
    expect(eventJson(missing, AT)).toMatchObject({ why: "not-registered" });
    const connect = deniedEvent({ ...DENIED, verb: "connect", outcome: "deny-identity", rule: null, why: "over-quic" });
    expect(eventLine(connect, AT, PLAIN)).toContain("connect to b@h (deny-identity, decision V5HK7R82HXHW)");
  });

  it("say of a summary how many more there were", () => {
    expect(eventLine(deniedEvent({ ...DENIED, count: 40 }), AT, PLAIN)).toContain(
      "40 more like the last of them: call of calc to b@h (",
    );
    expect(eventLine(deniedEvent({ ...DENIED, verb: "connect" }), AT, PLAIN)).toContain("connect to b@h (");
  });

  it("say what came of another policy, and of keys read anew", () => {
    const told = (event: StartEvent): string => eventLine(event, AT, PLAIN).slice(9);
    expect(told({ event: "reload", what: "policy", generation: 3, ok: true })).toBe("reload    policy, generation 3");
    expect(
      told({ event: "reload", what: "policy", generation: 3, ok: false, reason: "X", message: "[ERR_CONFIG] bad" }),
    ).toBe("reload    policy refused, generation 3 stays in force: bad");
    expect(told({ event: "reload", what: "identity", generation: null, ok: true, ended: 2 })).toBe(
      "reload    keys and certificate, 2 sessions ended",
    );
  });

  it("say what is in audit mode and until when, and nothing when all is enforced", () => {
    expect(auditModeEvent([])).toBeUndefined();
    const event = auditModeEvent([
      { kind: "peer", id: "desk", until: "2027-01-15" },
      { kind: "rule", id: "put", until: "2027-02-01" },
    ]);
    expect(eventLine(event!, AT, PLAIN)).toBe(
      "03:04:05 AUDIT     audit mode, not enforced: peer desk until 2027-01-15, rule put until 2027-02-01",
    );
  });

  it("give output of a peer a line for each of its own", () => {
    expect(eventLine({ event: "output", peer: "b@h", text: "one\ntwo\n" }, AT, PLAIN)).toBe(
      "03:04:05 output    b@h: one\n03:04:05 output    b@h: two",
    );
  });
});
