import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE } from "../base/files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { quotePath, sweepTemporaries } from "../identity/key-layout.ts";
import { underLock } from "../identity/rotation-files.ts";
import { backUp } from "./backups.ts";
import { checkPlan } from "./check-plan.ts";
import { type CertsWorld, changedTexts, type FolderTexts, FolderView } from "./folder-view.ts";
import { PENDING_FILE } from "./layout.ts";
import { type FileChange, finishPending, modeOf, notWritten, writePending } from "./pending.ts";

/** What a command makes of a folder. */
export interface Plan<T> {
  /** In the order in which they are written: keys before their certificates, what goes last. */
  readonly changes: readonly FileChange[];
  /** What the command has to say. */
  readonly result: T;
}

export interface Changed<T> {
  readonly result: T;
  /** Names of the files that were written or removed. */
  readonly files: readonly string[];
  /** Directory with what was replaced; undefined when nothing was. */
  readonly backup: string | undefined;
  /** Files of an earlier change that was left in the middle, and was finished first. */
  readonly finished: readonly string[];
}

/**
 * Changes a folder, all or nothing (docs/certificates.md): finishes what a killed command left, lets `plan` say what is to
 * change, checks that nobody is cut off, backs up what is replaced, and writes.
 * @param command name of the command, for the backup
 * @throws {SallyportError} ERR_CONFIG CERTS_CHANGED, CERTS_CUT_OFF, CERTS_NOT_WRITTEN, CERTS_PENDING_BROKEN,
 * CERT_FILE_UNREADABLE, ROTATION_BUSY, KEY_NOT_WRITTEN; ERR_LIMIT CERTS_TOO_MANY; and what `plan` throws
 */
export async function changeFolder<T>(
  world: CertsWorld,
  directory: string,
  command: string,
  plan: (texts: FolderTexts) => Promise<Plan<T>> | Plan<T>,
): Promise<Changed<T>> {
  const { files, clock } = world;
  makeFolder(files, directory);
  const lock = { files, directory, nowMs: clock.wallMs() };
  let finished: readonly string[] = [];
  if (files.exists(`${directory}/${PENDING_FILE}`)) finished = underLock(lock, () => finishPending(world, directory));
  sweepTemporaries(files, directory, clock.wallMs());
  const view = new FolderView(files, directory);
  const { changes, result } = await plan(view);
  if (changes.length === 0) return { result, files: [], backup: undefined, finished };
  checkPlan(view, changedTexts(view, changes), clock.wallMs());
  const backup = underLock({ ...lock, nowMs: clock.wallMs() }, () => {
    if (!view.isCurrent() || files.exists(`${directory}/${PENDING_FILE}`)) throw changedMeanwhile(directory);
    const path = backUp(world, directory, command, view, changes);
    write(world, directory, view, changes);
    return path;
  });
  return { result, files: changes.map(({ file }) => file), backup, finished };
}

function makeFolder(files: StoreFiles, directory: string): void {
  try {
    if (!files.exists(directory)) files.makeDirectory(directory, DIRECTORY_MODE);
  } catch (cause) {
    throw notWritten(directory, true, cause);
  }
}

/** @throws {SallyportError} ERR_CONFIG CERTS_NOT_WRITTEN */
function write(world: CertsWorld, directory: string, before: FolderTexts, changes: readonly FileChange[]): void {
  const { files } = world;
  const pending = `${directory}/${PENDING_FILE}`;
  const isOne = changes.length === 1;
  const begun: string[] = [];
  let at = pending;
  try {
    // One file is all or nothing by itself.
    if (!isOne) writePending(world, directory, before, changes);
    for (const { file, text } of changes) {
      at = `${directory}/${file}`;
      begun.push(file);
      writeFile(files, at, text, before.read(file) === undefined);
    }
    at = pending;
    if (!isOne) files.remove(pending);
  } catch (cause) {
    // Somebody else's file, which came just now.
    if (systemCode(cause) === "EEXIST") begun.pop();
    throw notWritten(at, undo(files, directory, before, begun), cause);
  }
}

function writeFile(files: StoreFiles, path: string, text: string | undefined, isNew: boolean): void {
  if (text === undefined) files.remove(path);
  else if (isNew) files.writeNew(path, text, modeOf(path));
  else files.writeAtomic(path, text, modeOf(path));
}

/** Puts back what was, last first. Where that fails the pending change stays, for the next command to finish. */
function undo(files: StoreFiles, directory: string, before: FolderTexts, begun: readonly string[]): boolean {
  try {
    for (const file of [...begun].reverse()) {
      const text = before.read(file);
      const path = `${directory}/${file}`;
      if (text !== undefined) files.writeAtomic(path, text, modeOf(file));
      else if (files.exists(path)) files.remove(path);
    }
    files.remove(`${directory}/${PENDING_FILE}`);
    return true;
  } catch {
    return false;
  }
}

function changedMeanwhile(directory: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CERTS_CHANGED", `${quotePath(directory)} was changed meanwhile`, {
    stage: "tls",
    advice: "run the command again",
  });
}
