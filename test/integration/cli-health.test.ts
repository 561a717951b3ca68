import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { answerOf, ask, Cli, type Fields, refused, runCli } from "./cli-process.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-health-")));
const [A, B] = ["a@127.0.0.1", "b@127.0.0.1"];
const COOKIE = "a-cookie-that-nobody-should-ever-see";
const SHIFT = fileURLToPath(new URL("./shifted-clock.mjs", import.meta.url));

let shared: ReturnType<typeof testAuthority> | undefined;

const home = (name: string): string => join(ROOT, name);
let a: Cli;
let b: Cli;

/** Writes the configuration of a node with a certificate of so many days. */
async function configure(name: string, days: number, more: Fields = {}): Promise<void> {
  shared ??= testAuthority(join(ROOT, "ca"));
  const authority = await shared;
  const { certFile, keyFile } = await authority.issue(name, { days });
  const at = home(name);
  mkdirSync(at, { recursive: true });
  copyFileSync(certFile, join(at, "node.crt"));
  copyFileSync(keyFile, join(at, "node.key"));
  writeFileSync(join(at, "cookie"), COOKIE, { mode: 0o600 });
  const tls = { certFile: "node.crt", keyFile: "node.key", caFile: authority.caFile };
  const fixed = { name, listen: ["tls://127.0.0.1:0"], epmd: "off", audit: false, control: { path: "run/c.sock" } };
  const config = { ...fixed, tls, cookie: { file: "cookie" }, ...more };
  writeFileSync(join(at, "sallyport.jsonc"), JSON.stringify(config));
}
/** Starts a node whose clock can be shifted; resolves with what it says of where it listens. */
async function started(name: string, ...args: readonly string[]): Promise<{ node: Cli; listening: Fields }> {
  const environment = { NODE_OPTIONS: `--import=${SHIFT}`, SHIFT_DAYS: "400" };
  const node = new Cli(home(name), ["start", "--json", ...args], environment);
  await node.says(/"event":"listening".*\n/);
  return { node, listening: node.events.find(({ event }) => event === "listening") ?? {} };
}

async function get(url: unknown, path: string): Promise<{ status: number | undefined; text: string; body: Fields }> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, String(url)), { agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, text, body: JSON.parse(text) as Fields }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

let health: unknown;
let named: unknown;

beforeAll(async () => {
  await configure(B, 5, { health: { listen: "0", peers: true } });
  const { node, listening } = await started(B);
  b = node;
  named = listening["health"];
  const [endpoint] = listening["endpoints"] as readonly string[];
  await configure(A, 10, { seeds: [B], resolve: { [B]: endpoint } });
  ({
    node: a,
    listening: { health },
  } = await started(A, "--health", "0"));
  await a.says(/"event":"nodeup".*\n/);
});

afterAll(async () => {
  await Promise.all([a?.kill("SIGKILL"), b?.kill("SIGKILL")]);
  rmSync(ROOT, { recursive: true, force: true });
});

