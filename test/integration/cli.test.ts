import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cli, documentOf, type Ran, runCli, start } from "./cli-process.ts";

const NODE = "shop@127.0.0.1";
const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-cli-")));
/** Directory made by `init`; the node runs in it, and the commands too. */
const HOME = join(ROOT, "shop");
/** Another directory made by `init`: another authority, another cookie. */
const STRANGER = join(ROOT, "stranger");

const LISTEN = ["--listen", "tls://127.0.0.1:0", "--epmd", "off"] as const;

/** For a second node in the same directory: the keys there are those of the running one. */
const OTHER_KEYS = ["--key-dir", "other-keys"];

let node: Cli;
let endpoint = "";

/** Runs a command against the running node, as a stranger with a certificate of the same authority. */
function at(...args: readonly string[]): Promise<Ran> {
  return runCli(HOME, [...args, "--no-control", "--resolve", `${NODE}=${endpoint}`, "--epmd", "off"]);
}

/** Checks a failure in both forms: for people on stderr alone, as JSON on stdout alone; same exit code. */
async function fails(args: readonly string[], code: number, error: Record<string, unknown>): Promise<void> {
  // One after the other: both have the name in their certificate, and a node has one session with a name.
  const human = await at(...args);
  const ran = await at("--json", ...args);
  expect({ code: human.code, out: human.out }).toEqual({ code, out: "" });
  expect(human.err).toMatch(/^error: .+\nadvice: .+\n$/);
  expect(ran.code).toBe(code);
  const text = expect.stringMatching(/./);
  expect(documentOf(ran)).toEqual({
    ok: false,
    error: expect.objectContaining({ message: text, advice: text, ...error }),
  });
}

beforeAll(async () => {
  expect((await runCli(ROOT, ["init", "shop", "--name", NODE])).code).toBe(0);
  expect((await runCli(ROOT, ["init", "stranger", "--name", "stranger@127.0.0.1"])).code).toBe(0);
  // The commands of this test come as strangers with a certificate, whom the policy of init would not let connect.
  const config = join(HOME, "sallyport.jsonc");
  writeFileSync(config, readFileSync(config, "utf8").replace('"policy": "policy.jsonc",', ""));
  ({ node, endpoint } = await start(HOME, "--demo-services", "--services", "services.mjs", ...LISTEN));
});

afterAll(async () => {
  await node?.kill("SIGKILL");
  rmSync(ROOT, { recursive: true, force: true });
});

