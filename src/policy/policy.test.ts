import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { Authority } from "./authority.ts";
import { compilePolicy } from "./compile.ts";
import type { PeerFacts, Target } from "./decision.ts";
import type { ConditionEntry, PolicyDocument, RuleEntry } from "./document.ts";
import { parseOperationTarget } from "./parse-target.ts";
import type { Verb } from "./verbs.ts";

const KEY = `SHA256:${Buffer.alloc(32, 1).toString("base64").slice(0, 43)}`;
const OLD_KEY = `SHA256:${Buffer.alloc(32, 2).toString("base64").slice(0, 43)}`;
const OTHER_KEY = `SHA256:${Buffer.alloc(32, 3).toString("base64").slice(0, 43)}`;
const PROTOCOLS = ["native", "otp", "barrel"] as const;
const RAW = Buffer.alloc(32, 5).toString("base64");

const PEERS: PolicyDocument["peers"] = {
  rented: { keys: [KEY, OLD_KEY], names: ["rented@Ec2.example"], assurance: "pinned", level: 1 },
  raw: { keys: [`ed25519:${RAW.slice(0, -1)}`], names: ["raw@x"] },
  cert: { keys: [`spki:${KEY}`], names: ["cert@x"], assurance: "ca" },
  vault: { names: ["vault@home"], assurance: "ca", level: 3 },
};

function factsOf(name: string, changes: Partial<PeerFacts> = {}): PeerFacts {
  return {
    name: parseNodeName(name),
    assurance: "pinned",
    protocol: "native",
    fingerprints: [],
    publicKeys: [],
    spki: undefined,
    source: undefined,
    ...changes,
  };
}
const RENTED = factsOf("rented@ec2.example", { fingerprints: [KEY] });
const VAULT = factsOf("vault@home", { assurance: "ca", protocol: "otp" });

function policyOf(rules: readonly RuleEntry[] = [], changes: Partial<PolicyDocument> = {}) {
  return compilePolicy({ version: 1, node: "me@h", peers: PEERS ?? {}, rules, ...changes }, 4);
}

function authorityOf(rules: readonly RuleEntry[], facts = RENTED, changes: Partial<PolicyDocument> = {}): Authority {
  const identified = policyOf(rules, changes).identify(facts, "acceptor", 0);
  if (identified.kind !== "peer") throw new Error(`${identified.kind}`);
  return identified.authority;
}

const decide = (authority: Authority, verb: Verb, to: string, nowMs = 0) =>
  authority.decide(verb, parseOperationTarget(verb, to) as Target, nowMs);

