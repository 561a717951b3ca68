import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, configure, refused, runCli, start } from "./cli-process.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-cert-")));
const NAME = "shop@127.0.0.1";
const HOME = join(ROOT, "shop");
const KEYS = join(HOME, "data/keys");

const onDisk = (): string => new X509Certificate(readFileSync(join(KEYS, "tls/node.crt"))).fingerprint256;

beforeAll(async () => {
  configure(HOME, NAME);
  await ask(HOME, "keys", "init");
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

describe("keys and the certificate that a node makes for itself", () => {
  it("rotate, show and roll it back beside the identity, which stays", async () => {
    const before = await ask(HOME, "keys", "show");
    expect(before).toMatchObject({ certificate: null });
    const first = await ask(HOME, "keys", "rotate", "--certificate");
    expect(first).toMatchObject({ oldCertificate: null, backup: null, node: "none" });
    expect(first["certificate"]).toEqual({ fingerprint: onDisk(), notAfterMs: expect.any(Number) });
    const second = await ask(HOME, "keys", "rotate", "--certificate");
    expect(second).toMatchObject({
      oldCertificate: first["certificate"],
      certificate: { fingerprint: onDisk() },
      backup: expect.stringMatching(/\/backups\/\d{8}T\d{6}Z$/),
      files: ["tls/node.key", "tls/node.crt"],
    });
    expect(second["uses"]).toEqual({ tls: true, quic: false });
    expect(await ask(HOME, "keys", "show")).toEqual({ ...before, certificate: second["certificate"] });
    const human = await runCli(HOME, ["keys", "show"]);
    expect(human.out).toMatch(
      new RegExp(`certificate  ${onDisk()}, until \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\n`),
    );
    const stamp = String(second["backup"]).split("/").at(-1) ?? "";
    expect(await ask(HOME, "keys", "rollback", "--certificate", stamp)).toMatchObject({
      oldCertificate: second["certificate"],
      certificate: first["certificate"],
    });
    expect(await ask(HOME, "keys", "rollback", "--certificate")).toMatchObject({ certificate: second["certificate"] });
    expect(await refused(HOME, "keys", "rollback", stamp)).toMatchObject({ exit: 2, reason: "BACKUP_NOT_FOUND" });
    expect(await ask(HOME, "keys", "show")).toEqual({ ...before, certificate: second["certificate"] });
    for (const { out, err } of [human, await runCli(HOME, ["keys", "rotate", "--certificate"])]) {
      expect(`${out}${err}`).not.toContain("PRIVATE");
    }
  });

  it("need an identity, and a node that makes its certificate itself", async () => {
    configure(join(ROOT, "bare"), NAME);
    expect(await refused(join(ROOT, "bare"), "keys", "rotate", "--certificate")).toMatchObject({
      exit: 2,
      reason: "KEY_MISSING",
    });
    const configured = join(ROOT, "configured");
    configure(configured, NAME, { tls: { certFile: "n.crt", keyFile: "n.key", caFile: "ca.crt" } });
    await ask(configured, "keys", "init");
    for (const command of ["rotate", "rollback"]) {
      expect(await refused(configured, "keys", command, "--certificate")).toMatchObject({
        exit: 2,
        reason: "CERTIFICATE_CONFIGURED",
      });
    }
    expect(await ask(configured, "keys", "show")).toMatchObject({ certificate: null });
  });

  it("tell the running node, which started with the certificate on disk", async () => {
    const before = onDisk();
    const { node } = await start(HOME);
    expect(onDisk()).toBe(before);
    const rotated = await ask(HOME, "keys", "rotate", "--certificate");
    expect(rotated).toMatchObject({
      oldCertificate: { fingerprint: before },
      node: "told",
    });
    await node.kill("SIGTERM");
  });
});
