import { describe, expect, it } from "vitest";
import type { FilterReport } from "./filter-report.ts";
import { MAX_COUNTED_RULES, PairTotals } from "./pair-totals.ts";

const report = (n: number, rule = "ask"): FilterReport => ({
  tables: {},
  forwarded: { outside: n, inside: 2 * n },
  denied: { "worker:unasked": n },
  rules: { [rule]: { allowed: n, denied: 1 } },
  isObserved: false,
});

describe("PairTotals", () => {
  it("adds what sessions that are up have counted to what those before have", () => {
    const totals = new PairTotals();
    totals.add(report(3));
    const sum = {
      forwarded: { outside: 7, inside: 14 },
      denied: { "worker:unasked": 7 },
      rules: { ask: { allowed: 7, denied: 2 } },
    };
    expect(totals.report([report(4)])).toEqual({ up: 0, refused: 0, ...sum });
    expect(totals.report([]).forwarded).toEqual({ outside: 3, inside: 6 });
  });

  it("keeps a bounded number of rules", () => {
    const totals = new PairTotals();
    for (let n = 0; n <= MAX_COUNTED_RULES; n++) totals.add(report(1, `r${n}`));
    expect(Object.keys(totals.report([report(1, "one-more")]).rules)).toHaveLength(MAX_COUNTED_RULES);
  });
});
