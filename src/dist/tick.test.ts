import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { DEFAULT_TICK_OPTIONS, TickMonitor } from "./tick.ts";

const at = (ms: number) => ms as MonotonicMs;
// Tick time 8 s in four: a tick after 2 s without a write, silence at 10 s, a stall at 8 s.
const monitor = () => new TickMonitor({ tickTimeMs: 8_000, tickIntensity: 4 }, at(0));

describe("TickMonitor", () => {
  it("ticks when nothing was written for a quarter of the tick time, not before", () => {
    const ticks = monitor();
    expect(ticks.check(at(1_999), 0, 0)).toBe("nothing");
    expect(ticks.check(at(2_000), 0, 0)).toBe("send-tick");
    ticks.wrote(at(2_000));
    expect(ticks.check(at(3_999), 0, 0)).toBe("nothing");
    expect(ticks.check(at(4_000), 0, 0)).toBe("send-tick");
  });

  it("does not tick behind bytes that wait: they are as good as one", () => {
    const ticks = monitor();
    expect(ticks.check(at(3_000), 1, 0)).toBe("nothing");
    expect(ticks.check(at(4_000), 0, 1)).toBe("send-tick");
  });

  it("calls the peer silent at five quarters of the tick time without a byte", () => {
    const ticks = monitor();
    expect(ticks.check(at(9_999), 0, 0)).toBe("send-tick");
    expect(ticks.check(at(10_000), 0, 0)).toBe("peer-silent");
    const alive = monitor();
    alive.read(at(9_999));
    expect(alive.check(at(19_998), 0, 0)).toBe("send-tick");
    expect(alive.check(at(19_999), 0, 0)).toBe("peer-silent");
  });

  it("calls the connection stalled when bytes wait and none left for a whole tick time", () => {
    const ticks = monitor();
    const look = (ms: number, pending: number, sent: number) => {
      ticks.read(at(ms)); // the peer ticks, but reads nothing
      return ticks.check(at(ms), pending, sent);
    };
    expect(look(1_000, 500, 0)).toBe("nothing");
    expect(look(7_999, 500, 0)).toBe("nothing");
    expect(look(8_000, 500, 0)).toBe("write-stalled");
  });

  it("counts a single byte that left, and an empty queue, as progress", () => {
    const ticks = monitor();
    const look = (ms: number, pending: number, sent: number) => {
      ticks.read(at(ms));
      return ticks.check(at(ms), pending, sent);
    };
    expect(look(7_000, 500, 1)).toBe("nothing");
    expect(look(14_999, 499, 1)).toBe("nothing");
    expect(look(15_000, 499, 1)).toBe("write-stalled");
    ticks.wrote(at(15_500));
    expect(look(15_500, 0, 500)).toBe("nothing");
    expect(look(23_499, 20, 500)).toBe("nothing");
    expect(look(23_500, 20, 500)).toBe("write-stalled");
  });

  it("wants to be asked twice a period", () => {
    expect(monitor().nextCheck(at(5_000))).toBe(6_000);
    const { tickTimeMs, tickIntensity } = DEFAULT_TICK_OPTIONS;
    expect([tickTimeMs, tickIntensity]).toEqual([60_000, 4]);
  });
});
