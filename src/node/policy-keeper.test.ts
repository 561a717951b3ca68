import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { PolicyKeeper } from "./policy-keeper.ts";

const N = parseNodeName("n@h");
const KEY = `SHA256:${"A".repeat(43)}`;
const OTHER = `SHA256:${"B".repeat(42)}A`;

const factsOf = (over: Partial<PeerFacts> = {}): PeerFacts => ({
  name: parseNodeName("p@h"),
  assurance: "pinned",
  protocol: "native",
  fingerprints: [KEY],
  publicKeys: [],
  spki: undefined,
  source: undefined,
  ...over,
});

const DOCUMENT: PolicyDocument = {
  version: 1,
  node: "n@h",
  peers: {
    keyed: { names: ["p@h"], keys: [KEY], assurance: "pinned" },
    named: { names: ["q@h"], assurance: "ca" },
  },
};

function makeKeeper(document: PolicyDocument | undefined = DOCUMENT) {
  const policy = compilePolicy(document, 1);
  return new PolicyKeeper({ name: N, clock: new VirtualClock(), policy });
}

const saidOf = (keeper: PolicyKeeper, facts: PeerFacts, role: "acceptor" | "dialler" = "acceptor") => {
  const standing = keeper.judge(facts, role);
  if (standing.kind === "may-connect") return `may-connect ${standing.rules.authority.alias}`;
  const { code, reason, detail } = standing.error;
  return `${standing.outcome} ${code} ${reason} ${String(detail?.["why"])}`;
};

describe("the policy keeper", () => {
  it("judges peers by key, name and assurance, and says why not", () => {
    const keeper = makeKeeper();
    const refusedWhy = "ERR_DENIED PEER_NOT_ALLOWED";
    expect(saidOf(keeper, factsOf())).toBe("may-connect keyed");
    expect(saidOf(keeper, factsOf({ fingerprints: [OTHER, KEY] }))).toBe("may-connect keyed");
    expect(saidOf(keeper, factsOf({ fingerprints: [OTHER] }))).toBe(`deny-identity ${refusedWhy} key`);
    expect(saidOf(keeper, factsOf({ fingerprints: [], protocol: "otp", assurance: "ca" }))).toBe(
      `deny-identity ${refusedWhy} key`,
    );
    expect(saidOf(keeper, factsOf({ assurance: "tofu" }))).toBe(`deny-identity ${refusedWhy} assurance`);
    expect(saidOf(keeper, factsOf({ name: parseNodeName("x@h") }))).toBe(`deny-identity ${refusedWhy} name`);
    const named = { name: parseNodeName("q@h"), fingerprints: [], protocol: "otp" } as const;
    expect(saidOf(keeper, factsOf({ ...named, assurance: "ca" }))).toBe("may-connect named");
    expect(saidOf(keeper, factsOf({ ...named, assurance: "cookie" }))).toBe(`deny-identity ${refusedWhy} assurance`);
  });

  it("tells who dialled in over QUIC from who has another key, and says what lets it in", () => {
    const over = { protocol: "barrel", assurance: "cookie", fingerprints: [] } as const;
    const standing = makeKeeper().judge(factsOf(over), "acceptor");
    if (standing.kind !== "refused") throw new Error(standing.kind);
    expect(standing).toMatchObject({ outcome: "deny-identity", why: "over-quic", alias: "keyed" });
    expect(standing.error.message).toContain("p@h dialled in over QUIC, so its key does not count");
    expect(standing.error.advice).toMatch(/^let this node dial it .*names and "assurance": "cookie" and no keys/);
    expect(standing.error.detail).toMatchObject({ why: "over-quic", assurance: "cookie" });
    const stranger = makeKeeper().judge(factsOf({ ...over, name: parseNodeName("x@h") }), "acceptor");
    if (stranger.kind !== "refused") throw new Error(stranger.kind);
    expect(stranger.error.detail["why"]).toBe("no-entry-over-quic");
    expect(stranger.error.advice).toContain("a key lets nobody in who dials over QUIC");
  });

  it("lets a stranger be dialled, and not come in", () => {
    const stranger = factsOf({ name: parseNodeName("x@h"), fingerprints: [OTHER] });
    expect(saidOf(makeKeeper(), stranger)).toBe("deny-default ERR_DENIED PEER_NOT_ALLOWED no-entry");
    expect(saidOf(makeKeeper(), stranger, "dialler")).toBe("may-connect null");
  });

  it("names the rule that keeps a peer from connecting", () => {
    const keeper = makeKeeper({ ...DOCUMENT, rules: [{ id: "out", from: "keyed", deny: "connect" }] });
    expect(keeper.judge(factsOf(), "acceptor")).toMatchObject({ outcome: "deny-rule", rule: "out" });
    expect(keeper.judge(factsOf(), "dialler")).toMatchObject({ outcome: "deny-rule", rule: "out" });
  });

  it("has no policy to show without one, and lets who is authenticated connect", () => {
    const keeper = new PolicyKeeper({ name: N, clock: new VirtualClock(), policy: undefined });
    expect([keeper.policy, keeper.generation]).toEqual([undefined, 0]);
    expect(saidOf(keeper, factsOf({ assurance: "cookie", fingerprints: [] }))).toBe("may-connect null");
  });

  it("takes a new policy under the next generation, and keeps the old one when it cannot be had", () => {
    const keeper = makeKeeper();
    const failing = (): never => {
      throw new SallyportError("ERR_CONFIG", "POLICY_UNREADABLE", "it is gone", { advice: "put it back" });
    };
    expect(keeper.take(failing)).toEqual({
      ok: false,
      generation: 1,
      reason: "POLICY_UNREADABLE",
      message: expect.stringContaining("it is gone"),
    });
    expect([keeper.isRejecting, keeper.generation, saidOf(keeper, factsOf())]).toEqual([true, 1, "may-connect keyed"]);
    const asked: number[] = [];
    const result = keeper.take((generation) => {
      asked.push(generation);
      return compilePolicy({ version: 1, node: "n@h" }, generation);
    });
    expect([result, asked]).toEqual([{ ok: true, generation: 2 }, [2]]);
    expect([keeper.isRejecting, keeper.policy?.generation]).toEqual([false, 2]);
    expect(saidOf(keeper, factsOf())).toMatch(/^deny-default/);
  });

  it("does not swallow a fault of the program", () => {
    const keeper = makeKeeper();
    expect(() =>
      keeper.take(() => {
        throw new TypeError("broken");
      }),
    ).toThrow(TypeError);
    expect([keeper.generation, keeper.isRejecting]).toEqual([1, false]);
  });
});
