import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions, TlsOption } from "../../src/node/options.ts";
import type { PolicyDocument } from "../../src/policy/document.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal } from "./native-rig.ts";

// TLS sessions that are resumed between two Sallyport nodes: what is saved, and that nothing but the TLS handshake is.

const COOKIE = "the cookie of these tests";
const { own, node: nativeNode, acquainted, keyDir, root } = new NativeRig();

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority(join(root, "ca"));
});

async function issued(name: string): Promise<TlsOption> {
  const { certFile, keyFile } = await authority.issue(name);
  return { certFile, keyFile, caFile: authority.caFile };
}

type More = Partial<NodeOptions> & { readonly with?: Partial<TlsOption> };
type Maker = (name: string, more?: More) => Promise<Node>;

/** A node of the CA profile, in Erlang's handshake. */
const otp: Maker = async (name, { with: tls, ...more } = {}) => {
  const options = { name, cookie: COOKIE, epmd: "off", listen: ["tls://127.0.0.1:0"] } as const;
  return served(own(await createNode({ ...options, tls: { ...(await issued(name)), ...tls }, ...more })));
};
const withAuthority: Maker = async (name, { with: tls, ...more } = {}) =>
  served(await nativeNode(name, "strict", { tls: { ...(await issued(name)), ...tls }, ...more }));
/** Certificates of their own making: known by key alone. */
const byKey: Maker = async (name, { with: _, ...more } = {}) => served(await nativeNode(name, "strict", more));

function served(node: Node): Node {
  node.register("echo", { call: (request) => request }, { allow: "ca" });
  return node;
}

const KINDS = [
  ["Erlang's handshake over TLS 1.2", otp, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }],
  ["Erlang's handshake over TLS 1.3", otp, {}],
  ["the native handshake with certificates of a CA", withAuthority, {}],
  ["the native handshake by keys alone", byKey, {}],
] as const satisfies readonly (readonly [string, Maker, Partial<TlsOption>])[];

/** Ends the session in good order, at both ends. */
async function parted(a: Node, b: Node): Promise<void> {
  a.disconnect(B);
  await vi.waitFor(() => expect([a.peers(), b.peers()]).toEqual([[], []]), { timeout: 20_000 });
}

/** Connects and calls. @returns whether each end resumed */
async function meet(a: Node, b: Node): Promise<readonly unknown[]> {
  await a.connect(B);
  expect(await a.call({ name: "echo", node: B }, 7)).toBe(7);
  expect(a.channel(B).isResumed).toBe(a.peers()[0]?.tls?.resumed);
  expect(a.channel(B).bindingId).toBe(b.channel(A).bindingId);
  return [a, b].map((node) => node.peers()[0]?.tls?.resumed);
}

const FULL = [false, false];
const RESUMED = [true, true];
const counted = (node: Node, name: string): number => node.vitals().counters[name] ?? 0;

describe.each(KINDS)("TLS sessions under %s", (_, make, versions) => {
  it("are resumed, and who the peer is, is asked again", async () => {
    if (make === byKey) await acquainted(A, B);
    const b = await make(B, { with: versions });
    const a = await make(A, { with: versions, ...dialling(b) });
    expect(await meet(a, b)).toEqual(FULL);
    const [first] = a.peers();
    await parted(a, b);
    expect(await meet(a, b)).toEqual(RESUMED);
    const { name, assurance, protocol, fingerprint, certificate } = a.peers()[0] ?? {};
    expect({ name, assurance, protocol, fingerprint, certificate }).toEqual({
      name: first?.name,
      assurance: first?.assurance,
      protocol: first?.protocol,
      fingerprint: first?.fingerprint,
      certificate: first?.certificate,
    });
    expect([a, b].map((node) => counted(node, "sessions_resumed"))).toEqual([1, 1]);
  });

  it("are not resumed by a node that began anew", async () => {
    if (make === byKey) await acquainted(A, B);
    const b = await make(B, { with: versions });
    const a = await make(A, { with: versions, ...dialling(b) });
    await meet(a, b);
    await parted(a, b);
    const listen = b.endpoints;
    await b.close({ timeoutMs: 0 });
    const again = await make(B, { with: versions, listen });
    expect(await meet(a, again)).toEqual(FULL);
  });
});

describe.each(KINDS.slice(0, 2))("with {reuse_sessions, false} under %s", (_, make, versions) => {
  it.each([
    ["server", { server: { reuseSessions: false } }],
    ["client", { client: { reuseSessions: false } }],
  ] as const)("nothing is resumed by a %s", async (role, off) => {
    const b = await make(B, { with: { ...versions, ...(role === "server" ? off : {}) } });
    const a = await make(A, { with: { ...versions, ...(role === "client" ? off : {}) }, ...dialling(b) });
    await meet(a, b);
    await parted(a, b);
    expect(await meet(a, b)).toEqual(FULL);
    expect([a, b].map((node) => counted(node, "resumptions_failed"))).toEqual([0, 0]);
  });
});

describe("reuse_sessions of an ssl_dist.conf", () => {
  it.each([
    ["true", "true", RESUMED],
    ["false", "true", FULL],
    ["true", "false", FULL],
    ["true", "save", FULL],
  ])("%s for the server and %s for the client", async (server, client, expected) => {
    const nodeOf = async (name: string, more: Partial<NodeOptions> = {}): Promise<Node> => {
      const { certFile, keyFile, caFile } = await issued(name);
      const side = (reuse: string): string =>
        `[{certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {cacertfile, "${caFile}"}, {verify, verify_peer}, {reuse_sessions, ${reuse}}]`;
      const conf = join(root, `${name}.conf`);
      writeFileSync(conf, `[{server, ${side(server)}}, {client, ${side(client)}}].`);
      const common = { name, cookie: COOKIE, epmd: "off", listen: ["tls://127.0.0.1:0"] } as const;
      return served(own(await createNode({ ...common, sslDistOptfile: conf, ...more })));
    };
    const b = await nodeOf(B);
    const a = await nodeOf(A, dialling(b));
    await meet(a, b);
    await parted(a, b);
    expect(await meet(a, b)).toEqual(expected);
  });
});

