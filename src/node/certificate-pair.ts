import type { Clock } from "../base/clock.ts";
import { isSallyportError, systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { FileProfile } from "../identity/key-files.ts";
import { type IdentityWarning, quotePath } from "../identity/key-layout.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { checkKeyBelongs, readPemCertificates, readPemKey } from "../x509/check-key.ts";
import { matchCertificate } from "../x509/match-name.ts";

/** What the node's own certificate is made, kept and judged with. */
export interface CertificateOptions {
  readonly files: StoreFiles;
  readonly crypto: Pick<IdentityCrypto, "sha256">;
  readonly random: Random;
  readonly clock: Clock;
  /** The key directory, without a slash at its end. */
  readonly directory: string;
  readonly name: NodeName;
  readonly profile: FileProfile;
  /** Whether TLS takes a pair; absent: every pair that is well-formed. */
  readonly usable?: (pair: CertificatePair) => boolean;
}

/** What may be told of a certificate. */
export interface CertificateFacts {
  /** SHA-256 of the DER in its usual form: `AB:CD:...`, 95 characters. */
  readonly fingerprint: string;
  /** First and last moment of validity, Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A certificate and its private key, both PEM. Never print it. */
export interface CertificatePair extends CertificateFacts {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Why a pair is not used, as a warning. */
export interface Unfit extends IdentityWarning {
  readonly reason:
    | "OWN_CERT_UNREADABLE"
    | "OWN_CERT_MISMATCH"
    | "OWN_CERT_OTHER_NODE"
    | "OWN_CERT_EXPIRED"
    | "OWN_CERT_NOT_YET_VALID"
    | "OWN_CERT_ENDING";
}

/** What lies in a file of a pair. A pair that is unfit could be read, and may be shown and backed up. */
export type FoundPair =
  | { readonly kind: "missing" }
  | { readonly kind: "broken"; readonly unfit: Unfit }
  | { readonly kind: "pair"; readonly pair: CertificatePair; readonly unfit: undefined }
  | { readonly kind: "pair"; readonly pair: CertificatePair; readonly unfit: Unfit };

/** Largest file of a pair that is read, in octets; one of ours has about 1,100. */
export const MAX_CERTIFICATE_PAIR_BYTES: number = 64 * 1024;

/** A certificate with less than this part of its life left is replaced before it ends. */
const LIFE_LEFT = 1 / 3;

const BEGIN_CERTIFICATE = "-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE = "-----END CERTIFICATE-----";

/** Makes a pair: self-signed, ECDSA on P-256, for both sides of TLS, in the name of the node. */
export async function makePair(options: CertificateOptions): Promise<CertificatePair> {
  // Loaded when it is needed: the certificate library takes a third of an idle node's heap, and most starts only read.
  const { issueSelfSigned } = await import("../x509/issue.ts");
  const { certPem, keyPem } = await issueSelfSigned(options, { name: options.name });
  return pairOf(certPem, keyPem, options);
}

/** The text of the one file that holds a pair: the key first, and its certificate. */
export function pairText({ certPem, keyPem }: CertificatePair): string {
  return `${keyPem.trimEnd()}\n${certPem}`;
}

/** Reads and judges the pair in a file. Every fault of file and content is an answer, none an error. */
export function readPair(options: CertificateOptions, path: string): FoundPair {
  const unfit = (reason: Unfit["reason"], why: string): Unfit => ({ reason, message: `${quotePath(path)}: ${why}` });
  let text: string;
  try {
    const facts = options.files.facts(path);
    if (facts === undefined) return { kind: "missing" };
    if (facts.kind !== "file" || facts.bytes > MAX_CERTIFICATE_PAIR_BYTES) {
      return { kind: "broken", unfit: unfit("OWN_CERT_UNREADABLE", "it is no file of a key and its certificate") };
    }
    text = options.files.readText(path);
  } catch (cause) {
    // Another process removed it since.
    if (systemCode(cause) === "ENOENT") return { kind: "missing" };
    return { kind: "broken", unfit: unfit("OWN_CERT_UNREADABLE", `it cannot be read (${systemCode(cause)})`) };
  }
  let pair: CertificatePair;
  try {
    pair = parsePair(text, options);
  } catch (cause) {
    if (isSallyportError(cause) && cause.reason === "KEY_CERT_MISMATCH") {
      return { kind: "broken", unfit: unfit("OWN_CERT_MISMATCH", "the certificate is not that of the key") };
    }
    return { kind: "broken", unfit: unfit("OWN_CERT_UNREADABLE", "it holds no key with its certificate in PEM") };
  }
  return { kind: "pair", pair, unfit: judge(pair, options, unfit) };
}

/** @throws {SallyportError} when the text is no pair */
function parsePair(text: string, options: CertificateOptions): CertificatePair {
  const from = Math.max(0, text.indexOf(BEGIN_CERTIFICATE));
  const to = text.indexOf(END_CERTIFICATE, from);
  const keyPem = text.slice(0, from);
  const certPem = `${text.slice(from, to + END_CERTIFICATE.length)}\n`;
  checkKeyBelongs(certPem, keyPem);
  return pairOf(certPem, keyPem, options);
}

function pairOf(certPem: string, keyPem: string, { crypto }: CertificateOptions): CertificatePair {
  const [der = Buffer.alloc(0)] = readPemCertificates(certPem, "the node's own certificate");
  const { notBeforeMs, notAfterMs } = readCertificateNames(der);
  const hex = crypto.sha256(der).toString("hex").toUpperCase();
  return { certPem, keyPem, fingerprint: hex.replace(/..(?!$)/g, "$&:"), notBeforeMs, notAfterMs };
}

function judge(
  pair: CertificatePair,
  options: CertificateOptions,
  unfit: (reason: Unfit["reason"], why: string) => Unfit,
): Unfit | undefined {
  const { name, clock, usable } = options;
  const nowMs = clock.wallMs();
  const { notBeforeMs, notAfterMs } = pair;
  const [der = Buffer.alloc(0)] = readPemCertificates(pair.certPem, "the node's own certificate");
  if (readPemKey(pair.keyPem, undefined, "its key").asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    return unfit("OWN_CERT_UNREADABLE", "the key is not one of P-256");
  }
  if (!matchCertificate(readCertificateNames(der), name, { profile: "strict" }).matched) {
    return unfit("OWN_CERT_OTHER_NODE", `the certificate is not for ${name}`);
  }
  const dates = `valid from ${iso(notBeforeMs)} to ${iso(notAfterMs)}, and the clock says ${iso(nowMs)}`;
  if (nowMs > notAfterMs) return unfit("OWN_CERT_EXPIRED", dates);
  if (nowMs < notBeforeMs) return unfit("OWN_CERT_NOT_YET_VALID", dates);
  if (notAfterMs - nowMs < (notAfterMs - notBeforeMs) * LIFE_LEFT) return unfit("OWN_CERT_ENDING", dates);
  return usable?.(pair) === false ? unfit("OWN_CERT_UNREADABLE", "TLS cannot use this key and certificate") : undefined;
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
