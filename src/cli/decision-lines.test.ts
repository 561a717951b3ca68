import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { decisionJson, decisionLines, type ShownDecision } from "./decision-lines.ts";
import { toldDecision } from "./told-decision.ts";

const PLAIN = pc.createColors(false);

const DENIED: ShownDecision = {
  id: "01JF6Q2M",
  atMs: Date.UTC(2026, 10, 20, 21, 4, 11),
  outcome: "deny-rule",
  rule: "d3-never",
  nearestMiss: { rule: "d1-progress", why: "verb" },
  alias: "rented",
  peer: "rented@rented.example",
  key: "SHA256:abc",
  verb: "rpc",
  target: "erlang:halt/0",
  generation: 14,
  mode: "enforce",
};

describe("decisionLines", () => {
  it("says what came of it, by which rule, which came nearest, and who asked for what", () => {
    expect(decisionLines(DENIED, PLAIN).split("\n")).toEqual([
      "deny-rule  a deny rule refuses it",
      "rule        d3-never",
      "nearest     d1-progress, which is about other operations",
      "peer        rented (rented@rented.example) with key SHA256:abc",
      "operation   rpc erlang:halt/0",
      "generation  14",
      "told        the peer knows this decision as 01JF6Q2M",
    ]);
  });

  it("says of audit mode that it only lets through", () => {
    const audited = { ...DENIED, outcome: "allow", mode: "audit" } as const;
    expect(decisionLines(audited, PLAIN)).toMatch(/^allow {2}audit mode lets it through and records it\n/);
  });

  it("shows nothing that a terminal would act on", () => {
    const hostile = { ...DENIED, rule: "\u001b[2J", target: "\u202ex", peer: "\u0007@h", verb: "send" };
    expect(decisionLines(hostile, PLAIN)).not.toMatch(/[\u001b\u0007\u202e]/);
  });
});

describe("decisionJson", () => {
  it("is the decision with its time as text", () => {
    const { atMs: _, ...rest } = DENIED;
    expect(decisionJson(DENIED)).toEqual({ ...rest, at: "2026-11-20T21:04:11.000Z" });
    expect(decisionJson({ ...DENIED, atMs: null })["at"]).toBeNull();
  });
});

describe("toldDecision", () => {
  it("takes what a node tells as it is", () => {
    expect(toldDecision(JSON.parse(JSON.stringify(DENIED)))).toEqual(DENIED);
  });

  it("takes null for what another version leaves out or says otherwise", () => {
    expect(toldDecision({ outcome: "allow", nearestMiss: { rule: "a", why: "mood" }, generation: 1.5 })).toEqual({
      id: null,
      atMs: null,
      outcome: "allow",
      rule: null,
      nearestMiss: null,
      alias: null,
      peer: null,
      key: null,
      verb: "?",
      target: "?",
      generation: null,
      mode: "enforce",
    });
  });

  it.each([null, undefined, [], "deny", { outcome: "perhaps" }])("takes %j for no decision", (value) => {
    expect(toldDecision(value)).toBeUndefined();
  });
});
