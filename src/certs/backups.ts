import { SallyportError } from "../base/errors.ts";
import { DIRECTORY_MODE, SECRET_MODE } from "../base/files.ts";
import { quotePath, utcStamp } from "../identity/key-layout.ts";
import { type CertsWorld, type FolderTexts, readFile } from "./folder-view.ts";
import { BACKUPS_DIRECTORY, isFolderFile, MANIFEST_FILE } from "./layout.ts";
import { type FileChange, modeOf, notWritten, sumOf } from "./pending.ts";

const STAMP = /^\d{8}T\d{6}Z$/;

/** Two changes in one second get stamps one second apart; this many times at most. */
const STAMP_ATTEMPTS = 3600;

interface Manifest {
  /** What replaced them: the command. */
  readonly command: string;
  readonly files: readonly { readonly file: string; readonly sha256: string }[];
  /** Files that did not exist before, and that going back removes. */
  readonly absent: readonly string[];
}

/** A backup that was finished. */
export interface Backup extends Manifest {
  readonly stamp: string;
}

/**
 * Copies what a change replaces to a directory of its own; its manifest is written last, and makes it one.
 * @returns the path; undefined when nothing is replaced
 * @throws {SallyportError} ERR_CONFIG CERTS_NOT_WRITTEN
 */
export function backUp(
  { files, clock, crypto }: CertsWorld,
  directory: string,
  command: string,
  before: FolderTexts,
  changes: readonly FileChange[],
): string | undefined {
  const replaced = changes.flatMap(({ file }) => {
    const text = before.read(file);
    return text === undefined ? [] : [{ file, text }];
  });
  if (replaced.length === 0) return undefined;
  const absent = changes.map(({ file }) => file).filter((file) => before.read(file) === undefined);
  const sums = replaced.map(({ file, text }) => ({ file, sha256: sumOf(crypto, text) }));
  const manifest = { version: 1, command, files: sums, absent };
  const path = freeDirectory({ files, clock }, directory);
  let at = path;
  try {
    files.makeDirectory(path, DIRECTORY_MODE);
    for (const { file, text } of replaced) {
      at = `${path}/${file}`;
      files.writeNew(at, text, modeOf(file));
    }
    at = `${path}/${MANIFEST_FILE}`;
    files.writeNew(at, `${JSON.stringify(manifest, null, 2)}\n`, SECRET_MODE);
  } catch (cause) {
    throw notWritten(at, true, cause);
  }
  return path;
}

/** Backups that were finished, newest first. @throws {SallyportError} ERR_CONFIG CERT_FILE_UNREADABLE */
export function listBackups({ files }: Pick<CertsWorld, "files">, directory: string): readonly Backup[] {
  const root = `${directory}/${BACKUPS_DIRECTORY}`;
  return files
    .list(root)
    .filter((name) => STAMP.test(name))
    .reverse()
    .flatMap((stamp) => {
      const manifest = parseManifest(readFile(files, `${root}/${stamp}/${MANIFEST_FILE}`));
      return manifest === undefined ? [] : [{ ...manifest, stamp }];
    });
}

/**
 * The change that leads back to a backup: the one with this stamp, else the newest that differs from what is there.
 * @throws {SallyportError} ERR_CONFIG BACKUP_NOT_FOUND, BACKUP_UNFIT, CERT_FILE_UNREADABLE
 */
export function rollbackChanges(
  world: Pick<CertsWorld, "files" | "crypto">,
  directory: string,
  now: FolderTexts,
  stamp: string | undefined,
): { readonly backup: Backup; readonly changes: readonly FileChange[] } {
  for (const backup of listBackups(world, directory)) {
    if (stamp !== undefined && backup.stamp !== stamp) continue;
    const changes = changesOf(world, directory, backup).filter(({ file, text }) => now.read(file) !== text);
    if (changes.length > 0) return { backup, changes };
    if (stamp !== undefined) return { backup, changes };
  }
  throw new SallyportError("ERR_CONFIG", "BACKUP_NOT_FOUND", `no such backup in ${quotePath(directory)}`, {
    stage: "tls",
    advice: "name one of the directories in backups/, as YYYYMMDDTHHMMSSZ",
  });
}

function changesOf(
  { files, crypto }: Pick<CertsWorld, "files" | "crypto">,
  directory: string,
  backup: Backup,
): readonly FileChange[] {
  const restored = backup.files.map(({ file, sha256 }) => {
    const path = `${directory}/${BACKUPS_DIRECTORY}/${backup.stamp}/${file}`;
    const text = readFile(files, path);
    if (text !== undefined && sumOf(crypto, text) === sha256) return { file, text };
    throw new SallyportError("ERR_CONFIG", "BACKUP_UNFIT", `${quotePath(path)} is not what was backed up`, {
      stage: "tls",
      advice: "name another backup",
    });
  });
  // Keys before certificates, as they were written; what did not exist goes last.
  return [...restored, ...backup.absent.map((file) => ({ file, text: undefined }))];
}

function freeDirectory({ files, clock }: Pick<CertsWorld, "files" | "clock">, directory: string): string {
  const now = clock.wallMs();
  for (let attempt = 0; ; attempt++) {
    const path = `${directory}/${BACKUPS_DIRECTORY}/${utcStamp(now + attempt * 1000)}`;
    let isTaken: boolean;
    try {
      isTaken = files.facts(path) !== undefined;
    } catch (cause) {
      throw notWritten(path, true, cause);
    }
    if (!isTaken || attempt >= STAMP_ATTEMPTS) return path;
  }
}

function parseManifest(text: string | undefined): Manifest | undefined {
  if (text === undefined) return undefined;
  try {
    const { version, command, files, absent } = JSON.parse(text) as Record<string, unknown>;
    if (version !== 1 || typeof command !== "string" || !Array.isArray(files) || !Array.isArray(absent))
      return undefined;
    const sums = files as readonly { file: unknown; sha256: unknown }[];
    const isName = (file: unknown): file is string => typeof file === "string" && isFolderFile(file);
    if (!absent.every(isName)) return undefined;
    if (!sums.every(({ file, sha256 }) => isName(file) && typeof sha256 === "string")) return undefined;
    return { command, files: sums as Manifest["files"], absent };
  } catch {
    // It was written whole or not at all; whatever else it is, it is no backup of this program.
    return undefined;
  }
}
