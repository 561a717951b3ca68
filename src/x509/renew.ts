import { webcrypto } from "node:crypto";
import type { Extension, X509Certificate } from "@peculiar/x509";
import { SallyportError } from "../base/errors.ts";
import { tryNodeName } from "../base/node-name.ts";
import { CLIENT_AUTH, readCertificateNames, SERVER_AUTH } from "./certificate-names.ts";
import { checkKeyBelongs } from "./check-key.ts";
import {
  alternativeNamesOf,
  authorityKeyIdOf,
  type IssuedCertificate,
  keyUsageOf,
  NODE_RSA_BITS,
  pkcs8Pem,
} from "./issue.ts";
import { x509Library } from "./library.ts";
import {
  BACKDATE_MS,
  checkAuthority,
  commonParams,
  daysMs,
  generateKeys,
  type IssueParts,
  importSigner,
  type KeyKind,
} from "./signing.ts";

/** A certificate that follows another one. */
export interface RenewedCertificate {
  readonly certPem: string;
  /** PKCS#8; undefined where the key of the old certificate stays. */
  readonly keyPem: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface RenewOptions {
  /** Validity in days from now, cut at the authority's own end; default 365. */
  readonly days?: number;
  /** Make a new key of the same kind; default: the key of the old certificate stays, and need not be at hand. */
  readonly newKey?: boolean;
}

const SUBJECT_KEY_ID = "2.5.29.14";
const KEY_USAGE = "2.5.29.15";
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const AUTHORITY_KEY_ID = "2.5.29.35";
const EXTENDED_KEY_USAGE = "2.5.29.37";

/** Made for each certificate; everything else is taken over as it is. */
const OWN_EXTENSIONS: readonly string[] = [
  SUBJECT_KEY_ID,
  KEY_USAGE,
  SUBJECT_ALT_NAME,
  BASIC_CONSTRAINTS,
  AUTHORITY_KEY_ID,
  EXTENDED_KEY_USAGE,
];

/**
 * Issues a certificate with the subject, the names and the uses of an old one. One without alternative names, as plain
 * openssl makes them, gets those of the node in its common name.
 * @param oldPem the old certificate first
 * @throws {SallyportError} ERR_CONFIG CERT_NAMELESS, and as `issueNodeCertificate`
 */
export async function renewNodeCertificate(
  parts: IssueParts,
  authority: Pick<IssuedCertificate, "certPem" | "keyPem">,
  oldPem: string,
  options: RenewOptions = {},
): Promise<RenewedCertificate> {
  const {
    BasicConstraintsExtension,
    ExtendedKeyUsageExtension,
    SubjectKeyIdentifierExtension,
    X509Certificate,
    X509CertificateGenerator,
  } = x509Library();
  checkKeyBelongs(authority.certPem, authority.keyPem);
  const issuer = new X509Certificate(authority.certPem);
  const issuerNames = readCertificateNames(new Uint8Array(issuer.rawData));
  const now = parts.clock.wallMs();
  checkAuthority(issuerNames, now);
  const old = new X509Certificate(oldPem);
  const kind: KeyKind = old.publicKey.algorithm.name.startsWith("RSA") ? "rsa" : "ec";
  const keys = options.newKey === true ? await generateKeys(kind, NODE_RSA_BITS) : undefined;
  const publicKey = keys?.publicKey ?? old.publicKey;
  const notBeforeMs = Math.max(now - BACKDATE_MS, issuerNames.notBeforeMs);
  const notAfterMs = Math.min(now + daysMs(options.days), issuerNames.notAfterMs);
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    keyUsageOf(kind),
    old.getExtension(EXTENDED_KEY_USAGE) ?? new ExtendedKeyUsageExtension([SERVER_AUTH, CLIENT_AUTH]),
    old.getExtension(SUBJECT_ALT_NAME) ?? alternativeNames(old),
    await SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
    await authorityKeyIdOf(issuer),
    ...old.extensions.filter(({ type }) => !OWN_EXTENSIONS.includes(type)),
  ];
  const signer = await importSigner(authority.keyPem);
  const certificate = await X509CertificateGenerator.create(
    {
      ...commonParams(parts, { subject: "", notBeforeMs, notAfterMs, extensions }),
      subject: old.subjectName.toJSON(),
      issuer: issuer.subjectName.toJSON(),
      publicKey,
      signingKey: signer.key,
      signingAlgorithm: signer.algorithm,
    },
    webcrypto,
  );
  return {
    certPem: `${certificate.toString("pem").trimEnd()}\n`,
    keyPem: keys === undefined ? undefined : await pkcs8Pem(keys),
    notBeforeMs: Math.floor(notBeforeMs / 1000) * 1000,
    notAfterMs: Math.floor(notAfterMs / 1000) * 1000,
  };
}

function alternativeNames(old: X509Certificate): Extension {
  const [common = ""] = readCertificateNames(new Uint8Array(old.rawData)).commonNames;
  const name = tryNodeName(common);
  if (name !== undefined) return alternativeNamesOf(name, false);
  throw new SallyportError(
    "ERR_CONFIG",
    "CERT_NAMELESS",
    "the certificate has no alternative name, and its common name is no node name",
    { stage: "tls", advice: "issue a certificate for the node: sallyport certs issue NAME" },
  );
}
