import { SallyportError } from "../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import { BACKUPS_DIRECTORY, CERTIFICATE_FILE, NODE_KEY_FILE, TLS_DIRECTORY } from "../identity/key-layout.ts";
import {
  backUpPair,
  backupNotFound,
  backupStamps,
  type RotationFiles,
  restored,
  rotationFailed,
  underLock,
} from "../identity/rotation-files.ts";
import { copyPath, pairPath, tlsDirectory } from "./certificate-files.ts";
import {
  type CertificateFacts,
  type CertificateOptions,
  type CertificatePair,
  makePair,
  pairText,
  readPair,
} from "./certificate-pair.ts";

export interface CertificateRotation {
  /** Undefined when there was none that could be read. */
  readonly old: CertificateFacts | undefined;
  readonly current: CertificateFacts;
  /** Directory that holds the former pair; undefined when there was none. */
  readonly backup: string | undefined;
  /** Names of the files that were replaced, within the key directory. */
  readonly files: readonly string[];
}

const PAIR = `${TLS_DIRECTORY}/${NODE_KEY_FILE}`;
const COPY = `${TLS_DIRECTORY}/${CERTIFICATE_FILE}`;

/**
 * Makes a new certificate of the node's own, with a new key. The old pair goes to `backups/YYYYMMDDTHHMMSSZ/tls/`. A
 * failure puts the old files back. The identity is not touched.
 * @throws {SallyportError} ERR_CONFIG ROTATION_BUSY, ROTATION_FAILED, KEY_NOT_WRITTEN
 */
export async function rotateOwnCertificate(options: CertificateOptions): Promise<CertificateRotation> {
  const fresh = await makePair(options);
  return underLock(rotationFiles(options), () => replacePair(options, fresh));
}

/**
 * Goes back to the pair of a backup: the newest that a node would use and that is not in use, or the one with this stamp.
 * @throws {SallyportError} ERR_CONFIG BACKUP_NOT_FOUND, BACKUP_UNFIT, ROTATION_BUSY, ROTATION_FAILED, KEY_NOT_WRITTEN
 */
export function rollbackOwnCertificate(options: CertificateOptions, stamp?: string): CertificateRotation {
  return underLock(rotationFiles(options), () => replacePair(options, backedUpPair(options, stamp)));
}

function backedUpPair(options: CertificateOptions, stamp: string | undefined): CertificatePair {
  const { directory } = options;
  const now = readPair(options, pairPath(options));
  const inUse = now.kind === "pair" ? now.pair.fingerprint : undefined;
  for (const name of backupStamps(rotationFiles(options), PAIR)) {
    if (stamp !== undefined && name !== stamp) continue;
    const found = readPair(options, `${directory}/${BACKUPS_DIRECTORY}/${name}/${PAIR}`);
    if (found.kind === "pair" && found.unfit === undefined && found.pair.fingerprint !== inUse) return found.pair;
    if (stamp === undefined || found.kind === "missing" || found.unfit === undefined) continue;
    throw new SallyportError("ERR_CONFIG", "BACKUP_UNFIT", `the next start would replace it: ${found.unfit.message}`, {
      stage: "tls",
      advice: "name another backup, or make a new certificate with: sallyport keys rotate --certificate",
    });
  }
  throw backupNotFound(directory);
}

function replacePair(options: CertificateOptions, next: CertificatePair): CertificateRotation {
  const { files } = options;
  const former = readPair(options, pairPath(options));
  const old = former.kind === "pair" ? former.pair : undefined;
  const backup =
    old === undefined
      ? undefined
      : backUpPair(
          rotationFiles(options),
          { name: PAIR, bytes: Buffer.from(pairText(old)) },
          { name: COPY, bytes: Buffer.from(old.certPem) },
        );
  const undo: (() => void)[] = [];
  let path = pairPath(options);
  try {
    files.makeDirectory(tlsDirectory(options), DIRECTORY_MODE);
    undo.push(() => {
      if (old === undefined) files.remove(pairPath(options));
      else files.writeAtomic(pairPath(options), pairText(old), SECRET_MODE);
    });
    files.writeAtomic(path, pairText(next), SECRET_MODE);
    path = copyPath(options);
    undo.push(() => {
      if (old === undefined) files.remove(copyPath(options));
      else files.writeAtomic(copyPath(options), old.certPem, PUBLIC_MODE);
    });
    files.writeAtomic(path, next.certPem, PUBLIC_MODE);
  } catch (cause) {
    throw rotationFailed(path, restored(undo), cause);
  }
  return {
    old: old === undefined ? undefined : factsOf(old),
    current: factsOf(next),
    backup,
    files: [PAIR, COPY],
  };
}

function factsOf({ fingerprint, notBeforeMs, notAfterMs }: CertificatePair): CertificateFacts {
  return { fingerprint, notBeforeMs, notAfterMs };
}

function rotationFiles({ files, directory, clock }: CertificateOptions): RotationFiles {
  return { files, directory, nowMs: clock.wallMs() };
}
