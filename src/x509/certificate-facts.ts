import { createHash, X509Certificate } from "node:crypto";

/** What a policy and a clock ask of a certificate. */
export interface CertificateFacts {
  /** `spki:SHA256:` and the unpadded base64 of SHA-256 of the SubjectPublicKeyInfo (rulings U7). */
  readonly spki: string;
  /** Begin of its validity, Unix milliseconds. */
  readonly notBeforeMs: number;
  /** End of its validity, Unix milliseconds. */
  readonly notAfterMs: number;
}

/**
 * Reads a certificate (DER) that TLS has verified; undefined when it cannot be read, or has no end that is a time.
 */
export function readCertificateFacts(der: Buffer): CertificateFacts | undefined {
  try {
    const certificate = new X509Certificate(der);
    const key = certificate.publicKey.export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
    const notAfterMs = Date.parse(certificate.validTo);
    const notBeforeMs = Date.parse(certificate.validFrom);
    if (Number.isNaN(notAfterMs) || Number.isNaN(notBeforeMs)) return undefined;
    return { spki: `spki:SHA256:${digest}`, notBeforeMs, notAfterMs };
  } catch {
    return undefined;
  }
}
