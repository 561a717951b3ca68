import { describe, expect, it } from "vitest";
import { type Answer, readAnswer } from "./machine.ts";
import { outcomeOf, rowOf, type Sighting } from "./rows.ts";

const ID = "7ZQ4M1VK0RCA";
const CUT: Answer = { kind: "cut", text: "the session was ended" };
const NOTHING: Answer = { kind: "nothing", text: "nothing" };
const seen = (parts: Partial<Sighting>): string => {
  const { observed } = outcomeOf({
    answer: NOTHING,
    told: [],
    dropped: undefined,
    cutBy: undefined,
    happened: undefined,
    grantedBy: "level",
    ...parts,
  });
  return `${observed.outcome} ${observed.by}`;
};
const told = { decision: ID, rule: "no-orders", outcome: "deny-rule" };
const byDefault = { decision: "AAAAAAAA", rule: null, outcome: "deny-default" };

describe("an answer as text", () => {
  it("is a refusal with its id, a refusal of a spawn, nothing, or an answer", () => {
    expect(readAnswer(`{badrpc,{sallyport_denied,<<"${ID}">>}}`)).toMatchObject({ kind: "refused", decision: ID });
    expect(readAnswer("{badrpc,{'EXIT',eperm}}")).toMatchObject({ kind: "refused" });
    expect(readAnswer("nothing")).toMatchObject({ kind: "nothing" });
    expect(readAnswer("{ok,3}")).toMatchObject({ kind: "answered" });
  });
});

describe("the outcome of an attempt", () => {
  it("is read from what both ends saw", () => {
    expect(seen({ answer: readAnswer("{ok,3}") })).toBe("done level");
    expect(seen({ happened: true })).toBe("done level");
    expect(seen({ answer: readAnswer("eperm"), told: [told], happened: false })).toBe("refused no-orders");
    expect(seen({ told: [byDefault], happened: false })).toBe("silence deny-default");
    expect(seen({ dropped: "late_replies" })).toBe("silence late_replies");
    expect(seen({ answer: CUT, cutBy: "FORGED_IDENTIFIER" })).toBe("cut off FORGED_IDENTIFIER");
  });

  it("belongs to the refusal whose id was told", () => {
    const answer = readAnswer(`{sallyport_denied,<<"${ID}">>}`);
    expect(seen({ answer, told: [byDefault, told] })).toBe("refused no-orders");
  });

  it("is unclear when the two ends do not agree", () => {
    expect(seen({})).toBe("unclear -");
    expect(seen({ answer: CUT })).toBe("unclear -");
    expect(seen({ answer: readAnswer("eperm") })).toBe("unclear -");
    expect(seen({ answer: readAnswer("{ok,3}"), happened: false })).toBe("unclear -");
    expect(seen({ answer: readAnswer("{ok,3}"), told: [told] })).toBe("unclear no-orders");
    expect(seen({ answer: readAnswer("eperm"), told: [told], happened: true })).toBe("unclear no-orders");
    expect(seen({ answer: readAnswer(`{sallyport_denied,<<"${ID}">>}`), told: [byDefault] })).toBe(
      "unclear deny-default",
    );
    expect(seen({ answer: { kind: "failed", text: "x" } })).toBe("unclear -");
  });
});

it("a row is right only when outcome and rule are those expected", () => {
  const row = (observed: { outcome: "done" | "refused"; by: string }) =>
    rowOf(
      { from: "a", to: "b", attempt: "x", expected: { outcome: "refused", by: "no-orders" } },
      { observed, decision: null },
      "",
    ).ok;
  expect(row({ outcome: "refused", by: "no-orders" })).toBe(true);
  expect(row({ outcome: "done", by: "no-orders" })).toBe(false);
  expect(row({ outcome: "refused", by: "deny-default" })).toBe(false);
});