describe("Policy.identify", () => {
  it.each<[string, PeerFacts, string | null]>([
    ["key and name, the host in other case", factsOf("rented@EC2.example", { fingerprints: [KEY] }), "rented"],
    [
      "a key that follows one of the entry",
      factsOf("rented@ec2.example", { fingerprints: [OTHER_KEY, OLD_KEY] }),
      "rented",
    ],
    ["a whole key", factsOf("raw@x", { publicKeys: [RAW], fingerprints: [OTHER_KEY], assurance: "tofu" }), "raw"],
    ["a certificate", factsOf("cert@x", { spki: `spki:${KEY}`, assurance: "ca" }), "cert"],
    ["a name that a chain vouches for", VAULT, "vault"],
  ])("knows a peer by %s", (_what, facts, alias) => {
    const identified = policyOf().identify(facts, "acceptor");
    expect(identified).toMatchObject({ kind: "peer", authority: { alias, generation: 4 } });
  });

  it.each<[string, PeerFacts, string, string | null]>([
    ["a name with another key", factsOf("rented@ec2.example", { fingerprints: [OTHER_KEY] }), "key", "rented"],
    ["a name without a key", factsOf("rented@ec2.example"), "key", "rented"],
    [
      "a name with only its fingerprint as certificate",
      factsOf("rented@ec2.example", { spki: `spki:${KEY}` }),
      "key",
      "rented",
    ],
    ["a key under another name", factsOf("x@y", { fingerprints: [KEY] }), "name", null],
    ["a key under the name of another entry", factsOf("vault@home", { fingerprints: [KEY] }), "key", "vault"],
    ["a former key under another name", factsOf("x@y", { fingerprints: [OTHER_KEY, KEY] }), "name", null],
    [
      "less assurance than asked",
      factsOf("rented@ec2.example", { fingerprints: [KEY], assurance: "ca" }),
      "assurance",
      "rented",
    ],
    [
      "less assurance than tofu, with a key",
      factsOf("raw@x", { publicKeys: [RAW], assurance: "cookie" }),
      "assurance",
      "raw",
    ],
    ["less assurance than asked, by name", factsOf("vault@home", { assurance: "tofu" }), "assurance", "vault"],
  ])("refuses %s, in both directions", (_what, facts, why, alias) => {
    for (const role of ["acceptor", "dialler"] as const) {
      const refusal = { kind: "refused", outcome: "deny-identity", rule: null, alias, why };
      expect(policyOf().identify(facts, role)).toEqual(refusal);
    }
  });

  it.each<[string, PeerFacts, string, string, string | null]>([
    ["an entry with keys", factsOf("raw@x"), "deny-identity", "over-quic", "raw"],
    ["an entry by name that asks for more", factsOf("vault@home"), "deny-identity", "over-quic", "vault"],
    ["no entry", factsOf("x@y"), "deny-default", "no-entry-over-quic", null],
  ])("says of who dials in over QUIC that %s does not let it in", (_what, facts, outcome, why, alias) => {
    const over: PeerFacts = { ...facts, protocol: "barrel", assurance: "cookie" };
    const refusal = { kind: "refused", outcome, rule: null, alias, why };
    expect(policyOf().identify(over, "acceptor")).toEqual(refusal);
    // Whom the node dials shows its key: then it is the key or the assurance that is wrong.
    const dialled = policyOf().identify(over, "dialler");
    expect("why" in dialled ? dialled.why : dialled.kind).toBe(
      { raw: "key", vault: "assurance", none: "stranger" }[alias ?? "none"],
    );
  });

  it("lets nobody in that is in no entry, and a node it dialled may do nothing", () => {
    const policy = policyOf([{ id: "r", from: "*", allow: "send", to: "*" }], { limits: { rate: "1/s" } });
    const facts = factsOf("x@y", { fingerprints: [OTHER_KEY] });
    expect(policy.identify(facts, "acceptor")).toEqual({
      kind: "refused",
      outcome: "deny-default",
      rule: null,
      alias: null,
      why: "no-entry",
    });
    const identified = policy.identify(facts, "dialler");
    if (identified.kind !== "stranger") throw new Error(identified.kind);
    const { authority } = identified;
    expect(decide(authority, "send", "jobs").outcome).toBe("deny-default");
    expect(authority.decide("connect", { kind: "node" }, 0).outcome).toBe("deny-default");
    const code = { rule: "code:jobs", permits: true };
    expect(authority.decide("call", { kind: "name", name: "jobs" }, 0, code).outcome).toBe("deny-default");
    expect(authority.peerBounds.rate).toEqual({ count: 1, perMs: 1_000 });
  });

  it("refuses the connection of whom a rule denies connect, strangers by * too", () => {
    const policy = policyOf([
      { id: "d2", from: "*", deny: "connect", when: { source: "10.0.0.0/8" } },
      { id: "d1", from: "rented", deny: ["connect", "send"], to: "*" },
    ]);
    const refusal = { kind: "refused", outcome: "deny-rule", why: "rule" };
    expect(policy.identify(RENTED, "dialler")).toEqual({ ...refusal, alias: "rented", rule: "d1" });
    expect(policy.identify(factsOf("x@y", { source: "10.1.1.1" }), "dialler")).toEqual({
      ...refusal,
      alias: null,
      rule: "d2",
    });
    expect(policy.identify({ ...VAULT, source: "192.0.2.1" }, "acceptor").kind).toBe("peer");
    // What cannot be told holds for a deny.
    expect(policy.identify(VAULT, "acceptor")).toEqual({ ...refusal, alias: "vault", rule: "d2" });
  });

  it("denies connect at the times a rule names, and always when it is not told the time", () => {
    const policy = policyOf([
      { id: "d", from: "*", deny: "connect", when: { after: "2027-01-01", before: "2027-02-01" } },
    ]);
    const at = (nowMs?: number): string => policy.identify(VAULT, "acceptor", nowMs).kind;
    expect([at(0), at(Date.UTC(2027, 0, 1)), at(Date.UTC(2027, 1, 1)), at()]).toEqual([
      "peer",
      "refused",
      "peer",
      "refused",
    ]);
    const early = policy.identify(VAULT, "acceptor", 0);
    if (early.kind !== "peer") throw new Error(early.kind);
    const verdict = early.authority.decide("connect", { kind: "node" }, 0);
    expect(verdict).toMatchObject({ outcome: "allow", rule: "peer", validUntilMs: Date.UTC(2027, 0, 1) });
  });

  it("makes every peer of the assurance a member of the domain, but not one that has an entry", () => {
    const domain = { name: "home", everyPeer: "pinned" as const };
    const member = authorityOf([], factsOf("x@y"), { domain });
    expect(member.alias).toBeNull();
    expect(decide(member, "rpc", "os:cmd/1")).toMatchObject({ outcome: "allow", rule: "domain", plain: true });
    expect(decide(member, "system", "jobs").outcome).toBe("deny-default");
    expect(member.peerBounds).toMatchObject({ funs: true, foreign: true });
    expect(policyOf([], { domain }).identify(factsOf("x@y", { assurance: "ca" }), "acceptor").kind).toBe("refused");
    const rented = authorityOf([], RENTED, { domain });
    expect(decide(rented, "rpc", "os:cmd/1").outcome).toBe("deny-default");
    expect(rented.peerBounds).toMatchObject({ funs: false, foreign: false });
  });

  it("turns what fails into a refusal", () => {
    expect(policyOf().identify(null as unknown as PeerFacts, "acceptor")).toEqual({
      kind: "refused",
      outcome: "deny-error",
      rule: null,
      alias: null,
      why: "error",
    });
  });
});

