import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node, NodeEvents } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import type { PolicyDocument } from "../../src/policy/document.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Peer, Raw } from "../attack/client.ts";

// The certificate files of `tls`: every form they come in, what happens when they change under a node that runs, and that
// no earlier session speaks for a later one.

const ROOT = mkdtempSync(join(tmpdir(), "sp-files-"));
const COOKIE = "the cookie of these tests";
const SERVER = "server@127.0.0.1";
const CLIENT = "client@127.0.0.1";

type Tls = NonNullable<NodeOptions["tls"]>;

let authority: TestAuthority;
let client: Tls;
const nodes: Node[] = [];

beforeAll(async () => {
  authority = await testAuthority(ROOT);
  client = await issued(CLIENT);
});
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close({ timeoutMs: 0 })));
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

const at = (file: string): string => join(ROOT, file);
const openssl = (...args: readonly string[]): string =>
  execFileSync("openssl", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

async function issued(name: string, options: { readonly key?: "ec" | "rsa" } = {}): Promise<Tls> {
  const { certFile, keyFile } = await authority.issue(name, options);
  return { certFile, keyFile, caFile: authority.caFile };
}

async function start(name: string, tls: Tls, more: Partial<NodeOptions> = {}): Promise<Node> {
  const node = await createNode({ name, tls, cookie: COOKIE, epmd: "off", ...more });
  nodes.push(node);
  return node;
}

const serving = async (tls: Tls, more: Partial<NodeOptions> = {}): Promise<Node> =>
  start(SERVER, tls, { listen: ["tls://127.0.0.1:0"], ...more });

const portOf = ({ endpoints }: Node): number => Number(endpoints[0]?.split(":").at(-1));
const dialling = (server: Node, tls: Tls = client): Promise<Node> =>
  start(CLIENT, tls, { resolve: { [SERVER]: `127.0.0.1:${portOf(server)}` } });
const serialIn = (file: string): string => new X509Certificate(readFileSync(file)).serialNumber;
const shownTo = async (node: Node): Promise<string> => {
  const { peer } = await node.ping(SERVER);
  return new X509Certificate(peer.certificate ?? "").serialNumber;
};

/** Writes a key under another form. */
async function keyAs(kind: "ec" | "rsa", ...args: readonly string[]): Promise<Tls> {
  const tls = await issued(SERVER, { key: kind });
  openssl(...args, "-in", tls.keyFile, "-out", "form.key");
  return { ...tls, keyFile: at("form.key") };
}

const FORMS: readonly (readonly [string, string, () => Promise<Tls>])[] = [
  ["PKCS#8", "BEGIN PRIVATE KEY", () => keyAs("ec", "pkcs8", "-topk8", "-nocrypt")],
  ["SEC1", "BEGIN EC PRIVATE KEY", () => keyAs("ec", "ec")],
  ["PKCS#1", "BEGIN RSA PRIVATE KEY", () => keyAs("rsa", "rsa", "-traditional")],
  [
    "encrypted PKCS#8, with the passphrase",
    "BEGIN ENCRYPTED PRIVATE KEY",
    async () => ({
      ...(await keyAs("ec", "pkcs8", "-topk8", "-passout", "pass:open sesame")),
      passphrase: "open sesame",
    }),
  ],
  [
    "encrypted PKCS#1, with the passphrase in a file",
    "DEK-Info",
    async () => {
      writeFileSync(at("pass"), "open sesame\n");
      const tls = await keyAs("rsa", "rsa", "-traditional", "-aes128", "-passout", "pass:open sesame");
      return { ...tls, passphrase: { file: at("pass") } };
    },
  ],
];

describe("certificate files", () => {
  it.each(FORMS)("take a key in %s", async (_, mark, make) => {
    const tls = await make();
    expect(readFileSync(tls.keyFile, "utf8")).toContain(mark);
    const server = await serving(tls);
    const { peer } = await (await dialling(server)).ping(SERVER);
    expect(peer).toMatchObject({ assurance: "ca", protocol: "otp" });
    expect(server.peers()).toMatchObject([{ name: CLIENT, assurance: "ca" }]);
  });

  it("take intermediates behind the certificate, and several roots in the CA file", async () => {
    const config = "[ca]\nbasicConstraints=critical,CA:true\nkeyUsage=keyCertSign\n";
    const leaf = `[leaf]\nsubjectAltName=URI:dist://${SERVER}\nextendedKeyUsage=serverAuth,clientAuth\n`;
    writeFileSync(at("openssl.cnf"), `${config}${leaf}[req]\ndistinguished_name=dn\n[dn]\n`);
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "openssl.cnf"];
    openssl(
      "req",
      "-x509",
      ...ec,
      "-extensions",
      "ca",
      "-days",
      "9",
      "-subj",
      "/CN=Root",
      "-keyout",
      "r.key",
      "-out",
      "r.crt",
    );
    const below = (issuer: string, name: string, section: string): void => {
      openssl("req", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
      const from = ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
      const as = ["-extfile", "openssl.cnf", "-extensions", section, "-days", "9"];
      openssl("x509", "-req", "-in", `${name}.csr`, ...from, ...as, "-out", `${name}.crt`);
    };
    below("r", "middle", "ca");
    below("middle", "below", "leaf");
    const text = (file: string): string => readFileSync(at(file), "utf8");
    writeFileSync(at("chain.crt"), `${text("below.crt")}${text("middle.crt")}`);
    writeFileSync(at("roots.crt"), `${text("ca.crt")}${text("r.crt")}`);
    const server = await serving({ certFile: at("chain.crt"), keyFile: at("below.key"), caFile: at("roots.crt") });
    const node = await dialling(server, { ...client, caFile: at("roots.crt") });
    expect((await node.ping(SERVER)).peer.assurance).toBe("ca");
    await node.close();
    // Without the intermediate nobody can tell who issued it.
    const bare = await serving({ certFile: at("below.crt"), keyFile: at("below.key"), caFile: at("roots.crt") });
    const other = await dialling(bare, { ...client, caFile: at("roots.crt") });
    await expect(other.ping(SERVER)).rejects.toMatchObject({ code: "ERR_DENIED" });
  });

  it.each<[string, string, Partial<Tls>]>([
    ["none", "KEY_PASSPHRASE", {}],
    ["the wrong one", "KEY_PASSPHRASE", { passphrase: "open barley" }],
    ["a file that is not there", "KEY_PASSPHRASE", { passphrase: { file: at("nowhere") } }],
  ])("stop the start where a key needs a passphrase and there is %s", async (_, reason, more) => {
    const tls = await keyAs("ec", "pkcs8", "-topk8", "-passout", "pass:open sesame");
    const starting = serving({ ...tls, ...more });
    await expect(starting).rejects.toMatchObject({ code: "ERR_CONFIG", reason });
    await expect(starting).rejects.not.toMatchObject({ message: expect.stringMatching(/sesame|barley/) });
  });
});

describe("certificate files of a node that runs", () => {
  type Reload = NodeEvents["reload"][0];

  /** A node with copies of its files, a session with it, and what it tells. */
  async function running() {
    const first = await issued(SERVER);
    const tls = { certFile: at("live.crt"), keyFile: at("live.key"), caFile: at("live-ca.crt") };
    const put = ({ certFile, keyFile }: Tls): void => {
      copyFileSync(keyFile, tls.keyFile);
      copyFileSync(certFile, tls.certFile);
    };
    put(first);
    copyFileSync(authority.caFile, tls.caFile);
    const server = await serving(tls);
    server.register("srv", { call: (request) => request }, { allow: "ca" });
    const reloads: Reload[] = [];
    const warnings: string[] = [];
    server.on("reload", (reload) => reloads.push(reload));
    server.on("warning", ({ reason }) => warnings.push(reason));
    const node = await dialling(server);
    await node.ping(SERVER);
    const told = (count: number): Promise<void> =>
      vi.waitFor(() => expect(reloads).toHaveLength(count), { timeout: 5_000, interval: 10 });
    return { server, node, tls, put, reloads, warnings, told };
  }

  it("show new connections the new certificate and keep the sessions that stand", async () => {
    const { server, node, tls, put, reloads, told } = await running();
    const old = serialIn(tls.certFile);
    const peer = node.peers()[0];
    put(await issued(SERVER, { key: "rsa" }));
    await told(1);
    expect(reloads).toEqual([{ what: "certificate", ok: true, generation: 2 }]);
    expect(server.certificate).toMatchObject({ generation: 2 });
    expect(await node.call({ name: "srv", node: SERVER }, 1)).toBe(1);
    expect(node.peers()[0]).toBe(peer);
    expect(await shownTo(node)).toBe(old);
    node.disconnect(SERVER);
    await vi.waitFor(() => expect(node.peers()).toEqual([]));
    expect(await shownTo(node)).toBe(serialIn(tls.certFile));
    expect(await shownTo(node)).not.toBe(old);
  });

  it("stay in use when what came cannot be used, which is said and makes health yellow", async () => {
    const { server, node, tls, put, reloads, warnings, told } = await running();
    const old = serialIn(tls.certFile);
    writeFileSync(tls.certFile, "-----BEGIN CERTIFICATE-----\nAAAA\n");
    await told(1);
    expect(reloads).toMatchObject([{ what: "certificate", ok: false, generation: 1, reason: "CERT_PARSE" }]);
    expect(warnings).toContain("RELOAD_REJECTED");
    expect(server.vitals()).toMatchObject({ state: "yellow", problems: ["RELOAD_REJECTED"] });
    node.disconnect(SERVER);
    await vi.waitFor(() => expect(node.peers()).toEqual([]));
    expect(await shownTo(node)).toBe(old);
    put(await issued(SERVER));
    expect(server.certificate?.reload()).toEqual({ ok: true, generation: 2 });
    expect(server.vitals()).toMatchObject({ state: "green", problems: [] });
  });

  it("are seen to change where a link leads elsewhere, as in secret mounts of Kubernetes", async () => {
    mkdirSync(at("mount"));
    const version = async (name: string): Promise<void> => {
      const { certFile, keyFile } = await issued(SERVER);
      mkdirSync(at(`mount/${name}`));
      copyFileSync(certFile, at(`mount/${name}/tls.crt`));
      copyFileSync(keyFile, at(`mount/${name}/tls.key`));
      symlinkSync(name, at("mount/..next"));
      renameSync(at("mount/..next"), at("mount/..data"));
    };
    await version("..first");
    for (const file of ["tls.crt", "tls.key"]) symlinkSync(`..data/${file}`, at(`mount/${file}`));
    const files = { certFile: at("mount/tls.crt"), keyFile: at("mount/tls.key"), caFile: authority.caFile };
    const server = await serving(files, { profile: "strict" });
    const old = serialIn(files.certFile);
    const reload = new Promise<Reload>((resolve) => server.on("reload", resolve));
    await version("..second");
    expect(await reload).toEqual({ what: "certificate", ok: true, generation: 2 });
    expect(serialIn(files.certFile)).not.toBe(old);
    expect(await shownTo(await dialling(server))).toBe(serialIn(files.certFile));
  });
});

describe("a session of TLS that is offered again", () => {
  const policy = (peers: NonNullable<PolicyDocument["peers"]>): PolicyDocument => ({ version: 1, node: SERVER, peers });
  const known = { client: { names: [CLIENT], assurance: "ca" } } as const;

  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "carries no authority over %s: who was shut out meanwhile stays out",
    async (version) => {
      const server = await serving(await issued(SERVER), { policy: policy(known) });
      const port = portOf(server);
      const identity = { cert: readFileSync(client.certFile), key: readFileSync(client.keyFile) };
      const options = { ...identity, minVersion: version, maxVersion: version };
      const claim = { name: CLIENT, cookie: COOKIE };
      const ended = async (raw: Raw): Promise<void> => {
        raw.destroy();
        await vi.waitFor(() => expect(server.peers()).toEqual([]));
      };
      const session = new Promise<Buffer>((resolve) => {
        void Raw.tls(port, options).then(async (first) => {
          first.socket.once("session", resolve);
          const now = (first.socket as TLSSocket).getSession();
          if (version === "TLSv1.2" && now !== undefined) resolve(now);
          await Peer.dial(first, 4, claim);
          await vi.waitFor(() => expect(server.peers()).toMatchObject([{ tls: { resumed: false } }]));
          await session;
          await ended(first);
        });
      });
      const ticket = { session: await session };
      await vi.waitFor(() => expect(server.peers()).toEqual([]));
      const resuming = async (more: object): Promise<Raw> => {
        const raw = await Raw.tls(port, { minVersion: version, maxVersion: version, ...more, ...ticket });
        expect((raw.socket as TLSSocket).isSessionReused()).toBe(true);
        return raw;
      };

      // While it may connect it may so again, and everything behind TLS is asked anew.
      const again = await resuming(identity);
      await Peer.dial(again, 4, claim);
      await vi.waitFor(() =>
        expect(server.peers()).toMatchObject([{ name: CLIENT, assurance: "ca", tls: { resumed: true } }]),
      );
      await ended(again);

      // What a stolen session is worth: with the cookie, as much as the key of the certificate, as long as it lasts.
      const thief = await resuming({});
      await Peer.dial(thief, 4, claim);
      await vi.waitFor(() => expect(server.peers()).toMatchObject([{ name: CLIENT, tls: { resumed: true } }]));
      await ended(thief);

      const refusals: string[] = [];
      server.on("refused", ({ error }) => refusals.push(error.reason));
      expect(server.policy?.replace(policy({}))).toMatchObject({ ok: true });
      const late = await resuming(identity);
      // The name is judged once it is proven; the session never stands.
      await Peer.dial(late, 4, claim).catch(() => undefined);
      await late.untilClosed();
      expect(server.peers()).toEqual([]);
      expect(refusals).toContain("PEER_NOT_ALLOWED");

      // And the ticket is worth nothing any more, to nobody; a session kept by its id is not even found.
      const last = await Raw.tls(port, { ...options, ...ticket });
      await last.untilClosed();
      await vi.waitFor(() => expect(refusals).toContain("RESUMPTION_REFUSED"));
    },
  );
});
