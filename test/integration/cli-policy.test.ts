import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AuditFields, GENESIS, seal } from "../../src/audit/record.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { answerOf, ask, Cli, documentOf, refused, runCli } from "./cli-process.ts";

const HOME = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-policy-")));

const POLICY = `{
  "version": 1,
  "node": "shop@h.example",
  "peers": { "desk": { "names": ["desk@h.example"], "assurance": "ca" } },
  "rules": [
    { "id": "greet", "from": "desk", "allow": "call", "to": "greeter" },
    { "id": "never", "from": "*", "deny": "exit", "to": "*" },
  ],
  "tests": [
    { "from": "desk", "verb": "call", "to": "greeter", "expect": "allow", "rule": "greet" },
    { "from": "desk", "verb": "rpc", "to": "os:cmd/1", "expect": "deny" },
  ],
}
`;

const DENIED: AuditFields = {
  kind: "decision",
  id: "01JF6Q2M",
  at: "2026-11-20T21:04:11.000Z",
  outcome: "deny-default",
  rule: null,
  miss: "greet:verb",
  alias: "desk",
  peer: "desk@h.example",
  key: null,
  verb: "rpc",
  target: "os:cmd/1",
  generation: 14,
  mode: "enforce",
};
const AUDITED: AuditFields = {
  ...DENIED,
  id: "01JF6Q2N",
  outcome: "allow",
  rule: "peer",
  miss: null,
  verb: "cast",
  target: "orders",
  mode: "audit",
};

/** A decision as a running node tells it. */
const NODE_SAYS = {
  atMs: Date.UTC(2026, 10, 20),
  outcome: "deny-limit",
  rule: "greet",
  nearestMiss: { rule: "greet", why: "limit" },
  alias: "desk",
  peer: "desk@h.example",
  key: null,
  verb: "call",
  target: "greeter",
  generation: 2,
  mode: "enforce",
};

/** What answers at a control socket in place of a node: one answer a line. */
async function scriptedNode(
  path: string,
  answer: (args: Record<string, unknown>) => object,
): Promise<{ readonly asked: readonly string[]; close(): void }> {
  const asked: string[] = [];
  mkdirSync(join(HOME, path, ".."), { recursive: true, mode: 0o700 });
  const server = createServer((socket) => {
    createInterface({ input: socket }).on("line", (line) => {
      const { id, op, args } = JSON.parse(line) as { id: number; op: string; args: Record<string, unknown> };
      asked.push(op);
      socket.write(`${JSON.stringify({ id, ...answer(args) })}\n`);
    });
    socket.on("error", () => undefined);
  });
  server.listen(join(HOME, path));
  await once(server, "listening");
  return { asked, close: () => server.close() };
}

function file(name: string, text: string): string {
  writeFileSync(join(HOME, name), text);
  return name;
}

function auditLog(directory: string, records: readonly AuditFields[]): void {
  const crypto = new RealCrypto();
  let head = GENESIS;
  let text = "";
  for (const record of records) {
    const sealed = seal(head, record, crypto);
    head = sealed.head;
    text += `${sealed.line}\n`;
  }
  mkdirSync(join(HOME, directory), { recursive: true, mode: 0o700 });
  writeFileSync(join(HOME, directory, "audit-000000000001.jsonl"), text);
}

beforeAll(() => {
  file("policy.jsonc", POLICY);
  const summary = { kind: "summary", of: "decision", at: "2026-11-20T21:05:00.000Z", count: 40, lastId: "01JF6Q2Z" };
  auditLog("log", [
    DENIED,
    AUDITED,
    { ...AUDITED, id: "01JF6Q2P" },
    { ...summary, peer: "desk@h.example", verb: "rpc" },
  ]);
});

afterAll(() => rmSync(HOME, { recursive: true, force: true }));

