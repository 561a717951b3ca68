import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { SallyportError } from "../../src/base/errors.ts";
import { CIPHER_SUITE_NAMES, cipherSuite, GROUP_NAMES, SIGNATURE_SCHEMES } from "../../src/carrier/cipher-suites.ts";
import { createTlsDialer, type TlsCarrierOptions } from "../../src/carrier/tls.ts";
import type { TlsMaterial } from "../../src/carrier/tls-material.ts";
import {
  authority,
  client,
  clock,
  dial,
  directory,
  isClosed,
  isOpen,
  material,
  serve,
  server,
  useTlsRig,
} from "./tls-rig.ts";

useTlsRig();

/** What both ends agree on, or why the dialler fails. */
async function negotiate(accepting: TlsCarrierOptions, dialling: TlsCarrierOptions, own: TlsMaterial = server) {
  const rig = await serve(accepting, own);
  const ear = dial(rig, client, dialling).ear;
  await ear.until((heard) => isOpen(heard) || isClosed(heard));
  return ear.info === undefined ? (ear.cause?.reason ?? "closed") : `${ear.info.tlsVersion} ${ear.info.tlsCipher}`;
}

describe("what is agreed to", () => {
  it.each([
    [{}, { minVersion: "TLSv1.3" }, "TLSv1.3 TLS_AES_256_GCM_SHA384"],
    [{ ciphers: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] }, {}, "TLSv1.3 TLS_AES_128_GCM_SHA256"],
    [{ ciphers: ["TLS_CHACHA20_POLY1305_SHA256"] }, {}, "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"],
    [
      { maxVersion: "TLSv1.2", ciphers: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] },
      {},
      "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384",
    ],
    // Suites of one version leave the other out.
    [{ ciphers: ["ECDHE-ECDSA-CHACHA20-POLY1305"] }, {}, "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305"],
    [{ ciphers: ["TLS_AES_256_GCM_SHA384"] }, { maxVersion: "TLSv1.2" }, "TLS_ALERT_PROTOCOL_VERSION"],
    [{ minVersion: "TLSv1.3" }, { maxVersion: "TLSv1.2" }, "TLS_ALERT_PROTOCOL_VERSION"],
    [{ ciphers: ["TLS_AES_256_GCM_SHA384"] }, { ciphers: ["TLS_AES_128_GCM_SHA256"] }, "TLS_ALERT_HANDSHAKE_FAILURE"],
    [{ groups: ["secp384r1"] }, { groups: ["x25519"] }, "TLS_ALERT_HANDSHAKE_FAILURE"],
    [{ groups: ["secp384r1"] }, { groups: ["x25519", "secp384r1"] }, "TLSv1.3 TLS_AES_256_GCM_SHA384"],
    [{ signatureAlgorithms: ["ecdsa_secp256r1_sha256"] }, {}, "TLSv1.3 TLS_AES_256_GCM_SHA384"],
  ] as [TlsCarrierOptions, TlsCarrierOptions, string][])(
    "accepting %j, dialling %j: %s",
    async (accepting, dialling, result) => {
      expect(await negotiate(accepting, dialling)).toBe(result);
    },
  );

  it.each([
    [true, "TLS_AES_256_GCM_SHA384"],
    [false, "TLS_AES_128_GCM_SHA256"],
  ])("the order of the accepting side counts: %s", async (honorCipherOrder, cipher) => {
    const accepting = { honorCipherOrder, ciphers: ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"] };
    const dialling = { ciphers: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] };
    expect(await negotiate(accepting, dialling)).toBe(`TLSv1.3 ${cipher}`);
  });

  it("also with suites of TLS 1.3 alone nothing below 112 bits is taken", () => {
    const weak = join(directory, "weak");
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-days",
        "3",
        "-subj",
        "/CN=w",
        "-keyout",
        `${weak}.key`,
        "-out",
        `${weak}.crt`,
      ],
      { stdio: "ignore" },
    );
    const own = { certPem: readFileSync(`${weak}.crt`, "utf8"), keyPem: readFileSync(`${weak}.key`, "utf8") };
    const make = (): unknown => createTlsDialer({ clock }, own, { ciphers: ["TLS_AES_128_GCM_SHA256"] });
    expect(make).toThrow(expect.objectContaining({ reason: "TLS_MATERIAL" }));
  });

  it("every name of the tables is one that OpenSSL takes", () => {
    for (const name of CIPHER_SUITE_NAMES) {
      expect(cipherSuite(name.toLowerCase()).ok, name).toBe(true);
      expect(() => createTlsDialer({ clock }, client, { ciphers: [name] }), name).not.toThrow();
    }
    for (const group of GROUP_NAMES)
      expect(() => createTlsDialer({ clock }, client, { groups: [group] }), group).not.toThrow();
    for (const scheme of SIGNATURE_SCHEMES) {
      expect(() => createTlsDialer({ clock }, client, { signatureAlgorithms: [scheme] }), scheme).not.toThrow();
    }
  });

  it.each([
    [{ ciphers: ["RC4-SHA"] }, "too weak"],
    [{ ciphers: ["NO-SUCH"] }, "does not exist"],
    [{ ciphers: [] }, "no TLS version is left"],
    [{ groups: ["secp192r1"] }, "groups"],
    [{ signatureAlgorithms: ["rsa_pkcs1_sha1"] }, "signatureAlgorithms"],
    [{ minVersion: "TLSv1.3", ciphers: ["ECDHE-RSA-AES256-GCM-SHA384"] }, "no TLS version is left"],
    [{ minVersion: "TLSv1.3", maxVersion: "TLSv1.2" }, "no TLS version is left"],
  ] as [TlsCarrierOptions, string][])("refuses %j", (options, says) => {
    const expected: Partial<SallyportError> = {
      code: "ERR_CONFIG",
      reason: "TLS_OPTIONS",
      message: expect.stringContaining(says),
    };
    expect(() => createTlsDialer({ clock }, client, options)).toThrow(expect.objectContaining(expected));
  });
});