describe("Authority.decide", () => {
  it("grants what a rule says and nothing beside it", () => {
    const authority = authorityOf([{ id: "r", from: "rented", allow: "send", to: ["events", "granted-pids"] }]);
    expect(decide(authority, "send", "events")).toMatchObject({
      outcome: "allow",
      rule: "r",
      plain: true,
      nearestMiss: null,
    });
    expect(decide(authority, "send", "other")).toMatchObject({
      outcome: "deny-default",
      nearestMiss: { rule: "r", why: "target" },
    });
    expect(decide(authority, "call", "events")).toMatchObject({
      outcome: "deny-default",
      nearestMiss: { rule: "r", why: "verb" },
    });
    expect(decide(authority, "send", "granted-pids").outcome).toBe("allow");
    expect(decide(authority, "send", "any-pid").outcome).toBe("deny-default");
    const named = { kind: "pid", name: "events", granted: false } as const;
    expect(authority.decide("send", named, 0).outcome).toBe("allow");
  });

  it("says whose grant it would have been, and which condition was in the way", () => {
    const rules: readonly RuleEntry[] = [
      { id: "a", from: "vault", allow: "call", to: "jobs" },
      { id: "b", from: "rented", allow: "cast", to: "jobs", when: { transport: "otp" } },
      { id: "c", from: "rented", allow: "send", to: "jobs", mode: "audit", until: "2027-01-01" },
      { id: "d", from: "rented", allow: "exit", to: "jobs", when: { after: "2027-01-01" } },
    ];
    const authority = authorityOf(rules);
    const miss = (verb: Verb, to: string) => decide(authority, verb, to, Date.UTC(2027, 5)).nearestMiss;
    expect(decide(authorityOf(rules.slice(0, 1)), "call", "jobs").nearestMiss).toEqual({ rule: "a", why: "peer" });
    expect(miss("cast", "jobs")).toEqual({ rule: "b", why: "condition" });
    expect(miss("send", "jobs")).toEqual({ rule: "c", why: "expired" });
    expect(decide(authority, "exit", "jobs", 0).nearestMiss).toEqual({ rule: "d", why: "condition" });
    expect(miss("rpc", "os:cmd/1")).toEqual({ rule: "b", why: "verb" });
    const asks = authorityOf([{ id: "ask", from: "rented", allow: "call", to: "jobs" }]);
    for (const verb of ["call", "monitor"] as const)
      expect(decide(asks, verb, "vault").nearestMiss).toEqual({ rule: "ask", why: "target" });
    expect(decide(authorityOf([]), "call", "jobs").nearestMiss).toBeNull();
  });

  it("lets a deny beat any grant, shorthands and code too", () => {
    const rules: readonly RuleEntry[] = [
      { id: "z", from: "*", deny: ["call", "rpc"], to: "jobs" },
      { id: "d", from: "vault", deny: "call", to: "*" },
      { id: "a", from: "vault", allow: "call", to: "jobs" },
    ];
    const authority = authorityOf(rules, VAULT, { level: 1 });
    const target = { kind: "name", name: "jobs" } as const;
    const code = { rule: "code:jobs", permits: true };
    expect(authority.decide("call", target, 0, code)).toMatchObject({ outcome: "deny-rule", rule: "d", grants: [] });
    expect(decide(authority, "cast", "jobs")).toMatchObject({ outcome: "allow", rule: "level" });
  });

  it("brings the monitor of what may be called, without the call's shape and limits", () => {
    const authority = authorityOf([
      { id: "r", from: "rented", allow: "call", to: "jobs", limits: { inflight: 1 }, shape: "any" },
    ]);
    expect(decide(authority, "call", "jobs")).toMatchObject({ outcome: "allow", plain: false });
    expect(decide(authority, "monitor", "jobs")).toMatchObject({ outcome: "allow", rule: "r", plain: true });
    expect(decide(authority, "monitor", "other").outcome).toBe("deny-default");
    expect(decide(authority, "link", "jobs").outcome).toBe("deny-default");
  });

  it("tries plain grants first, then the others by rule", () => {
    const authority = authorityOf([
      { id: "b", from: "rented", allow: "send", to: "jobs", limits: { rate: "1/s" } },
      { id: "c", from: "rented", allow: "send", to: ["*", "jobs"] },
      { id: "a", from: "*", allow: "send", to: "jobs", shape: "ok" },
    ]);
    expect(decide(authority, "send", "jobs").grants.map((grant) => grant.rule)).toEqual(["c", "a", "b"]);
  });

  it("gives a higher level what the shorthand says, and an equal one nothing", () => {
    const higher = authorityOf([], VAULT, { level: 2 });
    for (const verb of ["send", "call", "cast", "monitor", "link", "exit", "io"] as const) {
      expect(decide(higher, verb, "jobs"), verb).toMatchObject({ outcome: "allow", rule: "level" });
      expect(decide(higher, verb, "any-pid").outcome, verb).toBe("allow");
    }
    expect(decide(higher, "spawn", "worker").outcome).toBe("allow");
    expect(decide(higher, "rpc", "m:f/1").outcome).toBe("deny-default");
    expect(decide(higher, "system", "jobs").outcome).toBe("deny-default");
    expect(decide(authorityOf([], VAULT, { level: 3 }), "send", "jobs").outcome).toBe("deny-default");
    expect(decide(authorityOf([], RENTED, { level: 3 }), "send", "jobs").outcome).toBe("deny-default");
  });

  it("grants in audit mode until the end, and nothing afterwards", () => {
    const authority = authorityOf([
      { id: "r", from: "*", allow: "send", to: "jobs", mode: "audit", until: "2027-01-01" },
    ]);
    const end = Date.UTC(2027, 0, 1);
    expect(decide(authority, "send", "jobs", end - 1)).toMatchObject({
      outcome: "allow",
      plain: false,
      grants: [{ rule: "r", mode: "audit" }],
      validUntilMs: end,
    });
    expect(decide(authority, "send", "jobs", end)).toMatchObject({
      outcome: "deny-default",
      nearestMiss: { why: "expired" },
    });
    expect(decide(authority, "send", "jobs", Number.NaN).outcome).toBe("deny-default");
  });

  it("records what a deny in audit mode would refuse, and refuses it from the end on", () => {
    const authority = authorityOf([
      { id: "r", from: "*", allow: "send", to: "jobs" },
      { id: "d", from: "*", deny: "send", to: "*", mode: "audit", until: "2027-01-01" },
    ]);
    const end = Date.UTC(2027, 0, 1);
    const early = decide(authority, "send", "jobs", 0);
    expect(early).toMatchObject({ outcome: "allow", rule: "r", auditedDeny: "d", plain: false, validUntilMs: end });
    expect(early.grants).toMatchObject([{ rule: "r", mode: "audit" }]);
    expect(decide(authority, "send", "jobs", end)).toMatchObject({ outcome: "deny-rule", rule: "d" });
    expect(decide(authority, "send", "jobs", Number.NaN)).toMatchObject({ outcome: "deny-rule", rule: "d" });
    expect(decide(authority, "send", "other", 0).outcome).toBe("deny-default");
  });

  it("lets a peer in audit mode through wherever no rule grants, system and reserved verbs excepted", () => {
    const peers = {
      rented: { keys: [KEY], names: ["rented@ec2.example"], mode: "audit", until: "2027-01-01" },
    } as const;
    const rules: readonly RuleEntry[] = [
      { id: "d", from: "*", deny: "exit", to: "*" },
      { id: "r", from: "*", allow: "send", to: "jobs", shape: "ok" },
    ];
    const authority = authorityOf(rules, RENTED, { peers });
    const end = Date.UTC(2027, 0, 1);
    expect([authority.isAudited(end - 1), authority.isAudited(end), authority.isAudited(Number.NaN)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(decide(authority, "rpc", "os:cmd/1")).toMatchObject({
      outcome: "allow",
      rule: "peer",
      plain: false,
      grants: [{ rule: "peer", mode: "audit" }],
      validUntilMs: end,
    });
    expect(decide(authority, "send", "jobs").grants.map((grant) => grant.rule)).toEqual(["r", "peer"]);
    for (const verb of ["system", "pubsub", "registry"] as const) {
      expect(decide(authority, verb, "jobs").outcome, verb).toBe("deny-default");
    }
    expect(decide(authority, "exit", "jobs").outcome).toBe("deny-rule");
    expect(decide(authority, "rpc", "os:cmd/1", end).outcome).toBe("deny-default");
  });

  it("asks for all conditions, and one that cannot be told does not hold for a grant", () => {
    const when = { transport: "native", assurance: "ca", source: ["10.0.0.0/8", "::1"] } as const;
    const rules: readonly RuleEntry[] = [{ id: "r", from: "*", allow: "send", to: "jobs", when }];
    const outcome = (changes: Partial<PeerFacts>): string =>
      decide(authorityOf(rules, { ...VAULT, protocol: "native", source: "10.1.2.3", ...changes }), "send", "jobs")
        .outcome;
    expect(outcome({})).toBe("allow");
    expect(outcome({ source: "::1" })).toBe("allow");
    for (const changes of [
      { source: "11.0.0.1" },
      { source: undefined },
      { source: "?" },
      { protocol: "otp" },
      { protocol: "barrel" },
    ] as const) {
      expect(outcome(changes)).toBe("deny-default");
    }
  });

  it.each(PROTOCOLS)("tells sessions of transport %s from all others", (transport) => {
    const of = (when: ConditionEntry, protocol: PeerFacts["protocol"]): string => {
      const rules: readonly RuleEntry[] = [{ id: "r", from: "*", allow: "send", to: "jobs", when }];
      return decide(authorityOf(rules, { ...VAULT, protocol }), "send", "jobs").outcome;
    };
    const others = PROTOCOLS.filter((protocol) => protocol !== transport);
    for (const protocol of PROTOCOLS) {
      const isIt = protocol === transport;
      expect(of({ transport }, protocol)).toBe(isIt ? "allow" : "deny-default");
      expect(of({ transport: others }, protocol)).toBe(isIt ? "deny-default" : "allow");
    }
  });

  it("turns what fails into deny-error", () => {
    const authority = authorityOf([{ id: "r", from: "*", allow: "rpc", to: "store:*/*" }]);
    const broken = { kind: "function", label: undefined } as unknown as Target;
    expect(authority.decide("rpc", null as unknown as Target, 0).outcome).toBe("deny-error");
    expect(authority.decide("rpc", broken, 0).outcome).not.toBe("allow");
  });
});
