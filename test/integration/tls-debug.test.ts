import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { debugText, type TlsDebug } from "../../src/carrier/tls-debug.ts";
import { NodeTarget } from "../../src/control/node-target.ts";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";

const ROOT = mkdtempSync(join(tmpdir(), "sp-debug-"));
const COOKIE = "the cookie of the debugged nodes";
const SERVER = "server@127.0.0.1";
const CLIENT = "client@127.0.0.1";
const nodes: Node[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close({ timeoutMs: 0 })));
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

/** A server and a client of one authority, and what each tells of its handshakes. */
async function pair(server: Partial<NodeOptions["tls"]>, client: Partial<NodeOptions["tls"]>) {
  const authority = await testAuthority(ROOT);
  const told: Record<string, TlsDebug[]> = { [SERVER]: [], [CLIENT]: [] };
  const start = async (name: string, tls: Partial<NodeOptions["tls"]>, more: Partial<NodeOptions>): Promise<Node> => {
    const { certFile, keyFile } = await authority.issue(name);
    const files = { certFile, keyFile, caFile: authority.caFile };
    const node = await createNode({ name, cookie: COOKIE, epmd: "off", tls: { ...files, ...tls }, ...more });
    nodes.push(node);
    node.on("tls", (handshake) => void told[name]?.push(handshake));
    return node;
  };
  const accepting = await start(SERVER, server, { listen: ["tls://127.0.0.1:0"] });
  const port = Number(accepting.endpoints[0]?.split(":").at(-1));
  const dialling = await start(CLIENT, client, { resolve: { [SERVER]: `127.0.0.1:${port}` } });
  return { accepting, dialling, port, told };
}

const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 10 });

describe("tls.debug", () => {
  it("tells at both ends what was offered and chosen, and whose certificates were shown", async () => {
    const { dialling, told } = await pair(
      { debug: true },
      { debug: true, ciphers: ["TLS_CHACHA20_POLY1305_SHA256"], minVersion: "TLSv1.3" },
    );
    await dialling.ping(SERVER);
    await eventually(() => expect(told[SERVER]?.length).toBe(1));
    const [acceptor, dialler] = [told[SERVER]?.[0], told[CLIENT]?.[0]];
    const chosen = { outcome: "secured", version: "TLSv1.3", cipher: "TLS_CHACHA20_POLY1305_SHA256", chainError: null };
    expect(dialler).toMatchObject({
      ...chosen,
      role: "dialler",
      offered: { versions: ["TLSv1.3"], ciphers: ["TLS_CHACHA20_POLY1305_SHA256"] },
      own: { names: expect.arrayContaining([`URI:dist://${CLIENT}`]) },
      peer: { subject: `CN=${SERVER}`, issuer: "CN=Sallyport CA" },
    });
    expect(acceptor).toMatchObject({
      ...chosen,
      role: "acceptor",
      offered: { versions: ["TLSv1.2", "TLSv1.3"] },
      peer: { subject: `CN=${CLIENT}` },
    });
    for (const handshake of [acceptor, dialler] as TlsDebug[]) {
      const text = `${debugText(handshake)} ${JSON.stringify(handshake)}`;
      expect(text).toContain("TLS_CHACHA20_POLY1305_SHA256");
      expect(text).not.toMatch(/PRIVATE KEY|MII|secret/i);
      expect(text).not.toContain(COOKIE);
    }
  });

  it("tells of alerts at the end that got one, and of what is no TLS", async () => {
    const { dialling, port, told } = await pair(
      { debug: true, minVersion: "TLSv1.3" },
      { debug: true, maxVersion: "TLSv1.2" },
    );
    await expect(dialling.ping(SERVER)).rejects.toThrow(/version/i);
    await eventually(() => expect(told[SERVER]?.length).toBe(1));
    expect(told[CLIENT]).toMatchObject([{ outcome: "failed", alert: 70, code: expect.stringMatching(/^ERR_SSL_/) }]);
    expect(told[SERVER]).toMatchObject([{ outcome: "failed", alert: null, code: "ERR_SSL_UNSUPPORTED_PROTOCOL" }]);
    expect(debugText(told[CLIENT]?.[0] as TlsDebug)).toContain("alert 70");
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
    socket.on("error", () => {});
    await eventually(() => expect(told[SERVER]?.length).toBe(2));
    expect(told[SERVER]?.[1]).toMatchObject({ outcome: "failed", peer: null });
    socket.destroy();
  });

  it("says nothing when it is off", async () => {
    const { dialling, told } = await pair({}, {});
    await dialling.ping(SERVER);
    expect(told).toEqual({ [SERVER]: [], [CLIENT]: [] });
  });
});

describe("the channel of a session", () => {
  it("is what was negotiated, the same at both ends, and is told by `peers`", async () => {
    const { accepting, dialling } = await pair({}, {});
    const { peer } = await dialling.ping(SERVER);
    const [ours, theirs] = [dialling.channel(SERVER), accepting.channel(CLIENT)];
    expect(ours).toMatchObject({
      peer: SERVER,
      role: "dialler",
      transport: "tls",
      version: peer.tls?.version,
      cipher: peer.tls?.cipher,
      isChainTrusted: true,
      peerCertificate: { subject: `CN=${SERVER}`, issuer: "CN=Sallyport CA" },
      ownCertificate: { subject: `CN=${CLIENT}` },
    });
    const shown = new X509Certificate(peer.certificate ?? "");
    expect(ours.peerCertificate).toMatchObject({ serial: shown.serialNumber, fingerprint: shown.fingerprint256 });
    expect(ours.bindingId).toMatch(/^[0-9a-f]{32}$/);
    expect(theirs).toMatchObject({ role: "acceptor", bindingId: ours.bindingId, ownCertificate: ours.peerCertificate });
    const told = new NodeTarget(dialling, new RealClock(), undefined).peers();
    expect(told).toMatchObject([{ name: SERVER, assurance: "ca", channel: JSON.parse(JSON.stringify(ours)) }]);
    dialling.disconnect(SERVER);
    expect(() => dialling.channel(SERVER)).toThrow(expect.objectContaining({ reason: "NOT_CONNECTED" }));
    await dialling.ping(SERVER);
    expect(dialling.channel(SERVER).bindingId).not.toBe(ours.bindingId);
  });
});
