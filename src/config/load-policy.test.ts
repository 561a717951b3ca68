import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { type PolicyLoad, policyFromText } from "./load-policy.ts";

const LOAD: PolicyLoad = {
  file: "policy.jsonc",
  node: parseNodeName("a@H.example"),
  generation: 3,
  nowMs: Date.UTC(2026, 10, 20),
};

const POLICY = `{
  "version": 1,
  "node": "a@h.example",
  "peers": { "desk": { "names": ["desk@h"], "assurance": "ca" } },
  "rules": [
    { "id": "jobs", "from": "desk", "allow": "call", "to": "jobs", "until": "2027-01-15" },
    { "id": "never", "from": "*", "deny": "exit", "to": "*" },
  ],
  "tests": [
    { "from": "desk", "verb": "call", "to": "jobs", "expect": "allow", "rule": "jobs" },
    { "from": "desk", "verb": "exit", "to": "jobs", "expect": "deny-rule", "rule": "never" },
  ],
}`;

function failure(text: string, load: Partial<PolicyLoad> = {}): SallyportError {
  try {
    policyFromText(text, { ...LOAD, ...load });
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("policyFromText", () => {
  it("compiles a file whose tests pass, for the node that it names, whatever the case of its host", () => {
    const policy = policyFromText(POLICY, LOAD);
    expect(policy).toMatchObject({ node: "a@h.example", generation: 3, isFromFile: true });
    expect([...policy.peers.keys()]).toEqual(["desk"]);
  });

  it("refuses the policy of another node, with the place of its name", () => {
    const error = failure(POLICY, { node: parseNodeName("b@h.example") });
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "POLICY_OTHER_NODE", stage: "policy" });
    expect(error.message).toContain(
      "policy.jsonc:3:11: this is the policy of a@h.example, and this node is b@h.example",
    );
  });

  it("refuses a file of which a test fails, and names test, expectation, result, rule and line", () => {
    const error = failure(POLICY.replace('"deny": "exit"', '"deny": "link"'));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "POLICY_TEST_FAILED", detail: { failed: 1 } });
    expect(error.message).toContain(
      'policy.jsonc:11:5: test "desk exit jobs" expected deny-rule by never and got deny-default',
    );
  });

  it("counts a test whose outcome is right by the wrong rule among those that fail", () => {
    const error = failure(POLICY.replaceAll('"rule": "never"', '"rule": "jobs"'));
    expect(error.message).toContain("expected deny-rule by jobs and got deny-rule by never");
  });

  it("runs the tests at the time of the load", () => {
    const error = failure(POLICY, { nowMs: Date.UTC(2027, 0, 15) });
    expect(error).toMatchObject({ reason: "POLICY_TEST_FAILED" });
    expect(error.message).toContain('test "desk call jobs" expected allow by jobs and got deny-default');
  });

  it("fails on what is no policy as parsePolicyFile does", () => {
    expect(failure("")).toMatchObject({ code: "ERR_CONFIG", reason: "POLICY_INVALID" });
    expect(failure(POLICY.slice(0, 200))).toMatchObject({ code: "ERR_CONFIG", reason: "POLICY_INVALID" });
    expect(failure(POLICY.replace("a@h.example", "${NODE}"))).toMatchObject({ reason: "ENV_UNSET" });
    const environment = (name: string) => (name === "NODE" ? "a@h.example" : undefined);
    expect(policyFromText(POLICY.replace("a@h.example", "${NODE}"), { ...LOAD, environment }).node).toBe("a@h.example");
  });
});
