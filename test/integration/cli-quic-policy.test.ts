import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerOf, ask, type Cli, type Fields, runCli, start } from "./cli-process.ts";

// Two nodes of `init` that talk over QUIC: what refuses the one that dials, and what every tool says of it.

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-quic-policy-")));
const A = join(ROOT, "a");
const B = join(ROOT, "b");
const NAME_A = "a@127.0.0.1";
const NAME_B = "b@127.0.0.1";
const POLICY = join(B, "policy.jsonc");
const OVER_QUIC = { outcome: "deny-identity", why: "over-quic", alias: "a", peer: NAME_A };
const UNREGISTERED = { id: "rev", from: "a", allow: "rpc", to: "lists:reverse/1" };

let node: Cli;
let endpoint = "";
/** The policy that `init` wrote: `a` by its key. */
let keyed = "";
/** The same with the entry that lets it in over QUIC. */
let named = "";

const dialling = (...args: readonly string[]): readonly string[] => [...args, "--resolve", `${NAME_B}=${endpoint}`];

/** Makes the configuration that `init` wrote one of a node over QUIC that takes no strangers. */
function overQuic(home: string): void {
  const file = join(home, "sallyport.jsonc");
  const text = readFileSync(file, "utf8")
    .replace(/"listen": \[.*\]/, '"listen": ["quic://127.0.0.1:0"]')
    .replace('"trust": "tofu"', '"trust": "strict"')
    .replace('"epmd": "lookup"', '"epmd": "off"');
  writeFileSync(file, text);
}

/** Changes the policy of `b`, and waits until it is in force. */
async function change(text: string): Promise<void> {
  const from = node.events.length;
  writeFileSync(POLICY, text);
  expect(await node.event({ event: "reload", what: "policy" }, from)).toMatchObject({ ok: true });
}

beforeAll(async () => {
  expect((await runCli(ROOT, ["init", "a", "--name", NAME_A])).code).toBe(0);
  const made = await runCli(ROOT, ["init", "b", "--name", NAME_B, "--peer", "a"]);
  expect(made.code).toBe(0);
  writeFileSync(join(A, "cookie"), readFileSync(join(B, "cookie")));
  for (const home of [A, B]) overQuic(home);
  const keys = await Promise.all([A, B].map((home) => ask(home, "keys", "show")));
  expect((await runCli(A, ["trust", "add", NAME_B, String(keys[1]?.["publicKey"])])).code).toBe(0);
  expect((await runCli(B, ["trust", "add", NAME_A, String(keys[0]?.["publicKey"])])).code).toBe(0);
  keyed = readFileSync(POLICY, "utf8").replace('"rules": [', `"rules": [ ${JSON.stringify(UNREGISTERED)},`);
  // The entry as `init` of the other node prints it, and so does its `keys show`.
  const shown = (await runCli(A, ["keys", "show"])).out;
  const entry = /^over QUIC +("a": \{.*\}),/m.exec(shown)?.[1] ?? "";
  named = keyed.replace(/"a": \{ "keys".*\}/, entry);
  expect(named).not.toBe(keyed);
  writeFileSync(POLICY, keyed);
  ({ node, endpoint } = await start(B, "--services", "services.mjs"));
});

afterAll(async () => {
  await node?.kill("SIGKILL");
  rmSync(ROOT, { recursive: true, force: true });
});

