import { describe, expect, it } from "vitest";
import type { Carrier } from "../carrier/carrier.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { Reading } from "./reading.ts";

function reading() {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const carrier = { pause: () => calls.push("pause"), resume: () => calls.push("resume") } as unknown as Carrier;
  return { clock, calls, reading: new Reading(carrier, clock) };
}

describe("Reading", () => {
  it("holds until it is released, however often it is told", () => {
    const { calls, reading: r } = reading();
    r.hold();
    r.hold();
    expect([r.isStopped, calls]).toEqual([true, ["pause"]]);
    r.release();
    r.release();
    expect([r.isStopped, calls]).toEqual([false, ["pause", "resume"]]);
  });

  it("goes on only when neither a pause nor a hold stops it", () => {
    const { clock, calls, reading: r } = reading();
    r.pauseFor(100);
    r.hold();
    clock.advance(100);
    expect(calls).toEqual(["pause"]);
    r.release();
    expect(calls).toEqual(["pause", "resume"]);
    r.hold();
    r.pauseFor(100);
    r.release();
    expect(calls).toHaveLength(3);
    clock.advance(100);
    expect(calls).toEqual(["pause", "resume", "pause", "resume"]);
  });

  it("does not count the time in which nothing is read", () => {
    const { clock, reading: r } = reading();
    const start = clock.now();
    r.left(3, start);
    clock.advance(10);
    r.hold();
    clock.advance(5_000);
    expect(r.partialMs(clock.now())).toBe(10);
    expect(r.time(clock.now()) - start).toBe(10);
    r.release();
    clock.advance(7);
    expect(r.partialMs(clock.now())).toBe(17);
    r.left(3, clock.now());
    expect(r.partialMs(clock.now())).toBe(17);
    r.finished();
    expect(r.partialMs(clock.now())).toBe(0);
  });

  it("leaves the carrier alone once the connection is over", () => {
    const { clock, calls, reading: r } = reading();
    r.pauseFor(100);
    r.stop();
    clock.advance(200);
    r.hold();
    expect(calls).toEqual(["pause"]);
  });
});
