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
      "told        the peer may know this decision as 01JF6Q2M, unless it asked with erpc: then as eperm",
    ]);
  });

  it.each([
    ["call", "the peer may know this decision as 01JF6Q2M"],
    ["monitor", "the peer may know this decision as 01JF6Q2M"],
    ["link", "the peer may know this decision as 01JF6Q2M"],
    ["spawn", "eperm, without the id"],
    ["send", "nothing of this id"],
    ["cast", "nothing of this id"],
    ["exit", "nothing of this id"],
    ["connect", "nothing of this id"],
    ["reply", "nothing of this id"],
  ])("says what a peer is told of a refused %s", (verb, told) => {
    expect(
      decisionLines({ ...DENIED, verb }, PLAIN)
        .split("\n")
        .at(-1),
    ).toBe(`told        ${told}`);
  });

  it("says whether the limit was one of a rule, as far as the record knows", () => {
    const limited = { ...DENIED, outcome: "deny-limit" } as const;
    expect(decisionLines(limited, PLAIN)).toMatch(/^deny-limit {2}a rule grants it, but one of its `limits`, or/);
    expect(decisionLines({ ...limited, rule: null }, PLAIN)).toMatch(
      /^deny-limit {2}a limit .+ not one of a rule: on /,
    );
  });

  it("says why a peer may not connect, and what to do", () => {
    const refused = { ...DENIED, outcome: "deny-identity", rule: null, nearestMiss: null, verb: "connect" } as const;
    const lines = decisionLines({ ...refused, why: "over-quic" }, PLAIN).split("\n");
    expect(lines[0]).toMatch(/^deny-identity {2}the peer dialled in over QUIC, so its key does not count/);
    expect(lines.at(-1)).toMatch(/^advice {6}let this node dial it /);
    expect(decisionLines({ ...refused, why: "key" }, PLAIN)).toMatch(/^deny-identity {2}the peer has not the key /);
    expect(decisionLines({ ...DENIED, why: "rule" }, PLAIN)).toMatch(/^deny-rule {2}a deny rule refuses it\n/);
  });

  it("says that what rules grant is not registered", () => {
    const missing = { ...DENIED, outcome: "deny-default", rule: null, why: "not-registered" } as const;
    expect(decisionLines(missing, PLAIN)).toMatch(/^deny-default {2}it is granted, and no function of this name is /);
  });

  it("claims no answer for what was let through", () => {
    const audited = { ...DENIED, verb: "call", outcome: "allow", mode: "audit" } as const;
    expect(decisionLines(audited, PLAIN)).toContain("told        nothing of this id: it was let through");
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
    expect(toldDecision({ ...DENIED, why: "over-quic" })).toEqual({ ...DENIED, why: "over-quic" });
    expect(toldDecision({ ...DENIED, why: "mood" })).toEqual(DENIED);
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
