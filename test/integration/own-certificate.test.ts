import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import type { Node } from "../../src/node/api.ts";
import type { CertificateOptions } from "../../src/node/certificate-pair.ts";
import { rollbackOwnCertificate, rotateOwnCertificate } from "../../src/node/certificate-rotation.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { type Trap, trap } from "../attack/client.ts";
import type { Certificate } from "../attack/native-relay.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

const PROBE = "probe@127.0.0.1";
const CHILD = new URL("./own-certificate-child.mjs", import.meta.url).pathname;

const { node, keyDir, acquainted, atEnd } = new NativeRig();

const optionsOf = (name: string): CertificateOptions => ({
  files: new RealFiles(),
  crypto: new RealIdentityCrypto(),
  random: new RealRandom(),
  clock: new RealClock(),
  directory: keyDir(name),
  name: parseNodeName(name),
  profile: "strict",
});

/** SHA-256 of the certificate on disk, and of the one that the node's listener shows. */
const onDisk = (name: string): string =>
  new X509Certificate(readFileSync(join(keyDir(name), "tls/node.crt"))).fingerprint256;

const pairOnDisk = (name: string): Certificate => {
  const pem = readFileSync(join(keyDir(name), "tls/node.key"));
  return { cert: pem, key: pem };
};

async function shown(of: Node): Promise<string | undefined> {
  const socket = tlsConnect({ host: "127.0.0.1", port: portOf(of), rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
  socket.destroy();
  return fingerprint;
}

/** The certificate that a node shows when it dials PROBE, which hangs up. */
async function shownBy(dialler: Node, probe: Trap): Promise<string | undefined> {
  const dial = failure(dialler.connect(PROBE));
  const raw = await probe.next();
  const fingerprint = (raw.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256;
  raw.destroy();
  expect(await dial).not.toMatchObject({ reason: "it worked" });
  return fingerprint;
}

describe("the certificate that a node makes for itself", () => {
  it("is the same over three restarts, and so is the identity when it is rotated between them", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const first = onDisk(A);
    const seen = new Set<string | null>();
    const certificates = new Set<string>();
    for (let start = 0; start < 6; start++) {
      if (start >= 3) await rotateOwnCertificate(optionsOf(A));
      const a = await node(A, "strict", dialling(b));
      expect(await shown(a)).toBe(onDisk(A));
      if (start < 3) expect(onDisk(A)).toBe(first);
      certificates.add(onDisk(A));
      const peer = await a.connect(B);
      expect(peer).toMatchObject({ protocol: "native", assurance: "pinned" });
      await a.ping(B);
      seen.add(b.peers()[0]?.fingerprint ?? null);
      await a.close();
    }
    expect(seen.size).toBe(1);
    expect(certificates.size).toBe(4);
    expect(statSync(join(keyDir(A), "tls")).mode & 0o777).toBe(0o700);
    expect(statSync(join(keyDir(A), "tls/node.key")).mode & 0o777).toBe(0o600);
    expect(statSync(join(keyDir(A), "tls/node.crt")).mode & 0o777).toBe(0o644);
  });

  it("may be wiped, and peers that pinned the key accept; with another identity they refuse", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const before = onDisk(A);
    rmSync(join(keyDir(A), "tls"), { recursive: true });
    const a = await node(A, "strict", dialling(b));
    const warnings: string[] = [];
    a.on("warning", ({ reason }) => warnings.push(reason));
    expect(onDisk(A)).not.toBe(before);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
    await a.ping(B);
    expect(warnings).toEqual([]);
    await a.close();
    // The certificate stays, the key does not.
    for (const file of ["node.key", "node.pub"]) rmSync(join(keyDir(A), file));
    for (const file of readdirSync(join(keyDir(A), "trusted"))) rmSync(join(keyDir(A), "trusted", file));
    const certificate = onDisk(A);
    const refused = nextRefusal(b);
    const stranger = await node(A, "tofu", dialling(b));
    expect(onDisk(A)).toBe(certificate);
    expect(await failure(stranger.connect(B))).not.toMatchObject({ reason: "it worked" });
    expect((await refused).error).toMatchObject({ reason: "KEY_MISMATCH" });
  });

  it("is replaced under traffic: no call is lost, and later connections show the new one", async () => {
    await acquainted(A, B, C);
    const b = await node(B, "strict");
    b.register("echo", { call: (request) => request }, { allow: "pinned" });
    const probe = await trap(pairOnDisk(B));
    atEnd(() => probe.close());
    const a = await node(A, "strict", { resolve: { [B]: b.endpoints[0] ?? "", [PROBE]: `127.0.0.1:${probe.port}` } });
    const down: string[] = [];
    for (const each of [a, b]) each.on("nodedown", (peer) => down.push(peer.name));
    const peer = await a.connect(B);
    let calls = 0;
    let going = true;
    const traffic = Promise.all(
      [1, 2, 3, 4].map(async (lane) => {
        while (going) expect(await a.call({ name: "echo", node: B }, [lane, calls++])).toHaveLength(2);
      }),
    );
    const certificates = [await shown(b)];
    for (let swap = 0; swap < 3; swap++) {
      const [rotated] = await Promise.all([rotateOwnCertificate(optionsOf(B)), rotateOwnCertificate(optionsOf(A))]);
      // Whoever dials while the certificate changes gets in as well.
      const c = await node(C, "strict", dialling(b));
      const [connected] = await Promise.all([c.connect(B), b.identity?.reload(), a.identity?.reload()]);
      expect(connected).toMatchObject({ assurance: "pinned" });
      await c.close();
      expect(await shown(b)).toBe(rotated.current.fingerprint);
      expect(await shown(a)).toBe(onDisk(A));
      expect(await shownBy(a, probe)).toBe(onDisk(A));
      certificates.push(await shown(b));
      const before = calls;
      while (calls < before + 50) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    going = false;
    await traffic;
    expect(new Set(certificates).size).toBe(4);
    expect(calls).toBeGreaterThan(150);
    expect(a.peers()[0]).toBe(peer);
    expect(down.filter((name) => name !== C)).toEqual([]);
  });

  it("goes back to a backup while the node runs", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const first = await shown(b);
    await rotateOwnCertificate(optionsOf(B));
    await b.identity?.reload();
    expect(await shown(b)).not.toBe(first);
    rollbackOwnCertificate(optionsOf(B));
    await b.identity?.reload();
    expect(await shown(b)).toBe(first);
    const a = await node(A, "strict", dialling(b));
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
  });

  it("is refused in profile strict where others may use its key, and warned of else", async () => {
    await acquainted(A);
    chmodSync(join(keyDir(A), "tls/node.key"), 0o644);
    expect(await failure(node(A, "strict", { profile: "strict" }))).toMatchObject({ reason: "KEY_PERMISSIONS" });
    const a = await node(A, "strict");
    expect(await new Promise((resolve) => a.on("warning", ({ reason }) => resolve(reason)))).toBe("KEY_PERMISSIONS");
  });

  it("is never one process's key with another's certificate, with four processes at it at once", async () => {
    mkdirSync(keyDir("many"), { recursive: true, mode: 0o700 });
    const ran = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const child = spawn(process.execPath, [CHILD, keyDir("many"), "60"], { stdio: ["ignore", "pipe", "pipe"] });
        let out = "";
        let errors = "";
        child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
        child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
        const [code] = await once(child, "close");
        expect({ code, errors }).toEqual({ code: 0, errors: "" });
        return JSON.parse(out) as { seen: number; warnings: readonly string[] };
      }),
    );
    for (const { seen, warnings } of ran) {
      expect(seen).toBeGreaterThan(10);
      // A removed file may be gone again before it is read; a pair that is broken or mixed never shows up.
      expect(warnings.filter((reason) => reason !== "ROTATION_BUSY")).toEqual([]);
    }
  });
});
