import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { ask, refused, runCli } from "./cli-process.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// `--protocol native` of commands that dial once, as processes.

const ROOT = mkdtempSync(join(tmpdir(), "sp-native-cli-"));
const COOKIE = "cookie-of-the-native-commands";
const rig = new NativeRig();
const NATIVE = ["--protocol", "native"];
let authority: TestAuthority;
let keys = 0;

beforeAll(async () => {
  authority = await testAuthority(join(ROOT, "ca"));
  for (const name of [A, B]) await authority.issue(name);
  writeFileSync(join(ROOT, "cookie"), COOKIE, { mode: 0o600 });
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

const tlsOf = (name: string): { certFile: string; keyFile: string; caFile: string } => {
  const { caFile } = authority;
  return { certFile: join(ROOT, "ca", `${name}.crt`), keyFile: join(ROOT, "ca", `${name}.key`), caFile };
};

/** What a command has that could use any protocol. */
const command = (to: string): readonly string[] => {
  const { certFile, keyFile, caFile } = tlsOf(B);
  const tls = ["--tls-cert", certFile, "--tls-key", keyFile, "--tls-ca", caFile];
  return ["--name", B, "--cookie-file", "cookie", "--epmd", "off", ...tls, "--resolve", `${A}=${to}`];
};
/** A key that nobody knows, and that knows nobody. */
const newKey = (): readonly string[] => ["--key-dir", `keys${++keys}`, "--trust", "tofu"];

describe("--protocol native", () => {
  it("dials by key", async () => {
    const a = await rig.node(A, "tofu", { cookie: COOKIE });
    const known = [...command(a.endpoints[0] ?? ""), ...newKey()];
    expect(await ask(ROOT, "ping", A, ...known, ...NATIVE)).toMatchObject({ peer: A, protocol: "native" });
  });

  it("never falls back: a node that has certificates and the cookie, and no key, is named, and hears no other handshake", async () => {
    const tls = tlsOf(A);
    const a = rig.own(await createNode({ name: A, epmd: "off", cookie: COOKIE, tls, listen: ["tls://127.0.0.1:0"] }));
    const ups: string[] = [];
    a.on("nodeup", ({ protocol }) => ups.push(protocol));
    const known = [...command(a.endpoints[0] ?? ""), ...newKey()];
    const failed = await refused(ROOT, "ping", A, ...known, ...NATIVE);
    expect(failed).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "NATIVE_NOT_SPOKEN", exit: 3, peer: A });
    expect(failed["advice"]).toContain("--protocol native");
    expect(ups).toEqual([]);
    expect(await ask(ROOT, "ping", A, ...known)).toMatchObject({ protocol: "otp" });
    const examined = await runCli(ROOT, ["doctor", "connect", A, ...known, ...NATIVE, "--json"]);
    const { result } = JSON.parse(examined.out) as { result: { diagnosis: object } };
    expect(result.diagnosis).toMatchObject({ code: "NATIVE_NOT_SPOKEN", stage: "identity", fault: "remote" });
  });

  it("does not dial QUIC, whose exchange is another", async () => {
    const quic = { cookie: COOKIE, quic: {}, listen: ["quic://127.0.0.1:0"] };
    const a = await rig.node(A, "tofu", quic);
    const known = [...command(a.endpoints[0] ?? ""), ...newKey()];
    expect(await refused(ROOT, "ping", A, ...known, ...NATIVE)).toMatchObject({ reason: "SCHEME_NOT_ALLOWED" });
    expect(await ask(ROOT, "ping", A, ...known)).toMatchObject({ protocol: "barrel" });
  });

  it("needs a key, and is nothing that a node is started with", async () => {
    const without = await refused(ROOT, "ping", A, ...command("127.0.0.1:9"), ...NATIVE);
    expect(without).toMatchObject({ code: "ERR_CONFIG", reason: "NATIVE_NEEDS_IDENTITY", exit: 2 });
    expect(await refused(ROOT, "start", ...NATIVE)).toMatchObject({ exit: 2, reason: "USAGE" });
  });
});
