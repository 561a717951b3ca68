import { expect, it } from "vitest";
import { fuzz } from "./harness.ts";
import { termTarget, textTarget } from "./target-term.ts";

it("term: mutated terms decode, or are refused by decoder and skipper alike", async () => {
  const figures = await fuzz(termTarget, 0.36);
  expect(figures.accepted).toBeGreaterThan(figures.cases / 50);
  expect(figures.refused.size).toBeGreaterThan(5);
});

it("text: mutated term text reads, or is refused by a typed error", async () => {
  const figures = await fuzz(textTarget, 0.05);
  expect(figures.accepted).toBeGreaterThan(figures.cases / 50);
});