describe("a node that runs", () => {
  it("answers probes where it says, on this machine only", async () => {
    expect(health).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await get(health, "/live")).toMatchObject({ status: 200, body: { status: "ok" } });
    const { status, body } = await get(health, "/ready");
    expect([status, body]).toEqual([
      200,
      {
        status: "ok",
        checks: ["open", "listener", "certificates", "policy"].map((name) => ({ name, ok: true })),
      },
    ]);
  });

  it("names neither peers nor secrets to them, and peers where that was asked for", async () => {
    const told = await get(health, "/health");
    expect(told).toMatchObject({ status: 200, body: { state: "yellow", connectedCount: 1, trust: "ca" } });
    expect(told.body["certificates"]).toMatchObject([{ role: "own", daysLeft: 9 }, { role: "ca" }]);
    for (const secret of [B, COOKIE, ROOT, "PRIVATE"]) expect(told.text).not.toContain(secret);
    const asked = await get(named, "/health");
    expect(asked).toMatchObject({
      status: 200,
      body: { cluster: "healthy", reachableNodes: [A], unreachableNodes: [] },
    });
    for (const secret of [COOKIE, ROOT, "PRIVATE"]) expect(asked.text).not.toContain(secret);
  });

  it("tells of certificates near their end: its own and that of its peer", async () => {
    const all = await a.says(/"event":"expiry","at":"[^"]*","role":"peer".*\n/);
    expect(all).toContain('"event":"expiry"');
    const told = a.events.filter(({ event }) => event === "expiry");
    expect(told.map(({ role, of, withinDays }) => [role, of, withinDays])).toEqual([
      ["own", A, 14],
      ["peer", B, 7],
    ]);
    const { out } = await runCli(home(A), ["status"]);
    expect(out).toMatch(/warning +the certificate of a@127\.0\.0\.1 \(.*\) ends at \S+, in 9 days; renew it/);
  });

  it("tells `sallyport health` all, and probes by command as much as they need", async () => {
    const told = await ask(home(A), "health");
    expect(told).toMatchObject({
      selfNode: A,
      isDistributed: true,
      connectedNodes: [B],
      connectedCount: 1,
      reachableNodes: [B],
      unreachableNodes: [],
      status: "healthy",
      hasQuorum: true,
      state: "yellow",
      problems: ["CERT_EXPIRING", "PEER_CERT_EXPIRING"],
      peers: [{ name: B, state: "alive", reason: null, certificateDaysLeft: 4 }],
      trust: "ca",
      policyHash: null,
      lastRefusal: null,
    });
    expect(JSON.stringify(told)).not.toContain(COOKIE);
    const human = await runCli(home(A), ["health"]);
    expect(human).toMatchObject({ code: 0, err: "" });
    expect(human.out).toMatch(/peers +healthy: 1 alive, 0 suspect, 0 dead\n/);
    expect(human.out).toMatch(/certificate +own of a@127\.0\.0\.1: 9 days left, ends /);
    expect(await runCli(home(A), ["health", "--ready"])).toEqual({ code: 0, out: "ready\n", err: "" });
    expect(await runCli(home(A), ["health", "--live"])).toEqual({ code: 0, out: "live\n", err: "" });
  });

  it("names the peer that is gone, and why", async () => {
    await b.kill("SIGKILL");
    await a.says(/"event":"nodedown".*\n/);
    const told = await ask(home(A), "health");
    expect(told).toMatchObject({ status: "isolated", alive: 0, dead: 1, hasQuorum: false, isReady: true });
    expect(told["peers"]).toEqual([
      { name: B, state: "dead", reason: expect.stringMatching(/^[A-Z_]+$/), rttMs: null, certificateDaysLeft: null },
    ]);
    expect((await get(health, "/ready")).status).toBe(200);
  });

  it("is not ready and still live once its certificate has ended", async () => {
    a.child.kill("SIGUSR2");
    const ready = await vi.waitFor(
      async () => {
        const told = await get(health, "/ready");
        expect(told).toMatchObject({ status: 503, body: { status: "failed" } });
        return told;
      },
      { timeout: 50_000, interval: 100 },
    );
    expect(ready.body["checks"]).toContainEqual({ name: "certificates", ok: false, reason: "CERT_EXPIRED" });
    expect((await get(health, "/live")).status).toBe(200);
    expect((await get(health, "/health")).body).toMatchObject({ status: "failed", state: "red" });
    const { ok, exit, error, result } = await answerOf(home(A), "health");
    expect({ ok, exit, error, state: result["state"] }).toMatchObject({
      ok: false,
      exit: 1,
      error: { code: "ERR_REMOTE", reason: "NODE_NOT_READY", message: expect.stringContaining("CERT_EXPIRED") },
      state: "red",
    });
    expect(await runCli(home(A), ["health", "--ready"])).toMatchObject({ code: 1, out: "" });
    expect(await runCli(home(A), ["health", "--live"])).toMatchObject({ code: 0 });
  });

  it("answers no probe once it has stopped", async () => {
    expect(await a.kill("SIGTERM")).toMatchObject({ code: 0 });
    await expect(get(health, "/live")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await refused(home(A), "health", "--live")).toMatchObject({ exit: 4, reason: "NODE_NOT_RUNNING" });
  });
});

describe("the setting of the endpoint", () => {
  it("is explained with its source", async () => {
    const rows = (await ask(home(B), "config", "explain"))["settings"] as readonly Fields[];
    expect(rows.find(({ key }) => key === "health.listen")).toMatchObject({ value: "0", level: "config" });
    expect(rows.find(({ key }) => key === "health.peers")).toMatchObject({ value: true, level: "config" });
  });

  it("stops the start where it is no address, or another program has the port", async () => {
    expect(await refused(home(B), "start", "--health", "nowhere")).toMatchObject({
      exit: 2,
      reason: "HEALTH_LISTEN_INVALID",
    });
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    expect(await refused(home(B), "start", "--health", String(port))).toMatchObject({ exit: 2, reason: "PORT_IN_USE" });
    taken.close();
  });
});
