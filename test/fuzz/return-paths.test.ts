import fc from "fast-check";
import { expect, it } from "vitest";
import { fuzzCases, fuzzSeed } from "./budget.ts";
import { ReturnPathDriver, STEPS, type Step } from "./return-path-driver.ts";

/** Part of the budget: one run is a whole life of a node. */
const SHARE = 0.01;

it("return paths: nothing is delivered without a rule or an open request, and nothing twice", async () => {
  const seed = fuzzSeed();
  const seen = new Map<string, number>();
  const number = fc.nat({ max: 999 });
  const step: fc.Arbitrary<Step> = fc.record({ what: fc.constantFrom(...STEPS), a: number, b: number, c: number });
  const numRuns = fuzzCases(SHARE);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), async (steps) => {
      const driver = new ReturnPathDriver();
      await driver.start();
      for (const next of steps) await driver.run(next);
      for (const [kind, count] of driver.seen) seen.set(kind, (seen.get(kind) ?? 0) + count);
      expect(driver.violations).toEqual([]);
    }),
    { numRuns, seed },
  );
  const counts = [...seen].map(([kind, count]) => `${kind} ${count}`).join(", ");
  console.log(`return paths: ${numRuns} runs, seed ${seed}; delivered: ${counts}`);
  // A model that allows nothing, or a driver that reaches nothing, would find no fault either.
  const kinds = ["answer", "child", "down", "exit", "failed", "heard", "left", "ran", "spawned"];
  if (numRuns >= 200) expect([...seen.keys()].sort()).toEqual(kinds);
});