describe("init", () => {
  it("writes a node with a secret only its owner can read, and says how to go on", async () => {
    const ran = await runCli(ROOT, ["init", "third"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toContain("cd third && sallyport start");
    const modeOf = (path: string): number => statSync(join(ROOT, "third", path)).mode & 0o777;
    expect(["data", "data/tls", "data/keys"].map(modeOf)).toEqual([0o700, 0o700, 0o700]);
    const secrets = ["cookie", "data/tls/ca.key", "data/tls/node.key", "data/tls/cli.key", "data/keys/node.key"];
    expect(secrets.map(modeOf)).toEqual([0o600, 0o600, 0o600, 0o600, 0o600]);
    const shown = await runCli(join(ROOT, "third"), ["keys", "show", "--json"]);
    expect(ran.out).toContain(String(documentOf(shown).result["fingerprint"]));
    expect(readFileSync(join(ROOT, "third/cookie"), "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
  });

  it("overwrites nothing, and writes nothing beside what is there", async () => {
    const directory = join(ROOT, "mine");
    mkdirSync(directory);
    writeFileSync(join(directory, "cookie"), "my own");
    const ran = await runCli(ROOT, ["init", "mine", "--json"]);
    expect(ran.code).toBe(2);
    expect(documentOf(ran)).toMatchObject({ ok: false, error: { code: "ERR_CONFIG", reason: "INIT_EXISTS" } });
    expect(readdirSync(directory)).toEqual(["cookie"]);
    expect(readFileSync(join(directory, "cookie"), "utf8")).toBe("my own");
  });
});

describe("a command that succeeds", () => {
  it("pings", async () => {
    const ran = await at("ping", NODE, "--json");
    expect(ran.code).toBe(0);
    const result = { peer: NODE, protocol: "otp", assurance: "ca", fingerprint: null, rttMs: expect.any(Number) };
    expect(documentOf(ran)).toEqual({ ok: true, result });
    const human = await at("ping", NODE);
    expect(human).toMatchObject({ code: 0, err: "" });
    expect(human.out).toMatch(/^pong from shop@127\.0\.0\.1 in [\d.]+ ms/);
  });

  it("takes host and port with the name", async () => {
    const ran = await runCli(HOME, ["ping", `${NODE}:${endpoint.split(":").at(-1)}`, "--no-control", "--epmd", "off"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
  });

  it("calls, and prints the reply as Erlang would", async () => {
    expect(await at("call", NODE, "calc", "{add, 1, 2}")).toEqual({ code: 0, out: "{ok,3}\n", err: "" });
    expect(documentOf(await at("call", NODE, "calc", "{add, 1, 2}", "--json"))).toEqual({
      ok: true,
      result: { term: "{ok,3}" },
    });
    expect(await at("call", NODE, "echo", "-5")).toEqual({ code: 0, out: "-5\n", err: "" });
    const term = '[1.0,"text",<<"bytes">>,#{a => nil}].';
    expect((await at("call", NODE, "echo", term)).out).toBe('[1.0,"text",<<"bytes">>,#{a => nil}]\n');
    expect((await at("call", NODE, "calc", "{divide, 1, 0}")).out).toBe("{error,badarg}\n");
    expect((await at("call", NODE, "greeter", "{hello, 1}")).out).toMatch(
      /^\{ok,<<"hello cli-[0-9a-f]{8}@127\.0\.0\.1">>\}\n$/,
    );
  });

  it("casts and sends, and the message arrives before it ends", async () => {
    expect(await at("cast", NODE, "counter", "{add, 5}")).toEqual({ code: 0, out: "ok\n", err: "" });
    expect((await at("call", NODE, "counter", "get")).out).toBe("5\n");
    expect(documentOf(await at("send", NODE, "counter", "reset", "--json"))).toEqual({
      ok: true,
      result: { term: "ok" },
    });
    expect((await at("call", NODE, "counter", "get")).out).toBe("0\n");
  });

  it("runs functions and starts processes", async () => {
    expect(await at("rpc", NODE, "demo", "add", "[20, 22]")).toEqual({ code: 0, out: "42\n", err: "" });
    expect((await at("spawn", NODE, "sleep", "[1]")).out).toMatch(/^#Pid<'shop@127\.0\.0\.1'\.\d+\.\d+>\n$/);
  });
});

describe("a command that fails", () => {
  it("exits with 1 when the remote failed", async () => {
    await fails(["rpc", NODE, "demo", "add", "[1, x]"], 1, {
      code: "ERR_REMOTE",
      reason: "REMOTE_EXCEPTION",
      peer: NODE,
    });
  });

  it("exits with 2 when an argument or a file is wrong", async () => {
    await fails(["call", NODE, "calc", "{add"], 2, { code: "ERR_CONFIG", reason: "TERM_SYNTAX" });
    await fails(["rpc", NODE, "demo", "add", "{1}"], 2, { code: "ERR_CONFIG", reason: "ARGS_NOT_A_LIST" });
    await fails(["ping", NODE, "--nonsense"], 2, { code: "ERR_CONFIG", reason: "USAGE" });
    await fails(["ping", "not a name"], 2, { code: "ERR_CONFIG", reason: "NAME_INVALID" });
    await fails(["ping", NODE, "--tls-ca", "missing.crt"], 2, { code: "ERR_CONFIG", reason: "CERT_FILE_MISSING" });
    await fails(["ping", NODE, "--config", "missing.jsonc"], 2, { code: "ERR_CONFIG", reason: "CONFIG_UNREADABLE" });
  });

  it("exits with 3 when the other side's rules say no", async () => {
    const denied = { code: "ERR_DENIED", reason: "POLICY_DENIED", stage: "policy", peer: NODE };
    await fails(["call", NODE, "nobody", "x"], 3, { ...denied, decision: expect.stringMatching(/^[0-9A-Z]{8,26}$/) });
    await fails(["rpc", NODE, "os", "cmd", '["id"]'], 3, denied);
    await fails(["spawn", NODE, "nothing", "[]"], 3, denied);
  });

  it("exits with 3 when the cookie is wrong", async () => {
    await fails(["ping", NODE, "--cookie-file", "../stranger/cookie"], 3, {
      code: "ERR_DENIED",
      reason: "SECRET_MISMATCH",
      stage: "cookie",
      peer: NODE,
    });
  });

  it("exits with 3 when either side does not know the other's authority", async () => {
    const theirs = join(STRANGER, "data/tls/ca.crt");
    await fails(["ping", NODE, "--tls-ca", theirs], 3, {
      code: "ERR_DENIED",
      reason: "CERT_UNKNOWN_ISSUER",
      stage: "tls",
    });
    const cli = ["--tls-cert", join(STRANGER, "data/tls/cli.crt"), "--tls-key", join(STRANGER, "data/tls/cli.key")];
    await fails(["ping", NODE, ...cli], 3, {});
  });

  it("exits with 3 when the certificate does not name the one who shows it", async () => {
    await fails(["ping", NODE, "--name", "mallory@elsewhere"], 3, { code: "ERR_DENIED" });
  });

  it("exits with 4 when nothing listens", async () => {
    await fails(["cast", "ghost@127.0.0.1", "x", "y", "--resolve", "ghost@127.0.0.1=127.0.0.1:1"], 4, {
      code: "ERR_UNREACHABLE",
      reason: "PORT_CLOSED",
      stage: "port",
    });
  });

  it("exits with 4 when there is no answer in time, connected or not", async () => {
    await fails(["rpc", NODE, "demo", "sleep", "[60000]", "--timeout", "800"], 4, { code: "ERR_DEADLINE", peer: NODE });
    const silent: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await fails(["ping", "mute@127.0.0.1", "--resolve", `mute@127.0.0.1=127.0.0.1:${port}`, "--timeout", "300"], 4, {
      code: "ERR_DEADLINE",
    });
    silent.close();
  });

  it("exits with 4 when the connection is lost before the answer", async () => {
    const victim = await start(HOME, "--no-control", "--demo-services", ...OTHER_KEYS, ...LISTEN);
    const waiting = runCli(HOME, [
      "rpc",
      "--no-control",
      `${NODE}`,
      "demo",
      "sleep",
      "[60000]",
      "--json",
      "--resolve",
      `${NODE}=${victim.endpoint}`,
    ]);
    await victim.node.says(/nodeup.*\n/);
    await victim.node.kill("SIGKILL");
    const ran = await waiting;
    expect(ran.code).toBe(4);
    expect(documentOf(ran)).toMatchObject({ ok: false, error: { reason: "TARGET_DOWN", peer: NODE } });
  });
});

describe("start", () => {
  it("prints its events as JSON lines, listening first", () => {
    const [first] = node.events;
    expect(first).toEqual({
      event: "listening",
      at: expect.any(String),
      name: NODE,
      endpoints: [endpoint],
      fingerprint: expect.stringMatching(/^SHA256:/),
    });
    const seen = new Set(node.events.map(({ event }) => event));
    expect([...seen]).toEqual(expect.arrayContaining(["nodeup", "nodedown", "denied", "refused", "handler_error"]));
    expect(node.events.every(({ at }) => typeof at === "string" && new Date(at).toISOString() === at)).toBe(true);
    expect(node.events.find(({ event }) => event === "nodeup")).toEqual({
      event: "nodeup",
      at: expect.any(String),
      peer: expect.stringMatching(/^cli-[0-9a-f]{8}@127\.0\.0\.1$/),
      protocol: "otp",
      assurance: "ca",
      fingerprint: null,
      role: "acceptor",
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    expect(node.events.find(({ event }) => event === "denied")).toMatchObject({
      decision: expect.any(String),
      outcome: "deny-default",
      rule: null,
      peer: expect.stringMatching(/^cli-[0-9a-f]{8}@127\.0\.0\.1$/),
      verb: expect.any(String),
      target: "nobody",
    });
  });

  it("speaks to people without --json, and stops at SIGINT", async () => {
    const human = new Cli(HOME, ["start", "--no-control", ...OTHER_KEYS, ...LISTEN]);
    await human.says(/listening/);
    const ran = await human.kill("SIGINT");
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(
      /^\d\d:\d\d:\d\d listening shop@127\.0\.0\.1 on tls:\/\/.*\n\d\d:\d\d:\d\d stopped {3}SIGINT\n$/,
    );
  });

  it("refuses a services file that cannot be used, before it listens", async () => {
    writeFileSync(join(ROOT, "bad.mjs"), "export const answer = 42;");
    const ran = await runCli(HOME, ["start", "--no-control", "--services", "../bad.mjs", "--json"]);
    expect(ran.code).toBe(2);
    expect(documentOf(ran)).toMatchObject({ ok: false, error: { reason: "SERVICES_INVALID" } });
    const broken = await runCli(HOME, ["start", "--no-control", "--services", "../no.mjs", "--json"]);
    expect(documentOf(broken)).toMatchObject({ ok: false, error: { reason: "SERVICES_UNLOADABLE" } });
  });

  it("drains at SIGTERM, says stopped last and exits with 0", async () => {
    const ran = await node.kill("SIGTERM");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(node.events.at(-1)).toEqual({ event: "stopped", at: expect.any(String), reason: "SIGTERM" });
  });
});

interface DemoDocument {
  readonly result: {
    readonly ec2: string;
    readonly steps: unknown;
    readonly rows: {
      readonly from: string;
      readonly ok: boolean;
      readonly observed: { outcome: string; by: string };
    }[];
    readonly state: { readonly before: unknown; readonly after: unknown };
    readonly matrix: { readonly mutualCommand: unknown[] };
  };
}

describe("demo without Erlang", () => {
  it("plays ec2_node as a Sallyport process, and leaves nothing behind", async () => {
    const scratch = join(ROOT, "scratch");
    mkdirSync(scratch);
    const ran = await new Cli(ROOT, ["demo", "--json"], { TMPDIR: scratch, PATH: scratch }).ended;
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { result } = documentOf(ran) as unknown as DemoDocument;
    expect(result.ec2).toBe("sallyport");
    expect(JSON.stringify(result.steps)).toContain("There is no Erlang");
    expect(result.rows.filter((row) => !row.ok)).toEqual([]);
    expect(result.rows.length).toBeGreaterThan(40);
    const rules = new Set(result.rows.map(({ observed }) => `${observed.outcome} ${observed.by}`));
    for (const seen of [
      "done level",
      "done desk-look",
      "done ec2-progress",
      "done bob-results",
      "refused bob-no-orders",
      "refused no-orders",
      "silence deny-default",
    ]) {
      expect([...rules]).toContain(seen);
    }
    expect(result.state.after).toEqual(result.state.before);
    expect(result.matrix.mutualCommand).toEqual([]);
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const scratch = join(ROOT, "scratch-interrupted");
    mkdirSync(scratch);
    const demo = new Cli(ROOT, ["demo", "--peer", "sallyport"], { TMPDIR: scratch });
    await demo.says(/bob_colo:/);
    const ran = await demo.kill("SIGINT");
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("stopped by SIGINT");
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe("help", () => {
  it("goes to standard output and exits with 0", async () => {
    const all = await runCli(ROOT, ["--help"]);
    expect(all).toMatchObject({ code: 0, err: "" });
    for (const command of ["init", "start", "ping", "call", "cast", "send", "rpc", "spawn", "demo"]) {
      expect(all.out).toMatch(new RegExp(`^  ${command} `, "m"));
    }
    const one = await runCli(ROOT, ["call", "--help"]);
    for (const part of ["Usage: sallyport call NODE NAME TERM", "Examples:", "Exit codes:", "--timeout"]) {
      expect(one.out).toContain(part);
    }
    expect((await runCli(ROOT, ["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await runCli(ROOT, [])).code).toBe(2);
  });
});
