import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { writing } from "./key-files.ts";
import { BACKUPS_DIRECTORY, quotePath, ROTATION_LOCK_FILE, utcStamp } from "./key-layout.ts";

/** What a change of a pair on disk needs, whichever pair it is. */
export interface RotationFiles {
  readonly files: StoreFiles;
  /** The key directory, without a slash at its end. */
  readonly directory: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** A lock this old belongs to a process that was killed, milliseconds. */
const STALE_LOCK_MS = 60_000;

const STAMP = /^\d{8}T\d{6}Z$/;

/** Two rotations in one second get stamps one second apart; this many times at most. */
const STAMP_ATTEMPTS = 3600;

/**
 * Runs a change of files while no other process makes one in this key directory.
 * @throws {SallyportError} ERR_CONFIG ROTATION_BUSY, KEY_NOT_WRITTEN, and what `run` throws
 */
export function underLock<T>(options: RotationFiles, run: () => T): T {
  const { files } = options;
  const path = `${options.directory}/${ROTATION_LOCK_FILE}`;
  const facts = writing(path, () => files.facts(path));
  if (facts !== undefined && options.nowMs - facts.changedMs > STALE_LOCK_MS) writing(path, () => files.remove(path));
  try {
    files.writeNew(path, utcStamp(options.nowMs), SECRET_MODE);
  } catch (cause) {
    if (systemCode(cause) !== "EEXIST") {
      removeQuietly(files, path);
      writing(path, () => {
        throw cause;
      });
    }
    throw new SallyportError("ERR_CONFIG", "ROTATION_BUSY", `${quotePath(path)} exists: a rotation is under way`, {
      stage: "identity",
      advice: `wait for it; a lock of a killed process lapses after ${STALE_LOCK_MS / 1000} seconds`,
    });
  }
  try {
    return run();
  } finally {
    removeQuietly(files, path);
  }
}

/** Stamps of the backups that hold `file`, newest first. @throws {SallyportError} ERR_CONFIG KEY_NOT_WRITTEN */
export function backupStamps({ files, directory }: RotationFiles, file: string): readonly string[] {
  const backups = `${directory}/${BACKUPS_DIRECTORY}`;
  return writing(backups, () =>
    files
      .list(backups)
      .filter((name) => STAMP.test(name) && files.facts(`${backups}/${name}/${file}`) !== undefined)
      .reverse(),
  );
}

export function backupNotFound(directory: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "BACKUP_NOT_FOUND", `no such backup in ${quotePath(directory)}`, {
    stage: "identity",
    advice: "name one of the directories in backups/, as YYYYMMDDTHHMMSSZ",
  });
}

/** A file of a backup: its name within the key directory, and what is in it. */
export interface BackedUp {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Puts a pair into a backup of its own, `backups/YYYYMMDDTHHMMSSZ/`, and returns the path of that directory. The names may
 * lead into one common directory, which is made.
 * @throws {SallyportError} ERR_CONFIG ROTATION_FAILED
 */
export function backUpPair(options: RotationFiles, secret: BackedUp, open: BackedUp): string {
  const { files, directory, nowMs } = options;
  for (let attempt = 0; ; attempt++) {
    const path = `${directory}/${BACKUPS_DIRECTORY}/${utcStamp(nowMs + attempt * 1000)}`;
    const secretPath = `${path}/${secret.name}`;
    try {
      if (attempt < STAMP_ATTEMPTS && files.facts(secretPath) !== undefined) continue;
      files.makeDirectory(secretPath.slice(0, secretPath.lastIndexOf("/")), DIRECTORY_MODE);
      files.writeNew(secretPath, secret.bytes, SECRET_MODE);
    } catch (cause) {
      if (systemCode(cause) === "EEXIST" && attempt < STAMP_ATTEMPTS) continue;
      throw rotationFailed(secretPath, true, cause);
    }
    try {
      files.writeAtomic(`${path}/${open.name}`, open.bytes, PUBLIC_MODE);
    } catch (cause) {
      throw rotationFailed(`${path}/${open.name}`, true, cause);
    }
    return path;
  }
}

/**
 * Undoes the steps of a change, last first, and says whether all could be undone. It stops at the first that fails: what
 * was written before the key stays then, by which the next load can tell which of two keys stands.
 */
export function restored(undo: readonly (() => void)[]): boolean {
  for (const step of [...undo].reverse()) {
    try {
      step();
    } catch {
      return false;
    }
  }
  return true;
}

/** A change of a pair that could not be written. */
export function rotationFailed(path: string, isRestored: boolean, cause: unknown): SallyportError {
  const state = isRestored ? "the old pair is in place" : "the files could not be put back; the next start decides";
  return new SallyportError("ERR_CONFIG", "ROTATION_FAILED", `cannot write ${quotePath(path)}: ${state}`, {
    stage: "identity",
    detail: { path: quotePath(path), restored: isRestored, system: systemCode(cause) },
    advice: "let this process's user write the key directory, see that the disk has room, and rotate again",
    cause,
  });
}

function removeQuietly(files: StoreFiles, path: string): void {
  try {
    files.remove(path);
  } catch {
    // The lock lapses by age.
  }
}
