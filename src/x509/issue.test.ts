import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { CLIENT_AUTH, readCertificateNames, SERVER_AUTH } from "./certificate-names.ts";
import { createAuthority, type IssuedCertificate, issueNodeCertificate, issueSelfSigned } from "./issue.ts";
import { x509Library } from "./library.ts";
import { matchCertificate } from "./match-name.ts";

const { X509Certificate: LibraryCertificate, SubjectAlternativeNameExtension } = x509Library();

const NOW = Date.parse("2026-11-21T10:00:00.500Z");
const DAY = 86_400_000;
let serial = 0;
const random: Random = { bytes: (length) => Buffer.alloc(length, 0xff - (serial++ & 1)), uint32: () => 0 };
const at = (wallMs: number): { clock: Clock; random: Random } => ({
  clock: { wallMs: () => wallMs } as Clock,
  random,
});
const parts = at(NOW);
const der = (issued: IssuedCertificate): Buffer => new X509Certificate(issued.certPem).raw;

describe("issuing certificates", () => {
  let authority: IssuedCertificate;
  beforeAll(async () => {
    authority = await createAuthority(parts);
  });

  it("makes an authority that signs what it issues", async () => {
    const node = await issueNodeCertificate(parts, authority, { name: parseNodeName("shop@db1.example") });
    const ca = new X509Certificate(authority.certPem);
    const leaf = new X509Certificate(node.certPem);
    expect(ca.ca).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(node.keyPem))).toBe(true);
  });

  it("issues a v3 leaf with URI and DNS names, both uses and the dates asked for", async () => {
    const node = await issueNodeCertificate(parts, authority, { name: parseNodeName("shop@db1.example"), days: 30 });
    const names = readCertificateNames(der(node));
    expect(names).toMatchObject({
      version: 3,
      uris: ["dist://shop@db1.example"],
      dnsNames: ["db1.example"],
      ipAddresses: [],
      commonNames: ["shop@db1.example"],
      keyUsages: [SERVER_AUTH, CLIENT_AUTH],
      authority: false,
      notBeforeMs: node.notBeforeMs,
      notAfterMs: node.notAfterMs,
    });
    expect(node.notBeforeMs).toBe(Math.floor((NOW - 300_000) / 1000) * 1000);
    expect(node.notAfterMs).toBe(Math.floor((NOW + 30 * DAY) / 1000) * 1000);
  });

  it.each([
    ["q@192.168.7.9", "dist://q@192.168.7.9", "c0a80709"],
    ["q@::1", "dist://q@[::1]", "00000000000000000000000000000001"],
  ])("gives %s an IP name and its text as DNS name", async (name, uri, ip) => {
    const node = await issueNodeCertificate(parts, authority, { name: parseNodeName(name) });
    const names = readCertificateNames(der(node));
    expect(names.uris).toEqual([uri]);
    expect(names.dnsNames).toEqual([name.slice(2)]);
    expect(names.ipAddresses.map((octets) => octets.toString("hex"))).toEqual([ip]);
    expect(matchCertificate(names, parseNodeName(name), { profile: "strict" })).toEqual({ matched: true, by: "uri" });
  });

  it("makes RSA 2048 leaves, and RSA authorities that issue EC leaves", async () => {
    const rsa = await issueNodeCertificate(parts, authority, { name: parseNodeName("a@h"), key: "rsa" });
    expect(new X509Certificate(rsa.certPem).publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(new X509Certificate(rsa.certPem).verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
    const rsaAuthority = await createAuthority(parts, { key: "rsa" });
    const ec = await issueNodeCertificate(parts, rsaAuthority, { name: parseNodeName("a@h") });
    expect(new X509Certificate(rsaAuthority.certPem).publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096);
    expect(new X509Certificate(ec.certPem).verify(new X509Certificate(rsaAuthority.certPem).publicKey)).toBe(true);
  });

  it("makes a self-signed node certificate that is no authority", async () => {
    const node = await issueSelfSigned(parts, { name: parseNodeName("a@h") });
    const certificate = new X509Certificate(node.certPem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(readCertificateNames(der(node)).uris).toEqual(["dist://a@h"]);
  });

  it("never issues beyond the authority's own end", async () => {
    const node = await issueNodeCertificate(at(NOW + 360 * DAY), authority, { name: parseNodeName("a@h"), days: 90 });
    expect(node.notAfterMs).toBe(authority.notAfterMs);
  });

  it("uses fresh positive serial numbers of 16 octets", async () => {
    const one = await issueNodeCertificate(parts, authority, { name: parseNodeName("a@h") });
    const two = await issueNodeCertificate(parts, authority, { name: parseNodeName("a@h") });
    const serials = [one, two].map((issued) => new X509Certificate(issued.certPem).serialNumber);
    expect(serials[0]).not.toBe(serials[1]);
    for (const number of serials) expect(number).toMatch(/^7[0-9A-F]{31}$/);
  });

  it("leaves a node name longer than a common name may be to the alternative names", async () => {
    const name = parseNodeName(`worker@${"h".repeat(60)}.example`);
    const names = readCertificateNames(der(await issueNodeCertificate(parts, authority, { name })));
    expect(names.commonNames).toEqual(["Sallyport node"]);
    expect(matchCertificate(names, name, { profile: "strict" })).toEqual({ matched: true, by: "uri" });
  });

  it("refuses an expired authority, a leaf as authority, another key and a senseless validity", async () => {
    const name = parseNodeName("a@h");
    const node = await issueNodeCertificate(parts, authority, { name });
    const config = (reason: string): unknown => expect.objectContaining({ code: "ERR_CONFIG", reason });
    await expect(issueNodeCertificate(at(NOW + 400 * DAY), authority, { name })).rejects.toEqual(config("CA_EXPIRED"));
    await expect(issueNodeCertificate(parts, node, { name })).rejects.toEqual(config("NOT_A_CA"));
    const swapped = { certPem: authority.certPem, keyPem: node.keyPem };
    await expect(issueNodeCertificate(parts, swapped, { name })).rejects.toEqual(config("KEY_CERT_MISMATCH"));
    for (const days of [0, -1, Number.NaN, 40_000]) {
      await expect(issueNodeCertificate(parts, authority, { name, days })).rejects.toEqual(config("DAYS_INVALID"));
    }
  });

  it("writes what the X.509 library and this reader understand alike", async () => {
    for (const name of ["a@h.example", "q@10.0.0.1", "Q-1@Host_2"]) {
      const node = await issueNodeCertificate(parts, authority, { name: parseNodeName(name) });
      const library = new LibraryCertificate(node.certPem).getExtension(SubjectAlternativeNameExtension);
      const names = readCertificateNames(der(node));
      const items = library?.names.items ?? [];
      expect(names.uris).toEqual(items.filter((item) => item.type === "url").map((item) => item.value));
      expect(names.dnsNames).toEqual(items.filter((item) => item.type === "dns").map((item) => item.value));
      expect(names.ipAddresses.map((ip) => ip.join("."))).toEqual(
        items.filter((item) => item.type === "ip").map((item) => item.value),
      );
    }
  });

  it("issues what `openssl verify` accepts for both sides of TLS", async (context) => {
    try {
      execFileSync("openssl", ["version"]);
    } catch {
      context.skip("openssl is not installed");
    }
    const real = at(Date.now());
    const directory = mkdtempSync(join(tmpdir(), "sallyport-issue-"));
    try {
      const ca = await createAuthority(real);
      const node = await issueNodeCertificate(real, ca, { name: parseNodeName("a@h") });
      writeFileSync(join(directory, "ca.crt"), ca.certPem);
      writeFileSync(join(directory, "node.crt"), node.certPem);
      for (const purpose of ["sslclient", "sslserver"]) {
        const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", "node.crt"];
        expect(execFileSync("openssl", args, { cwd: directory }).toString()).toContain("OK");
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
