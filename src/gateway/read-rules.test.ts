import { describe, expect, it } from "vitest";
import type { PolicyDocument } from "../policy/document.ts";
import type { InboxOption, PairFilterOption } from "./options.ts";
import { readRules } from "./read-rules.ts";

const NOW = Date.UTC(2026, 0, 1);
const read = (option: PairFilterOption) => readRules("w@h", option, NOW);
const POLICY: PolicyDocument = { version: 1, node: "w@h" };
const ENTRY: InboxOption = { to: "events", shape: "tick" };

describe("the rules of a pair", () => {
  it("are by default that the outside commands, and that nothing comes unasked", () => {
    expect(read({})).toEqual({
      commander: "outside",
      profile: {},
      inbox: [],
      leaders: "output",
      wholeReasons: false,
      observeUntilMs: undefined,
      tellsCommands: false,
      limits: {},
    });
  });

  it("are taken as they are given", () => {
    const allow = { calls: ["srv"] };
    const limits = { maxCalls: 7 };
    const given = {
      commander: "inside",
      allow,
      leaders: "shell",
      wholeReasons: true,
      tellsCommands: true,
      limits,
    } as const;
    const { allow: profile, ...same } = given;
    expect(read(given)).toMatchObject({ ...same, profile });
    expect(read({ profile: "peer", policies: { inside: POLICY } }).commander).toBeUndefined();
    expect(read({ profile: "peer", observe: { until: "2026-02-01" } }).observeUntilMs).toBe(Date.UTC(2026, 1, 1));
    expect(read({ allow, policies: { outside: POLICY } }).profile).toBe(allow);
    expect(read({ inbox: [ENTRY], policies: { inside: POLICY } }).inbox).toEqual([ENTRY]);
  });

  it("have an inbox with rates, sizes and numbers", () => {
    const shape = { tuple: ["tick", "integer"] };
    const inbox = [
      { to: "events", shape, rate: "20/s", payload: "8KiB", uses: 3 },
      { to: { revealed: true } as const, shape: "any", payload: 100, rate: "5/h" },
    ];
    expect(read({ inbox }).inbox).toEqual([
      { to: "events", shape, rate: { count: 20, perMs: 1_000 }, maxBytes: 8_192, uses: 3 },
      { to: { revealed: true }, shape: "any", rate: { count: 5, perMs: 3_600_000 }, maxBytes: 100 },
    ]);
  });

  it.each<[string, PairFilterOption, RegExp]>([
    ["equals with a commander", { profile: "peer", commander: "inside", policies: { inside: POLICY } }, /no commander/],
    ["equals with a list", { profile: "peer", allow: {}, policies: { inside: POLICY } }, /no commander/],
    ["equals without a policy", { profile: "peer" }, /without a policy/],
    ["equals with an inbox", { profile: "peer", inbox: [ENTRY], policies: { inside: POLICY } }, /no inbox/],
    [
      "a list and a policy of the worker",
      { allow: {}, policies: { inside: POLICY } },
      /both allow and policies.inside/,
    ],
    [
      "a list and a policy of the worker, which is outside",
      { commander: "inside", allow: {}, policies: { outside: POLICY } },
      /both allow and policies.outside/,
    ],
    [
      "an inbox and a policy of the commander",
      { inbox: [ENTRY], policies: { outside: POLICY } },
      /both inbox and policies.outside/,
    ],
    ["a shape that is none", { inbox: [{ to: "x", shape: { tuple: ["a"], list: "b" } as never }] }, /shape/],
    ["a rate that is none", { inbox: [{ ...ENTRY, rate: "often" }] }, /inbox\[0\].rate is "often"/],
    ["a rate of nothing", { inbox: [{ ...ENTRY, rate: "0/s" }] }, /rate/],
    ["a size that is none", { inbox: [ENTRY, { ...ENTRY, payload: "big" }] }, /inbox\[1\].payload/],
    ["a size of nothing", { inbox: [{ ...ENTRY, payload: 0 }] }, /payload/],
    ["half a byte", { inbox: [{ ...ENTRY, payload: 0.5 }] }, /payload/],
    ["no uses", { inbox: [{ ...ENTRY, uses: 0 }] }, /uses is 0/],
    ["a time that is none", { observe: { until: "soon" } }, /observe.until is "soon"/],
    ["a time that is over", { observe: { until: "2026-01-01" } }, /observe.until is over/],
  ])("are refused for %s", (_, option, message) => {
    expect(() => read(option)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        reason: "GATEWAY_RULES_INVALID",
        stage: "policy",
        message: expect.stringMatching(message),
      }),
    );
    expect(() => read(option)).toThrow(/the pair of w@h/);
  });
});
