import { X509Certificate as PlatformCertificate } from "node:crypto";
import { quotePeerText } from "../base/escape.ts";
import { type CertificateNames, readCertificateNames } from "./certificate-names.ts";
import { formatIpAddress } from "./ip-address.ts";
import { keyText } from "./key-strength.ts";
import { x509Library } from "./library.ts";

/** What may be shown of a certificate. Texts are escaped and on one line. */
export interface CertificateDescription {
  readonly subject: string;
  readonly issuer: string;
  /** Hexadecimal, upper case. */
  readonly serial: string;
  /** `URI:`, `DNS:` and `IP:` names, at most sixteen; the common name where there is none of them. */
  readonly names: readonly string[];
  /** Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** `RSA 2048`, `EC P-256`. */
  readonly key: string;
  /** `ECDSA with SHA-256`. */
  readonly signature: string;
  /** SHA-256 of the DER: `AB:CD:...`. */
  readonly fingerprint: string;
  readonly isAuthority: boolean;
}

const MAX_NAMES = 16;

/**
 * Describes a certificate in DER.
 * @throws {SallyportError} ERR_DENIED CERT_MALFORMED, ERR_LIMIT CERT_TOO_LARGE
 */
export function describeCertificate(der: Buffer): CertificateDescription {
  const names = readCertificateNames(der);
  const certificate = new PlatformCertificate(der);
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serial: certificate.serialNumber,
    names: namesOf(names),
    notBeforeMs: names.notBeforeMs,
    notAfterMs: names.notAfterMs,
    key: keyText(certificate.publicKey),
    signature: signatureOf(der),
    fingerprint: certificate.fingerprint256,
    isAuthority: certificate.ca,
  };
}

/** The algorithm of the signature: `ECDSA with SHA-256`. */
export function signatureOf(der: Buffer): string {
  const { X509Certificate } = x509Library();
  const { name, hash } = new X509Certificate(der).signatureAlgorithm as {
    name: string;
    hash?: { name: string } | string;
  };
  const digest = typeof hash === "string" ? hash : hash?.name;
  const kind = name.startsWith("RSASSA") ? "RSA" : name;
  return digest === undefined ? kind : `${kind} with ${digest}`;
}

function namesOf({
  uris,
  dnsNames,
  ipAddresses,
  commonNames,
  hasAlternativeNames,
}: CertificateNames): readonly string[] {
  const all = hasAlternativeNames
    ? [
        ...uris.map((uri) => `URI:${uri}`),
        ...dnsNames.map((dns) => `DNS:${dns}`),
        ...ipAddresses.map((ip) => `IP:${formatIpAddress(ip)}`),
      ]
    : commonNames.map((common) => `CN:${common}`);
  return all.slice(0, MAX_NAMES).map(quotePeerText);
}

function oneLine(text: string): string {
  return quotePeerText(text.split("\n").join(", "));
}
