import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { selfOf } from "../attack/native-client.ts";
import { type Certificate, endTls, passOn, type Relay } from "../attack/native-relay.ts";

// Two strict nodes that hold each other's key and have certificates of one authority, and somebody between them who ends
// TLS on both legs and passes every message on unchanged (AU-06).

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";

let root: string;
let authority: TestAuthority;
let stolen: Record<string, Certificate>;
let a: Node;
let b: Node;
let relay: Relay | undefined;
const refusals: Record<string, string[]> = {};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "sallyport-relay-"));
  authority = await testAuthority(join(root, "ca"));
  stolen = {};
  const seeds = { [A]: selfOf(A), [B]: selfOf(B) };
  for (const [name, other] of [
    [A, B],
    [B, A],
  ] as const) {
    const { certFile, keyFile } = await authority.issue(name);
    stolen[name] = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    mkdirSync(join(root, name, "trusted"), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, name, "node.key"), seeds[name]?.seed ?? "", { mode: 0o600 });
    writeFileSync(join(root, name, "trusted", `${other}.pub`), seeds[other]?.publicKey ?? "");
  }
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

async function node(name: string, extra: object): Promise<Node> {
  const made = await createNode({
    name,
    epmd: "off",
    identity: { dir: join(root, name), trust: "strict" },
    tls: {
      certFile: join(root, "ca", `${name}.crt`),
      keyFile: join(root, "ca", `${name}.key`),
      caFile: authority.caFile,
    },
    ...extra,
  });
  refusals[name] = [];
  made.on("refused", ({ error }) => refusals[name]?.push(error.reason));
  return made;
}

beforeEach(async () => {
  b = await node(B, { listen: ["tls://127.0.0.1:0"] });
});
afterEach(async () => {
  relay?.close();
  await a.close({ timeoutMs: 0 });
  await b.close({ timeoutMs: 0 });
});

const portOf = (of: Node): number => Number(new URL(of.endpoints[0] ?? "").port);

async function connectThrough(made: Promise<Relay>): Promise<{ outcome: string; passed: Relay["passed"] }> {
  relay = await made;
  a = await node(A, { resolve: { [B]: relay.endpoint } });
  const outcome = await a.connect(B).then(
    (peer) => peer.assurance as string,
    (error: { reason: string }) => error.reason,
  );
  return { outcome, passed: relay.passed };
}

/** Which certificates the middle shows: to the dialler, to the acceptor. */
const MIDDLES: readonly (readonly [string, () => Promise<{ toDialler: Certificate; toAcceptor: Certificate }>])[] = [
  [
    "a certificate of its own making",
    async () => {
      const { certPem: cert, keyPem: key } = await authority.selfSigned("m@127.0.0.1");
      return { toDialler: { cert, key }, toAcceptor: { cert, key } };
    },
  ],
  [
    "a certificate of the same authority",
    async () => {
      const { certPem: cert, keyPem: key } = await authority.issue("m@127.0.0.1");
      return { toDialler: { cert, key }, toAcceptor: { cert, key } };
    },
  ],
  ["the stolen TLS keys of both nodes", async () => ({ toDialler: own(B), toAcceptor: own(A) })],
];

function own(name: string): Certificate {
  const certificate = stolen[name];
  if (certificate === undefined) throw new Error(name);
  return certificate;
}

describe("between two nodes that hold each other's key", () => {
  it("somebody who only passes TLS on is a wire: the session stands", async () => {
    const { outcome, passed } = await connectThrough(passOn(portOf(b)));
    expect(outcome).toBe("pinned");
    await a.ping(B);
    expect(passed.toAcceptor).toBeGreaterThan(0);
  });

  it.each(MIDDLES)("AU-06: somebody who ends TLS with %s gets no session", async (_, certificates) => {
    const { outcome, passed } = await connectThrough(endTls(portOf(b), await certificates()));
    // The dialler finds it first: the acceptor's signature came, and does not hold on the dialler's own channel.
    expect(outcome).toBe("PROOF_INVALID");
    expect(refusals[A]).toEqual(["PROOF_INVALID"]);
    while (refusals[B]?.length === 0) await new Promise((resolve) => b.on("refused", resolve));
    expect(refusals[B]).toEqual(["REFUSED_BY_PEER"]);
    // HELLO one way; HELLO and PROOF with a signature the other.
    expect(passed.toAcceptor).toBeGreaterThan(94);
    expect(passed.toDialler).toBeGreaterThan(94 + 71);
    expect([a.peers(), b.peers()]).toEqual([[], []]);
  });
});
