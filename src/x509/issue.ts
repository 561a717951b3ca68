import "./reflect-metadata.ts";
import { createPrivateKey, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { hostPart, localPart, type NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { CLIENT_AUTH, readCertificateNames, SERVER_AUTH } from "./certificate-names.ts";
import { checkKeyBelongs } from "./check-key.ts";
import { parseIpAddress } from "./ip-address.ts";

/** `ec`: ECDSA on P-256; `rsa`: RSA 2048 (4096 for an authority). Both sign with SHA-256. */
export type KeyKind = "ec" | "rsa";

/** A certificate with its private key, both PEM; the key as unencrypted PKCS#8. */
export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What issuing draws on: wall time for the dates, randomness for serial numbers. Keys come from the system's own. */
export interface IssueParts {
  readonly clock: Clock;
  readonly random: Random;
}

export interface AuthorityOptions {
  /** Default `Sallyport CA`. */
  readonly commonName?: string;
  /** Validity in days from now; default 365. */
  readonly days?: number;
  /** Default `ec`. */
  readonly key?: KeyKind;
}

export interface NodeCertificateOptions {
  readonly name: NodeName;
  /** Validity in days from now, cut at the authority's own end; default 365. */
  readonly days?: number;
  /** Default `ec`. */
  readonly key?: KeyKind;
  /** Sides of TLS the certificate is for; default both, which a node needs. */
  readonly uses?: readonly ("server" | "client")[];
  /** Name the host only, so that any node name on it may use the certificate; default false. */
  readonly hostOnly?: boolean;
}

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 365;

/** Certificates are valid from a little before now, since the clocks of two machines are never equal. */
const BACKDATE_MS = 5 * 60_000;

/** RFC 5280, ub-common-name: a longer one makes an Erlang node refuse the whole certificate. */
const MAX_COMMON_NAME_CHARS = 64;

const SIGN_EC = { name: "ECDSA", hash: "SHA-256" };
const SIGN_RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

interface Profile {
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Extension[];
}

/** Makes a new certificate authority: v3, CA:TRUE with no further authority below it. */
export async function createAuthority(parts: IssueParts, options: AuthorityOptions = {}): Promise<IssuedCertificate> {
  const kind = options.key ?? "ec";
  const keys = await generateKeys(kind, 4096);
  const now = parts.clock.wallMs();
  const profile: Profile = {
    subject: options.commonName ?? "Sallyport CA",
    notBeforeMs: now - BACKDATE_MS,
    notAfterMs: now + daysMs(options.days),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
    ],
  };
  return selfSign(parts, kind, keys, profile);
}

/**
 * Issues a node certificate from an authority: v3, CA:FALSE, for both sides of TLS, with the alternative names
 * `dist://name@host` and the host as DNS name; a host that is an address gets an IP name and its text as DNS name,
 * because OTP 25 looks at the one and OTP 26 at the other. `authority` needs its two PEM texts only.
 * @throws {SallyportError} ERR_CONFIG CA_EXPIRED, NOT_A_CA, KEY_CERT_MISMATCH, CERT_PARSE, KEY_PARSE, DAYS_INVALID
 */
export async function issueNodeCertificate(
  parts: IssueParts,
  authority: Pick<IssuedCertificate, "certPem" | "keyPem">,
  options: NodeCertificateOptions,
): Promise<IssuedCertificate> {
  checkKeyBelongs(authority.certPem, authority.keyPem);
  const issuer = new X509Certificate(authority.certPem);
  const issuerNames = readCertificateNames(new Uint8Array(issuer.rawData));
  const now = parts.clock.wallMs();
  checkAuthority(issuerNames, now);
  const kind = options.key ?? "ec";
  const keys = await generateKeys(kind, 2048);
  const profile: Profile = {
    subject: options.name,
    notBeforeMs: Math.max(now - BACKDATE_MS, issuerNames.notBeforeMs),
    notAfterMs: Math.min(now + daysMs(options.days), issuerNames.notAfterMs),
    extensions: [
      ...(await nodeExtensions(options, kind, keys)),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto),
    ],
  };
  const signer = await importSigner(authority.keyPem);
  const certificate = await X509CertificateGenerator.create(
    {
      ...commonParams(parts, profile),
      subject: subjectOf(profile),
      issuer: issuer.subjectName.toJSON(),
      publicKey: keys.publicKey,
      signingKey: signer.key,
      signingAlgorithm: signer.algorithm,
    },
    webcrypto,
  );
  return finish(certificate, keys, profile);
}

/** Makes a self-signed node certificate with the same names and uses, for peers that know each other by key. */
export async function issueSelfSigned(parts: IssueParts, options: NodeCertificateOptions): Promise<IssuedCertificate> {
  const kind = options.key ?? "ec";
  const keys = await generateKeys(kind, 2048);
  const now = parts.clock.wallMs();
  const profile: Profile = {
    subject: options.name,
    notBeforeMs: now - BACKDATE_MS,
    notAfterMs: now + daysMs(options.days),
    extensions: await nodeExtensions(options, kind, keys),
  };
  return selfSign(parts, kind, keys, profile);
}

