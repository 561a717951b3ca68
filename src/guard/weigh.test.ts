import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { compileLimits, NO_BOUNDS } from "../policy/compile-limits.ts";
import type { Grant, Verdict } from "../policy/decision.ts";
import type { LimitsEntry, ShapeEntry } from "../policy/document.ts";
import { compileShape } from "../policy/shape.ts";
import { encodeTerm } from "../term/encode.ts";
import { DEFAULT_TERM_LIMITS } from "../term/limits.ts";
import { Atom, Pid, type Term, tuple } from "../term/types.ts";
import { PeerBudget } from "./budgets.ts";
import { allowedBy, hasBounds, weigh } from "./weigh.ts";

const T0 = 0 as MonotonicMs;
const a = (name: string) => new Atom(name);
const NODES: [string, string] = ["n@h", "p@h"];

function grantOf(rule: string, limits?: LimitsEntry, shape?: ShapeEntry, mode: Grant["mode"] = "enforce"): Grant {
  return {
    rule,
    shape: shape === undefined ? undefined : compileShape(shape),
    limits: limits === undefined ? undefined : compileLimits(limits),
    mode,
  };
}

const verdictOf = (...grants: Grant[]): Verdict => ({ ...allowedBy("x"), grants, plain: false });

/** What `weigh` says of a term, with a fresh budget unless one is given. */
function weighed(verdict: Verdict, term: Term, peer: LimitsEntry = {}, budget = new PeerBudget()) {
  const buffer = encodeTerm(term).subarray(1);
  const payload = { buffer, start: 0, end: buffer.length, inner: 0 };
  const scales = { limits: DEFAULT_TERM_LIMITS, nodes: NODES, knownAtoms: new Set(["ok"]), atomRefs: undefined };
  const found = weigh(verdict, compileLimits(peer), budget, payload, scales, T0);
  return "kind" in found ? `${found.outcome} ${found.miss?.rule} ${found.miss?.why}` : found.rule;
}