describe("policy check", () => {
  it("takes policy.jsonc of the directory when nothing is named, and says what it holds", async () => {
    expect(await ask(HOME, "policy", "check")).toEqual({
      files: [
        { file: "policy.jsonc", node: "shop@h.example", problems: [], warnings: [], peers: 1, rules: 2, tests: 2 },
      ],
      notes: [],
    });
  });

  it("says every mistake with line and column, and exits with 2", async () => {
    const bad = file("bad.jsonc", '{\n  "version": 1,\n  "nod": "a@h",\n  "rules": [{ "id": "x" }]\n}');
    const { code, out, err } = await runCli(HOME, ["policy", "check", bad]);
    expect(code).toBe(2);
    expect(out).toContain("bad.jsonc:3:3: error: nod: unknown key");
    expect(out).toContain('did you mean "node"?');
    expect(out).toContain("bad.jsonc:4:13: error: rules[0]: needs allow or deny");
    expect(err).toMatch(/^error: 1 of 1 file cannot be used: bad\.jsonc:1:1: .+\nadvice: .+\n$/);
    const answer = await answerOf(HOME, "policy", "check", "policy.jsonc", bad);
    expect(answer).toMatchObject({ ok: false, exit: 2, error: { code: "ERR_CONFIG", reason: "POLICY_INVALID" } });
    expect(answer.result["files"]).toMatchObject([
      { problems: [] },
      { node: null, problems: [{ line: 1 }, {}, {}, {}] },
    ]);
  });

  it("warns of what is unwise, and exits with 0", async () => {
    const text = POLICY.replace(/\n.*"expect": "deny".*/, "");
    const { code, out } = await runCli(HOME, ["policy", "check", file("unwise.jsonc", text)]);
    expect(code).toBe(0);
    expect(out).toMatch(/unwise\.jsonc:\d+:\d+: warning: .*no test expects a refusal/);
  });

  it("exits with 2 when a test of the file fails: no node would load it", async () => {
    const text = POLICY.replace('"to": "os:cmd/1", "expect": "deny"', '"to": "os:cmd/1", "expect": "allow"');
    const { code, out, err } = await runCli(HOME, ["policy", "check", file("contrary.jsonc", text)]);
    expect(code).toBe(2);
    expect(out).toMatch(
      /contrary\.jsonc:11:5: error: this test fails, and a node does not load the file: desk rpc os:cmd\/1/,
    );
    expect(out).toContain("contrary.jsonc: cannot be used");
    expect(err).toMatch(/^error: contrary\.jsonc:11:5: test .+ expected allow and got deny-default\n/);
    const answer = await answerOf(HOME, "policy", "check", "contrary.jsonc");
    expect(answer).toMatchObject({ ok: false, exit: 2, error: { reason: "POLICY_TEST_FAILED" } });
    const warning = /^warning: contrary\.jsonc is loaded by no node: a test of it fails/;
    const asked = await runCli(HOME, ["policy", "can", "desk", "call", "greeter", "--policy", "contrary.jsonc"]);
    expect(asked).toMatchObject({ code: 0, err: expect.stringMatching(warning) });
    const shown = await runCli(HOME, ["policy", "matrix", "contrary.jsonc"]);
    expect(shown).toMatchObject({ code: 0, err: expect.stringMatching(warning) });
    expect((await runCli(HOME, ["policy", "matrix"])).err).toBe("");
  });

  it("reports on every file, also beside one that cannot be read", async () => {
    const answer = await answerOf(HOME, "policy", "check", "none.jsonc", "policy.jsonc");
    expect(answer).toMatchObject({
      exit: 2,
      error: { reason: "POLICY_UNREADABLE" },
      result: {
        files: [
          {
            file: "none.jsonc",
            node: null,
            problems: [{ message: expect.stringContaining("cannot read none.jsonc") }],
          },
          { file: "policy.jsonc", problems: [], rules: 2 },
        ],
      },
    });
  });

  it.each([
    ["nothing", ""],
    ["only comments", "// nothing\n"],
  ])("says of a file with %s that it is empty", async (_, text) => {
    const { code, out } = await runCli(HOME, ["policy", "check", file("void.jsonc", text)]);
    expect(code).toBe(2);
    expect(out).toContain("error: the file is empty");
  });

  it("says of a file that no configuration names that it is not in force", async () => {
    mkdirSync(join(HOME, "beside"));
    file("beside/sallyport.jsonc", '{ "name": "shop@h.example" }');
    file("beside/policy.jsonc", POLICY);
    const beside = join(HOME, "beside");
    const warning = `warning: policy.jsonc is not in force: ${join(beside, "sallyport.jsonc")} has no \`policy\`\n`;
    for (const args of [["check"], ["test"], ["matrix"], ["can", "desk", "call", "greeter"]]) {
      expect(await runCli(beside, ["policy", ...args])).toMatchObject({ code: 0, err: warning });
    }
    expect((await ask(beside, "policy", "check"))["notes"]).toEqual([expect.stringContaining("not in force")]);
    expect((await runCli(beside, ["policy", "check", "policy.jsonc"])).err).toBe("");
  });

  it.each([
    ["a file that is not there", ["policy", "check", "none.jsonc"], "POLICY_UNREADABLE"],
    ["an empty file", ["policy", "test", "empty.jsonc"], "POLICY_INVALID"],
    ["no file at all", ["policy", "check", "--config", "sub/sallyport.jsonc"], "CONFIG_UNREADABLE"],
  ])("exits with 2 for %s", async (_, args, reason) => {
    file("empty.jsonc", "");
    expect(await refused(HOME, ...args)).toMatchObject({ code: "ERR_CONFIG", reason, exit: 2 });
  });

  it("asks for a file where there is none", async () => {
    mkdirSync(join(HOME, "bare"));
    expect(await refused(join(HOME, "bare"), "policy", "check")).toMatchObject({ reason: "POLICY_NEEDED", exit: 2 });
  });

  it("goes by the policy that the configuration names, from its own directory", async () => {
    mkdirSync(join(HOME, "node/rules"), { recursive: true });
    file("node/sallyport.jsonc", '{ "name": "shop@h.example", "policy": "rules/p.jsonc" }');
    file("node/rules/p.jsonc", POLICY);
    const { files } = await ask(HOME, "policy", "check", "--config", "node/sallyport.jsonc");
    expect(files).toMatchObject([{ file: join(HOME, "node/rules/p.jsonc") }]);
  });

  it("accepts what init writes", async () => {
    expect((await runCli(HOME, ["init", "made", "--name", "made@127.0.0.1"])).code).toBe(0);
    const { files } = await ask(join(HOME, "made"), "policy", "check");
    expect(files).toMatchObject([{ node: "made@127.0.0.1", problems: [], warnings: [], tests: 1 }]);
    expect(await ask(join(HOME, "made"), "policy", "test")).toMatchObject({ passed: 1, failed: 0 });
  });

  it("fills in variables, and refuses those that are unset", async () => {
    const text = POLICY.replace("shop@h.example", "${NODE}");
    const args = ["policy", "check", file("variable.jsonc", text), "--json"];
    expect(documentOf(await new Cli(HOME, args, { NODE: "shop@h.example" }).ended)).toMatchObject({ ok: true });
    expect(documentOf(await new Cli(HOME, args, { NODE: "" }).ended)).toMatchObject({
      ok: false,
      result: { files: [{ problems: [{ line: 3, message: expect.stringContaining("uses ${NODE}") }] }] },
    });
  });
});

