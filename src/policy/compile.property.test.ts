import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { compilePolicy } from "./compile.ts";
import type { PeerFacts } from "./decision.ts";
import type { PolicyDocument } from "./document.ts";
import { functionLabel } from "./parse-target.ts";
import { Policy } from "./policy.ts";
import { VERBS } from "./verbs.ts";

/** 1,500 in the suite; `SALLYPORT_POLICY_RUNS=100000` runs the full count. */
const RUNS = Number(process.env["SALLYPORT_POLICY_RUNS"] ?? 1_500);

const KEY = `SHA256:${Buffer.alloc(32, 1).toString("base64").slice(0, 43)}`;
const FACTS: PeerFacts = {
  name: "a@h" as NodeName,
  assurance: "pinned",
  protocol: "native",
  fingerprints: [KEY],
  publicKeys: [],
  spki: undefined,
  source: "10.0.0.1",
};
const VALID = {
  version: 1,
  node: "me@h",
  peers: { p0: { keys: [KEY], names: ["a@h"], level: 1 } },
  rules: [
    { id: "r0", from: "p0", allow: ["send", "call"], to: ["jobs", "*"], when: { transport: "native" } },
    { id: "r1", from: "*", deny: "io", to: "*" },
  ],
  tests: [{ from: "p0", verb: "send", to: "jobs", expect: "allow" }],
};

describe("compilePolicy", () => {
  const words = fc.constantFrom<unknown>(
    1,
    "me@h",
    "*",
    "p0",
    "a",
    "call",
    "connect",
    "rpc",
    "jobs",
    "os:*/*",
    "audit",
    "2027-01-01",
    "SHA256:x",
    KEY,
    "10.0.0.0/8",
    true,
    null,
    undefined,
    -1,
    1.5,
    "20/s",
  );
  const keys = fc.constantFrom(
    "version",
    "node",
    "peers",
    "rules",
    "tests",
    "id",
    "from",
    "allow",
    "deny",
    "to",
    "when",
    "shape",
    "limits",
    "mode",
    "until",
    "names",
    "keys",
    "assurance",
    "level",
    "domain",
    "tuple",
    "oneOf",
    "map",
    "list",
    "atom",
    "rate",
    "payload",
    "source",
    "verb",
    "expect",
    "__proto__",
    "constructor",
  );
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: "medium" },
      words,
      fc.array(tie("any"), { maxLength: 4 }),
      fc
        .array(fc.tuple(keys, tie("any")), { maxLength: 6 })
        .map((pairs) => JSON.parse(JSON.stringify(Object.fromEntries(pairs))) as unknown),
    ),
  })).any;
  const likely = fc.constantFrom<readonly [string, unknown]>(
    ["level", 2],
    ["domain", "home"],
    ["mode", "enforce"],
    ["limits", { rate: "5/s" }],
    ["to", "alerts"],
    ["until", "2027-01-01"],
    ["when", { source: "10.0.0.0/8" }],
    ["shape", { tuple: ["ok", "any"] }],
    ["allow", "cast"],
  );
  const change = fc.oneof(fc.tuple(keys, value), likely);
  const nearly = change.map(([key, wrong]) => ({ ...VALID, [key]: wrong }) as unknown);
  const nearlyInRule = change.map(([key, wrong]) => ({
    ...VALID,
    rules: [...VALID.rules, { id: "x", from: "*", allow: "send", to: "jobs", [key]: wrong }],
  }));

  it("takes any value to a policy or to ERR_CONFIG, and a policy never fails to answer", () => {
    const seen = { policies: 0, refusals: 0 };
    fc.assert(
      fc.property(
        fc.oneof(value, fc.jsonValue(), fc.anything(), nearly, nearlyInRule),
        fc.constantFrom(...VERBS),
        (given, verb) => {
          let policy: Policy;
          try {
            policy = compilePolicy(given as PolicyDocument);
          } catch (error) {
            seen.refusals++;
            if (isSallyportError(error) && error.code === "ERR_CONFIG" && error.reason === "POLICY_INVALID") return;
            throw error;
          }
          seen.policies++;
          expect(policy).toBeInstanceOf(Policy);
          const identified = policy.identify(FACTS, "dialler");
          if (identified.kind === "refused") expect(identified.outcome).not.toBe("deny-error");
          else
            expect(identified.authority.decide(verb, { kind: "name", name: "jobs" }, 0).outcome).not.toBe("deny-error");
        },
      ),
      { numRuns: RUNS },
    );
    expect(seen.policies).toBeGreaterThan(RUNS / 50);
    expect(seen.refusals).toBeGreaterThan(RUNS / 50);
  }, 3_600_000);

  it("gives no two functions one label", () => {
    const part = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom("a", "a:b", "'a'", "a/1", "\\'"));
    fc.assert(
      fc.property(part, part, part, part, (m1, f1, m2, f2) => {
        if (m1 === m2 && f1 === f2) return;
        expect(functionLabel(m1, f1, 1)).not.toBe(functionLabel(m2, f2, 1));
      }),
      { numRuns: RUNS },
    );
  });
});
