import { describe, expect, it } from "vitest";
import { compilePolicy } from "../compile.ts";
import type { PolicyDocument, RuleEntry } from "../document.ts";
import type { Policy } from "../policy.ts";
import { formatPath } from "../problem.ts";
import { imaginePeer, judge } from "./judge.ts";
import { lintPolicy } from "./lint.ts";
import { buildMatrix, compareMatrix, type MatrixEdge } from "./matrix.ts";
import { runTests, untestedGrants } from "./run-tests.ts";

/** The three machines of docs/policy.md: each file says what others may do there. */
const DESKTOP_KEY = `SHA256:${Buffer.alloc(32, 1).toString("base64").slice(0, 43)}`;
const RENTED_KEY = `ed25519:${Buffer.alloc(32, 5).toString("base64")}`;
const OTHER_KEY = `SHA256:${Buffer.alloc(32, 9).toString("base64").slice(0, 43)}`;
const NOW = Date.UTC(2026, 10, 20);
const LATER = Date.UTC(2027, 5, 1);

const RENTED: PolicyDocument = {
  version: 1,
  node: "rented@rented.example",
  peers: { desktop: { keys: [DESKTOP_KEY], names: ["desktop@home"], assurance: "pinned" } },
  rules: [
    { id: "r1-jobs", from: "desktop", allow: "call", to: "jobs", limits: { inflight: 32, payload: "256KiB" } },
    { id: "r2-run", from: "desktop", allow: "rpc", to: ["Jobs.Runner:start/2", "Jobs.Runner:stop/1"] },
    { id: "r3-watch", from: "desktop", allow: "monitor", to: ["jobs", "granted-pids"] },
  ],
  tests: [
    { from: "desktop", verb: "rpc", to: "Jobs.Runner:start/2", expect: "allow", rule: "r2-run" },
    { from: "desktop", verb: "rpc", to: "os:cmd/1", expect: "deny-default" },
    { from: "unknown", verb: "connect", expect: "deny" },
  ],
};
const DESKTOP: PolicyDocument = {
  version: 1,
  node: "desktop@home",
  peers: {
    rented: { keys: [RENTED_KEY], names: ["rented@rented.example"], assurance: "pinned" },
    vault: { names: ["vault@home"], assurance: "ca" },
  },
  rules: [
    {
      id: "d1-progress",
      from: "rented",
      allow: "send",
      to: "job_events",
      shape: { tuple: ["progress", "binary", "integer"] },
      limits: { rate: "20/s", payload: "8KiB", newAtoms: 0 },
    },
    { id: "d2-alert", from: "vault", allow: "send", to: "alerts" },
    { id: "d3-never", from: "rented", deny: ["rpc", "spawn", "io", "system", "link", "exit"], to: "*" },
  ],
  tests: [
    { from: "rented", verb: "send", to: "job_events", expect: "allow" },
    { from: "rented", verb: "rpc", to: "any", expect: "deny-rule", rule: "d3-never" },
    { from: "rented", verb: "io", to: "user", expect: "deny-rule" },
    { from: "rented", verb: "reply", to: "call#open", expect: "allow" },
    { from: "rented", verb: "reply", to: "call#closed", expect: "deny-default" },
  ],
};
const VAULT: PolicyDocument = {
  version: 1,
  node: "vault@home",
  peers: { desktop: { keys: [DESKTOP_KEY], names: ["desktop@home"] } },
  rules: [
    { id: "v1-read", from: "desktop", allow: "rpc", to: ["Vault.Api:get/1", "Vault.Api:list/0"] },
    { id: "v2-put", from: "desktop", allow: "rpc", to: "Vault.Api:put/2", mode: "audit", until: "2027-01-15" },
  ],
  tests: [{ from: "rented@rented.example", verb: "connect", expect: "deny-default" }],
};

const withRules = (rules: readonly RuleEntry[], changes: Partial<PolicyDocument> = {}): Policy =>
  compilePolicy({ ...DESKTOP, tests: [], rules, ...changes });

