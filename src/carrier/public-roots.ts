import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";

let fingerprints: ReadonlySet<string> | undefined;

/** Whether a certificate (DER) is one of the public CAs that the platform ships. They never count in a session. */
export function isPublicRoot(der: Buffer): boolean {
  fingerprints ??= new Set(rootCertificates.map((pem) => new X509Certificate(pem).fingerprint256));
  return fingerprints.has(new X509Certificate(der).fingerprint256);
}
