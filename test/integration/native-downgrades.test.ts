import { once } from "node:events";
import { join } from "node:path";
import { type ConnectionOptions, type TlsOptions, connect as tlsConnect } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import type { NodeOptions } from "../../src/node/options.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { trap } from "../attack/client.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

// Who holds the path offers less than the native protocol: no ALPN, an old TLS, no certificate, another's certificate.

const ALPN = ["sallyport/1"];

const { root, node, atEnd } = new NativeRig();
let authority: TestAuthority;

beforeAll(async () => {
  authority = await testAuthority(join(root, "ca"));
});

/** What a node says when it dials a TLS server that says nothing, and how many bytes it told that server. */
async function dialSilent(
  tls: TlsOptions,
  extra: Partial<NodeOptions> = {},
): Promise<{ readonly error: unknown; readonly heard: number }> {
  const { certPem: cert, keyPem: key } = await authority.selfSigned(B);
  const server = await trap({ cert, key, ...tls });
  atEnd(() => server.close());
  const a = await node(A, "tofu", { resolve: { [B]: `tls://127.0.0.1:${server.port}` }, ...extra });
  const error = await failure(a.connect(B));
  const raw = await server.next();
  await raw.untilClosed();
  return { error, heard: raw.rest.length };
}

/** What a node says of a bare TLS client, and what the client hears. */
async function refusalOf(options: ConnectionOptions): Promise<{ readonly reason: string; readonly heard: Buffer }> {
  const listening = await node(B, "tofu");
  const refused = nextRefusal(listening);
  const to = { port: portOf(listening), host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ALPN };
  const socket = tlsConnect({ ...to, ...options });
  atEnd(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => undefined);
  const closed = once(socket, "close");
  const { reason } = (await refused).error;
  await closed;
  return { reason, heard: Buffer.concat(chunks) };
}

describe("a dialler with an identity", () => {
  it("says nothing to a server that leaves ALPN out, unless a CA vouches for it", async () => {
    const { error, heard } = await dialSilent({}, { cookie: "0123456789abcdef" });
    expect(error).toMatchObject({ code: "ERR_DENIED", reason: "CERT_UNKNOWN_ISSUER" });
    expect(heard).toBe(0);
  });

  it("says nothing to a server that speaks the native protocol under TLS 1.2", async () => {
    const { error, heard } = await dialSilent({ ALPNProtocols: ALPN, maxVersion: "TLSv1.2" });
    expect(error).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "NATIVE_NEEDS_TLS13" });
    expect(heard).toBe(0);
  });

  it("takes a certificate of the CA for nothing when it names another node", async () => {
    const tlsOf = async (name: string): Promise<Partial<NodeOptions>> => {
      const { certFile, keyFile } = await authority.issue(name);
      return { tls: { certFile, keyFile, caFile: authority.caFile } };
    };
    const b = await node(B, "tofu", await tlsOf(C));
    const a = await node(A, "strict", { ...dialling(b), ...(await tlsOf(A)) });
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
