import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createTestAuthority } from "../testkit/certificates.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { readCertificateFacts } from "./certificate-facts.ts";

async function issue() {
  const parts = { clock: new VirtualClock(), random: new SeededRandom(1), files: new FaultyFiles() };
  const authority = await createTestAuthority(parts, "/ca");
  const { certPem } = await authority.issue("n@h");
  return { der: Buffer.from(new X509Certificate(certPem).raw), certificate: new X509Certificate(certPem) };
}

describe("readCertificateFacts", () => {
  it("names the key by the hash of its SubjectPublicKeyInfo, and both ends of validity", async () => {
    const { der, certificate } = await issue();
    const spki = certificate.publicKey.export({ type: "spki", format: "der" });
    const hash = createHash("sha256").update(spki).digest("base64").replace(/=+$/, "");
    expect(readCertificateFacts(der)).toEqual({
      spki: `spki:SHA256:${hash}`,
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
    });
  });

  it("says nothing of what is no certificate", async () => {
    const { der } = await issue();
    expect(readCertificateFacts(Buffer.alloc(0))).toBeUndefined();
    expect(readCertificateFacts(der.subarray(0, der.length - 1))).toBeUndefined();
    expect(readCertificateFacts(Buffer.from("not a certificate"))).toBeUndefined();
    const { publicKey } = generateKeyPairSync("ed25519");
    expect(readCertificateFacts(publicKey.export({ type: "spki", format: "der" }))).toBeUndefined();
  });
});
