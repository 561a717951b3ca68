import { describe, expect, it } from "vitest";
import { RuleCounts } from "./rule-counts.ts";

describe("counts of rules", () => {
  it("are kept by rule, and a report does not change any more", () => {
    const counts = new RuleCounts();
    counts.allowed("a");
    counts.allowed("a");
    counts.denied("a");
    counts.denied("__proto__");
    const report = counts.report();
    counts.allowed("a");
    expect(report["a"]).toEqual({ allowed: 2, denied: 1 });
    expect(Object.entries(report)).toHaveLength(2);
    expect(Object.hasOwn(report, "__proto__")).toBe(true);
    expect(counts.report()["a"]).toEqual({ allowed: 3, denied: 1 });
  });

  it("are bounded: of more rules only the first are counted", () => {
    const counts = new RuleCounts();
    for (let n = 0; n < 1_100; n++) counts.allowed(`r${n}`);
    counts.denied("r1023");
    counts.denied("r1024");
    const report = counts.report();
    expect(Object.keys(report)).toHaveLength(1_024);
    expect([report["r1023"], report["r1024"]]).toEqual([{ allowed: 1, denied: 1 }, undefined]);
  });
});
