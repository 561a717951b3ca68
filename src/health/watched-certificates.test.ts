import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealRandom } from "../system/real-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { readCertificateLife } from "../x509/certificate-life.ts";
import { readPemCertificates } from "../x509/check-key.ts";
import { createAuthority, type IssuedCertificate, issueNodeCertificate } from "../x509/issue.ts";
import { MAX_WATCHED_AUTHORITIES, peerCertificate, watchedCertificates } from "./watched-certificates.ts";

const parts = { clock: new VirtualClock(), random: new RealRandom() };
const name = parseNodeName("a@h");
let root: IssuedCertificate;
let other: IssuedCertificate;
let between: Issuer;
let leaf: IssuedCertificate;
let below: IssuedCertificate;

beforeAll(async () => {
  root = await createAuthority(parts, { commonName: "root" });
  other = await createAuthority(parts, { commonName: "other" });
  between = intermediate(root);
  leaf = await issueNodeCertificate(parts, root, { name });
  below = await issueNodeCertificate(parts, between, { name });
});

type Issuer = Pick<IssuedCertificate, "certPem" | "keyPem">;

/** A CA below another one. */
function intermediate(above: Issuer): Issuer {
  const directory = mkdtempSync(join(tmpdir(), "sp-watched-"));
  const at = (file: string): string => join(directory, file);
  writeFileSync(at("ca.crt"), above.certPem);
  writeFileSync(at("ca.key"), above.keyPem);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("key")];
  const ca = ["-x509", "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-addext", "basicConstraints=critical,CA:TRUE"];
  execFileSync("openssl", ["req", ...ca, ...key, "-subj", "/CN=between", "-out", at("crt")], { stdio: "pipe" });
  const made = { certPem: readFileSync(at("crt"), "utf8"), keyPem: readFileSync(at("key"), "utf8") };
  rmSync(directory, { recursive: true });
  return made;
}

const pem = (...all: readonly Pick<Issuer, "certPem">[]) => all.map(({ certPem }) => certPem).join("\n");
const shown = (certPem: string, caPem?: string) =>
  watchedCertificates({ certPem, caPem }, "a@h").map(({ role, isNeeded }) => `${role}${isNeeded ? "!" : ""}`);

describe("the certificates of a process", () => {
  it("are its own, what is between, and the trusted CAs, the one that vouches for it first", () => {
    expect(shown(pem(leaf), pem(other, root))).toEqual(["own!", "ca!", "ca"]);
    expect(shown(pem(below, between), pem(other, root))).toEqual(["own!", "chain!", "ca!", "ca"]);
  });

  it("that stand in the file and are not used are not needed", () => {
    expect(shown(pem(leaf, between), pem(root))).toEqual(["own!", "chain", "ca!"]);
  });

  it("are all needed where it is not known which lead to the root", () => {
    expect(shown(pem(below, between), pem(other))).toEqual(["own!", "chain!", "ca!"]);
    expect(shown(pem(leaf), pem(other, between))).toEqual(["own!", "ca", "ca"]);
  });

  it("may be one alone, and none where nothing can be read", () => {
    expect(shown(pem(leaf))).toEqual(["own!"]);
    expect(shown("nothing", "at all")).toEqual([]);
  });

  it("are so many CAs at most, and the one that vouches is among them", () => {
    const bundle = pem(...Array.from({ length: MAX_WATCHED_AUTHORITIES + 5 }, () => other), root);
    const roles = shown(pem(leaf), bundle);
    expect([roles.length, roles[1]]).toEqual([1 + MAX_WATCHED_AUTHORITIES, "ca!"]);
  });

  it("say whose they are and which, escaped", () => {
    const [own] = watchedCertificates({ certPem: pem(leaf) }, "a@h");
    expect(own).toMatchObject({ of: "a@h", fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/) });
    expect(own?.subject).toMatch(/^[\x20-\x7e]+$/);
  });

  it("of a peer are what it has shown, and none when that is no certificate", () => {
    const [der = Buffer.alloc(0)] = readPemCertificates(pem(leaf), "it");
    expect(peerCertificate(der, "p@h")).toMatchObject([{ role: "peer", of: "p@h", isNeeded: false }]);
    expect(peerCertificate(der.subarray(0, 40), "p@h")).toEqual([]);
    expect(readCertificateLife(Buffer.from("garbage"))).toBeUndefined();
  });
});
