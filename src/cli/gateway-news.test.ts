import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { GatewayMessage } from "../gateway/notices.ts";
import type { Decision } from "../policy/decision.ts";
import type { GatewayOutput } from "./gateway-events.ts";
import { GatewayNews, MAX_NEWS_COUNTS, MAX_NEWS_LINES, MAX_NEWS_PER_REASON, NEWS_WINDOW_MS } from "./gateway-news.ts";

const at = (ms: number): MonotonicMs => ms as MonotonicMs;
const NODES = {
  pair: "desk",
  from: "inside",
  outside: parseNodeName("shop@h"),
  inside: parseNodeName("desk@h"),
} as const;

function denied(target: string, more: Partial<Extract<GatewayMessage, { kind: "denied" }>> = {}): GatewayMessage {
  const what = {
    by: "worker",
    why: "unasked",
    operation: "reg-send",
    head: "tick/2",
    rule: undefined,
    id: undefined,
  } as const;
  return { kind: "denied", ...NODES, ...what, target, isFirst: true, observed: false, ...more };
}

function decided(target: string): GatewayMessage {
  const decision = { verb: "rpc", target, rule: "functions", outcome: "deny-rule", generation: 0 } as Decision;
  return denied("rex", { id: "ID", isFirst: false, decision });
}

function refused(dialler: string): Extract<GatewayOutput, { event: "refused" }> {
  const failure = { code: "ERR_DENIED", reason: "NOT_PAIRED", message: "no", advice: "none" };
  return { event: "refused", pair: "desk", dialler, target: "desk@h", address: "h:1", ...failure };
}

describe("GatewayNews", () => {
  it("tells the first of each kind whole, and counts the others by the minute", () => {
    const news = new GatewayNews();
    expect(news.message(denied("watch"), at(5))).toMatchObject({ event: "denied", target: "watch", why: "unasked" });
    // Of another session, where it is the first of its kind again.
    expect(news.message(denied("watch"), at(6))).toBeUndefined();
    expect(news.message(denied("watch", { isFirst: false }), at(7))).toBeUndefined();
    expect(news.endsAt).toBe(5 + NEWS_WINDOW_MS);
    expect(news.drain()).toEqual([{ event: "more", of: "denied", pair: "desk", kind: "desk@h: unasked", count: 2 }]);
    expect([news.drain(), news.endsAt]).toEqual([[], undefined]);
    expect(news.message(denied("watch"), at(70_000))).toBeUndefined();
    news.forget();
    expect(news.message(denied("watch"), at(70_001))).toBeDefined();
  });

  it("tells what a rule decided by what was wanted, whatever message wanted it", () => {
    const news = new GatewayNews();
    expect(news.message(decided("lists:seq/2"), at(0))).toMatchObject({ target: "lists:seq/2", operation: "rpc" });
    expect(news.message(decided("os:cmd/1"), at(0))).toMatchObject({ target: "os:cmd/1" });
    expect(news.message(decided("os:cmd/1"), at(0))).toBeUndefined();
  });

  it("bounds the lines of a minute, and the kinds that are counted apart", () => {
    const news = new GatewayNews();
    const many = Array.from({ length: 10_000 }, (_, n) => n);
    const printed = many.filter((n) => news.message(decided(`m:f/${n}`), at(n)) !== undefined);
    expect(printed).toHaveLength(MAX_NEWS_LINES.denied);
    const commands = many.filter(
      (n) => news.message({ kind: "command", ...NODES, verb: "rpc", target: `m:f/${n}` }, at(n)) !== undefined,
    );
    expect(commands).toHaveLength(MAX_NEWS_LINES.command);
    for (const n of many) news.refused(refused(`node${n}@h`), at(n));
    const summary = news.drain();
    expect(summary.length).toBeLessThanOrEqual(MAX_NEWS_COUNTS + 4);
    const told = 30_000 - MAX_NEWS_LINES.denied - MAX_NEWS_LINES.command - MAX_NEWS_LINES.refused;
    expect(summary.reduce((sum, output) => sum + (output.event === "more" ? output.count : 0), 0)).toBe(told);
  });

  it("bounds the lines of a node that comes and goes without end", () => {
    const news = new GatewayNews();
    const up = {
      event: "up",
      pair: "desk",
      outside: "shop@h",
      inside: "desk@h",
      dialledBy: "outside",
      address: "h:1",
    } as const;
    const printed = Array.from({ length: 1_000 }, () => news.session(up, at(0))).filter(
      (output) => output !== undefined,
    );
    expect(printed).toHaveLength(MAX_NEWS_LINES.up);
    const kind = "shop@h and desk@h";
    expect(news.drain()).toEqual([{ event: "more", of: "up", pair: "desk", kind, count: 1_000 - MAX_NEWS_LINES.up }]);
  });

  it("tells a few failures of a node for one reason, and again in the next minute", () => {
    const news = new GatewayNews();
    const outputs = Array.from({ length: 5 }, () => news.refused(refused("evil@h"), at(0)));
    expect(outputs.filter((output) => output !== undefined)).toHaveLength(MAX_NEWS_PER_REASON);
    expect(news.drain()).toMatchObject([{ of: "refused", kind: "evil@h: NOT_PAIRED", count: 2 }]);
    expect(news.refused(refused("evil@h"), at(NEWS_WINDOW_MS))).toBeDefined();
  });
});