describe("a peer that is not trusted any more", () => {
  it("TLS-28: is refused with the session that it kept, and the session is gone on both sides", async () => {
    await acquainted(A, B, C);
    const b = await withAuthority(B);
    const a = await withAuthority(A, dialling(b));
    const c = await withAuthority(C, dialling(b));
    await meet(a, b);
    await parted(a, b);
    expect(await meet(a, b)).toEqual(RESUMED);
    await parted(a, b);
    await c.connect(B);
    mkdirSync(join(keyDir(B), "revoked"), { recursive: true, mode: 0o700 });
    const [revoked, last] = [a, c].map(({ identity }) => {
      const fingerprint = identity?.fingerprint ?? expect.unreachable("no identity");
      const hex = Buffer.from(fingerprint.slice("SHA256:".length), "base64").toString("hex");
      const file = join(keyDir(B), "revoked", hex);
      writeFileSync(file, "");
      return file;
    });
    // With the session of the other, the list was read.
    await vi.waitFor(() => expect(c.peers()).toEqual([]), { timeout: 20_000 });
    const reasons: string[] = [];
    b.on("refused", ({ error }) => reasons.push(error.reason));
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "REFUSED_BY_PEER" });
    // The one that resumed and the one in full that followed it.
    await vi.waitFor(() => expect(reasons).toEqual(["KEY_REVOKED", "KEY_REVOKED"]), { timeout: 20_000 });
    expect(counted(a, "resumptions_failed")).toBe(1);
    for (const file of [revoked, last]) rmSync(file ?? "");
    await vi.waitFor(() => c.connect(B), { timeout: 20_000 });
    expect(await meet(a, b)).toEqual(FULL);
  });

  it("whose session was ended for cause has to show its certificate again, and hears nothing of it", async () => {
    const policy = (peers: NonNullable<PolicyDocument["peers"]>): PolicyDocument => ({ version: 1, node: B, peers });
    const known = { a: { names: [A], assurance: "ca" } } as const;
    const b = await otp(B, { policy: policy(known) });
    const a = await otp(A, dialling(b));
    await a.connect(B);
    expect(b.policy?.replace(policy({}))).toMatchObject({ ok: true });
    await vi.waitFor(() => expect([a.peers(), b.peers()]).toEqual([[], []]), { timeout: 20_000 });
    expect(b.policy?.replace(policy(known))).toMatchObject({ ok: true });
    const refused = nextRefusal(b);
    const told: unknown[] = [];
    a.on("refused", ({ error }) => told.push(error.reason));
    expect(await a.connect(B)).toMatchObject({ name: B, tls: { resumed: false } });
    expect((await refused).error).toMatchObject({ reason: "RESUMPTION_REFUSED", detail: { why: "not-verified" } });
    expect([told, counted(a, "resumptions_failed")]).toEqual([[], 1]);
  });
});

describe("certificates that change under a node that runs", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("end every %s session of before, on either side", async (version) => {
    const only = { minVersion: version, maxVersion: version };
    const b = await otp(B, { with: only });
    const a = await otp(A, { with: only, ...dialling(b) });
    const changes = async (who: Node, name: string): Promise<void> => {
      await authority.issue(name);
      expect(who.certificate?.reload()).toMatchObject({ ok: true });
    };
    await meet(a, b);
    await parted(a, b);
    expect(await meet(a, b)).toEqual(RESUMED);
    await parted(a, b);
    for (const [who, name] of [
      [b, B],
      [a, A],
    ] as const) {
      await changes(who, name);
      expect(await meet(a, b)).toEqual(FULL);
      await parted(a, b);
      expect(await meet(a, b)).toEqual(RESUMED);
      await parted(a, b);
    }
  });

  it("take a session with them whose authority is trusted no more", async () => {
    const other = await testAuthority(join(root, "other-ca"));
    const caFile = join(root, "roots.crt");
    copyFileSync(authority.caFile, caFile);
    const b = await otp(B, { with: { caFile } });
    const a = await otp(A, dialling(b));
    await meet(a, b);
    await parted(a, b);
    // B trusts another one alone; its own certificate is of the old one still.
    writeFileSync(caFile, readFileSync(other.caFile));
    expect(b.certificate?.reload()).toMatchObject({ ok: true });
    const refused = nextRefusal(b);
    expect((await failure(a.connect(B))).reason).toBe("NOT_ALLOWED");
    expect((await refused).error.reason).toBe("CERT_UNKNOWN_ISSUER");
  });
});

describe("what is kept", () => {
  it("is of one name: another node at the address starts anew", async () => {
    const b = await otp(B);
    const a = await otp(A, { resolve: { [B]: b.endpoints[0] ?? "", [C]: b.endpoints[0] ?? "" } });
    await meet(a, b);
    await parted(a, b);
    expect(await failure(a.connect(C))).toMatchObject({ reason: "CERT_NAME_MISMATCH" });
    expect(counted(a, "resumptions_failed")).toBe(0);
    expect(await meet(a, b)).toEqual(RESUMED);
  });
});
