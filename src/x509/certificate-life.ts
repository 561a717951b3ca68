import { createHash } from "node:crypto";
import { isSallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { type CertificateNames, readCertificateNames } from "./certificate-names.ts";

/** Longest subject that is shown, in characters. */
const MAX_SUBJECT_LENGTH = 200;

/** From when to when a certificate is valid, and which one it is. */
export interface CertificateLife {
  /** The first URI, DNS or common name, escaped and on one line. */
  readonly subject: string;
  /** SHA-256 of the DER in its usual form: `AB:CD:...`, 95 characters. */
  readonly fingerprint: string;
  /** First and last moment of validity, Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Reads the dates of a certificate (DER), whether or not anybody vouches for it; undefined when it cannot be read. */
export function readCertificateLife(der: Uint8Array): CertificateLife | undefined {
  let names: CertificateNames;
  try {
    names = readCertificateNames(der);
  } catch (error) {
    if (isSallyportError(error)) return undefined;
    throw error;
  }
  const { notBeforeMs, notAfterMs } = names;
  const digest = createHash("sha256").update(der).digest("hex").toUpperCase();
  return { subject: subjectOf(names), fingerprint: digest.replace(/(..)(?!$)/g, "$1:"), notBeforeMs, notAfterMs };
}

function subjectOf({ uris, dnsNames, commonNames }: CertificateNames): string {
  const name = uris[0] ?? commonNames[0] ?? dnsNames[0] ?? "without a name";
  return quotePeerText(name.slice(0, MAX_SUBJECT_LENGTH));
}
