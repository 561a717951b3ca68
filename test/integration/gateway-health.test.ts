import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayNotice } from "../../src/gateway/notices.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import type { Node } from "../../src/node/api.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { freePort, freeUdpPort } from "../interop/erlang-node.ts";
import { issueParts } from "../interop/rig.ts";
import { ask, Cli, type Fields } from "./cli-process.ts";
import { engines } from "./engine-processes.ts";

const HOME = mkdtempSync(join(tmpdir(), "sp-gwh-"));
const [INSIDE, OUTSIDE] = ["desk@127.0.0.1", "shop@127.0.0.1"];
const [INSIDE_COOKIE, COOKIE] = ["cookie-of-the-inside", "cookie-of-the-outside"];
const FACE = { certFile: join(HOME, "face.crt"), keyFile: join(HOME, "face.key") };

let authority: TestAuthority;
let inside: Node;
let outside: Node;
let port: number;
const open: Gateway[] = [];
const notices: GatewayNotice[] = [];

/** The certificate that the gateway shows outside is one of so many days. */
async function renew(days: number): Promise<void> {
  const { certFile, keyFile } = await authority.issue(INSIDE, { days });
  copyFileSync(keyFile, FACE.keyFile);
  copyFileSync(certFile, FACE.certFile);
}

function options(peers = false): GatewayOptions {
  const pair = {
    name: "desk",
    inside: { node: INSIDE, address: inside.endpoints[0] ?? "", cookie: INSIDE_COOKIE },
    outside: {
      nodes: [OUTSIDE],
      listen: `tls://127.0.0.1:${port}`,
      cookie: COOKIE,
      tls: { ...FACE, caFile: authority.caFile },
    },
  };
  return { pairs: [pair], health: { listen: "0", peers }, onNotice: (notice) => notices.push(notice) };
}

async function started(peers = false): Promise<Gateway> {
  const gateway = await createGateway(options(peers));
  open.push(gateway);
  return gateway;
}

async function get(url: string | null, path: string): Promise<{ status: number | undefined; body: Fields }> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, url ?? ""), { agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) as Fields }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Until the outside node has noticed that its session is over. */
const parted = () => vi.waitFor(() => expect(outside.peers()).toEqual([]), { timeout: 20_000 });

/** The certificates of a gateway with the days that are left. */
const shown = (gateway: Gateway): readonly string[] =>
  gateway.health().certificates.map(({ role, of, daysLeft }) => `${role} ${of} ${daysLeft}`);

beforeAll(async () => {
  port = await freePort();
  authority = await createTestAuthority(issueParts(), join(HOME, "tls"));
  await renew(5);
  const { certFile, keyFile } = await authority.issue(OUTSIDE, { days: 3 });
  const plain = { epmd: "off", dangerous: { plaintext: true } } as const;
  inside = await createNode({ ...plain, name: INSIDE, cookie: INSIDE_COOKIE, listen: ["tcp://127.0.0.1:0"] });
  const resolve = { [INSIDE]: `tls://127.0.0.1:${port}` };
  const tls = { certFile, keyFile, caFile: authority.caFile };
  outside = await createNode({ epmd: "off", name: OUTSIDE, cookie: COOKIE, resolve, tls });
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()));
  await parted();
  notices.length = 0;
});

afterAll(async () => {
  await Promise.all([inside, outside].map((node) => node.close({ timeoutMs: 0 })));
  rmSync(HOME, { recursive: true, force: true });
});

