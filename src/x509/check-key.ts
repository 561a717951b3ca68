import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { SallyportError } from "../base/errors.ts";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM text in their order, as DER. Text around the blocks is ignored, as OpenSSL does.
 * @throws {SallyportError} ERR_CONFIG CERT_PARSE when there is none or one cannot be read; `what` names the text.
 */
export function readPemCertificates(pem: string, what: string): Buffer[] {
  const out: Buffer[] = [];
  for (const [block] of pem.matchAll(PEM_CERTIFICATE)) {
    try {
      out.push(new X509Certificate(block).raw);
    } catch (cause) {
      throw certParse(what, `certificate ${out.length + 1} cannot be read`, cause);
    }
  }
  if (out.length === 0) throw certParse(what, "there is no PEM certificate in it");
  return out;
}

/**
 * Reads a private key in PEM: PKCS#8, PKCS#1 or SEC1, encrypted ones with `passphrase`.
 * @throws {SallyportError} ERR_CONFIG KEY_PASSPHRASE or KEY_PARSE; `what` names the text.
 */
export function readPemKey(pem: string, passphrase: string | undefined, what: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    // No cause is kept: what a key parser says about a key does not belong into an error that may be logged.
    if (pem.includes("ENCRYPTED")) {
      const why =
        passphrase === undefined ? "needs a passphrase and none was given" : "does not open with the passphrase given";
      throw new SallyportError("ERR_CONFIG", "KEY_PASSPHRASE", `${what} ${why}`, {
        stage: "tls",
        advice: "give the passphrase of the key file, or store the key without one in a file only the node can read",
      });
    }
    throw new SallyportError(
      "ERR_CONFIG",
      "KEY_PARSE",
      `${what} holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)`,
      {
        stage: "tls",
        advice: "check that the key option names the private key, not the certificate",
      },
    );
  }
}

/**
 * Checks that a private key belongs to the first certificate of a PEM text.
 * @throws {SallyportError} ERR_CONFIG KEY_CERT_MISMATCH, CERT_PARSE, KEY_PARSE, KEY_PASSPHRASE
 */
export function checkKeyBelongs(
  certPem: string,
  keyPem: string,
  options: { readonly passphrase?: string | undefined; readonly certName?: string; readonly keyName?: string } = {},
): void {
  const certName = options.certName ?? "the certificate";
  const keyName = options.keyName ?? "the private key";
  const [leaf] = readPemCertificates(certPem, certName);
  const key = readPemKey(keyPem, options.passphrase, keyName);
  if (leaf === undefined || !new X509Certificate(leaf).checkPrivateKey(key)) {
    throw new SallyportError("ERR_CONFIG", "KEY_CERT_MISMATCH", `${keyName} does not belong to ${certName}`, {
      stage: "tls",
      advice: "name the key made for this certificate; the node's own certificate must stand first in its file",
    });
  }
}

function certParse(what: string, why: string, cause?: unknown): SallyportError {
  return new SallyportError("ERR_CONFIG", "CERT_PARSE", `${what}: ${why}; it must be PEM`, {
    stage: "tls",
    advice: "check that the option names a PEM certificate file",
    cause,
  });
}
