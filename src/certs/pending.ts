import { SallyportError, systemCode } from "../base/errors.ts";
import { PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { quotePath } from "../identity/key-layout.ts";
import { type CertsWorld, type FolderTexts, readFile } from "./folder-view.ts";
import { isFolderFile, PENDING_FILE } from "./layout.ts";

/** One file of a change: its new text, or undefined where it goes. */
export interface FileChange {
  readonly file: string;
  readonly text: string | undefined;
}

/** Private keys are for their owner alone. */
export function modeOf(file: string): number {
  return file.endsWith(".key") ? SECRET_MODE : PUBLIC_MODE;
}

/** A change with the SHA-256 of what it replaces, in hex; null where there was nothing. */
interface PendingChange extends FileChange {
  readonly was: string | null;
}

/** What a text is told from another by, in hex; null for none. */
export function sumOf(crypto: CertsWorld["crypto"], text: string | undefined): string | null {
  return text === undefined ? null : crypto.sha256(Buffer.from(text)).toString("hex");
}

/** Makes a change certain: from here on it will be made, by whoever works on the folder next. @throws the system's error */
export function writePending(
  { files, crypto }: CertsWorld,
  directory: string,
  before: FolderTexts,
  changes: readonly FileChange[],
): void {
  const pending = changes.map(({ file, text }) => ({
    file,
    text: text ?? null,
    was: sumOf(crypto, before.read(file)),
  }));
  files.writeNew(`${directory}/${PENDING_FILE}`, JSON.stringify({ version: 1, changes: pending }), SECRET_MODE);
}

/**
 * Makes a change that was left in the middle; nothing to do when there is none.
 * Nothing is written when one of the files is neither as it was before nor as it should be: somebody else changed it since.
 * @returns the files it touches
 * @throws {SallyportError} ERR_CONFIG CERTS_PENDING_BROKEN, CERTS_NOT_WRITTEN, CERT_FILE_UNREADABLE
 */
export function finishPending({ files, crypto }: CertsWorld, directory: string): readonly string[] {
  const path = `${directory}/${PENDING_FILE}`;
  const text = readFile(files, path);
  if (text === undefined) return [];
  const changes = parsePending(text, path);
  for (const { file, text, was } of changes) {
    const now = readFile(files, `${directory}/${file}`);
    if (now !== text && sumOf(crypto, now) !== was) throw pendingBroken(path, `${file} was changed since`);
  }
  let at = path;
  try {
    for (const { file, text } of changes) {
      at = `${directory}/${file}`;
      if (text === undefined) files.remove(at);
      else files.writeAtomic(at, text, modeOf(file));
    }
    at = path;
    files.remove(path);
  } catch (cause) {
    throw notWritten(at, false, cause);
  }
  return changes.map(({ file }) => file);
}

/** Whether a change was left in the middle. */
export function isPending(files: StoreFiles, directory: string): boolean {
  return files.exists(`${directory}/${PENDING_FILE}`);
}

function parsePending(text: string, path: string): readonly PendingChange[] {
  try {
    const value = JSON.parse(text) as { version: unknown; changes: unknown };
    if (value.version === 1 && Array.isArray(value.changes)) return value.changes.map(parseChange);
  } catch {
    // No cause is kept: what a parser says may quote a key.
  }
  throw pendingBroken(path, "it is not of this program");
}

function parseChange(value: unknown): PendingChange {
  const { file, text, was } = value as Record<string, unknown>;
  if (typeof file !== "string" || !isFolderFile(file)) throw new Error("a name that is no certificate file");
  if (typeof text !== "string" && text !== null) throw new Error("a text that is none");
  if (typeof was !== "string" && was !== null) throw new Error("a sum that is none");
  return { file, text: text ?? undefined, was };
}

function pendingBroken(path: string, why: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CERTS_PENDING_BROKEN", `${quotePath(path)} cannot be finished: ${why}`, {
    stage: "tls",
    advice: "see that the files of the folder are as you want them, and remove it",
  });
}

/** A change that the disk refuses. */
export function notWritten(path: string, isRestored: boolean, cause: unknown): SallyportError {
  const state = isRestored
    ? "the files are as they were before"
    : "the change is half made; the next command that writes here finishes it";
  return new SallyportError("ERR_CONFIG", "CERTS_NOT_WRITTEN", `cannot write ${quotePath(path)}: ${state}`, {
    stage: "tls",
    detail: { path: quotePath(path), restored: isRestored, system: systemCode(cause) },
    advice: "let this user write the folder, see that the disk has room, and run the command again",
    cause,
  });
}
