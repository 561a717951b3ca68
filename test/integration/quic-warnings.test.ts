import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { GatewayNotice } from "../../src/gateway/notices.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { Cli, configure } from "./cli-process.ts";
import { A, B, C, NativeRig } from "./native-rig.ts";

// What the operator of a node, or of a gateway, is told at its start about QUIC, and what its peers are told.

const COOKIE = "cookie-of-the-quic-tests";
const PUBLIC = { quic: { allowPublic: true }, listen: ["quic://0.0.0.0:0"] } as const;
const rig = new NativeRig();

/** The warnings of a start come in the turn after it. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a node that has just been made warns of. */
async function warningsOf(node: Node): Promise<readonly string[]> {
  const reasons: string[] = [];
  node.on("warning", ({ reason }) => reasons.push(reason));
  await nextTurn();
  return reasons;
}

const quicNode = (extra: Partial<NodeOptions> = {}): Promise<Node> =>
  rig.node(A, "tofu", { cookie: COOKIE, quic: {}, listen: ["quic://127.0.0.1:0"], tickTimeMs: 600_000, ...extra });

describe("a node that starts with QUIC warns its owner", () => {
  it.each<[string, Partial<NodeOptions>, readonly string[]]>([
    ["of nothing, within its machine", {}, []],
    ["of a listener that strangers reach", PUBLIC, ["QUIC_PUBLIC_LISTENER"]],
    ["of being visible", { quic: { visible: true } }, ["QUIC_VISIBLE"]],
    ["of being visible to one", { quic: { visible: [C] } }, ["QUIC_VISIBLE"]],
    ["of nothing that it is not over QUIC", { visible: true }, []],
    ["of peers without keys", { identity: { dir: "", cookieOnly: ["*@127.0.0.1"] } }, ["COOKIE_ONLY"]],
  ])("%s", async (_what, { identity, ...extra }, reasons) => {
    const keys = identity === undefined ? {} : { identity: { ...identity, dir: rig.keyDir(A) } };
    expect(await warningsOf(await quicNode({ ...extra, ...keys }))).toEqual(reasons);
  });

  it("with the advisories of the engine", async () => {
    const node = await createNode({
      name: A,
      epmd: "off",
      cookie: COOKIE,
      identity: { dir: rig.keyDir(A) },
      ...PUBLIC,
    });
    rig.own(node);
    const told = await new Promise<string>((resolve) => node.on("warning", ({ message }) => resolve(message)));
    expect(told).toMatch(/CVE-2025-7054/);
  });
});

describe("the command line prints the warning of a public QUIC listener", () => {
  it.each([
    [
      "as an event",
      ["--json"],
      /"event":"warning","at":"[^"]*","reason":"QUIC_PUBLIC_LISTENER","message":"[^"]*CVE-2023-6193/,
    ],
    ["as a line", [], /warning +the QUIC listener on 0\.0\.0\.0 can be reached by strangers.*CVE-2023-6193/],
  ])("%s, of `sallyport start`", async (_how, args, printed) => {
    const home = rig.place(A, "home");
    configure(home, A, { cookie: COOKIE, ...PUBLIC });
    const node = new Cli(home, ["start", ...args]);
    rig.atEnd(() => node.kill("SIGKILL"));
    expect(await node.says(printed)).toMatch(/listening/);
  });

  it("of `sallyport gateway`", async () => {
    const home = rig.place("gateway");
    mkdirSync(home, { recursive: true });
    writeFileSync(`${home}/gateway.jsonc`, JSON.stringify({ version: 1, pairs: [pairAt(`${home}/keys`)] }));
    const gateway = new Cli(home, ["gateway", "--json"]);
    rig.atEnd(() => gateway.kill("SIGKILL"));
    await gateway.says(/"reason":"QUIC_PUBLIC_LISTENER","message":"inside@127\.0\.0\.1: [^"]*CVE-2023-6193/);
  });
});

describe("a gateway that starts with QUIC", () => {
  it("tells of a listener that strangers reach, and of being visible", async () => {
    const notices: GatewayNotice[] = [];
    const gateway = await createGateway({
      pairs: [pairAt(rig.place("gateway", "keys"))],
      onNotice: (notice) => notices.push(notice),
    });
    rig.atEnd(() => gateway.close());
    await nextTurn();
    const reasons = notices.map((notice) => notice.kind === "warning" && notice.reason);
    expect(reasons).toEqual(["QUIC_PUBLIC_LISTENER", "QUIC_VISIBLE"]);
  });
});

/** A pair of which strangers reach the outside over QUIC. */
function pairAt(keys: string) {
  const quic = { allowPublic: true, visible: true };
  return {
    inside: { node: "inside@127.0.0.1", address: "tcp://127.0.0.1:9", cookie: COOKIE },
    outside: { nodes: [B], listen: "quic://0.0.0.0:0", cookie: "cookie-of-the-outside", identity: { dir: keys }, quic },
  };
}

describe("over QUIC a node is", () => {
  it.each<[string, Partial<NodeOptions>]>([
    ["hidden", {}],
    ["hidden", { visible: true }],
    ["visible", { quic: { visible: true } }],
    ["visible", { visible: true, quic: { visible: true } }],
    ["visible", { quic: { visible: [B, C] } }],
    ["hidden", { visible: true, quic: { visible: [B] } }],
  ])("%s with %o, dialled or dialling", async (seen, extra) => {
    const room = makeRoom(COOKIE);
    rig.atEnd(room.remove);
    const c = new PeerProcess(room, C, ["--listen", "127.0.0.1:0", "--auth-timeout", "60000"]);
    rig.atEnd(() => c.stop());
    const { port } = await c.wait({ event: "listening" });
    const a = await quicNode({
      resolve: { [C]: `quic://127.0.0.1:${port}` },
      limits: { maxTlsHandshakeMs: 60_000, maxHandshakeMs: 60_000 },
      ...extra,
    });
    const hidden = seen === "hidden";
    const flags = expect.stringMatching(hidden ? /[02468ace]$/ : /[13579bdf]$/);
    await a.connect(C, { timeoutMs: 45_000 });
    expect(await c.wait({ event: "up", name: A, role: "listener" })).toMatchObject({ hidden, flags });
    a.disconnect(C);
    await expect.poll(() => a.peers(), { timeout: 45_000 }).toEqual([]);
    await c.wait({ event: "down", name: A });
    await c.dial(A, new URL(a.endpoints[0] ?? "").host);
    expect(await c.wait({ event: "up", name: A, role: "dialer" })).toMatchObject({ hidden, flags });
  });
});
