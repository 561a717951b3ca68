import { createHash, X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { isOpen } from "./channel-ear.ts";
import { answerOf, ask, Cli, configure, type Fields, refused, runCli } from "./cli-process.ts";
import { engines } from "./engine-processes.ts";
import { closeEngines, dial, engine } from "./quic-rig.ts";

// Homes of nodes with a QUIC listener, and the commands in them, as processes.

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-quic-home-")));
const NAME = "d@127.0.0.1";
const OTHER = "e@127.0.0.9";
const running: Cli[] = [];
let homes = 0;

afterEach(async () => {
  closeEngines();
  await Promise.all(running.splice(0).map((node) => node.kill("SIGTERM")));
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

/** What `sallyport init` makes, with these listeners in its configuration. */
async function home(...listen: readonly string[]): Promise<string> {
  const at = join(ROOT, `home${++homes}`);
  await ask(ROOT, "init", at, "--name", NAME);
  const file = join(at, "sallyport.jsonc");
  const config = readFileSync(file, "utf8");
  const changed = config.replace(/"listen": .*/, `"listen": ${JSON.stringify(listen)},`).replace('"lookup"', '"off"');
  writeFileSync(file, changed);
  return at;
}

interface Running {
  readonly node: Cli;
  readonly endpoints: readonly string[];
  readonly port: number;
}

async function started(at: string, ...args: readonly string[]): Promise<Running> {
  const node = new Cli(at, ["start", "--json", ...args]);
  running.push(node);
  await node.says(/"event":"listening".*\n/);
  const [listening] = node.events.filter(({ event }) => event === "listening");
  const endpoints = listening?.["endpoints"] as readonly string[];
  const quic = endpoints.find((text) => text.startsWith("quic:")) ?? "quic://127.0.0.1:1";
  return { node, endpoints, port: Number(new URL(quic).port) };
}

/** Of the certificate that the listener shows to whoever dials it now. */
async function shownOverQuic(port: number): Promise<string> {
  const { carrier, ear } = dial(engine(), port);
  await ear.until(isOpen);
  carrier.destroy();
  const hex = createHash("sha256")
    .update(ear.info?.peerCertDer ?? "")
    .digest("hex");
  return hex.toUpperCase().replace(/..(?!$)/g, "$&:");
}

const fingerprintIn = (file: string): string => new X509Certificate(readFileSync(file)).fingerprint256;
const shown = (fields: Fields, name: string): unknown => (fields[name] as Fields | null)?.["fingerprint"];

describe("a home made by init, with a QUIC listener", () => {
  it("rotates and rolls back the certificate of QUIC while the node runs, and leaves that of TLS", async () => {
    const at = await home("tls://127.0.0.1:0", "quic://127.0.0.1:0");
    const { port } = await started(at);
    const tls = fingerprintIn(join(at, "data/tls/node.crt"));
    const first = await shownOverQuic(port);
    const rotated = await ask(at, "keys", "rotate", "--certificate");
    expect(rotated).toMatchObject({ node: "told", uses: { tls: false, quic: true } });
    expect(shown(rotated, "oldCertificate")).toBe(first);
    const second = await shownOverQuic(port);
    expect(second).not.toBe(first);
    expect(shown(rotated, "certificate")).toBe(second);
    expect(fingerprintIn(join(at, "data/tls/node.crt"))).toBe(tls);
    expect(shown(await ask(at, "keys", "rollback", "--certificate"), "certificate")).toBe(first);
    expect(await shownOverQuic(port)).toBe(first);
  });

  it("shows both certificates, each with what it is for", async () => {
    const at = await home("tls://127.0.0.1:0", "quic://127.0.0.1:0");
    const before = await runCli(at, ["keys", "show"]);
    expect(before.out).toMatch(/^QUIC certificate +none yet/m);
    const rotated = await runCli(at, ["keys", "rotate", "--certificate"]);
    expect(rotated.out).toMatch(/^shown over +QUIC; over TLS the one of the configuration stays$/m);
    const [own, configured] = ["data/keys/tls/node.crt", "data/tls/node.crt"].map((file) =>
      fingerprintIn(join(at, file)),
    );
    const { out } = await runCli(at, ["keys", "show"]);
    expect(out).toMatch(new RegExp(`^TLS certificate +${join(at, "data/tls/node.crt")}, ${configured}, until `, "m"));
    expect(out).toMatch(new RegExp(`^QUIC certificate +${own}, until `, "m"));
    const told = await ask(at, "keys", "show");
    expect([shown(told, "certificate"), shown(told, "tls")]).toEqual([own, configured]);
    expect(told["uses"]).toEqual({ tls: false, quic: true });
  });

  it("goes by the listeners of the node that runs, where the configuration has none of QUIC", async () => {
    const at = await home("tls://127.0.0.1:0");
    expect(await refused(at, "keys", "rotate", "--certificate")).toMatchObject({ reason: "CERTIFICATE_CONFIGURED" });
    const { port } = await started(at, "--listen", "quic://127.0.0.1:0");
    const rotated = await ask(at, "keys", "rotate", "--certificate");
    expect(shown(rotated, "certificate")).toBe(await shownOverQuic(port));
  });

  it("says that it is not ready while the listener is away, and that it is back", async () => {
    const at = await home("tls://127.0.0.1:0", "quic://127.0.0.1:0");
    const { node, port, endpoints } = await started(at, "--health", "0");
    const [tls, quic] = endpoints as readonly [string, string];
    const warned = (reason: string): Promise<string> => node.says(new RegExp(`"reason":"${reason}".*\n`));
    expect((await answerOf(at, "health", "--ready")).exit).toBe(0);
    // Who takes the port keeps the listener away for as long as the test looks.
    const squatter = createSocket("udp4");
    const kill = (): void => {
      for (const pid of engines(node.child.pid)) process.kill(pid, "SIGKILL");
    };
    kill();
    await warned("QUIC_ENGINE_RESTART");
    squatter.bind(port, "127.0.0.1");
    await once(squatter, "listening");
    await warned("QUIC_LISTENER_LOST");
    const ready = await answerOf(at, "health", "--ready");
    expect({ ...ready.error, exit: ready.exit }).toMatchObject({ reason: "NODE_NOT_READY", exit: 1 });
    expect(ready.error["message"]).toContain("NOT_LISTENING");
    const whole = await answerOf(at, "health");
    expect(whole.result).toMatchObject({ state: "yellow", problems: ["NOT_LISTENING"], away: [quic], isReady: false });
    expect(await ask(at, "status")).toMatchObject({ state: "yellow", endpoints, away: [quic] });
    expect((await runCli(at, ["status"])).out).toContain(`${tls}, ${quic} (not listening now)`);
    const ports = async (): Promise<unknown> =>
      ((await answerOf(at, "doctor")).result["checks"] as readonly Fields[])
        .filter(({ check }) => check === "ports")
        .map(({ state, code, says }) => [state, code, says]);
    expect(await ports()).toEqual([
      ["ok", null, `bound by the running node: ${tls}`],
      ["fault", "NOT_LISTENING", `the running node has lost ${quic}`],
    ]);
    const probe = node.events.find(({ event }) => event === "listening")?.["health"];
    expect((await fetch(`${probe}/ready`)).status).toBe(503);
    squatter.close();
    kill();
    await warned("QUIC_LISTENER_BACK");
    expect((await answerOf(at, "health", "--ready")).exit).toBe(0);
    expect(await ask(at, "status")).toMatchObject({ state: "green", away: [] });
    expect(await ports()).toEqual([["ok", null, `bound by the running node: ${tls}, ${quic}`]]);
    expect((await fetch(`${probe}/ready`)).status).toBe(200);
    // A code in brackets is for errors, and these are sentences.
    const messages = node.events.filter(({ event }) => event === "warning").map(({ message }) => String(message));
    for (const message of messages) expect(message).not.toMatch(/^\[/);
    expect(messages.at(-1)).toBe(`the QUIC listener on 127.0.0.1:${port} is back`);
  });
});

describe("a shared directory with a node that is reached over QUIC", () => {
  const COOKIE = "cookie-of-the-quic-home-tests";
  const shared = join(ROOT, "shared");

  /** The home of a node that has nothing but QUIC. */
  const quicHome = (name: string): string => {
    const at = join(ROOT, `home${++homes}`);
    mkdirSync(shared, { recursive: true });
    const more = { cookie: COOKIE, discovery: { directory: shared }, identity: { trust: "tofu" } };
    configure(at, name, { listen: [`quic://${name.split("@")[1]}:0`], ...more });
    return at;
  };

  it("leads there from a node that listens on QUIC and nothing else, and from commands in its home", async () => {
    await started(quicHome(OTHER));
    const at = quicHome(NAME);
    const reached = { peer: OTHER, protocol: "barrel" };
    expect(await ask(at, "ping", OTHER)).toMatchObject(reached);
    await started(at);
    expect(await ask(at, "ping", OTHER)).toMatchObject(reached);
  });

  it("tells a command that does not dial QUIC what leads there", async () => {
    await started(quicHome(OTHER));
    const at = join(ROOT, `home${++homes}`);
    configure(at, NAME, { cookie: COOKIE, discovery: { directory: shared } });
    await ask(at, "keys", "init");
    const { message } = await refused(at, "ping", OTHER);
    expect(message).toContain("over QUIC it is reached with --protocol barrel");
    expect(await ask(at, "ping", OTHER, "--protocol", "barrel", "--trust", "tofu")).toMatchObject({ peer: OTHER });
  });
});