describe("the length of a chain", () => {
  /** Leaf behind as many intermediates, its chain, and the root. */
  let leaves: TlsMaterial[];
  let rootPem: string;

  beforeAll(() => {
    const openssl = (...args: string[]): void =>
      void execFileSync("openssl", args, { cwd: directory, stdio: "ignore" });
    const key = (name: string): void =>
      openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
    const pem = (name: string): string => readFileSync(join(directory, name), "utf8");
    writeFileSync(join(directory, "ca.ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
    key("root");
    openssl("req", "-x509", "-new", "-key", "root.key", "-days", "3", "-subj", "/CN=root", "-out", "root.crt");
    rootPem = pem("root.crt");
    const issue = (name: string, by: string, ...extensions: string[]): void => {
      key(name);
      openssl("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`);
      openssl(
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        "-CA",
        `${by}.crt`,
        "-CAkey",
        `${by}.key`,
        "-CAcreateserial",
        "-days",
        "3",
        ...extensions,
        "-out",
        `${name}.crt`,
      );
    };
    let chain = "";
    leaves = ["root", "i1", "i2", "i3"].map((by, depth, all) => {
      if (depth > 0) {
        issue(by, all[depth - 1] ?? "", "-extfile", "ca.ext");
        chain = pem(`${by}.crt`) + chain;
      }
      issue(`leaf${depth}`, by);
      return { certPem: pem(`leaf${depth}.crt`) + chain, keyPem: pem(`leaf${depth}.key`), caPem: rootPem };
    });
  });

  async function judged(peer: TlsMaterial, own: TlsCarrierOptions, caPem = rootPem): Promise<(string | undefined)[]> {
    const judge = { ...material(await authority.issue("judge@localhost")), caPem };
    const accepting = await serve(own, judge);
    dial(accepting, peer);
    const dialled = await serve({}, peer);
    const ear = dial(dialled, judge, own).ear;
    const heard = await Promise.all([(await accepting.nextAccepted()).ear.until(isOpen), ear.until(isOpen)]);
    return heard.map(({ info }) => info?.chainError);
  }

  it.each([
    [0, 0, undefined],
    [0, 1, "CERT_CHAIN_TOO_LONG"],
    [1, 1, undefined],
    [1, 2, "CERT_CHAIN_TOO_LONG"],
    [2, 2, undefined],
    [undefined, 2, undefined],
    [undefined, 3, "CERT_CHAIN_TOO_LONG"],
    [3, 3, undefined],
  ])("depth %s, %i intermediates: %s, for both sides", async (depth, intermediates, error) => {
    const leaf = leaves[intermediates];
    if (leaf === undefined) throw new Error("no leaf");
    expect(await judged(leaf, depth === undefined ? {} : { depth })).toEqual([error, error]);
  });

  it("counts intermediates of the CA file too", async () => {
    const [, leaf] = leaves;
    if (leaf === undefined) throw new Error("no leaf");
    const bare = { ...leaf, certPem: leaf.certPem.slice(0, leaf.certPem.indexOf("-----END") + 25) };
    const both = `${readFileSync(join(directory, "i1.crt"), "utf8")}${rootPem}`;
    expect(await judged(bare, { depth: 1 }, both)).toEqual([undefined, undefined]);
    expect(await judged(bare, { depth: 0 }, both)).toEqual(["CERT_CHAIN_TOO_LONG", "CERT_CHAIN_TOO_LONG"]);
  });
});