describe("runTests", () => {
  it("passes the tests of the three machines", () => {
    for (const document of [RENTED, DESKTOP, VAULT]) {
      for (const result of runTests(compilePolicy(document), NOW)) expect(result).toMatchObject({ passed: true });
    }
  });

  it("says what was expected, what came and which rule decided", () => {
    const tests: PolicyDocument["tests"] = [
      { from: "rented", verb: "send", to: "job_events", expect: "deny" },
      { from: "rented", verb: "rpc", to: "x", expect: "deny", rule: "d1-progress" },
      { from: "rented", verb: "io", to: "user", expect: "deny-default" },
      { from: "vault", verb: "connect", expect: "allow", rule: "peer" },
    ];
    expect(runTests(compilePolicy({ ...DESKTOP, tests }), NOW)).toEqual([
      { index: 0, test: tests[0], passed: false, outcome: "allow", rule: "d1-progress", grants: ["d1-progress"] },
      { index: 1, test: tests[1], passed: false, outcome: "deny-rule", rule: "d3-never", grants: [] },
      { index: 2, test: tests[2], passed: false, outcome: "deny-rule", rule: "d3-never", grants: [] },
      { index: 3, test: tests[3], passed: true, outcome: "allow", rule: "peer", grants: ["peer"] },
    ]);
  });

  it("lists the grants that no passing test reaches", () => {
    const policy = compilePolicy(RENTED);
    expect(untestedGrants(policy, runTests(policy, NOW))).toEqual(["r1-jobs", "r3-watch"]);
    expect(untestedGrants(policy, [])).toEqual(["r1-jobs", "r2-run", "r3-watch"]);
  });
});

describe("judge", () => {
  const policy = compilePolicy(DESKTOP);

  it("takes an alias, a name or a key of an entry for the same peer", () => {
    const key = RENTED_KEY;
    for (const from of ["rented", "rented@Rented.example", key, key.slice(0, -1)]) {
      expect(judge(policy, from, "send", "job_events", NOW)).toMatchObject({
        outcome: "allow",
        rule: "d1-progress",
        alias: "rented",
      });
    }
    expect(imaginePeer(policy, "vault")).toMatchObject({ assurance: "ca", protocol: "otp", fingerprints: [] });
  });

  it("lets nobody else do anything", () => {
    for (const from of ["unknown", "x@y", OTHER_KEY]) {
      expect(judge(policy, from, "send", "job_events", NOW)).toMatchObject({ outcome: "deny-default", alias: null });
      expect(judge(policy, from, "reply", "call#open", NOW).outcome).toBe("allow");
    }
  });

  it("takes a name or key in no entry at its most, and unknown at its least", () => {
    const everyPeer = withRules([], { domain: { name: "home", everyPeer: "pinned" } });
    expect(judge(everyPeer, "x@y", "rpc", "os:cmd/1", NOW).outcome).toBe("allow");
    expect(judge(everyPeer, OTHER_KEY, "rpc", "os:cmd/1", NOW).outcome).toBe("allow");
    expect(judge(everyPeer, "unknown", "rpc", "os:cmd/1", NOW).outcome).toBe("deny-default");
  });

  it.each([
    ["rent", "send", "jobs"],
    ["rented", "send", "*"],
    ["rented", "send", undefined],
    ["rented", "connect", "jobs"],
    ["rented", "reply", "jobs"],
  ] as const)("refuses the question %s %s %s", (from, verb, to) => {
    expect(() => judge(policy, from, verb, to, NOW)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "POLICY_QUESTION" }),
    );
  });
});

