import { isSallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import { checkProtection } from "../identity/key-files.ts";
import {
  CERTIFICATE_FILE,
  type IdentityWarning,
  NODE_KEY_FILE,
  quotePath,
  sweepTemporaries,
  TLS_DIRECTORY,
} from "../identity/key-layout.ts";
import {
  type CertificateOptions,
  type CertificatePair,
  makePair,
  pairText,
  readPair,
  type Unfit,
} from "./certificate-pair.ts";

export interface LoadedCertificate {
  readonly pair: CertificatePair;
  /** Whether the next start finds it. */
  readonly saved: boolean;
  readonly warnings: readonly IdentityWarning[];
}

/** Looks at the files at most; each after the first two means that another process was faster, and lost its files again. */
const LOAD_ATTEMPTS = 8;

/**
 * Loads the certificate that a node makes for itself, or makes it anew where there is none that is fit (docs/identity.md).
 * Key and certificate lie in one file, `tls/node.key`, which is only ever replaced whole; `tls/node.crt` is a copy. So no
 * reader ever joins one pair's key with another's certificate, whoever writes at the same time or was killed at it. A
 * directory that cannot be written gives a pair in memory.
 * @throws {SallyportError} ERR_DENIED KEY_PERMISSIONS
 */
export async function loadOwnCertificate(options: CertificateOptions): Promise<LoadedCertificate> {
  const { files, clock } = options;
  sweepTemporaries(files, tlsDirectory(options), clock.wallMs());
  let fresh: CertificatePair | undefined;
  for (let attempt = 1; ; attempt++) {
    const warnings: IdentityWarning[] = [];
    const found = look(options, warnings);
    if (found.kind === "fit") {
      writeCopy(options, found.pair, warnings);
      return { pair: found.pair, saved: true, warnings };
    }
    if (fresh === undefined) {
      fresh = await makePair(options);
      continue;
    }
    if (found.kind === "unfit") warnings.push(found.unfit);
    try {
      files.makeDirectory(tlsDirectory(options), DIRECTORY_MODE);
      if (found.kind === "missing") files.writeNew(pairPath(options), pairText(fresh), SECRET_MODE);
      else files.writeAtomic(pairPath(options), pairText(fresh), SECRET_MODE);
    } catch (cause) {
      if (systemCode(cause) === "EEXIST" && attempt < LOAD_ATTEMPTS) continue;
      warnings.push(notSaved(pairPath(options), cause));
      return { pair: fresh, saved: false, warnings };
    }
    writeCopy(options, fresh, warnings);
    return { pair: fresh, saved: true, warnings };
  }
}

/** The directory of the node's own certificate. */
export function tlsDirectory({ directory }: Pick<CertificateOptions, "directory">): string {
  return `${directory}/${TLS_DIRECTORY}`;
}

/** The file that holds the pair. */
export function pairPath(options: Pick<CertificateOptions, "directory">): string {
  return `${tlsDirectory(options)}/${NODE_KEY_FILE}`;
}

/** The file that holds the copy of the certificate. */
export function copyPath(options: Pick<CertificateOptions, "directory">): string {
  return `${tlsDirectory(options)}/${CERTIFICATE_FILE}`;
}

type Looked =
  | { readonly kind: "missing" }
  | { readonly kind: "fit"; readonly pair: CertificatePair }
  | { readonly kind: "unfit"; readonly unfit: Unfit };

function look(options: CertificateOptions, warnings: IdentityWarning[]): Looked {
  const { files, profile } = options;
  try {
    checkProtection({ files, directory: tlsDirectory(options), profile }, pairPath(options), warnings);
  } catch (cause) {
    // Whatever else is wrong with the file, reading it says so.
    if (isSallyportError(cause) && cause.reason === "KEY_PERMISSIONS") throw cause;
  }
  const found = readPair(options, pairPath(options));
  if (found.kind === "missing") return found;
  if (found.kind === "pair" && found.unfit === undefined) return { kind: "fit", pair: found.pair };
  return { kind: "unfit", unfit: found.unfit };
}

function writeCopy(options: CertificateOptions, { certPem }: CertificatePair, warnings: IdentityWarning[]): void {
  const { files } = options;
  const path = copyPath(options);
  try {
    if (isCopy(options, path, certPem)) return;
    files.writeAtomic(path, certPem, PUBLIC_MODE);
  } catch (cause) {
    warnings.push(notSaved(path, cause));
  }
}

function isCopy({ files }: CertificateOptions, path: string, certPem: string): boolean {
  try {
    return files.facts(path)?.bytes === certPem.length && files.readText(path) === certPem;
  } catch {
    // Another process removed it since, or writing it says what is wrong.
    return false;
  }
}

function notSaved(path: string, cause: unknown): IdentityWarning {
  return { reason: "OWN_CERT_NOT_SAVED", message: `${quotePath(path)} cannot be written (${systemCode(cause)})` };
}