describe("policy test", () => {
  it("shows each test, exits with 1 when one fails, and names it with its line", async () => {
    const text = POLICY.replace('"allow": "call"', '"allow": "cast"');
    const { code, out, err } = await runCli(HOME, ["policy", "test", file("failing.jsonc", text)]);
    expect(code).toBe(1);
    expect(out).toMatch(/^FAIL +desk +call +greeter +allow by greet +deny-default +- +10$/m);
    expect(out).toContain("1 of 2 tests failed");
    expect(out).toContain("hint: no test passes by these grants: greet");
    expect(err).toContain('failing.jsonc:10:5: test "desk call greeter" expected allow by greet and got deny-default');
    expect(await answerOf(HOME, "policy", "test", "failing.jsonc")).toMatchObject({
      ok: false,
      exit: 1,
      error: { code: "ERR_CONFIG", reason: "POLICY_TEST_FAILED" },
      result: {
        passed: 1,
        failed: 1,
        files: [{ untestedGrants: ["greet"], tests: [{ passed: false, line: 10 }, {}] }],
      },
    });
  });
});

describe("policy can", () => {
  it("answers yes with 0 and no with 3, and its JSON is the decision", async () => {
    expect(await ask(HOME, "policy", "can", "desk", "call", "greeter")).toEqual({
      id: null,
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      outcome: "allow",
      rule: "greet",
      nearestMiss: null,
      alias: "desk",
      peer: "desk@h.example",
      key: null,
      verb: "call",
      target: "greeter",
      generation: null,
      mode: "enforce",
      asks: [],
      limits: { rule: null, peer: null },
      auditedDeny: null,
      refusedWhy: null,
      source: "file",
      notes: [],
    });
    expect(await answerOf(HOME, "policy", "can", "desk", "cast", "greeter")).toMatchObject({
      ok: false,
      exit: 3,
      error: { code: "ERR_DENIED", reason: "POLICY_DENIED" },
      result: { outcome: "deny-default", rule: null, nearestMiss: { rule: "greet", why: "verb" } },
    });
  });

  it.each([
    [["desk@h.example", "call", "greeter"], 0, "allow", null],
    [["desk", "call", "greeter", "--assurance", "cookie"], 3, "deny-identity", "assurance"],
    [["desk", "exit", "greeter"], 3, "deny-rule", null],
    [["unknown", "connect"], 3, "deny-default", "no-entry"],
    [["SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ", "connect"], 3, "deny-default", "no-entry"],
    [["desk", "reply", "call#open"], 0, "allow", null],
    [["desk", "reply", "call#closed"], 3, "deny-default", null],
  ])("%j: %i %s", async (question, exit, outcome, refusedWhy) => {
    expect(await answerOf(HOME, "policy", "can", ...question)).toMatchObject({ exit, result: { outcome, refusedWhy } });
  });

  it.each([
    [["dsek", "call", "greeter"], "POLICY_QUESTION", 'did you mean "desk"'],
    [["desk", "call"], "POLICY_QUESTION", "call needs a target"],
    [["desk", "connect", "greeter"], "POLICY_QUESTION", "connect has no target"],
    [["desk", "rpc", "*"], "POLICY_QUESTION", '"*"'],
    [["desk", "evaluate", "x"], "USAGE", "evaluate"],
  ])("refuses the question %j", async (question, reason, says) => {
    const error = await refused(HOME, "policy", "can", ...question);
    expect(error).toMatchObject({ reason, exit: 2, message: expect.stringContaining(says) });
  });
});

