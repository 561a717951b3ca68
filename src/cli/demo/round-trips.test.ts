import { expect, it } from "vitest";
import { summarize } from "./round-trips.ts";

it("takes percentiles that were measured, whatever the order", () => {
  const times = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(summarize("x", times)).toEqual({ what: "x", calls: 200, p50Us: 100, p95Us: 190, maxUs: 200 });
  expect(summarize("x", [7])).toEqual({ what: "x", calls: 1, p50Us: 7, p95Us: 7, maxUs: 7 });
  expect(summarize("x", []).p50Us).toBe(0);
});
