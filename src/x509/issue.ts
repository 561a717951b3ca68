import { createPrivateKey, webcrypto } from "node:crypto";
import type { Extension, JsonGeneralNames, X509Certificate } from "@peculiar/x509";
import { hostPart, localPart, type NodeName } from "../base/node-name.ts";
import { CLIENT_AUTH, readCertificateNames, SERVER_AUTH } from "./certificate-names.ts";
import { checkKeyBelongs } from "./check-key.ts";
import { parseIpAddress } from "./ip-address.ts";
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
  type Profile,
  SIGN_EC,
  SIGN_RSA,
  subjectOf,
} from "./signing.ts";

export type { IssueParts, KeyKind } from "./signing.ts";

/** A certificate with its private key, both PEM; the key as unencrypted PKCS#8. */
export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
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

/** RSA bits of a node's key. */
export const NODE_RSA_BITS = 2048;

/** Makes a new certificate authority: v3, CA:TRUE with no further authority below it. */
export async function createAuthority(parts: IssueParts, options: AuthorityOptions = {}): Promise<IssuedCertificate> {
  const { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, SubjectKeyIdentifierExtension } = x509Library();
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
  const { X509Certificate, X509CertificateGenerator } = x509Library();
  checkKeyBelongs(authority.certPem, authority.keyPem);
  const issuer = new X509Certificate(authority.certPem);
  const issuerNames = readCertificateNames(new Uint8Array(issuer.rawData));
  const now = parts.clock.wallMs();
  checkAuthority(issuerNames, now);
  const kind = options.key ?? "ec";
  const keys = await generateKeys(kind, NODE_RSA_BITS);
  const profile: Profile = {
    subject: options.name,
    notBeforeMs: Math.max(now - BACKDATE_MS, issuerNames.notBeforeMs),
    notAfterMs: Math.min(now + daysMs(options.days), issuerNames.notAfterMs),
    extensions: [...(await nodeExtensions(options, kind, keys)), await authorityKeyIdOf(issuer)],
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
  const { BasicConstraintsExtension, ExtendedKeyUsageExtension, SubjectKeyIdentifierExtension } = x509Library();
  const uses = options.uses ?? ["server", "client"];
  return [
    new BasicConstraintsExtension(false, undefined, true),
    keyUsageOf(kind),
    new ExtendedKeyUsageExtension(uses.map((use) => (use === "server" ? SERVER_AUTH : CLIENT_AUTH))),
    alternativeNamesOf(options.name, options.hostOnly ?? false),
    await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
  ];
}

/** Only RSA keys can be asked to decrypt, in the key exchange of old TLS 1.2 suites. */
export function keyUsageOf(kind: KeyKind): Extension {
  const { KeyUsageFlags, KeyUsagesExtension } = x509Library();
  const usage = KeyUsageFlags.digitalSignature | (kind === "rsa" ? KeyUsageFlags.keyEncipherment : 0);
  return new KeyUsagesExtension(usage, true);
}

/** What a chain is built by: the identifier that the authority gives itself, however it was made. */
export async function authorityKeyIdOf(issuer: X509Certificate): Promise<Extension> {
  const { AuthorityKeyIdentifierExtension, SubjectKeyIdentifierExtension } = x509Library();
  const own = issuer.getExtension(SubjectKeyIdentifierExtension);
  return own === null
    ? AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto)
    : new AuthorityKeyIdentifierExtension(own.keyId);
}

/** The names of a node as alternative names. */
export function alternativeNamesOf(name: NodeName, hostOnly: boolean): Extension {
  const { SubjectAlternativeNameExtension } = x509Library();
  const host = hostPart(name);
  const address = parseIpAddress(host);
  const names: JsonGeneralNames = [{ type: "dns", value: host }];
  if (!hostOnly) {
    names.unshift({ type: "url", value: `dist://${localPart(name)}@${address?.length === 16 ? `[${host}]` : host}` });
  }
  if (address !== undefined) names.push({ type: "ip", value: host });
  return new SubjectAlternativeNameExtension(names);
}

async function selfSign(
  parts: IssueParts,
  kind: KeyKind,
  keys: CryptoKeyPair,
  profile: Profile,
): Promise<IssuedCertificate> {
  const { X509CertificateGenerator } = x509Library();
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

async function finish(certificate: X509Certificate, keys: CryptoKeyPair, profile: Profile): Promise<IssuedCertificate> {
  return {
    certPem: `${certificate.toString("pem").trimEnd()}\n`,
    keyPem: await pkcs8Pem(keys),
    // Certificates count whole seconds.
    notBeforeMs: Math.floor(profile.notBeforeMs / 1000) * 1000,
    notAfterMs: Math.floor(profile.notAfterMs / 1000) * 1000,
  };
}

/** The private key of a pair as PKCS#8 in PEM. */
export async function pkcs8Pem(keys: CryptoKeyPair): Promise<string> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  pkcs8.fill(0);
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}
