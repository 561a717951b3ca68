import { dirname } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { checkKeyBelongs, readPemCertificates } from "../x509/check-key.ts";

/** Own certificate and trust anchors, as the TLS carrier takes them. Holds a private key: never print it. */
export interface TlsMaterial {
  /** PEM: the node's own certificate first, then its intermediates. */
  readonly certPem: string;
  /** PEM private key of the first certificate. */
  readonly keyPem: string;
  readonly passphrase?: string | undefined;
  /** PEM certificates that chains may end at. Absent: no chain is trusted (peers are known by key alone). */
  readonly caPem?: string | undefined;
}

/** Files of the operator. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile?: string | undefined;
  readonly passphrase?: string | undefined;
}

/** Something to tell the operator; refused by the caller in the strict profile. */
export interface TlsMaterialWarning {
  readonly reason: "KEY_PERMISSIONS" | "KEY_DIRECTORY_WRITABLE";
  readonly message: string;
}

export interface LoadedTlsMaterial {
  readonly material: TlsMaterial;
  readonly warnings: readonly TlsMaterialWarning[];
  /** End of the node's own certificate, Unix milliseconds. */
  readonly notAfterMs: number;
}

const GROUP_AND_OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Reads certificate, key and CA files and checks that they fit together and that the certificate is within its dates.
 * Symbolic links are followed, as read-only secret mounts need.
 * @throws {SallyportError} ERR_CONFIG CERT_FILE_MISSING, CERT_FILE_UNREADABLE, CERT_PARSE, KEY_PARSE, KEY_PASSPHRASE,
 * KEY_CERT_MISMATCH, CERT_EXPIRED, CERT_NOT_YET_VALID
 */
export function loadTlsMaterial(files: Files, paths: TlsFiles, wallMs: number): LoadedTlsMaterial {
  const certPem = readPem(files, paths.certFile, "certFile");
  const keyPem = readPem(files, paths.keyFile, "keyFile");
  const caPem = paths.caFile === undefined ? undefined : readPem(files, paths.caFile, "caFile");
  const certName = `certFile ${paths.certFile}`;
  checkKeyBelongs(certPem, keyPem, { passphrase: paths.passphrase, certName, keyName: `keyFile ${paths.keyFile}` });
  if (caPem !== undefined) readPemCertificates(caPem, `caFile ${paths.caFile}`);
  const notAfterMs = checkDates(certPem, certName, wallMs);
  return {
    material: { certPem, keyPem, passphrase: paths.passphrase, caPem },
    warnings: keyFileWarnings(files, paths.keyFile),
    notAfterMs,
  };
}

/** Who else may read the key, or put another in its place. Empty when nobody. */
export function keyFileWarnings(files: Files, keyFile: string): TlsMaterialWarning[] {
  const out: TlsMaterialWarning[] = [];
  const mode = files.mode(keyFile);
  if ((mode & GROUP_AND_OTHERS) !== 0) {
    const shown = mode.toString(8).padStart(4, "0");
    out.push({
      reason: "KEY_PERMISSIONS",
      message: `keyFile ${keyFile} has mode ${shown}: other users can get at it; run chmod 600 on it`,
    });
  }
  const directory = dirname(keyFile);
  const directoryMode = files.mode(directory);
  if ((directoryMode & WRITABLE_BY_OTHERS) !== 0 && (directoryMode & STICKY) === 0) {
    out.push({
      reason: "KEY_DIRECTORY_WRITABLE",
      message: `directory ${directory} of the keyFile is writable by other users, who can replace the key; run chmod go-w on it`,
    });
  }
  return out;
}

function readPem(files: Files, path: string, option: string): string {
  try {
    return files.readText(path);
  } catch (cause) {
    const system = systemCode(cause);
    const missing = system === "ENOENT" || system === "ENOTDIR";
    throw new SallyportError(
      "ERR_CONFIG",
      missing ? "CERT_FILE_MISSING" : "CERT_FILE_UNREADABLE",
      `${option} ${path} ${missing ? "does not exist" : `cannot be read (${system})`}`,
      {
        detail: { option, path, system },
        stage: "tls",
        advice: missing
          ? "correct the path; sallyport init makes certificates for a first node"
          : "let the node's user read the file",
        cause,
      },
    );
  }
}

function checkDates(certPem: string, certName: string, wallMs: number): number {
  const [leaf] = readPemCertificates(certPem, certName);
  const { notBeforeMs, notAfterMs } = readCertificateNames(leaf ?? Buffer.alloc(0));
  if (wallMs > notAfterMs || wallMs < notBeforeMs) {
    const expired = wallMs > notAfterMs;
    const detail = { notBefore: iso(notBeforeMs), notAfter: iso(notAfterMs), clock: iso(wallMs) };
    throw new SallyportError(
      "ERR_CONFIG",
      expired ? "CERT_EXPIRED" : "CERT_NOT_YET_VALID",
      `${certName} is valid from ${detail.notBefore} to ${detail.notAfter}, and this machine's clock says ${detail.clock}`,
      {
        detail,
        stage: "tls",
        advice: expired ? "renew the certificate" : "correct the clock, or wait until the certificate begins",
      },
    );
  }
  return notAfterMs;
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