async function nodeExtensions(
  options: NodeCertificateOptions,
  kind: KeyKind,
  keys: CryptoKeyPair,
): Promise<Extension[]> {
  const uses = options.uses ?? ["server", "client"];
  // Only RSA keys can be asked to decrypt, in the key exchange of old TLS 1.2 suites.
  const usage = KeyUsageFlags.digitalSignature | (kind === "rsa" ? KeyUsageFlags.keyEncipherment : 0);
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(usage, true),
    new ExtendedKeyUsageExtension(uses.map((use) => (use === "server" ? SERVER_AUTH : CLIENT_AUTH))),
    new SubjectAlternativeNameExtension(alternativeNames(options.name, options.hostOnly ?? false)),
    await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
  ];
}

function alternativeNames(name: NodeName, hostOnly: boolean): JsonGeneralNames {
  const host = hostPart(name);
  const address = parseIpAddress(host);
  const names: JsonGeneralNames = [{ type: "dns", value: host }];
  if (!hostOnly) {
    names.unshift({ type: "url", value: `dist://${localPart(name)}@${address?.length === 16 ? `[${host}]` : host}` });
  }
  if (address !== undefined) names.push({ type: "ip", value: host });
  return names;
}

async function selfSign(
  parts: IssueParts,
  kind: KeyKind,
  keys: CryptoKeyPair,
  profile: Profile,
): Promise<IssuedCertificate> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...commonParams(parts, profile),
      name: subjectOf(profile),
      keys,
      signingAlgorithm: kind === "ec" ? SIGN_EC : SIGN_RSA,
    },
    webcrypto,
  );
  return finish(certificate, keys, profile);
}

function commonParams(
  parts: IssueParts,
  profile: Profile,
): { serialNumber: string; notBefore: Date; notAfter: Date; extensions: Extension[] } {
  // 126 random bits; the first octet is kept between 0x40 and 0x7f, so the number is positive and never short.
  const serial = parts.random.bytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return {
    serialNumber: serial.toString("hex"),
    notBefore: new Date(profile.notBeforeMs),
    notAfter: new Date(profile.notAfterMs),
    extensions: [...profile.extensions],
  };
}

function subjectOf(profile: Profile): { CN: string[] }[] {
  return [{ CN: [profile.subject.length <= MAX_COMMON_NAME_CHARS ? profile.subject : "Sallyport node"] }];
}

async function finish(certificate: X509Certificate, keys: CryptoKeyPair, profile: Profile): Promise<IssuedCertificate> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  pkcs8.fill(0);
  return {
    certPem: `${certificate.toString("pem").trimEnd()}\n`,
    keyPem: key.export({ format: "pem", type: "pkcs8" }).toString(),
    // Certificates count whole seconds.
    notBeforeMs: Math.floor(profile.notBeforeMs / 1000) * 1000,
    notAfterMs: Math.floor(profile.notAfterMs / 1000) * 1000,
  };
}

async function generateKeys(kind: KeyKind, rsaBits: number): Promise<CryptoKeyPair> {
  if (kind === "ec")
    return webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const algorithm = { ...SIGN_RSA, modulusLength: rsaBits, publicExponent: new Uint8Array([1, 0, 1]) };
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function importSigner(keyPem: string): Promise<{ key: CryptoKey; algorithm: typeof SIGN_EC }> {
  const key = createPrivateKey(keyPem);
  const isEc = key.asymmetricKeyType === "ec";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (!(key.asymmetricKeyType === "rsa" || (isEc && curve === "prime256v1"))) {
    throw new SallyportError(
      "ERR_CONFIG",
      "KEY_PARSE",
      "the authority's key is neither RSA nor EC P-256; make a new authority",
      {
        stage: "tls",
        advice: "use an authority with an RSA or EC P-256 key",
      },
    );
  }
  const algorithm = isEc ? { ...SIGN_EC, namedCurve: "P-256" } : SIGN_RSA;
  const der = key.export({ format: "der", type: "pkcs8" });
  const imported = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  der.fill(0);
  return { key: imported, algorithm };
}

function checkAuthority(names: { authority: boolean; notAfterMs: number }, now: number): void {
  if (!names.authority) {
    throw new SallyportError(
      "ERR_CONFIG",
      "NOT_A_CA",
      "the issuing certificate is not a certificate authority (CA:FALSE)",
      {
        stage: "tls",
        advice: "issue with the CA certificate and its key, not with a node certificate",
      },
    );
  }
  if (names.notAfterMs <= now) {
    const ended = new Date(names.notAfterMs).toISOString();
    throw new SallyportError(
      "ERR_CONFIG",
      "CA_EXPIRED",
      `the certificate authority expired at ${ended}; make a new one`,
      {
        detail: { notAfter: ended },
        stage: "tls",
        advice: "make a new certificate authority and distribute its certificate",
      },
    );
  }
}

function daysMs(days: number | undefined): number {
  const value = days ?? DEFAULT_DAYS;
  if (!(value > 0 && value <= 36_500)) {
    throw new SallyportError(
      "ERR_CONFIG",
      "DAYS_INVALID",
      `a validity of ${value} days is not above 0 and at most 36500`,
      {
        detail: { days: value },
        advice: "give a validity between 1 and 36500 days",
      },
    );
  }
  return value * DAY_MS;
}