describe("the health of a gateway", () => {
  it("is answered to probes, without names unless they were asked for", async () => {
    const gateway = await started();
    await outside.connect(INSIDE);
    const { status, body } = await get(gateway.healthEndpoint, "/ready");
    const checks = ["open", "listener", "certificates", "policy"].map((name) => ({ name, ok: true }));
    expect([status, body]).toEqual([200, { status: "ok", checks }]);
    const told = await get(gateway.healthEndpoint, "/health");
    expect(told).toMatchObject({ status: 200, body: { state: "yellow", pairs: 1, connectedCount: 1 } });
    expect(JSON.stringify(told.body)).not.toMatch(/desk|shop|cookie/);
    await gateway.close();
    const naming = await started(true);
    await parted();
    await outside.connect(INSIDE);
    const named = await get(naming.healthEndpoint, "/health");
    expect(named.body["pairs"]).toEqual([
      { name: "desk", isListening: true, endpoints: 1, connecting: 0, connected: [OUTSIDE] },
    ]);
  });

  it("is not ready while the engine of its QUIC listener is away, and says which pair that is", async () => {
    const dir = join(HOME, "quic-keys");
    mkdirSync(dir, { mode: 0o700 });
    const made = await createNode({ epmd: "off", name: INSIDE, identity: { dir, trust: "tofu" } });
    await made.close({ timeoutMs: 0 });
    const before = engines();
    const [pair] = options().pairs as readonly [GatewayOptions["pairs"][0]];
    const identity = { dir, trust: "tofu" } as const;
    const quic = { nodes: [OUTSIDE], listen: `quic://127.0.0.1:${await freeUdpPort()}`, cookie: COOKIE, identity };
    const gateway = await createGateway({ pairs: [{ ...pair, outside: quic }], health: { listen: "0" } });
    open.push(gateway);
    const ready = async (): Promise<number | undefined> => (await get(gateway.healthEndpoint, "/ready")).status;
    expect([await ready(), gateway.health().state]).toEqual([200, "green"]);
    for (const pid of engines().filter((each) => !before.includes(each))) process.kill(pid, "SIGKILL");
    await vi.waitFor(() => expect(gateway.health().isReady).toBe(false), { timeout: 20_000, interval: 5 });
    expect(gateway.health()).toMatchObject({
      state: "yellow",
      problems: ["NOT_LISTENING"],
      pairs: [{ name: "desk", isListening: false }],
    });
    await vi.waitFor(() => expect(gateway.health()).toMatchObject({ state: "green", isReady: true }), {
      timeout: 20_000,
    });
    expect(await ready()).toBe(200);
  });

  it("tells of the ends of its own certificates and of those its legs were shown, while they are", async () => {
    const gateway = await started();
    await outside.connect(INSIDE);
    const told = () =>
      notices.flatMap((notice) => (notice.kind === "expiry" ? `${notice.role} ${notice.of} ${notice.withinDays}` : []));
    await vi.waitFor(() => expect(told()).toEqual(["own desk outside 7", `peer ${OUTSIDE} 7`]), { timeout: 20_000 });
    expect(shown(gateway)).toEqual([`peer ${OUTSIDE} 2`, "own desk outside 4", "ca desk outside 364"]);
    expect(gateway.health().problems).toEqual(expect.arrayContaining(["CERT_EXPIRING", "PEER_CERT_EXPIRING"]));
    outside.disconnect(INSIDE);
    await vi.waitFor(() => expect(shown(gateway)).toHaveLength(2), { timeout: 20_000 });
    await renew(90);
    await gateway.reload(options());
    expect(shown(gateway)).toEqual(["own desk outside 89", "ca desk outside 364"]);
    expect(gateway.health()).toMatchObject({ isReady: true, problems: [] });
    await renew(5);
  });

  it("is not ready and still live while it drains, and gone when it has", async () => {
    const gateway = await started();
    await outside.connect(INSIDE);
    const { healthEndpoint } = gateway;
    const drained = gateway.drain({ timeoutMs: 60_000 });
    const { status, body } = await get(healthEndpoint, "/ready");
    expect([status, (body["checks"] as readonly Fields[])[0]]).toEqual([
      503,
      { name: "open", ok: false, reason: "GATEWAY_STOPPING" },
    ]);
    expect((await get(healthEndpoint, "/live")).status).toBe(200);
    outside.disconnect(INSIDE);
    await drained;
    await expect(get(healthEndpoint, "/live")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("leaves its port at once to a gateway that takes over", async () => {
    const gateway = await started();
    await outside.connect(INSIDE);
    const { healthEndpoint } = gateway;
    const drained = gateway.drain({ timeoutMs: 60_000, handOver: true });
    await expect(get(healthEndpoint, "/live")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    outside.disconnect(INSIDE);
    await drained;
  });

  it("cannot move at a reload", async () => {
    const gateway = await started();
    await expect(gateway.reload(options(true))).rejects.toMatchObject({ reason: "GATEWAY_RESTART_NEEDED" });
  });
});

describe("sallyport gateway with health", () => {
  it("prints where probes ask, and tells `sallyport health`", async () => {
    const { onNotice: _, ...config } = options();
    writeFileSync(join(HOME, "gateway.jsonc"), JSON.stringify({ version: 1, ...config }));
    const cli = new Cli(HOME, ["gateway"]);
    try {
      const out = await cli.says(/expires.*\n/);
      const [, url = ""] = /health at (http:\/\/127\.0\.0\.1:\d+)\n/.exec(out) ?? [];
      expect(out).toMatch(/expires +the certificate of desk outside \(.*\) ends at \S+, in 4 days; renew it/);
      expect((await get(url, "/ready")).status).toBe(200);
      const told = await ask(HOME, "health", "--control", "data/gateway.sock");
      expect(told).toMatchObject({ state: "yellow", isReady: true, pairs: [{ name: "desk", isListening: true }] });
    } finally {
      await cli.kill("SIGKILL");
    }
  });
});
