import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerOf, type Cli, type Fields, runCli, start } from "./cli-process.ts";
import { describeWithHosts, Hosts } from "./namespaces.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-doctor-cli-")));
const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
const SHOP = "shop@127.0.0.1";
const DESK = "desk@127.0.0.1";
const HOME = join(ROOT, "desk");

let shop: Cli;
let desk: Cli;
let endpoint = "";

interface Stage {
  readonly stage: string;
  readonly state: string;
}

/** Stages up to the first that is not in order. */
function statesOf(result: Fields): readonly string[] {
  return (result["stages"] as readonly Stage[]).map(({ stage, state }) => `${stage} ${state}`);
}

/** What was found of one thing. */
function found(result: Fields, check: string): readonly Fields[] {
  return (result["checks"] as readonly Fields[]).filter((one) => one["check"] === check);
}

function edit(home: string, change: (config: string) => string): void {
  const file = join(ROOT, home, "sallyport.jsonc");
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

async function init(home: string, name: string, ...more: readonly string[]): Promise<void> {
  expect((await runCli(ROOT, ["init", home, "--name", name, ...more])).code).toBe(0);
}

beforeAll(async () => {
  await init("shop", SHOP);
  await init("desk", DESK, "--peer", "shop");
  await init("lonely", "lonely@127.0.0.1");
  edit("shop", (config) => config.replace('"policy": "policy.jsonc",', ""));
  copyFileSync(join(ROOT, "shop/cookie"), join(HOME, "cookie"));
});
afterAll(async () => {
  await Promise.all([shop, desk].map((node) => node?.kill("SIGKILL")));
  rmSync(ROOT, { recursive: true, force: true });
});

describe("doctor on this machine", () => {
  it("finds a fresh set in order: exit 0", async () => {
    const { ok, result, exit } = await answerOf(join(ROOT, "lonely"), "doctor", "--listen", "tls://127.0.0.1:0");
    expect([ok, exit, result["faults"]]).toEqual([true, 0, 0]);
    const seen = (result["checks"] as readonly Fields[]).map(({ check }) => check);
    const all = [
      "config",
      "name",
      "clock",
      "keys",
      "certificates",
      "cookie",
      "policy",
      "audit",
      "ports",
      "epmd",
      "control",
    ];
    expect([...new Set(seen)]).toEqual(all);
    expect(found(result, "cookie")).toMatchObject([{ state: "ok", says: "64 bytes" }]);
  });

  it("finds what is wrong, names file and fix, shows no secret: exit 1", async () => {
    const home = join(ROOT, "lonely");
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
    const { port } = blocker.address() as { port: number };
    const cookie = readFileSync(join(home, "cookie"), "utf8").trim();
    const saved = readFileSync(join(home, "data/tls/node.crt"), "utf8");
    chmodSync(join(home, "data/keys/node.key"), 0o644);
    writeFileSync(join(home, "data/tls/node.crt"), readFileSync(join(ROOT, "shop/data/tls/node.crt")));
    writeFileSync(join(home, "policy.jsonc"), '{ "version": 1, "node": "lonely@127.0.0.1", "rules": 7 }');
    writeFileSync(join(home, "short"), "abc");
    try {
      const args = [
        "--listen",
        `tls://127.0.0.1:${port}`,
        "--cookie-file",
        "short",
        "--epmd",
        "register",
        "--epmd-port",
        "1",
      ];
      const { ok, result, error, exit } = await answerOf(home, "doctor", ...args);
      expect([ok, exit, error["reason"]]).toEqual([false, 1, "MACHINE_FAULTY"]);
      expect(found(result, "keys")).toMatchObject([{ state: "fault", code: "KEY_PERMISSIONS" }]);
      expect(found(result, "certificates").map(({ code }) => code)).toContain("KEY_CERT_MISMATCH");
      expect(found(result, "policy")).toMatchObject([{ state: "fault", code: expect.stringMatching(/^POLICY_/) }]);
      expect(found(result, "ports")).toMatchObject([{ state: "fault", code: "PORT_IN_USE" }]);
      expect(found(result, "cookie")).toMatchObject([{ state: "warning", code: "COOKIE_WEAK" }]);
      expect(found(result, "epmd")).toMatchObject([{ state: "fault", code: "EPMD_UNREACHABLE" }]);
      for (const check of result["checks"] as readonly Fields[]) {
        if (check["state"] === "fault") expect(check["advice"]).toMatch(/./);
      }
      const human = await runCli(home, ["doctor", ...args]);
      expect(human.code).toBe(1);
      expect(human.out).toMatch(/^fault +keys +KEY_PERMISSIONS: /m);
      const secrets = [cookie, "abc\n", readFileSync(join(home, "data/keys/node.key")).toString("hex"), "PRIVATE KEY"];
      for (const secret of secrets) expect(`${human.out}${human.err}${JSON.stringify(result)}`).not.toContain(secret);
    } finally {
      blocker.close();
      chmodSync(join(home, "data/keys/node.key"), 0o600);
      writeFileSync(join(home, "data/tls/node.crt"), saved);
    }
  });

  it("warns of what a start over QUIC warns of, and finds what it would refuse", async () => {
    await init("mesh", "mesh@127.0.0.1");
    const home = join(ROOT, "mesh");
    const quic = '  "quic": { "visible": ["shop@db1", "shop@DB1"], "allowPublic": true },';
    edit("mesh", (config) => config.replace(/^ {2}"epmd": .*$/m, `${quic}\n  "epmd": "off",`));
    const warned = await answerOf(home, "doctor", "--listen", "quic://0.0.0.0:0");
    expect(found(warned.result, "config")).toMatchObject([
      { state: "ok" },
      { state: "warning", code: "QUIC_VISIBLE", says: expect.stringContaining("visible: shop@db1 list it") },
      { state: "warning", code: "QUIC_PUBLIC_LISTENER", says: expect.stringContaining("CVE-2025-7054") },
    ]);
    expect([warned.exit, found(warned.result, "ports")]).toMatchObject([0, [{ state: "ok" }]]);
    const { exit, result } = await answerOf(home, "doctor", "--listen", "quic://localhost:0");
    expect([exit, found(result, "config").map(({ code }) => code)]).toEqual([0, [null, "QUIC_VISIBLE"]]);
    edit("mesh", (config) => config.replace(/^ {2}"quic": .*$/m, '  "quic": {},'));
    const refusing = await answerOf(home, "doctor", "--listen", "quic://0.0.0.0:0");
    expect(found(refusing.result, "ports")).toMatchObject([{ state: "fault", code: "QUIC_PUBLIC_ADDRESS" }]);
    expect([refusing.exit, found(refusing.result, "config")]).toMatchObject([1, [{ state: "ok" }]]);
  });

  it("says of a configuration that does not load where: exit 2", async () => {
    await init("broken", "broken@127.0.0.1");
    edit("broken", (config) => config.replace("{", "{,"));
    const { ok, error, exit } = await answerOf(join(ROOT, "broken"), "doctor");
    expect([ok, exit]).toEqual([false, 2]);
    expect(error["message"]).toMatch(/sallyport\.jsonc/);
  });
});

describe("doctor connect", () => {
  beforeAll(async () => {
    ({ node: shop, endpoint } = await start(join(ROOT, "shop"), "--listen", "tls://127.0.0.1:0", "--epmd", "off"));
    const resolve = `${SHOP}=${endpoint}`;
    ({ node: desk } = await start(HOME, "--listen", "tls://127.0.0.1:0", "--epmd", "off", "--resolve", resolve));
  });

  it("is done by the running node, with its keys and its table of addresses", async () => {
    const { ok, result, exit } = await answerOf(HOME, "doctor", "connect", SHOP);
    expect([ok, exit]).toEqual([true, 0]);
    expect(result).toMatchObject({ node: DESK, target: SHOP, diagnosis: null });
    expect(statesOf(result).every((state) => state.endsWith(" ok"))).toBe(true);
    await desk.says(/"event":"nodeup","at":"[^"]+","peer":"shop@127\.0\.0\.1"/);
    const status = await answerOf(HOME, "doctor");
    expect(found(status.result, "ports")[0]?.["says"]).toMatch(/^bound by the running node: tls:/);
  });

  it("names stage, code, side and fix of a failure, in both forms: the exit code is that of the stage", async () => {
    const args = ["doctor", "connect", `nobody@127.0.0.1:1`, "--epmd", "off", "--no-control"];
    const { ok, result, error, exit } = await answerOf(join(ROOT, "lonely"), ...args);
    expect([ok, exit, error["reason"], error["stage"]]).toEqual([false, 4, "PORT_CLOSED", "port"]);
    expect(error["advice"]).toBe("on the other node, nobody@127.0.0.1: start the node there, or correct the port");
    expect(result["diagnosis"]).toMatchObject({ code: "PORT_CLOSED", stage: "port", fault: "remote", retryable: true });
    expect(statesOf(result).slice(0, 4)).toEqual(["name ok", "resolve ok", "port failed", "tls not reached"]);
    const human = await runCli(join(ROOT, "lonely"), args);
    expect(human.code).toBe(4);
    expect(human.out).toMatch(/^port +failed /m);
    expect(human.out).toMatch(/^PORT_CLOSED at stage port; at fault: the other node$/m);
    expect(human.err).toMatch(/^error: .+\nadvice: on the other node, nobody@127\.0\.0\.1: /);
  });

  it("says by the event of the other node what it refused, whose fault it was and what to do", async () => {
    const stranger = ["--no-control", "--protocol", "otp", "--resolve", `${SHOP}=${endpoint}`, "--epmd", "off"];
    const { exit, result } = await answerOf(join(ROOT, "lonely"), "doctor", "connect", SHOP, ...stranger);
    expect(exit).toBe(3);
    expect(result["diagnosis"]).toMatchObject({ code: "CERT_UNKNOWN_ISSUER", fault: "remote" });
    await shop.says(/"event":"refused".*"diagnosis":"CERT_UNKNOWN_ISSUER"/);
    const event = shop.events.find(({ diagnosis }) => diagnosis === "CERT_UNKNOWN_ISSUER");
    expect(event).toMatchObject({
      role: "acceptor",
      fault: "either",
      advice: expect.stringMatching(/^on one of the two nodes: /),
    });
  });

  it("asks for the node that is missing: exit 2", async () => {
    const { error, exit } = await answerOf(HOME, "doctor", "connect");
    expect([exit, error["reason"]]).toEqual([2, "USAGE"]);
    expect((await answerOf(HOME, "doctor", "disconnect", SHOP)).exit).toBe(2);
  });
});

describeWithHosts("a port behind a filter", () => {
  it("PORT_FILTERED where packets vanish, PORT_CLOSED where they are refused", async () => {
    const hosts = Hosts.make({ here: "10.77.9.1", there: "10.77.9.2" });
    const examine = async (): Promise<Fields> => {
      const [ip = "ip", ...words] = hosts.on("here");
      const connect = ["doctor", "connect", "far@10.77.9.2:9100", "--json", "--no-control", "--epmd", "off"];
      const run = promisify(execFile)(ip, [...words, process.execPath, MAIN, ...connect, "--timeout", "20000"], {
        cwd: join(ROOT, "lonely"),
      });
      const { stdout } = await run.catch((failed: { stdout: string }) => failed);
      return (JSON.parse(stdout) as { result: Fields }).result;
    };
    try {
      expect((await examine())["diagnosis"]).toMatchObject({ code: "PORT_CLOSED", fault: "remote" });
      // Answers of the other host have no way back: to this one it is as if a firewall dropped them.
      hosts.swallow("there", "10.77.9.1");
      const result = await examine();
      expect(result["diagnosis"]).toMatchObject({
        code: "PORT_FILTERED",
        stage: "port",
        fault: "network",
        fix: expect.stringMatching(/^on the network between the two: look for a firewall/),
      });
      expect(result["stages"]).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ stage: "port", evidence: expect.objectContaining({ inDefaultRange: true }) }),
        ]),
      );
    } finally {
      hosts.remove();
    }
  });
});
