import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, createServer, type TlsOptions, connect as tlsConnect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";

// Who holds the path offers less than the native protocol: no ALPN, an old TLS, no certificate, another's certificate.

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";
const ALPN = ["sallyport/1"];

let root: string;
let authority: TestAuthority;
const cleanUps: (() => unknown)[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "sallyport-downgrade-"));
  authority = await testAuthority(join(root, "ca"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

let directories = 0;
async function node(name: string, extra: Partial<NodeOptions> = {}): Promise<Node> {
  const identity = { dir: join(root, `keys${directories++}`), trust: "tofu" } as const;
  const made = await createNode({ name, epmd: "off", identity, ...extra });
  cleanUps.push(() => made.close({ timeoutMs: 0 }));
  return made;
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "it worked",
    (error) => error,
  );

/** A TLS server that says nothing and counts what it is told. */
async function silent(options: TlsOptions): Promise<{ readonly address: string; readonly heard: () => number }> {
  let heard = 0;
  const { certPem, keyPem } = await authority.selfSigned(B);
  const server = createServer({ cert: certPem, key: keyPem, requestCert: true, rejectUnauthorized: false, ...options });
  server.on("secureConnection", (socket) => {
    cleanUps.push(() => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      heard += chunk.length;
    });
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUps.push(() => server.close());
  return { address: `tls://127.0.0.1:${(server.address() as AddressInfo).port}`, heard: () => heard };
}

/** What a node says of a bare TLS client, and what the client hears. */
async function refusalOf(options: ConnectionOptions): Promise<{ readonly reason: string; readonly heard: Buffer }> {
  const listening = await node(B, { listen: ["tls://127.0.0.1:0"] });
  const refused = new Promise<string>((resolve) => listening.on("refused", ({ error }) => resolve(error.reason)));
  const port = Number(new URL(listening.endpoints[0] ?? "").port);
  const socket = tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ALPN, ...options });
  cleanUps.push(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => undefined);
  const closed = once(socket, "close");
  const reason = await refused;
  await closed;
  return { reason, heard: Buffer.concat(chunks) };
}

describe("a dialler with an identity", () => {
  it("says nothing to a server that leaves ALPN out, unless a CA vouches for it", async () => {
    const server = await silent({});
    const a = await node(A, { resolve: { [B]: server.address }, cookie: "0123456789abcdef" });
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "CERT_UNKNOWN_ISSUER" });
    expect(server.heard()).toBe(0);
  });

  it("says nothing to a server that speaks the native protocol under TLS 1.2", async () => {
    const server = await silent({ ALPNProtocols: ALPN, maxVersion: "TLSv1.2" });
    const a = await node(A, { resolve: { [B]: server.address } });
    const error = await failure(a.connect(B));
    expect(error).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "NATIVE_NEEDS_TLS13" });
    expect(server.heard()).toBe(0);
  });

  it("takes a certificate of the CA for nothing when it names another node", async () => {
    const tlsOf = async (name: string): Promise<Partial<NodeOptions>> => {
      const { certFile, keyFile } = await authority.issue(name);
      return { tls: { certFile, keyFile, caFile: authority.caFile } };
    };
    const b = await node(B, { listen: ["tls://127.0.0.1:0"], ...(await tlsOf("c@127.0.0.1")) });
    const identity = { dir: join(root, `keys${directories++}`), trust: "strict" } as const;
    const own = await tlsOf(A);
    const a = await node(A, { identity, resolve: { [B]: b.endpoints[0] ?? "" }, ...own });
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_UNTRUSTED" });
  });
});

describe("an acceptor with an identity", () => {
  it("closes on the native protocol under TLS 1.2, without a word", async () => {
    const { certPem, keyPem } = await authority.selfSigned(A);
    const { reason, heard } = await refusalOf({ cert: certPem, key: keyPem, maxVersion: "TLSv1.2" });
    expect(reason).toBe("NATIVE_NEEDS_TLS13");
    expect(heard.length).toBe(0);
  });

  it("refuses a client without certificate before it signs anything", async () => {
    const { reason, heard } = await refusalOf({});
    expect(reason).toBe("CHANNEL_BINDING_MISSING");
    expect(heard.toString("hex")).toBe("000000020f03");
  });
});
