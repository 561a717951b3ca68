import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { type CheckResult, HEALTH_DEADLINE_MS, runChecks } from "./checks.ts";

describe("checks", () => {
  it("answer by the deadline, and name what hangs and what fails", async () => {
    const clock = new VirtualClock();
    const answer = runChecks(
      [
        { name: "well", check: () => ({ ok: true, detail: { figure: 1 } }) },
        { name: "hangs", check: () => new Promise<CheckResult>(() => undefined) },
        {
          name: "throws",
          check: () => {
            throw new Error("secret");
          },
        },
        { name: "rejects", check: () => Promise.reject(new Error("secret")) },
        { name: "ill", check: async () => ({ ok: false, reason: "CERT_EXPIRED" }) },
      ],
      clock,
    );
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    clock.advance(HEALTH_DEADLINE_MS);
    expect(await answer).toEqual([
      { name: "well", ok: true, detail: { figure: 1 } },
      { name: "hangs", ok: false, reason: "CHECK_TIMED_OUT" },
      { name: "throws", ok: false, reason: "CHECK_FAILED" },
      { name: "rejects", ok: false, reason: "CHECK_FAILED" },
      { name: "ill", ok: false, reason: "CERT_EXPIRED" },
    ]);
  });

  it("leave no timer behind", async () => {
    const clock = new VirtualClock();
    await runChecks([{ name: "well", check: () => ({ ok: true }) }], clock);
    expect(clock.pendingTimers).toBe(0);
  });
});
