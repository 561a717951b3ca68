import { expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { QUIC_PORT_WAIT_MS, whenFree } from "./when-free.ts";

const failing = (reason: string, times: number) => {
  let calls = 0;
  const listen = async (): Promise<number> => {
    calls++;
    if (calls <= times) throw new SallyportError("ERR_CONFIG", reason, reason, { advice: "wait" });
    return calls;
  };
  return { listen, calls: () => calls };
};

async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    clock.advance(50);
    clock.runTurn();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

it("a port that is in use is waited for", async () => {
  const clock = new VirtualClock();
  const { listen } = failing("PORT_IN_USE", 3);
  const bound = whenFree(clock, listen);
  await pass(clock, 1_000);
  expect(await bound).toBe(4);
});

it("a port that stays in use is given up, and every other failure at once", async () => {
  const clock = new VirtualClock();
  const busy = failing("PORT_IN_USE", 1_000);
  const failed = whenFree(clock, busy.listen).catch((error: SallyportError) => error.reason);
  await pass(clock, QUIC_PORT_WAIT_MS + 200);
  expect(await failed).toBe("PORT_IN_USE");
  const other = failing("BIND_FAILED", 1);
  await expect(whenFree(clock, other.listen)).rejects.toMatchObject({ reason: "BIND_FAILED" });
  expect(other.calls()).toBe(1);
});
