import { describe, expect, it } from "vitest";
import { AttemptMetrics, MAX_ATTEMPT_SERIES } from "./attempt-metrics.ts";

describe("AttemptMetrics", () => {
  it("counts by role, protocol, outcome and reason, and puts durations into buckets", () => {
    const metrics = new AttemptMetrics();
    metrics.add("acceptor", "native", "refused", "KEY_MISMATCH", 5);
    metrics.add("acceptor", "native", "refused", "KEY_MISMATCH", 5.5);
    metrics.add("acceptor", null, "refused", "HANDSHAKE_BAD_NAME", 60_000);
    metrics.add("initiator", "otp", "accepted", null, 12);
    const [mismatch, badName, accepted, refusedMs] = metrics.snapshot();
    const name = "dist.auth.attempts";
    const labels = { role: "acceptor", protocol: "native", outcome: "refused", reason: "KEY_MISMATCH" };
    expect(mismatch).toEqual({ kind: "counter", name, labels, value: 2 });
    expect(badName).toMatchObject({ labels: { protocol: "unknown", reason: "HANDSHAKE_BAD_NAME" }, value: 1 });
    expect(accepted).toMatchObject({ labels: { role: "initiator", outcome: "accepted", reason: "NONE" }, value: 1 });
    expect(refusedMs).toMatchObject({ kind: "histogram", labels: { role: "acceptor", outcome: "refused" }, count: 3 });
    if (refusedMs?.kind !== "histogram") throw new Error("no histogram");
    expect(refusedMs.sum).toBe(60_010.5);
    expect(refusedMs.buckets.slice(0, 3)).toEqual([
      { le: 5, count: 1 },
      { le: 10, count: 2 },
      { le: 25, count: 2 },
    ]);
    expect(refusedMs.buckets.at(-1)).toEqual({ le: 10_000, count: 2 });
  });

  it("is bounded against reasons that nobody knows", () => {
    const metrics = new AttemptMetrics();
    for (let i = 0; i < MAX_ATTEMPT_SERIES * 2; i++) metrics.add("acceptor", "otp", "refused", `R${i}`, 1);
    const counters = metrics.snapshot().filter(({ kind }) => kind === "counter");
    expect(counters).toHaveLength(MAX_ATTEMPT_SERIES + 1);
    expect(counters.at(-1)).toMatchObject({ labels: { reason: "OTHER" }, value: MAX_ATTEMPT_SERIES });
  });
});