describe("weigh", () => {
  it("takes the first grant that fits, in their order", () => {
    const verdict = verdictOf(grantOf("a", {}, "integer"), grantOf("b", { payload: 3 }), grantOf("c", {}, "binary"));
    expect(weighed(verdict, 1)).toBe("a");
    expect(weighed(verdict, a("x"))).toBe("b");
    expect(weighed(verdict, Buffer.alloc(10))).toBe("c");
    expect(weighed(verdict, tuple(1, 2))).toBe("deny-limit b limit");
  });

  it("says shape when no shape fits, and limit when only a limit was in the way", () => {
    expect(weighed(verdictOf(grantOf("a", {}, "integer")), a("x"))).toBe("deny-default a shape");
    expect(weighed(verdictOf(grantOf("a", { payload: 2 }, "integer")), 100_000)).toBe("deny-limit a limit");
    expect(weighed(verdictOf(grantOf("a", {}, "integer"), grantOf("b", { depth: 1 })), [[1.5]])).toBe(
      "deny-limit b limit",
    );
  });

  it.each([
    ["payload", { payload: 8 }, Buffer.alloc(3), Buffer.alloc(4)],
    ["depth", { depth: 1 }, tuple(1, 2), tuple(1, tuple(2))],
    ["elements", { elements: 2 }, tuple(1, 2), tuple(1, 2, 3)],
    ["newAtoms", { newAtoms: 1 }, tuple(a("x"), a("ok"), a("x")), tuple(a("x"), a("y"))],
  ] as const)("keeps the bound %s of the rule, and that of the peer beside it", (_, limits, fits, exceeds) => {
    const limited = verdictOf(grantOf("r", limits));
    const free = verdictOf(grantOf("r"));
    expect([weighed(limited, fits), weighed(limited, exceeds)]).toEqual(["r", "deny-limit r limit"]);
    expect([weighed(free, fits, limits), weighed(free, exceeds, limits)]).toEqual(["r", "deny-limit r limit"]);
  });

  it("lets identifiers of third nodes pass when the rule or the peer says so", () => {
    const foreign = new Pid("q@h", 1, 0, 1);
    const own = new Pid("n@h", 1, 0, 1);
    const limited = verdictOf(grantOf("r", { depth: 5 }));
    expect([weighed(limited, own), weighed(limited, foreign)]).toEqual(["r", "deny-limit r limit"]);
    expect(weighed(verdictOf(grantOf("r", { foreign: true })), foreign)).toBe("r");
    expect(weighed(limited, foreign, { foreign: true })).toBe("r");
  });

  it("looks for them where several grants may let them pass, and leaves it to decoding where one alone does", () => {
    const foreign = new Pid("q@h", 1, 0, 1);
    const both = verdictOf(grantOf("a", { payload: 100 }), grantOf("b", { payload: 100, foreign: true }));
    expect([weighed(both, 1), weighed(both, foreign)]).toEqual(["a", "b"]);
    expect(weighed(verdictOf(grantOf("a", { payload: 100 })), foreign)).toBe("a");
  });

  it("uses up the rate of the grant that lets the message in, and of no other", () => {
    const budget = new PeerBudget();
    const verdict = verdictOf(grantOf("a", { rate: "1/s" }, "integer"), grantOf("b", { rate: "1/s" }));
    const said = [a("x"), 1, 2, a("x")].map((term) => weighed(verdict, term, {}, budget));
    expect(said).toEqual(["b", "a", "deny-limit b limit", "deny-limit b limit"]);
  });

  it("keeps the rate of the peer over all rules", () => {
    const budget = new PeerBudget();
    const said = ["a", "b", "c"].map((rule) => weighed(verdictOf(grantOf(rule)), 1, { rate: "2/s" }, budget));
    expect(said).toEqual(["a", "b", "deny-limit c limit"]);
  });

  it("counts the bytes of the whole payload", () => {
    const budget = new PeerBudget();
    const verdict = verdictOf(grantOf("r", { bytes: "30B/s" }));
    const said = [10, 10, 10].map((bytes) => weighed(verdict, Buffer.alloc(bytes), {}, budget));
    expect(said).toEqual(["r", "r", "deny-limit r limit"]);
  });

  it("does not let audit mode of a peer stand in for a limit that a rule sets", () => {
    const budget = new PeerBudget();
    const audited = grantOf("peer", undefined, undefined, "audit");
    const verdict = verdictOf(grantOf("r", { rate: "1/s" }, "integer"), audited);
    const said = [1, 2, a("x")].map((term) => weighed(verdict, term, {}, budget));
    expect(said).toEqual(["r", "deny-limit r limit", "peer"]);
  });

  it("does not look through what is too large", () => {
    const broken = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    const payload = { buffer: broken, start: 0, end: 4, inner: 0 };
    const scales = { limits: DEFAULT_TERM_LIMITS, nodes: NODES, knownAtoms: new Set<string>(), atomRefs: undefined };
    const verdict = verdictOf(grantOf("r", { payload: 3, depth: 1 }));
    expect(weigh(verdict, NO_BOUNDS, new PeerBudget(), payload, scales, T0)).toMatchObject({ outcome: "deny-limit" });
    expect(() =>
      weigh(verdictOf(grantOf("r", { payload: 4, depth: 1 })), NO_BOUNDS, new PeerBudget(), payload, scales, T0),
    ).toThrow(expect.objectContaining({ code: "ERR_PEER_MISBEHAVED" }));
  });
});

describe("hasBounds", () => {
  it("is true for each bound on numbers, and not for what opens", () => {
    const entries: LimitsEntry[] = [
      { rate: "1/s" },
      { bytes: "1B/s" },
      { inflight: 1 },
      { payload: 1 },
      { depth: 1 },
      { elements: 1 },
      { newAtoms: 0 },
    ];
    expect(entries.map((entry) => hasBounds(compileLimits(entry)))).toEqual(entries.map(() => true));
    expect(hasBounds(compileLimits({ funs: true, foreign: true }))).toBe(false);
    expect(hasBounds(NO_BOUNDS)).toBe(false);
  });
});
