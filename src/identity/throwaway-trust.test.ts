import { describe, expect, it } from "vitest";
import type { SallyportError } from "../base/errors.ts";
import { crypto, F, FIRST_USE, facts, K, name, own } from "../testkit/trust-world.ts";
import { ThrowawayTrust } from "./throwaway-trust.ts";
import type { TrustFacts } from "./trust-decision.ts";

const trust = (mode: "strict" | "tofu", expected: Readonly<Record<string, number>> = {}): ThrowawayTrust =>
  new ThrowawayTrust({
    crypto,
    mode,
    ownName: name("me@h"),
    ownKey: own.publicKey,
    expected: new Map(Object.entries(expected).map(([peer, key]) => [name(peer), F(key)])),
  });

/** The assurance with what is to be committed, or the reason why none. */
const outcome = (of: ThrowawayTrust, peer: string, key: number, change: Partial<TrustFacts> = {}): string => {
  const decision = of.decide(facts(peer, key, change));
  return decision.kind === "refuse" ? decision.reason : `${decision.assurance} ${decision.commit.kind}`;
};

describe("a trust without a directory", () => {
  it.each([
    ["takes nobody whom nothing is known about", "strict", {}, 1, "KEY_UNTRUSTED"],
    ["takes at first sight whom nothing is known about, where that was asked for", "tofu", {}, 1, "tofu first-use"],
    ["takes the key that a node must show", "strict", { "a@h": 1 }, 1, "pinned none"],
    ["gives it its level in mode tofu too", "tofu", { "a@h": 1 }, 1, "pinned none"],
    ["takes no other one", "strict", { "a@h": 1 }, 2, "KEY_MISMATCH"],
    ["takes no other one in mode tofu either", "tofu", { "a@h": 1 }, 2, "KEY_MISMATCH"],
    ["knows of one node only what was said of it", "strict", { "b@h": 1 }, 1, "KEY_UNTRUSTED"],
    ["refuses its own key, whatever was said", "strict", { "a@h": 0 }, 0, "OWN_KEY"],
  ] as const)("%s", (_what, mode, expected, key, said) => {
    expect(outcome(trust(mode, expected), "a@h", key)).toBe(said);
  });

  it("says which key it expected", () => {
    const decision = trust("strict", { "a@h": 1 }).decide(facts("a@h", 2));
    expect(decision).toEqual({ kind: "refuse", reason: "KEY_MISMATCH", pinned: F(1) });
  });

  it("refuses its own name, and compares names without the case of the host", () => {
    expect(outcome(trust("tofu"), "me@H", 1)).toBe("OWN_NAME");
    expect(outcome(trust("strict", { "a@H": 1 }), "a@h", 1)).toBe("pinned none");
    expect(outcome(trust("strict", { "a@h": 1 }), "a@H", 2)).toBe("KEY_MISMATCH");
  });

  it("holds a name for the key that it took at first sight, while it lives", () => {
    const tofu = trust("tofu");
    expect(tofu.hasPin(name("a@h"))).toBe(false);
    expect(tofu.commit(name("a@H"), K(1), FIRST_USE)).toEqual([
      { kind: "pinned", name: "a@h", fingerprint: F(1), place: "first-use" },
    ]);
    expect(tofu.hasPin(name("a@h"))).toBe(true);
    expect([outcome(tofu, "a@h", 1), outcome(tofu, "a@h", 2)]).toEqual(["tofu none", "KEY_MISMATCH"]);
    expect(outcome(tofu, "b@h", 1)).toBe("KEY_REUSED");
    expect(() => tofu.commit(name("a@h"), K(2), FIRST_USE)).toThrow(
      expect.objectContaining({ reason: "KEY_MISMATCH" }) as SallyportError,
    );
    expect(outcome(trust("tofu"), "a@h", 2)).toBe("tofu first-use");
  });

  it("counts a node whose key was said as pinned from the beginning: nothing but that key answers for it", () => {
    expect(trust("strict", { "a@h": 1 }).hasPin(name("a@H"))).toBe(true);
  });
});