describe("lintPolicy", () => {
  const lint = (policy: Policy, nowMs?: number): readonly string[] =>
    lintPolicy(policy, nowMs).map(({ path, message }) => `${formatPath(path)}: ${message}`);
  const tested: PolicyDocument["tests"] = [
    { from: "rented", verb: "send", to: "a", expect: "allow" },
    { from: "unknown", verb: "connect", expect: "deny" },
  ];
  const a: RuleEntry = { id: "a", from: "rented", allow: "send", to: "a" };

  it("has nothing to say of a policy whose grants are tested", () => {
    expect(lint(withRules([a], { tests: tested }), NOW)).toEqual([]);
  });

  it("asks for a test of each grant and for one of a refusal", () => {
    expect(lint(withRules([a]), NOW)).toEqual([
      "rules[0]: a grants something and no passing test expects it",
      "tests: no test expects a refusal; write one for what must never be allowed",
    ]);
  });

  it.each<[string, RuleEntry, string]>([
    [
      "a level that nobody has",
      { id: "b", from: "level:4", deny: "send", to: "a" },
      "rules[1].from: b can never apply",
    ],
    [
      "a domain that nobody is in",
      { id: "b", from: "domain:x", deny: "send", to: "a" },
      "rules[1].from: b can never apply",
    ],
    [
      "rpc to a name",
      { id: "b", from: "rented", deny: ["rpc", "send"], to: "b" },
      "rules[1].to: b never applies to rpc",
    ],
    [
      "send to a function",
      { id: "b", from: "rented", deny: "send", to: "m:f/1" },
      "rules[1].to: b never applies to send",
    ],
    [
      "a deny in audit mode",
      { id: "b", from: "*", deny: "io", to: "*", mode: "audit", until: "2027-01-15" },
      "rules[1]: is in audit mode until 2027-01-15",
    ],
    [
      "a rule that has ended",
      { id: "b", from: "*", deny: "io", to: "*", when: { before: "2026-01-01" } },
      "rules[1].when.before: b ended",
    ],
  ])("points at %s", (_what, rule, text) => {
    expect(lint(withRules([a, rule], { tests: tested }), NOW)).toEqual([expect.stringContaining(text)]);
  });

  it("points at a grant that deny rules take away, and only then", () => {
    const taken = (deny: Partial<RuleEntry>): boolean => {
      const rule = { id: "b", from: "*", deny: "send", to: "*", ...deny } as RuleEntry;
      return lint(withRules([a, rule]), NOW).some((text) => text.startsWith("rules[0]: a can never apply"));
    };
    expect([taken({}), taken({ to: "a" }), taken({ deny: ["connect", "io"] })]).toEqual([true, true, true]);
    expect([taken({ to: "b" }), taken({ from: "vault" }), taken({ when: { source: "::1" } })]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it("points at functions that reach code and not at harmless ones of the same module", () => {
    const rule = (to: string): RuleEntry => ({ id: "b", from: "rented", allow: "rpc", to });
    const warns = (to: string): boolean => lint(withRules([rule(to)])).some((text) => text.includes("may reach code"));
    expect(["os:cmd/1", "Code:eval_string/1", "erlang:apply/3"].map(warns)).toEqual([true, true, true]);
    expect(["erlang:node/0", "Jobs:run/1"].map(warns)).toEqual([false, false]);
  });

  it("shows audit mode while it lasts and says when it has ended", () => {
    const peers = {
      ...DESKTOP.peers,
      vault: { names: ["v@h"], assurance: "ca", mode: "audit", until: "2027-01-15" },
    } as const;
    const of = (nowMs?: number): string | undefined =>
      lint(withRules([a], { peers, tests: tested }), nowMs).find((text) => text.startsWith("peers.vault"));
    expect(of(NOW)).toContain("is in audit mode until 2027-01-15");
    expect(of(LATER)).toContain("audit mode ended at 2027-01-15");
    expect(of()).toContain("is in audit mode until");
  });

  it("points at a domain for whoever is seen first", () => {
    const policy = withRules([a], { tests: tested, domain: { name: "home", everyPeer: "tofu" } });
    expect(lint(policy, NOW)).toEqual([expect.stringMatching(/^domain\.everyPeer: every peer of assurance tofu/)]);
  });
});

describe("buildMatrix", () => {
  const policies = [RENTED, DESKTOP, VAULT].map((document) => compilePolicy(document));
  const line = ({ from, to, entries, replies }: MatrixEdge): string => {
    const texts = entries.map(({ verb, targets, limits, auditUntil }) =>
      [verb, targets.join(","), ...(limits.length > 0 ? [`(${limits.join(", ")})`] : []), auditUntil ?? ""]
        .join(" ")
        .trim(),
    );
    return `${from} -> ${to}: ${[...texts, ...(replies ? ["replies"] : [])].join("; ") || "-"}`;
  };

  it("draws the three machines", () => {
    const matrix = buildMatrix(policies, NOW);
    expect(matrix.edges.map(line)).toEqual([
      "desktop@home -> rented@rented.example: call jobs (inflight 32, 256KiB); rpc Jobs.Runner:start/2,Jobs.Runner:stop/1; monitor jobs,granted-pids; replies",
      "desktop@home -> vault@home: rpc Vault.Api:get/1,Vault.Api:list/0; rpc Vault.Api:put/2 2027-01-15; replies",
      "rented@rented.example -> desktop@home: send job_events (20/s, 8KiB, newAtoms 0); replies",
      "rented@rented.example -> vault@home: -",
      "vault@home -> desktop@home: send alerts; replies",
      "vault@home -> rented@rented.example: -",
    ]);
    expect(matrix.edges.map((edge) => edge.connects)).toEqual([true, true, true, false, true, false]);
    expect(matrix.mutualCommand).toEqual([]);
    expect(matrix.untestedGrants.map(({ rule }) => rule).sort()).toEqual([
      "d2-alert",
      "r1-jobs",
      "r3-watch",
      "v1-read",
      "v2-put",
    ]);
  });

  it("leaves out what has ended or is always denied, and marks what is conditional", () => {
    const of = (rules: readonly RuleEntry[], nowMs = NOW) =>
      buildMatrix([withRules(rules)], nowMs).edges.find((edge) => edge.from === "vault@home")?.entries ?? [];
    const grant: RuleEntry = { id: "a", from: "vault", allow: ["send", "call"], to: ["jobs", "alerts"] };
    expect(of([grant, { id: "b", from: "*", deny: "send", to: "*" }]).map((entry) => entry.verb)).toEqual(["call"]);
    expect(of([grant, { id: "b", from: "*", deny: "send", to: "jobs" }])[0]?.targets).toEqual(["alerts"]);
    expect(of([grant, { id: "b", from: "*", deny: "connect" }])).toEqual([]);
    const audited: RuleEntry = { id: "b", from: "*", deny: "send", to: "*", mode: "audit", until: "2027-01-15" };
    expect(of([grant, audited]).map((entry) => entry.verb)).toEqual(["send", "call"]);
    expect(of([{ ...grant, when: { source: "::1" }, shape: "any", allow: "send" }])).toMatchObject([
      { isConditional: true, hasShape: true },
    ]);
    expect(of([{ ...grant, mode: "audit", until: "2027-01-15" }], LATER)).toEqual([]);
    expect(of([{ ...grant, when: { before: "2027-01-15" } }], LATER)).toEqual([]);
  });

  it("shows shorthands, code grants, audited peers and mutual command", () => {
    const pair = (node: string, other: string, peer: object): Policy =>
      compilePolicy({
        version: 1,
        node,
        level: 1,
        domain: "home",
        peers: { p: { names: [other], assurance: "ca", ...peer } },
      });
    const matrix = buildMatrix(
      [pair("a@h", "b@h", { domain: "home" }), pair("b@h", "a@h", { level: 2, mode: "audit", until: "2027-01-15" })],
      NOW,
      [{ from: "a@h", to: "b@h", verb: "call", target: "calc", rule: "code:calc" }],
    );
    const [toB, toA] = matrix.edges;
    expect(toA?.entries.map(({ verb, rule }) => `${rule} ${verb}`)).toContain("domain rpc");
    expect(toB?.entries.map(({ verb, rule }) => `${rule} ${verb}`)).not.toContain("level rpc");
    expect(toB?.entries.at(-1)).toMatchObject({ rule: "code:calc", targets: ["calc"] });
    expect([toA?.auditUntil, toB?.auditUntil]).toEqual([null, "2027-01-15"]);
    expect(matrix.mutualCommand).toEqual([["a@h", "b@h"]]);
  });

  it("compares with what is meant to be", () => {
    const matrix = buildMatrix(policies, NOW);
    expect(
      compareMatrix(matrix, [
        { from: "desktop@HOME", to: "rented@rented.example" },
        { from: "desktop@home", to: "vault@home", verbs: ["rpc", "call"] },
        { from: "vault@home", to: "desktop@home", verbs: [] },
        { from: "rented@rented.example", to: "vault@home" },
      ]),
    ).toEqual({
      unexpected: [
        { from: "rented@rented.example", to: "desktop@home", verbs: ["send"] },
        { from: "vault@home", to: "desktop@home", verbs: ["send"] },
      ],
      missing: [
        { from: "desktop@home", to: "vault@home", verbs: ["call"] },
        { from: "rented@rented.example", to: "vault@home", verbs: [] },
      ],
    });
  });
});

describe("mutual command by audit mode", () => {
  const audited = (node: string, other: string, rules: readonly RuleEntry[] = []): Policy =>
    compilePolicy({
      version: 1,
      node,
      peers: { other: { names: [other], assurance: "ca", mode: "audit", until: "2027-01-01" } },
      rules,
    });
  const mutual = (policies: readonly Policy[], nowMs = NOW) => buildMatrix(policies, nowMs).mutualCommand;

  it("is found while it lasts, also where only one side has it by audit mode", () => {
    const both = [audited("a@h", "b@h"), audited("b@h", "a@h")];
    expect(mutual(both)).toEqual([["a@h", "b@h"]]);
    expect(mutual(both, LATER)).toEqual([]);
    const ruled = compilePolicy({
      version: 1,
      node: "b@h",
      peers: { other: { names: ["a@h"], assurance: "ca" } },
      rules: [{ id: "r", from: "other", allow: "rpc", to: "m:f/0" }],
    });
    expect(mutual([audited("a@h", "b@h"), ruled])).toEqual([["a@h", "b@h"]]);
  });

  it("is none where a rule denies every command", () => {
    const denied: readonly RuleEntry[] = [{ id: "d", from: "other", deny: ["rpc", "spawn", "exit"], to: "*" }];
    expect(mutual([audited("a@h", "b@h", denied), audited("b@h", "a@h")])).toEqual([]);
  });
});
