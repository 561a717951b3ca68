import { describe, expect, it } from "vitest";
import type { Node, NodeEvents, PolicyReloadResult } from "../node/api.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { Pid } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { NodePolicyView } from "./node-policy.ts";

const DOCUMENT: PolicyDocument = {
  version: 1,
  node: "a@h",
  peers: { desk: { names: ["desk@h"], assurance: "ca", mode: "audit", until: "2999-01-01" } },
};
const TAKEN: PolicyReloadResult = { ok: true, generation: 4 };
const REFUSED: PolicyReloadResult = {
  ok: false,
  generation: 3,
  reason: "POLICY_INVALID",
  message: "[ERR_CONFIG] policy.jsonc:1:1: bad",
};

/** A node whose next attempts to take another policy end as given. */
function view(...results: readonly PolicyReloadResult[]): NodePolicyView {
  const told: ((...args: NodeEvents["reload"]) => void)[] = [];
  const queue = [...results];
  const grant = { id: "G", pid: new Pid("a@h", 1, 0, 1), to: "b@h", verbs: ["send"], expiresInMs: null };
  let isRevoked = false;
  const node = {
    name: "a@h",
    policy:
      results.length === 0
        ? null
        : {
            generation: 3,
            document: DOCUMENT,
            reload: () => {
              const result = queue.shift() ?? TAKEN;
              for (const listener of told) listener({ what: "policy", ...result });
              return result;
            },
          },
    on: (_: "reload", listener: (...args: NodeEvents["reload"]) => void) => told.push(listener),
    rulesInCode: () => [],
    registeredFunctions: () => ["worker"],
    endpoints: ["quic://127.0.0.1:1"],
    grants: () =>
      isRevoked ? [] : [{ ...grant, usesLeft: Number.POSITIVE_INFINITY, revoke: () => (isRevoked = true) }],
  };
  return new NodePolicyView(node as unknown as Node, new VirtualClock(), "/srv/policy.jsonc");
}

describe("the policy behind a control socket", () => {
  it("is null on a node without one, which cannot reload it", () => {
    expect(view().state()).toBeNull();
    expect(view().show()).toEqual({
      node: "a@h",
      generation: null,
      document: null,
      rulesInCode: [],
      functions: ["worker"],
      endpoints: ["quic://127.0.0.1:1"],
    });
    expect(failureOf(() => view().reload())).toBe("ERR_CONFIG NO_POLICY");
  });

  it("says its file, its generation and what is in audit mode", () => {
    expect(view(TAKEN).state()).toEqual({
      generation: 3,
      file: "/srv/policy.jsonc",
      audited: [{ kind: "peer", id: "desk", until: "2999-01-01" }],
      problem: null,
    });
  });

  it("keeps why a file was refused until one is taken", () => {
    const policy = view(REFUSED, TAKEN);
    expect(failureOf(() => policy.reload())).toBe("ERR_CONFIG POLICY_REJECTED");
    expect(policy.state()?.problem).toEqual({ reason: "POLICY_INVALID", message: REFUSED.message });
    expect(policy.reload()).toEqual({ generation: 4 });
    expect(policy.state()?.problem).toBeNull();
  });

  it("lists grants as JSON can say them, and takes one back once", () => {
    const policy = view(TAKEN);
    expect(policy.grants()).toEqual([
      { id: "G", pid: "#Pid<a@h.1.0>", to: "b@h", verbs: ["send"], usesLeft: null, expiresInMs: null },
    ]);
    expect(failureOf(() => policy.revoke("H"))).toBe("ERR_CONFIG GRANT_UNKNOWN");
    policy.revoke("G");
    expect(policy.grants()).toEqual([]);
    expect(failureOf(() => policy.revoke("G"))).toBe("ERR_CONFIG GRANT_UNKNOWN");
  });
});