describe("policy can about limits", () => {
  it("says which the rule and the peer set", async () => {
    const text = POLICY.replace('"assurance": "ca"', '"assurance": "ca", "limits": { "inflight": 4 }').replace(
      '"to": "greeter" }',
      '"to": "greeter", "limits": { "rate": "20/s", "payload": "8KiB" } }',
    );
    const question = ["policy", "can", "desk", "call", "greeter", "--policy", file("limited.jsonc", text)];
    expect((await runCli(HOME, question)).out).toMatch(
      /\nlimits of the rule: rate 20\/s, payload 8KiB\nlimits of the peer: inflight 4\n/,
    );
    expect(await ask(HOME, ...question)).toMatchObject({
      asks: ["limits"],
      limits: { rule: { rate: "20/s", payload: "8KiB" }, peer: { inflight: 4 } },
    });
  });
});

describe("policy matrix", () => {
  it("flags mutual command and untested grants, and fails when an edge is not as expected", async () => {
    const back = POLICY.replaceAll("shop@", "x@").replaceAll("desk@", "shop@").replaceAll("x@", "desk@");
    const one = file("one.jsonc", POLICY.replace('"call", "to": "greeter"', '"rpc", "to": "m:f/1"'));
    const two = file("two.jsonc", back.replace('"call", "to": "greeter"', '"spawn", "to": "worker"'));
    const result = await ask(HOME, "policy", "matrix", one, two);
    expect(result).toMatchObject({
      mutualCommand: [["desk@h.example", "shop@h.example"]],
      untestedGrants: [
        { node: "shop@h.example", rule: "greet" },
        { node: "desk@h.example", rule: "greet" },
      ],
    });
    const expected = file("expected.json", JSON.stringify(result["expected"]));
    expect((await runCli(HOME, ["policy", "matrix", one, two, "--expect", expected])).code).toBe(0);
    const answer = await answerOf(HOME, "policy", "matrix", "policy.jsonc", "--expect", expected);
    expect(answer).toMatchObject({
      exit: 1,
      error: { reason: "POLICY_MATRIX_DIFFERS" },
      result: {
        unexpected: [{ from: "desk@h.example", to: "shop@h.example", verbs: ["call"] }],
        missing: [
          { from: "desk@h.example", to: "shop@h.example", verbs: ["rpc"] },
          { from: "shop@h.example", to: "desk@h.example", verbs: ["spawn"] },
        ],
      },
    });
  });

  it.each([
    ["two policies of one node", ["policy.jsonc", "policy.jsonc"], "POLICY_TWICE"],
    ["a list that is none", ["policy.jsonc", "--expect", "list.json"], "POLICY_EXPECT_INVALID"],
  ])("refuses %s", async (_, args, reason) => {
    file("list.json", '[{ "from": "desk", "to": "shop@h.example" }]');
    expect(await refused(HOME, "policy", "matrix", ...args)).toMatchObject({ code: "ERR_CONFIG", reason, exit: 2 });
  });
});