describe("a peer that dials in over QUIC, and whose entry has its key", () => {
  it("is told both causes that the close may have, by ping and by the doctor", async () => {
    const both = /same cookie on both sides; when it is the same, read the log there: a policy whose entry .* has keys/;
    const { error, exit } = await answerOf(A, ...dialling("ping", NAME_B));
    expect({ ...error, exit }).toMatchObject({ reason: "SECRET_MISMATCH", exit: 3 });
    expect(error["message"]).toMatch(/another cookie there, or a policy that does not let in who dials over QUIC$/);
    expect(error["advice"]).toMatch(both);
    const { result } = await answerOf(A, ...dialling("doctor", "connect", NAME_B));
    expect(result["diagnosis"]).toMatchObject({ code: "SECRET_MISMATCH", stage: "cookie", fault: "either" });
    expect((result["diagnosis"] as Fields)["fix"]).toMatch(both);
  });

  it("is refused by the node for what it is, in its log, by why and in the record", async () => {
    const said = await node.event({ event: "refused", reason: "PEER_NOT_ALLOWED" });
    expect(said["message"]).toMatch(/^a@127\.0\.0\.1 dialled in over QUIC, so its key does not count/);
    expect(said["advice"]).toMatch(/^on this node: let this node dial it .*"assurance": "cookie" and no keys/);
    const { decision } = await node.event({ event: "denied", verb: "connect", why: "over-quic" });
    expect(await ask(B, "policy", "why", String(decision))).toMatchObject({ ...OVER_QUIC, source: "node" });
    const log = ["--audit", "data/audit"];
    expect(await ask(B, "policy", "why", String(decision), ...log)).toMatchObject({ ...OVER_QUIC, source: "audit" });
    const { out } = await runCli(B, ["policy", "why", String(decision)]);
    expect(out).toMatch(/deny-identity {2}the peer dialled in over QUIC, .*\npeer +a \(a@127/);
    expect(out).toMatch(/\nadvice +let this node dial it /);
  });

  it("gets the same answer from can, and is allowed where this node dials it or it comes over TLS", async () => {
    const can = (...more: readonly string[]) => answerOf(B, "policy", "can", "a", "connect", ...more);
    for (const more of [[], ["--transport", "barrel"], ["--transport", "barrel", "--assurance", "cookie"]]) {
      const { error, result, exit } = await can(...more);
      expect({ exit, result }).toMatchObject({ exit: 3, result: { ...OVER_QUIC, refusedWhy: "over-quic" } });
      expect(error["advice"]).toContain("let this node dial it");
    }
    for (const more of [["--transport", "native"], ["--dialled"], ["--transport", "barrel", "--dialled"]]) {
      expect(await can(...more)).toMatchObject({ exit: 0, result: { outcome: "allow" } });
    }
    expect(await answerOf(B, "policy", "can", "x@h.example", "connect")).toMatchObject({
      exit: 3,
      result: { refusedWhy: "no-entry-over-quic" },
      error: { advice: expect.stringContaining("a key lets nobody in who dials over QUIC") },
    });
  });

  it("connects in no matrix of this node, and check names its entry", async () => {
    for (const more of [[], ["--no-control"]]) {
      expect((await ask(B, "policy", "matrix", ...more))["edges"]).toMatchObject([
        { from: NAME_A, connects: false, refusedWhy: "over-quic", entries: [] },
      ]);
    }
    expect((await runCli(B, ["policy", "matrix"])).out).toContain(
      "refused where they dial in over QUIC: a@127.0.0.1 by b@127.0.0.1",
    );
    expect((await ask(B, "policy", "matrix", "--transport", "native"))["edges"]).toMatchObject([{ connects: true }]);
    expect(JSON.stringify(await ask(B, "policy", "check"))).toContain("a is not let in where it dials this node");
  });

  it("is told apart from one that comes over TLS by a node that listens on both", async () => {
    const file = join(B, "sallyport.jsonc");
    const before = readFileSync(file, "utf8");
    writeFileSync(file, before.replace('["quic://', '["tls://127.0.0.1:0", "quic://'));
    const question = ["policy", "can", "a", "connect", "--no-control"];
    expect(await ask(B, ...question)).toMatchObject({
      outcome: "allow",
      overQuic: { outcome: "deny-identity", rule: null, refusedWhy: "over-quic" },
    });
    expect((await runCli(B, question)).out).toMatch(/\nnot where it dials in over QUIC, as this node lets it: deny-id/);
    expect(await ask(B, ...question, "--transport", "native")).not.toHaveProperty("overQuic");
    writeFileSync(file, before);
  });
});

describe("a peer that dials in over QUIC, with the entry that keys show prints for it", () => {
  it("is let in, counts as cookie, and no tool says otherwise", async () => {
    await change(named);
    expect(await ask(A, ...dialling("ping", NAME_B))).toMatchObject({ peer: NAME_B, protocol: "barrel" });
    expect(await node.event({ event: "nodeup", assurance: "cookie" })).toMatchObject({ protocol: "barrel" });
    expect(await ask(B, "policy", "can", "a", "connect")).toMatchObject({ outcome: "allow", rule: "peer" });
    expect((await ask(B, "policy", "matrix"))["edges"]).toMatchObject([{ connects: true, refusedWhy: null }]);
    expect(JSON.stringify(await ask(B, "policy", "check"))).not.toContain("QUIC");
    expect(await answerOf(A, ...dialling("doctor", "connect", NAME_B))).toMatchObject({ exit: 0 });
  });

  it("is refused a function that a rule grants and nobody registered, by can as by the node", async () => {
    const from = node.events.length;
    const { error } = await answerOf(A, ...dialling("rpc", NAME_B, "lists", "reverse", "[[1,2]]"));
    expect(error).toMatchObject({ reason: "POLICY_DENIED" });
    const denied = await node.event({ event: "denied", verb: "rpc", target: "lists:reverse/1" }, from);
    expect(denied).toMatchObject({ outcome: "deny-default", why: "not-registered" });
    const { out } = await runCli(B, ["policy", "why", String(denied["decision"])]);
    expect(out).toContain("deny-default  it is granted, and no function of this name is registered in the node\n");
    const question = ["policy", "can", "a", "rpc", "lists:reverse/1"];
    expect(await answerOf(B, ...question)).toMatchObject({
      exit: 3,
      result: { outcome: "deny-default", why: "not-registered", rule: null },
      error: { advice: expect.stringContaining("register the function in the node") },
    });
    // A file alone cannot know.
    const offline = [...question, "--transport", "native", "--no-control"];
    expect(await ask(B, ...offline)).toMatchObject({ outcome: "allow", rule: "rev" });
    expect((await runCli(B, offline)).out).toContain("only where the node has registered a function of this name");
  });
});
