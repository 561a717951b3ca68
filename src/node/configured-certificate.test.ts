import { generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { FILE_LOOK_MS } from "../base/file-watch.ts";
import { parseNodeName } from "../base/node-name.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { createAuthority, type IssuedCertificate, issueNodeCertificate } from "../x509/issue.ts";
import {
  ConfiguredCertificate,
  type ConfiguredCertificateOptions,
  certificateFiles,
} from "./configured-certificate.ts";
import type { TlsSides } from "./tls-sides.ts";

const START = Date.UTC(2026, 0, 1);
/** A hundred seconds. */
const DAYS = 100 / 86_400;
const PATHS = { certFile: "/tls/node.crt", keyFile: "/tls/node.key", caFile: "/tls/ca.crt" };
const NAME = parseNodeName("shop@db1.example");

let authority: IssuedCertificate;
let first: IssuedCertificate;
let second: IssuedCertificate;
/** A CA file of two certificates. */
let both: string;
beforeAll(async () => {
  const parts = { clock: new VirtualClock(START), random: new SeededRandom(3) };
  authority = await createAuthority(parts);
  first = await issueNodeCertificate(parts, authority, { name: NAME });
  second = await issueNodeCertificate(parts, authority, { name: NAME, days: DAYS });
  both = `${authority.certPem}${first.certPem}`;
});

interface Opened {
  readonly files: FaultyFiles;
  readonly clock: VirtualClock;
  readonly certificate: ConfiguredCertificate;
  /** What the watcher heard: certificates, reasons of warnings, results. */
  readonly heard: unknown[];
  put(pair: IssuedCertificate): void;
  /** Time for a change to be seen and taken. */
  settle(): void;
}

function opened(change: Partial<ConfiguredCertificateOptions<TlsSides>> = {}, files = new FaultyFiles()): Opened {
  const clock = new VirtualClock(START);
  const put = (pair: IssuedCertificate): void => {
    files.put(PATHS.keyFile, pair.keyPem);
    files.put(PATHS.certFile, pair.certPem, 0o644);
  };
  put(first);
  files.put(PATHS.caFile, authority.certPem, 0o644);
  const its = certificateFiles(PATHS, { files, clock });
  const options = { files, clock, ...its, profile: "standard" as const, check: () => undefined, ...change };
  const certificate = new ConfiguredCertificate(options);
  const heard: unknown[] = [];
  certificate.watch({
    replaced: ({ server }) => heard.push(server.loaded.material.certPem),
    warned: (reason) => heard.push(reason),
    reloaded: ({ ok, generation, reason }) => heard.push(ok ? generation : `${generation} ${reason}`),
  });
  return { files, clock, certificate, heard, put, settle: () => clock.advance(3 * FILE_LOOK_MS) };
}

describe("the certificate files of a node", () => {
  it("are taken within a second of a change, and not before they stand still", () => {
    const { clock, certificate, heard, put, settle } = opened();
    expect(certificate).toMatchObject({ generation: 1, notAfterMs: first.notAfterMs, isRejecting: false });
    settle();
    expect(heard).toEqual([]);
    put(second);
    clock.advance(FILE_LOOK_MS);
    expect(heard).toEqual([]);
    clock.advance(FILE_LOOK_MS);
    expect(heard).toEqual([second.certPem, 2]);
    expect(certificate).toMatchObject({ generation: 2, notAfterMs: second.notAfterMs });
    expect(certificate.current.client.loaded.material).toMatchObject({
      certPem: second.certPem,
      keyPem: second.keyPem,
    });
    settle();
    expect(heard).toHaveLength(2);
  });

  it("are seen to change also after they were read and before they are watched", () => {
    const files = new FaultyFiles();
    const { clock, certificate, heard } = opened({ check: () => files.put(PATHS.caFile, both, 0o644) }, files);
    expect(certificate.current.client.loaded.material.caPem).toBe(authority.certPem);
    clock.advance(2 * FILE_LOOK_MS);
    expect(heard).toEqual([first.certPem, 2]);
    expect(certificate.current.client.loaded.material.caPem).toBe(both);
  });

  it.each<[string, string, (files: FaultyFiles) => void]>([
    ["a certificate of another key", "KEY_CERT_MISMATCH", (files) => files.put(PATHS.certFile, second.certPem)],
    ["rubbish for a certificate", "CERT_PARSE", (files) => files.put(PATHS.certFile, "rubbish")],
    ["an empty CA file", "CERT_PARSE", (files) => files.put(PATHS.caFile, "")],
    ["a CA file cut short", "CERT_PARSE", (files) => files.put(PATHS.caFile, authority.certPem.slice(0, 200))],
    ["no key", "CERT_FILE_MISSING", (files) => files.take(PATHS.keyFile)],
    ["a key that may not be read", "CERT_FILE_UNREADABLE", (files) => unreadable(files)],
    ["an encrypted key", "KEY_PASSPHRASE", (files) => files.put(PATHS.keyFile, encryptedKey())],
  ])("stay as they were when what came is %s, and that is said once", (_, reason, spoil) => {
    const { files, certificate, heard, put, settle } = opened();
    spoil(files);
    settle();
    settle();
    expect(heard).toEqual(["RELOAD_REJECTED", `1 ${reason}`]);
    expect(certificate).toMatchObject({ generation: 1, isRejecting: true });
    expect(certificate.current.server.loaded.material.certPem).toBe(first.certPem);
    files.permit(PATHS.keyFile);
    files.put(PATHS.caFile, authority.certPem);
    put(second);
    settle();
    expect(heard.slice(2)).toEqual([second.certPem, 2]);
    expect(certificate.isRejecting).toBe(false);
  });

  it("are refused when they have ended, or TLS cannot use them", () => {
    let unusable = false;
    const check = (): void => {
      if (unusable) throw new SallyportError("ERR_CONFIG", "TLS_MATERIAL", "no");
    };
    const { clock, certificate, heard, put } = opened({ check });
    unusable = true;
    put(second);
    expect(certificate.reload()).toMatchObject({ ok: false, generation: 1, reason: "TLS_MATERIAL" });
    unusable = false;
    clock.advance(101_000);
    expect(heard.at(-1)).toBe(2);
    expect(certificate.reload()).toMatchObject({ ok: false, generation: 2, reason: "CERT_EXPIRED" });
  });

  it("may be touched and put back: the same files are no other generation", () => {
    const { files, certificate, heard, put, settle } = opened();
    files.put(PATHS.certFile, "rubbish");
    settle();
    expect(certificate.isRejecting).toBe(true);
    put(first);
    settle();
    expect(certificate).toMatchObject({ generation: 1, isRejecting: false });
    expect(heard).toEqual(["RELOAD_REJECTED", "1 CERT_PARSE", 1]);
    expect(certificate.reload()).toEqual({ ok: true, generation: 1 });
  });

  it("with a key that others can read are warned of in profile standard and refused in profile strict", () => {
    const exposed = (files: FaultyFiles): void => files.put(PATHS.keyFile, second.keyPem, 0o640);
    const standard = opened();
    exposed(standard.files);
    standard.files.put(PATHS.certFile, second.certPem);
    standard.settle();
    expect(standard.heard).toEqual(["KEY_PERMISSIONS", second.certPem, 2]);
    const strict = opened({ profile: "strict" });
    exposed(strict.files);
    strict.files.put(PATHS.certFile, second.certPem);
    strict.settle();
    expect(strict.heard).toEqual(["RELOAD_REJECTED", "1 KEY_PERMISSIONS"]);
  });

  it("are looked at no more when the node has closed", () => {
    const { certificate, heard, put, settle } = opened();
    certificate.stop();
    put(second);
    settle();
    expect(heard).toEqual([]);
  });
});

function unreadable(files: FaultyFiles): void {
  files.put(PATHS.keyFile, second.keyPem);
  files.forbid(PATHS.keyFile);
}

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }).toString();
}