describe("a control socket that the command line names", () => {
  it.each([
    ["can", ["can", "desk", "call", "greeter"]],
    ["why", ["why", "01JF6Q2M"]],
    ["matrix", ["matrix"]],
    ["reload", ["reload"]],
  ])("is not passed over by %s when no node is there", async (_, args) => {
    const failed = { exit: 4, code: "ERR_UNREACHABLE", reason: "NODE_NOT_RUNNING" };
    expect(await refused(HOME, "policy", ...args, "--control", "typo.sock")).toMatchObject(failed);
  });
});

describe("policy why", () => {
  it("exits with 2 where there is neither a node nor a log to ask", async () => {
    expect(await refused(HOME, "policy", "why", "01JF6Q2M")).toMatchObject({ exit: 2, reason: "AUDIT_NEEDED" });
  });

  it("takes one file of a log", async () => {
    const log = "log/audit-000000000001.jsonl";
    expect(await ask(HOME, "policy", "why", "01JF6Q2M", "--audit", log)).toMatchObject({ outcome: "deny-default" });
    expect(await ask(HOME, "policy", "learn", "--audit", log)).toMatchObject({ decisions: 3 });
  });

  it("explains a decision of the audit log", async () => {
    const { code, out } = await runCli(HOME, ["policy", "why", "01JF6Q2M", "--audit", "log"]);
    expect(code).toBe(0);
    expect(out.split("\n").slice(0, 4)).toEqual([
      "2026-11-20T21:04:11Z  deny-default  no rule grants it",
      "nearest     greet, which is about other operations",
      "peer        desk (desk@h.example)",
      "operation   rpc os:cmd/1",
    ]);
    expect(await ask(HOME, "policy", "why", "01JF6Q2M", "--audit", "log")).toMatchObject({
      id: "01JF6Q2M",
      at: "2026-11-20T21:04:11.000Z",
      outcome: "deny-default",
      nearestMiss: { rule: "greet", why: "verb" },
      generation: 14,
      source: "audit",
    });
  });

  it("asks the running node first, and the log for what that one does not know", async () => {
    const answers: Readonly<Record<string, object>> = {
      "01JF6Q2N": { ok: true, result: { decision: { ...NODE_SAYS, id: "01JF6Q2N" } } },
      "01JF6Q2M": { ok: true, result: { decision: null } },
      "01JF6Q2P": {
        ok: false,
        error: { code: "ERR_API_MISUSE", reason: "CONTROL_UNKNOWN_OP", message: "the node knows no such operation" },
      },
    };
    const { asked, close } = await scriptedNode("node/data/control.sock", (args) => answers[String(args["id"])] ?? {});
    try {
      mkdirSync(join(HOME, "node/data/audit"), { recursive: true, mode: 0o700 });
      auditLog("node/data/audit", [DENIED, { ...AUDITED, id: "01JF6Q2P" }]);
      const why = (id: string) => ask(HOME, "policy", "why", id, "--config", "node/sallyport.jsonc");
      expect(await why("01JF6Q2N")).toMatchObject({ source: "node", outcome: "deny-limit", rule: "greet" });
      expect(await why("01JF6Q2M")).toMatchObject({ source: "audit", outcome: "deny-default" });
      expect(await why("01JF6Q2P")).toMatchObject({ source: "audit", mode: "audit" });
      expect(asked).toEqual(["policy.why", "policy.why", "policy.why"]);
    } finally {
      close();
    }
  });

  it("says of the last of many that they were only counted", async () => {
    expect(await ask(HOME, "policy", "why", "01JF6Q2Z", "--audit", "log")).toMatchObject({
      summary: { count: 40, lastId: "01JF6Q2Z", peer: "desk@h.example", verb: "rpc", target: null },
    });
  });

  it("exits with 1 for an id that nobody knows, and 2 for a log that is not there", async () => {
    expect(await refused(HOME, "policy", "why", "NOBODY", "--audit", "log")).toMatchObject({
      reason: "DECISION_UNKNOWN",
      exit: 1,
    });
    expect(await refused(HOME, "policy", "why", "NOBODY", "--audit", "elsewhere")).toMatchObject({
      reason: "AUDIT_UNREADABLE",
      exit: 2,
    });
  });
});

describe("policy learn", () => {
  it("prints rules for what audit mode let through, which a policy can take as they are", async () => {
    const { code, out } = await runCli(HOME, ["policy", "learn", "--audit", "log"]);
    expect(code).toBe(0);
    expect(out).toContain('  // 2 times\n  {"id":"learned-1","from":"desk","allow":"cast","to":"orders"},\n]');
    expect(out).toContain("Nothing was applied");
    const rules = out.slice(out.indexOf("[")).replace(/^\[|\]\s*$/g, "");
    const learned = file("learned.jsonc", POLICY.replace('"rules": [', `"rules": [\n${rules}`));
    expect((await runCli(HOME, ["policy", "can", "desk", "cast", "orders", "--policy", learned])).code).toBe(0);
  });

  it("learns nothing from what was refused", async () => {
    const { rules, skipped, decisions } = await ask(HOME, "policy", "learn", "--audit", "log");
    expect({ skipped, decisions }).toEqual({ skipped: 1, decisions: 3 });
    expect(JSON.stringify(rules)).not.toContain("os:cmd");
  });

  it("asks which log is meant", async () => {
    expect(await refused(HOME, "policy", "learn")).toMatchObject({ reason: "AUDIT_NEEDED", exit: 2 });
  });
});
