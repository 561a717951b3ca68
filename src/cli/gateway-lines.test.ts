import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { GatewayEvent } from "../gateway/link.ts";
import { eventOutput, type GatewayOutput, noticeOutput, outputJson, reloadFailed } from "./gateway-events.ts";
import { outputLines } from "./gateway-lines.ts";
import { statusText } from "./gateway-status-text.ts";

const PLAIN = pc.createColors(false);
const RED = pc.createColors(true);
const SHOP = parseNodeName("shop@h");
const DESK = parseNodeName("desk@h");
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);

const lines = (output: GatewayOutput): string => outputLines(output, AT, PLAIN);

const DENIED: Extract<GatewayOutput, { event: "denied" }> = {
  event: "denied",
  pair: "desk",
  from: "shop@h",
  to: "desk@h",
  why: "policy",
  operation: "rpc",
  target: "os:cmd/1",
  head: "$gen_call/3",
  rule: "functions",
  decision: "ABC",
  observed: false,
  advice: 'add "os:cmd/1" to filter.allow.functions',
};

describe("the lines of a gateway", () => {
  it.each<readonly [GatewayOutput, string]>([
    [
      DENIED,
      '03:04:05 denied    desk: shop@h to desk@h: rpc of os:cmd/1 with $gen_call/3 (functions, decision ABC)\n03:04:05           to allow it, add "os:cmd/1" to filter.allow.functions',
    ],
    [
      { ...DENIED, observed: true, advice: null },
      "03:04:05 observed  desk: shop@h to desk@h: rpc of os:cmd/1 with $gen_call/3 (functions, decision ABC); it passed",
    ],
    [
      { event: "more", of: "denied", pair: "desk", kind: "shop@h: functions", count: 7 },
      "03:04:05 denied    desk: 7 more in a minute: shop@h: functions",
    ],
    [
      { event: "command", pair: "desk", from: "shop@h", to: "desk@h", verb: "rpc", target: "m:f/0" },
      "03:04:05 command   desk: rpc of m:f/0 on desk@h by shop@h",
    ],
    [
      { event: "observed", pair: "desk", until: "2027-01-15" },
      "03:04:05 OBSERVED  desk: what is refused passes all the same, until 2027-01-15",
    ],
    [
      {
        event: "reload",
        ok: true,
        started: [],
        closed: ["a"],
        restarted: [],
        changed: ["b", "c"],
        unchanged: [],
        ended: 2,
      },
      "03:04:05 reload    closed a; changed b, c; 2 sessions ended",
    ],
    [
      { event: "draining", sessions: 3, timeoutMs: 30_000, handOver: false },
      "03:04:05 draining  no new connections; 3 sessions may go on for 30 s",
    ],
    [
      { event: "duty", inside: "desk@h", findings: [{ kind: "listens", message: "it listens", advice: "stop it" }] },
      "03:04:05 DUTY      it listens; stop it",
    ],
  ])("say what happened: %j", (output, says) => {
    expect(lines(output)).toBe(says);
  });

  it("are loud where nobody should overlook them, and nowhere else", () => {
    const isLoud = (output: GatewayOutput): boolean => outputLines(output, AT, RED).includes("\u001b[31m\u001b[1mdesk");
    expect(isLoud({ event: "observed", pair: "desk", until: "2027-01-15" })).toBe(true);
    expect(isLoud({ event: "enforced", pair: "desk" })).toBe(true);
    expect(isLoud(DENIED)).toBe(false);
  });

  it("hold nothing that a terminal would act upon", () => {
    expect(lines({ ...DENIED, target: "a\u001b[2Jb\n", advice: "\u202e" })).toContain("a\\u{1b}[2Jb\\u{a}");
    expect(lines({ ...DENIED, target: "a", advice: "\u202e" })).toContain("\\u{202e}");
  });

  it("come of events as JSON too, with the time behind the kind", () => {
    const over = {
      pair: "desk",
      dialledBy: "outside",
      target: DESK,
      dialler: SHOP,
      address: "h:1",
      endedBy: "outside",
      durationMs: 5,
      report: undefined,
    } as const;
    const error = new SallyportError("ERR_DENIED", "NOT_PAIRED", "not paired", { advice: "pair it" });
    const refused: GatewayEvent = { kind: "refused", ...over, error };
    expect(outputJson(eventOutput(refused), AT)).toEqual({
      event: "refused",
      at: "2026-01-02T03:04:05.000Z",
      pair: "desk",
      dialler: "shop@h",
      target: "desk@h",
      address: "h:1",
      code: "ERR_DENIED",
      reason: "NOT_PAIRED",
      message: "not paired",
      advice: "pair it",
    });
    expect(lines(eventOutput({ kind: "down", ...over, error: undefined }))).toContain(
      "shop@h and desk@h: it left in good order",
    );
    expect(noticeOutput({ kind: "enforced", pair: "desk" })).toEqual({ event: "enforced", pair: "desk" });
    expect(reloadFailed(error)).toMatchObject({ event: "reload", ok: false, reason: "NOT_PAIRED" });
  });
});

