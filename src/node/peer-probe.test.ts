import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { HEALTH_PINGS_MS, MAX_HEALTH_PINGS, type PingPeer, type Probed, probePeers } from "./peer-probe.ts";

const late = () => new SallyportError("ERR_DEADLINE", "CALL_TIMEOUT", "no answer");

/** Pings peers that answer after so many milliseconds; those below zero never do. */
async function probe(answers: readonly number[]): Promise<{ probed: readonly Probed[]; tookMs: number; most: number }> {
  const clock = new VirtualClock();
  let open = 0;
  let most = 0;
  const ping: PingPeer<number> = (afterMs, timeoutMs) => {
    most = Math.max(most, ++open);
    return new Promise((resolve, reject) => {
      const isLate = afterMs < 0 || afterMs > timeoutMs;
      clock.at(addMs(clock.now(), isLate ? timeoutMs : afterMs), () => {
        open--;
        if (isLate) reject(late());
        else resolve(undefined);
      });
    });
  };
  let probed: readonly Probed[] | undefined;
  void probePeers(answers, ping, clock).then((result) => {
    probed = result;
  });
  while (probed === undefined) {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    if (probed === undefined) clock.advance(10);
  }
  return { probed, tookMs: clock.now(), most };
}

const isAlive = (one: Probed): boolean => "rttMs" in one;

describe("pings of peers", () => {
  it("divide fifty, ten of them black holes, in their order and in time", async () => {
    const answers = Array.from({ length: 50 }, (_, i) => (i % 5 === 0 ? -1 : 20 + i));
    const { probed, tookMs, most } = await probe(answers);
    expect(probed.map(isAlive)).toEqual(answers.map((after) => after >= 0));
    expect(probed[0]).toEqual({ reason: "DEADLINE" });
    expect(tookMs).toBeLessThanOrEqual(HEALTH_PINGS_MS);
    expect(most).toBe(MAX_HEALTH_PINGS);
  });

  it("reach those that live behind more black holes than are asked at once", async () => {
    const answers = Array.from({ length: 80 }, (_, i) => (i < 60 ? -1 : 20));
    const { probed, tookMs } = await probe(answers);
    expect(probed.map(isAlive)).toEqual(answers.map((after) => after >= 0));
    expect(tookMs).toBeLessThanOrEqual(HEALTH_PINGS_MS);
  });

  it("end in time whatever the number", async () => {
    const { probed, tookMs } = await probe(Array.from({ length: 1_000 }, () => -1));
    expect(tookMs).toBeLessThanOrEqual(HEALTH_PINGS_MS);
    expect(probed).toEqual(Array.from({ length: 1_000 }, () => ({ reason: "DEADLINE" })));
  });

  it("give a few peers all the time there is", async () => {
    const { probed } = await probe([HEALTH_PINGS_MS - 100, 10]);
    expect(probed).toEqual([{ rttMs: HEALTH_PINGS_MS - 100 }, { rttMs: 10 }]);
  });

  it.each<readonly [string, unknown, Probed]>([
    ["an answer that says no", new SallyportError("ERR_DENIED", "POLICY_DENIED", "no"), { rttMs: 0 }],
    [
      "a process that is not there",
      new SallyportError("ERR_REMOTE", "TARGET_DOWN", "", { detail: { remoteReason: "noproc" } }),
      { rttMs: 0 },
    ],
    [
      "a connection that is lost meanwhile",
      new SallyportError("ERR_REMOTE", "TARGET_DOWN", "", { detail: { remoteReason: "noconnection" } }),
      { reason: "CONNECTION_LOST" },
    ],
    ["too many open calls", new SallyportError("ERR_LIMIT", "CALL_LIMIT", ""), { reason: "CALL_LIMIT" }],
    ["what nobody expected", new Error("secret"), { reason: "PING_FAILED" }],
  ])("%s", async (_, error, expected) => {
    const ping = () => Promise.reject(error);
    expect(await probePeers(["peer"], ping, new VirtualClock())).toEqual([expected]);
  });
});
