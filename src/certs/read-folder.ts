import { X509Certificate } from "node:crypto";
import { SallyportError } from "../base/errors.ts";
import { buildChain, type Chain } from "../x509/chain.ts";
import { readPemCertificates, readPemKey } from "../x509/check-key.ts";
import type { FolderTexts } from "./folder-view.ts";
import { CA_CERT, CA_KEY, CA_NEXT, CA_OLD, certFileOf, keyFileOf } from "./layout.ts";

/** A CA certificate that issues, with its key. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly certPem: string;
  readonly keyPem: string;
}

/** The certificate of a node, as it lies in the folder. */
export interface Leaf {
  readonly stem: string;
  /** The text of its file. */
  readonly pem: string;
  readonly certificate: X509Certificate;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Towards the roots in `ca.crt`. */
  readonly chain: Chain | undefined;
  /** Of the key beside it: `none` when there is no file. */
  readonly key: "matches" | "differs" | "none";
}

/** The certificates in `ca.crt`; empty without the file. @throws {SallyportError} ERR_CONFIG CERT_PARSE */
export function readRoots(texts: FolderTexts): readonly X509Certificate[] {
  const pem = texts.read(CA_CERT);
  return pem === undefined ? [] : readPemCertificates(pem, CA_CERT).map((der) => new X509Certificate(der));
}

/**
 * The CA that issues: the certificate in `ca.crt` that `ca.key` belongs to.
 * @throws {SallyportError} ERR_CONFIG CA_MISSING, KEY_CERT_MISMATCH, CERT_PARSE, KEY_PARSE, KEY_PASSPHRASE
 */
export function readIssuer(texts: FolderTexts): Issuer {
  const keyPem = texts.read(CA_KEY);
  const roots = readRoots(texts);
  if (keyPem === undefined || roots.length === 0) {
    const missing = keyPem === undefined ? CA_KEY : CA_CERT;
    throw new SallyportError("ERR_CONFIG", "CA_MISSING", `there is no ${missing} in the folder`, {
      stage: "tls",
      advice: "name the folder of the CA with --dir, or make one: sallyport certs ca",
    });
  }
  const key = readPemKey(keyPem, undefined, CA_KEY);
  const certificate = roots.find((root) => root.checkPrivateKey(key));
  if (certificate !== undefined) return { certificate, certPem: pemOf(certificate), keyPem };
  throw new SallyportError("ERR_CONFIG", "KEY_CERT_MISMATCH", `${CA_KEY} belongs to no certificate in ${CA_CERT}`, {
    stage: "tls",
    advice: "restore the two from a backup: sallyport certs rollback",
  });
}

/** The CA that comes. @throws {SallyportError} ERR_CONFIG CERT_PARSE, KEY_PARSE, KEY_CERT_MISMATCH */
export function readNext(texts: FolderTexts): Issuer | undefined {
  const pem = texts.read(CA_NEXT);
  if (pem === undefined) return undefined;
  const [der = Buffer.alloc(0)] = readPemCertificates(pem, CA_NEXT);
  const certificate = new X509Certificate(der);
  const key = readPemKey(pem, undefined, CA_NEXT);
  if (certificate.checkPrivateKey(key)) {
    const keyPem = key.export({ type: "pkcs8", format: "pem" }).toString();
    return { certificate, certPem: pemOf(certificate), keyPem };
  }
  throw new SallyportError("ERR_CONFIG", "KEY_CERT_MISMATCH", `key and certificate in ${CA_NEXT} do not belong`, {
    stage: "tls",
    advice: "go back to before the rotation: sallyport certs rollback",
  });
}

/** The CA that goes. @throws {SallyportError} ERR_CONFIG CERT_PARSE */
export function readOld(texts: FolderTexts): X509Certificate | undefined {
  const pem = texts.read(CA_OLD);
  if (pem === undefined) return undefined;
  const [der = Buffer.alloc(0)] = readPemCertificates(pem, CA_OLD);
  return new X509Certificate(der);
}

/** The certificate of a node. @throws {SallyportError} ERR_CONFIG CERT_PARSE, KEY_PARSE, CERT_FILE_UNREADABLE */
export function readLeaf(texts: FolderTexts, stem: string, roots: readonly X509Certificate[]): Leaf | undefined {
  const file = certFileOf(stem);
  const pem = texts.read(file);
  if (pem === undefined) return undefined;
  const ders = readPemCertificates(pem, file);
  const certificate = new X509Certificate(ders[0] ?? Buffer.alloc(0));
  const keyPem = texts.read(keyFileOf(stem));
  return {
    stem,
    pem,
    certificate,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    chain: buildChain(
      ders,
      roots.map((root) => root.raw),
    ),
    key: keyPem === undefined ? "none" : belongs(certificate, keyPem) ? "matches" : "differs",
  };
}

/** Of one certificate in PEM, with a line break at its end. */
export function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString().trimEnd()}\n`;
}

/** An encrypted key cannot be compared without its passphrase, and is taken to be the right one. */
function belongs(certificate: X509Certificate, keyPem: string): boolean {
  if (keyPem.includes("ENCRYPTED")) return true;
  try {
    return certificate.checkPrivateKey(readPemKey(keyPem, undefined, "the key"));
  } catch {
    return false;
  }
}
