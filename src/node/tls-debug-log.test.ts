import { describe, expect, it } from "vitest";
import { failedHandshake } from "../carrier/tls-debug.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { MAX_TLS_DEBUG_PER_SECOND, TlsDebugLog } from "./tls-debug-log.ts";

describe("TlsDebugLog", () => {
  it("tells of so many a second, and then how many it left out", () => {
    const clock = new VirtualClock();
    const dropped: number[] = [];
    const log = new TlsDebugLog(clock, (handshake) => void dropped.push(handshake.dropped));
    const one = failedHandshake("acceptor", "h:1", new Error("alert number 42"), {});
    expect(one.alert).toBe(42);
    for (let i = 0; i < MAX_TLS_DEBUG_PER_SECOND + 7; i++) log.add(one);
    expect(dropped).toEqual(Array(MAX_TLS_DEBUG_PER_SECOND).fill(0));
    clock.advance(1_000);
    log.add(one);
    log.add(one);
    expect(dropped.slice(MAX_TLS_DEBUG_PER_SECOND)).toEqual([7, 0]);
  });
});
