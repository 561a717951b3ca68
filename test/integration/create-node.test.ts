import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";

const NAME = "n@127.0.0.1";
const COOKIE = "0123456789abcdef";

let directory: string;
let tls: NonNullable<NodeOptions["tls"]>;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-create-"));
  const authority = await testAuthority(directory);
  const { certFile, keyFile } = await authority.issue(NAME);
  tls = { certFile, keyFile, caFile: authority.caFile };
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const failure = (made: Promise<Node>): Promise<unknown> =>
  made.then(
    async (node) => {
      await node.close({ timeoutMs: 0 });
      return "it started";
    },
    (error) => error,
  );

const start = (options: Partial<NodeOptions>): Promise<unknown> =>
  failure(createNode({ name: NAME, epmd: "off", cookie: COOKIE, ...options }));

describe("createNode", () => {
  it("refuses plain TCP that was not asked for", async () => {
    const refusal = { code: "ERR_CONFIG", reason: "SCHEME_NOT_ALLOWED" };
    expect(await start({ listen: ["tcp://127.0.0.1:0"] })).toMatchObject(refusal);
    expect(await start({ listen: ["tcp://127.0.0.1:0"], tls })).toMatchObject(refusal);
  });

  it("keeps plain TCP on loopback addresses unless `any` was asked for", async () => {
    const refusal = { code: "ERR_CONFIG", reason: "SCHEME_NOT_ALLOWED" };
    expect(await start({ listen: ["tcp://0.0.0.0:0"], dangerous: { plaintext: true } })).toMatchObject(refusal);
    expect(await start({ listen: ["tcp://127.0.0.1:0"], dangerous: { plaintext: true } })).toBe("it started");
    expect(await start({ listen: ["tcp://0.0.0.0:0"], dangerous: { plaintext: "any" } })).toBe("it started");
    const node = await createNode({
      name: NAME,
      epmd: "off",
      cookie: COOKIE,
      dangerous: { plaintext: true },
      resolve: { "far@elsewhere": "tcp://192.0.2.1:9100" },
    });
    await expect(node.connect("far@elsewhere")).rejects.toMatchObject(refusal);
    await node.close();
  });

  it("says at its start that plain TCP is on, and that a cookie is short", async () => {
    const node = await createNode({ name: NAME, epmd: "off", cookie: "short", dangerous: { plaintext: true } });
    const reasons: string[] = [];
    node.on("warning", ({ reason }) => reasons.push(reason));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(reasons.toSorted()).toEqual(["COOKIE_WEAK", "DANGEROUS_PLAINTEXT"]);
    await node.close();
  });

  it("keeps no record where `audit` is false, and warns of nothing", async () => {
    const node = await createNode({ name: NAME, epmd: "off", cookie: COOKIE, audit: false });
    const warnings: unknown[] = [];
    node.on("warning", (warning) => warnings.push(warning));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect([warnings, node.vitals().state]).toEqual([[], "green"]);
    await node.close();
  });

  it("needs certificates to listen with TLS", async () => {
    expect(await start({ listen: ["tls://127.0.0.1:0"] })).toMatchObject({ code: "ERR_CONFIG", reason: "TLS_MISSING" });
  });

  it("refuses an exposed key file in profile strict, and warns of it in profile standard", async () => {
    chmodSync(tls.keyFile, 0o644);
    try {
      expect(await start({ tls, profile: "strict" })).toMatchObject({ code: "ERR_CONFIG", reason: "KEY_PERMISSIONS" });
      expect(await start({ tls })).toBe("it started");
    } finally {
      chmodSync(tls.keyFile, 0o600);
    }
    expect(await start({ tls, profile: "strict" })).toBe("it started");
  });

  it.each([
    ["an address that is none", { listen: ["tls//x"] }, "LISTEN_INVALID"],
    ["a name that is none", { name: "n@a@b" }, "NAME_INVALID"],
    [
      "text where QUIC takes a list",
      { identity: { dir: join(tmpdir(), "sallyport-never-made"), trust: "tofu" }, quic: { visible: "a@h" as never } },
      "QUIC_OPTION_INVALID",
    ],
    ["an empty cookie", { cookie: "" }, "COOKIE_EMPTY"],
    ["registration without a listener", { epmd: "register" }, "LISTEN_INVALID"],
  ] as const)("refuses %s, and leaves nothing behind", async (_what, options, reason) => {
    expect(await start(options as Partial<NodeOptions>)).toMatchObject({ code: "ERR_CONFIG", reason });
  });
});