describe("the status of a gateway", () => {
  const session = {
    outside: "shop@h",
    inside: "desk@h",
    dialledBy: "outside",
    address: "192.0.2.1:5",
    sinceMs: AT,
    protocol: { outside: "barrel", inside: "otp" },
    assurance: { outside: "ca", inside: "cookie" },
    report: {
      tables: { maxCalls: { size: 2, limit: 16_384 }, maxLinks: { size: 0, limit: 4_096 } },
      forwarded: { outside: 10, inside: 9 },
      denied: { "worker:unasked": 3 },
      rules: {},
      isObserved: false,
    },
  };
  const pair = {
    name: "desk",
    inside: "desk@h",
    outside: ["shop@h"],
    commander: "outside",
    observedUntil: "2027-01-15T00:00:00.000Z",
    policies: { inside: { file: "/p.jsonc", generation: 3, problem: "[ERR_CONFIG] /p.jsonc:1:2: bad" } },
    endpoints: [{ from: "outside", target: "desk@h", endpoint: "tls://0.0.0.0:9400" }],
    keys: [{ side: "inside", standsFor: "shop@h", fingerprint: "SHA256:abc" }],
    duty: [],
    connecting: 1,
    sessions: [session],
    totals: {
      up: 4,
      refused: 5,
      forwarded: { outside: 100, inside: 90 },
      denied: { "worker:unasked": 7 },
      rules: { ask: { allowed: 6, denied: 1 } },
    },
  };
  const audit = { dir: "/a", commands: true, isFailing: true, written: 1, lost: 2, summarised: 3 };
  const status = {
    state: "running",
    startedMs: AT,
    plaintext: false,
    epmd: { inside: "127.0.0.1:4370" },
    audit,
    pairs: [pair],
  };

  it("shows each pair with its sessions, the tables that hold something, and counters", () => {
    const text = statusText(status, PLAIN);
    for (const line of [
      "desk is observed: what is refused passes all the same, until 2027-01-15T00:00:00.000Z",
      "port mapper  for inside nodes at 127.0.0.1:4370",
      "CANNOT BE WRITTEN, up to 1,000 records wait, further ones are lost; /a: 1 records, 3 counted together, 2 lost, what is let through too",
      "policy       of the inside node: generation 3 of /p.jsonc; the file as it is now is refused: /p.jsonc:1:2: bad",
      "connections  4 came up, 5 refused, 1 in their handshake",
      "shop@h   desk@h  outside, 192.0.2.1:5  2026-01-02T03:04:05Z  barrel    ca         cookie by otp  10/9         3",
      "key          SHA256:abc, shown inside for shop@h",
      "maxCalls  2     16384  shop@h and desk@h",
      "ask   6        1",
      "unasked  worker  7",
    ]) {
      expect(text).toContain(line);
    }
    expect(text).not.toContain("maxLinks");
    expect(text).not.toContain("plain TCP");
  });

  it("begins with what needs a second thought", () => {
    expect(statusText({ ...status, plaintext: "any", pairs: [] }, PLAIN).split("\n")[0]).toContain("plain TCP");
  });
});
