import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerOf, ask, type Cli, type Fields, refused, runCli, start } from "./cli-process.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-ruled-")));
const HOME = join(ROOT, "my_node");
const DESK = join(ROOT, "desk");
const NODE = "my_node@127.0.0.1";
const POLICY = join(HOME, "policy.jsonc");

/** Services beside those of the demo: one that hands out a process, so that there is a grant to list, and a private one. */
const SERVICES = `export default function (node, term) {
  const held = node.spawn(() => undefined);
  node.register("lender", { call: () => node.grant(held, { to: "desk@127.0.0.1", uses: 3, ttlMs: 60000 }).pid }, { allow: "tofu" });
  node.register("vault", { cast: () => undefined });
}
`;

let node: Cli;
let endpoint = "";
let original = "";

/** A command of desk, towards the node of this test wherever it listens. */
const desk = (...args: readonly string[]): readonly string[] => [
  ...args,
  "--epmd",
  "off",
  "--resolve",
  `${NODE}=${endpoint}`,
];

/** Changes the policy file and waits until the node has looked at it. */
async function change(text: string): Promise<Fields> {
  const from = node.events.length;
  writeFileSync(POLICY, text);
  return node.event({ event: "reload", what: "policy" }, from);
}

/** The commands of the README's walk in two terminals, in their order. */
function walk(): readonly string[] {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const section = /## Two terminals\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? "";
  return [...section.matchAll(/^\$ (?:.*&& )?sallyport (.*?)\s*(?:#.*)?$/gm)].map((match) => match[1] ?? "");
}

/** Words of a command line with single quotes. */
const words = (line: string): readonly string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");

beforeAll(async () => {
  expect((await runCli(ROOT, ["init", "desk", "--name", "desk@127.0.0.1"])).code).toBe(0);
  const made = await runCli(ROOT, ["init", "my_node", "--peer", "desk"]);
  expect(made).toMatchObject({ code: 0, err: "" });
  expect(made.out).toContain("May connect: desk@127.0.0.1.");
  writeFileSync(join(DESK, "cookie"), readFileSync(join(HOME, "cookie")));
  original = readFileSync(POLICY, "utf8");
  writeFileSync(join(HOME, "granting.mjs"), SERVICES);
  const listen = ["--listen", "tls://127.0.0.1:0", "--epmd", "off"];
  ({ node, endpoint } = await start(HOME, "--demo-services", "--services", "granting.mjs", ...listen));
});

afterAll(async () => {
  await node?.kill("SIGKILL");
  rmSync(ROOT, { recursive: true, force: true });
});

describe("the walk of the README", () => {
  it("goes as it is printed there", async () => {
    const commands = walk();
    expect(commands.slice(0, 3)).toEqual([
      "init desk --name desk@127.0.0.1",
      "init my_node --peer desk",
      "start --demo-services",
    ]);
    const run = (line: string) => runCli(DESK, desk(...words(line)));
    const [ping = "", call = "", rpc = "", trust = "", why = ""] = commands.slice(3);
    expect(await run(ping)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^pong from my_node@127\.0\.0\.1 in [\d.]+ ms \(protocol native, assurance tofu\)\n$/),
    });
    expect(await run(call)).toMatchObject({ code: 0, out: "{ok,3}\n" });
    expect(await run(rpc)).toMatchObject({
      code: 3,
      err: "error: my_node@127.0.0.1 refused os:cmd/1\nadvice: ask the owner of my_node@127.0.0.1 for a rule that allows it\n",
    });
    expect((await runCli(DESK, words(trust))).out).toMatch(/\nmy_node@127\.0\.0\.1 +tofu +SHA256:\S+ +first-use /);
    const { decision } = await node.event({ event: "denied", verb: "rpc", target: "os:cmd/1" });
    expect(why).toMatch(/^policy why [0-9A-Z]{12}$/);
    const explained = await runCli(HOME, ["policy", "why", String(decision)]);
    expect(explained.out.split("\n").map((line) => line.slice(0, 42))).toEqual([
      expect.stringMatching(/^\S+Z {2}deny-default {2}no rul/),
      "nearest     greet, which is about other op",
      "peer        desk (desk@127.0.0.1) with key",
      "operation   rpc os:cmd/1",
      "generation  1",
      "told        the peer may know this decisio",
      "",
    ]);
  });

  it("lets nobody in but the peer that was named, and says what to do if it should", async () => {
    await runCli(ROOT, ["init", "mallory", "--name", "mallory@127.0.0.1"]);
    writeFileSync(join(ROOT, "mallory/cookie"), readFileSync(join(HOME, "cookie")));
    const failed = await answerOf(join(ROOT, "mallory"), ...desk("ping", NODE));
    expect(failed).toMatchObject({ ok: false, exit: 3 });
    const { fingerprint } = await ask(join(ROOT, "mallory"), "keys", "show");
    const told = await node.event({ event: "refused", reason: "PEER_NOT_ALLOWED" });
    expect(told["message"]).toBe(`mallory@127.0.0.1 with key ${String(fingerprint)} is in no entry of the policy`);
  });
});

describe("policy, asked of the running node", () => {
  it("why explains the id that a refused caller was told", async () => {
    const error = await refused(DESK, ...desk("call", NODE, "private", "x"));
    expect(error).toMatchObject({ code: "ERR_DENIED", exit: 3, decision: expect.stringMatching(/^[0-9A-Z]{12}$/) });
    expect(await ask(HOME, "policy", "why", String(error["decision"]))).toMatchObject({
      source: "node",
      id: error["decision"],
      outcome: "deny-default",
      rule: null,
      alias: "desk",
      peer: "desk@127.0.0.1",
      target: "private",
      generation: 1,
    });
    expect(await refused(HOME, "policy", "why", "NOBODY")).toMatchObject({ reason: "DECISION_UNKNOWN", exit: 1 });
  });

  it("can and matrix name what allow in code grants, which a file does not know", async () => {
    const asked = ["policy", "can", "desk", "call", "calc"];
    const yes = { outcome: "allow", rule: "code:calc", source: "node", generation: expect.any(Number) };
    expect(await ask(HOME, ...asked)).toMatchObject(yes);
    expect(await ask(HOME, "policy", "can", "desk", "spawn", "sleep")).toMatchObject({ rule: "code:sleep" });
    expect(await answerOf(HOME, ...asked, "--policy", "policy.jsonc")).toMatchObject({
      exit: 3,
      result: { outcome: "deny-default", source: "file", generation: null },
    });
    const { edges } = await ask(HOME, "policy", "matrix");
    expect(edges).toMatchObject([{ from: "desk@127.0.0.1", to: NODE, connects: true }]);
    const rules = (edges as { entries: Fields[] }[])[0]?.entries.map(({ rule, verb }) => `${rule} ${verb}`) ?? [];
    expect(rules).toEqual(expect.arrayContaining(["greet call", "code:calc call", "code:demo:add/2 rpc"]));
    expect(rules).not.toContain("code:calc rpc");
    const offline = await ask(HOME, "policy", "matrix", "--no-control");
    expect(JSON.stringify(offline["edges"])).not.toContain("code:");
  });

  it("can and matrix leave out what a deny of the file takes from code", async () => {
    const text = original.replace('"rules": [', '"rules": [ { "id": "no", "from": "*", "deny": "cast", "to": "*" },');
    expect(await change(text)).toMatchObject({ ok: true });
    expect(await answerOf(HOME, "policy", "can", "desk", "cast", "calc")).toMatchObject({
      exit: 3,
      result: { outcome: "deny-rule", rule: "no" },
    });
    expect(JSON.stringify(await ask(HOME, "policy", "matrix"))).not.toMatch(/"verb":"cast"[^}]*"rule":"code:/);
    expect(await change(original)).toMatchObject({ ok: true });
  });
});

describe("a policy that changes under a running node", () => {
  it("is told as an event, and shown by status with its generation and file", async () => {
    const before = (await ask(HOME, "status"))["policy"] as Fields;
    expect(before).toMatchObject({ file: POLICY, audited: [], problem: null });
    const { generation } = await ask(HOME, "policy", "reload");
    expect(generation).toBe(Number(before["generation"]) + 1);
    expect(await node.event({ event: "reload", generation: generation })).toMatchObject({ what: "policy", ok: true });
  });

  it("is refused with a reason when it is broken, and the old one stays", async () => {
    const { generation } = (await ask(HOME, "status"))["policy"] as Fields;
    expect(await change(original.replace('"expect": "deny"', '"expect": "allow"'))).toMatchObject({
      ok: false,
      generation,
      reason: "POLICY_TEST_FAILED",
    });
    expect(await refused(HOME, "policy", "reload")).toMatchObject({ exit: 2, reason: "POLICY_REJECTED" });
    const says = expect.stringContaining("expected allow and got deny-default");
    const problem = { reason: "POLICY_TEST_FAILED", message: says };
    expect(await ask(HOME, "status")).toMatchObject({
      state: "yellow",
      problems: ["POLICY_REJECTED"],
      policy: { generation, problem },
    });
    expect(await ask(HOME, "health")).toMatchObject({ problems: ["POLICY_REJECTED"], policy: { problem } });
    for (const command of ["status", "health"])
      expect((await runCli(HOME, [command])).out).toMatch(/^refused +.*expected allow and got deny-default/m);
    expect(await change(original)).toMatchObject({ ok: true });
    expect(await ask(HOME, "status")).toMatchObject({ state: "green", policy: { problem: null } });
  });

  it("shows in red what is not enforced, and tells what was let through apart from what was refused", async () => {
    const audited = original.replace('"desk": {', '"desk": { "mode": "audit", "until": "2999-01-15",');
    const from = node.events.length;
    // The tests of the file hold no longer: audit mode lets through what they refuse.
    expect(await change(audited.replace(/^.*os:cmd\/1.*$/m, ""))).toMatchObject({ ok: true });
    const message = "audit mode, not enforced: peer desk until 2999-01-15";
    expect(await node.event({ event: "warning", reason: "POLICY_AUDIT" }, from)).toMatchObject({ message });
    for (const command of ["status", "health"])
      expect((await runCli(HOME, [command])).out.split("\n")[0]).toBe(message);
    expect((await ask(HOME, "status"))["policy"]).toMatchObject({
      audited: [{ kind: "peer", id: "desk", until: "2999-01-15" }],
    });
    await runCli(DESK, desk("cast", NODE, "vault", "x"));
    const told = await node.event({ event: "audited", verb: "cast" }, from);
    expect(told).toMatchObject({ outcome: "allow", rule: "peer", target: "vault", count: 1 });
    expect(await ask(HOME, "policy", "why", String(told["decision"]))).toMatchObject({ mode: "audit", rule: "peer" });
    expect(await change(original)).toMatchObject({ ok: true });
    expect((await ask(HOME, "status"))["policy"]).toMatchObject({ audited: [] });
  });

  it("is read anew at SIGHUP, with keys and certificate", async () => {
    const from = node.events.length;
    node.child.kill("SIGHUP");
    expect(await node.event({ event: "reload", what: "policy" }, from)).toMatchObject({ ok: true });
    expect(await node.event({ event: "reload", what: "certificate" }, from)).toMatchObject({ ok: true, generation: 1 });
    expect(await node.event({ event: "reload", what: "identity" }, from)).toMatchObject({ ok: true, ended: 0 });
  });
});

describe("grants of a running node", () => {
  it("are listed with who holds them and for how long, and taken back", async () => {
    await ask(DESK, ...desk("call", NODE, "lender", "x"));
    const { grants } = await ask(HOME, "grants", "list");
    const { fingerprint } = await ask(DESK, "keys", "show");
    expect(grants).toEqual([
      {
        id: expect.any(String),
        pid: expect.stringMatching(/^#Pid/),
        to: fingerprint,
        verbs: ["send"],
        usesLeft: 3,
        expiresInMs: expect.any(Number),
      },
    ]);
    expect((await runCli(HOME, ["grants", "list"])).out).toMatch(/^ID +PROCESS +HELD BY +MAY +USES LEFT +ENDS IN\n/);
    const id = String((grants as Fields[])[0]?.["id"]);
    expect(await ask(HOME, "grants", "revoke", id)).toEqual({ id });
    expect((await runCli(HOME, ["grants", "list"])).out).toBe("no grants\n");
    expect(await refused(HOME, "grants", "revoke", id)).toMatchObject({ reason: "GRANT_UNKNOWN", exit: 1 });
  });
});

describe("init --peer", () => {
  it.each([
    ["a name without a key", ["--peer", "desk@127.0.0.1"], "INIT_PEER"],
    ["a key that is none", ["--peer", "desk@127.0.0.1=SHA256:abc"], "INIT_PEER"],
    ["a directory that is none", ["--peer", "nowhere"], "INIT_PEER"],
    ["one peer twice", ["--peer", "desk", "--peer", "desk"], "INIT_PEER"],
    ["this node itself", ["--name", "desk@127.0.0.1", "--peer", "desk"], "INIT_PEER"],
  ])("refuses %s, and writes nothing", async (_, args, reason) => {
    const error = await refused(ROOT, "init", "other", ...args);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason, exit: 2 });
    // No place in a file that is not written.
    expect(error["message"]).not.toMatch(/\.jsonc?:\d/);
    expect(await refused(ROOT, "status", "--config", "other/sallyport.jsonc")).toMatchObject({
      reason: "CONFIG_UNREADABLE",
    });
  });

  it("takes a name with its key, and gives peers of one name aliases of their own", async () => {
    const key = "SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ";
    const peers = ["--peer", "desk", "--peer", `desk@h.example=${key}`];
    expect(await ask(ROOT, "init", "third", "--name", "third@127.0.0.1", ...peers)).toMatchObject({
      peers: [
        { alias: "desk", name: "desk@127.0.0.1" },
        { alias: "desk-2", name: "desk@h.example", key },
      ],
    });
    const third = join(ROOT, "third");
    expect(await ask(third, "policy", "check")).toMatchObject({ files: [{ problems: [], warnings: [], peers: 2 }] });
    expect(await ask(third, "policy", "test")).toMatchObject({ passed: 5, failed: 0 });
  });
});
