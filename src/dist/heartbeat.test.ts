import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { HEARTBEAT_PROFILES, HeartbeatMonitor, heartbeatOf } from "./heartbeat.ts";

const at = (ms: number) => ms as MonotonicMs;
// A PING after 200 ms without a byte, death 100 ms later.
const monitor = (options = { intervalMs: 200, timeoutMs: 100 }) => new HeartbeatMonitor(options, at(0));

/** Looks exactly when the monitor asks to be asked, until `until`; says what it said and when. */
function run(heart: HeartbeatMonitor, until: number, events: readonly { at: number; do: () => void }[] = []) {
  const said: string[] = [];
  const queue = [...events].sort((one, other) => one.at - other.at);
  let due = heart.nextCheck(at(0)) as number;
  for (;;) {
    const next = queue[0];
    if (next !== undefined && next.at <= due) {
      queue.shift();
      next.do();
      continue;
    }
    if (due > until) return said;
    const verdict = heart.check(at(due), 0, 0);
    if (verdict !== "nothing") said.push(`${due} ${verdict}`);
    if (verdict === "peer-silent" || verdict === "write-stalled") return said;
    due = heart.nextCheck(at(due)) as number;
  }
}

describe("HeartbeatMonitor", () => {
  it("asks after the interval and gives up after the timeout, not before", () => {
    expect(run(monitor(), 1_000)).toEqual(["200 send-ping", "300 peer-silent"]);
  });

  it("works with a timeout above the interval: a later question never restarts the oldest", () => {
    expect(run(monitor({ intervalMs: 100, timeoutMs: 300 }), 1_000)).toEqual(["100 send-ping", "400 peer-silent"]);
  });

  it("takes any byte for life, and for the answer", () => {
    const heart = monitor();
    const said = run(heart, 800, [{ at: 299, do: () => heart.read(at(299)) }]);
    expect(said).toEqual(["200 send-ping", "499 send-ping", "599 peer-silent"]);
  });

  it("does not ask a peer that talks", () => {
    const heart = monitor();
    const talk = Array.from({ length: 20 }, (_, i) => ({ at: i * 150, do: () => heart.read(at(i * 150)) }));
    expect(run(heart, 3_000, talk)).toEqual([]);
  });

  it("never calls a peer dead that sends a byte at least every interval, and always one that stopped, within the bound", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 5_000 }),
        fc.integer({ min: 20, max: 5_000 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 }),
        (intervalMs, timeoutMs, gaps) => {
          const heart = monitor({ intervalMs, timeoutMs });
          let last = 0;
          const talk = gaps.map((gap) => {
            last += Math.floor(gap * intervalMs);
            const when = last;
            return { at: when, do: () => heart.read(at(when)) };
          });
          const said = run(heart, last + 100 * (intervalMs + timeoutMs), talk);
          expect(said.at(-1)).toBe(`${last + intervalMs + timeoutMs} peer-silent`);
          expect(said.filter((line) => line.endsWith("peer-silent"))).toHaveLength(1);
        },
      ),
    );
  });

  it("counts the wait of bytes that do not leave from when they were written, not from the look before", () => {
    const heart = monitor();
    const look = (ms: number, pending: number, sent: number) => {
      heart.read(at(ms)); // it talks and does not read
      return [heart.check(at(ms), pending, sent), heart.nextCheck(at(ms))];
    };
    expect(look(100, 0, 0)).toEqual(["nothing", 300]);
    heart.wrote(at(250));
    for (let ms = 300; ms < 550; ms += 18) expect(look(ms, 500, 0)[0]).toBe("nothing");
    expect(heart.nextCheck(at(549))).toBe(550);
    expect(look(550, 500, 0)[0]).toBe("write-stalled");
  });

  it("takes a single byte that left for progress", () => {
    const heart = monitor();
    heart.wrote(at(0));
    for (let ms = 100; ms <= 5_000; ms += 100) {
      heart.read(at(ms));
      expect(heart.check(at(ms), 500, ms)).toBe("nothing");
    }
  });

  it("looks a second time when the look itself was late: what came meanwhile is read first", () => {
    const slept = monitor();
    expect(slept.check(slept.nextCheck(at(0)), 0, 0)).toBe("send-ping");
    slept.nextCheck(at(200));
    expect(slept.check(at(9_000), 0, 0)).toBe("nothing");
    expect(slept.nextCheck(at(9_000))).toBe(9_050);
    slept.read(at(9_001));
    expect(slept.check(at(9_050), 0, 0)).toBe("nothing");

    const dead = monitor();
    dead.check(dead.nextCheck(at(0)), 0, 0);
    dead.nextCheck(at(200));
    expect(dead.check(at(9_000), 0, 0)).toBe("nothing");
    dead.nextCheck(at(9_000));
    expect(dead.check(at(9_050), 0, 0)).toBe("peer-silent");
  });

  it("takes a PONG for an answer once, and only to its latest question", () => {
    const heart = monitor();
    expect([heart.answers(0n), heart.answers(1n)]).toEqual([false, false]);
    heart.check(at(200), 0, 0);
    expect([heart.token, heart.answers(2n), heart.answers(1n), heart.answers(1n)]).toEqual([1n, false, true, false]);
  });

  it("sees an answer that came right after the question when the next one is due", () => {
    const heart = monitor({ intervalMs: 100, timeoutMs: 1_000 });
    const said = run(heart, 5_000, [{ at: 101, do: () => heart.read(at(101)) }]);
    expect(said).toEqual(["100 send-ping", "201 send-ping", "1201 peer-silent"]);
  });

  it("looks often enough while bytes wait to know when the last one left", () => {
    const heart = monitor({ intervalMs: 15_000, timeoutMs: 10_000 });
    expect(heart.wrote(at(1_000))).toBe(true);
    let now = heart.nextCheck(at(1_000)) as number;
    for (;;) {
      heart.read(at(now));
      // Half of it left at once, and nothing after.
      if (heart.check(at(now), 500, 500) === "write-stalled") break;
      now = heart.nextCheck(at(now)) as number;
    }
    expect(now).toBeGreaterThanOrEqual(26_000);
    expect(now).toBeLessThanOrEqual(26_000 + 25_000 / 16 + 1);
  });

  it("looks a second time before it calls the writer stalled, when the look was late", () => {
    const heart = monitor();
    heart.wrote(at(0));
    heart.nextCheck(at(0));
    heart.read(at(9_000));
    expect(heart.check(at(9_000), 500, 0)).toBe("nothing");
    heart.nextCheck(at(9_000));
    expect(heart.check(at(9_050), 0, 500)).toBe("nothing");
  });
});

describe("heartbeatOf", () => {
  it("has two profiles, whose figures can be replaced", () => {
    expect(heartbeatOf({})).toEqual({ intervalMs: 15_000, timeoutMs: 10_000 });
    expect(heartbeatOf({ profile: "wan" })).toEqual({ intervalMs: 60_000, timeoutMs: 15_000 });
    expect(heartbeatOf({ profile: "wan", timeoutMs: 20_000 })).toEqual({ intervalMs: 60_000, timeoutMs: 20_000 });
    expect(HEARTBEAT_PROFILES.lan.intervalMs).toBe(15_000);
  });

  it.each([
    [{ intervalMs: 19 }],
    [{ intervalMs: 0 }],
    [{ timeoutMs: -1 }],
    [{ timeoutMs: 0.5 + 20 }],
    [{ intervalMs: Number.NaN }],
    [{ timeoutMs: 3_600_001 }],
    [{ intervalMs: "200" as unknown as number }],
    [{ profile: "moon" as "lan" }],
    [{ profile: "toString" as "lan" }],
  ])("refuses %j", (options) => {
    expect(() => heartbeatOf(options)).toThrow(expect.objectContaining({ reason: "HEARTBEAT_INVALID" }));
  });
});
