import { join, resolve } from "node:path";
import { logFilesIn } from "../audit/log-files.ts";
import { RECORDS_END } from "../audit/log-reader.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { quotePath } from "../identity/key-layout.ts";
import { auditOf } from "./audit-directory.ts";
import type { ControlFlags } from "./control-path.ts";
import type { SettingsWorld } from "./settings.ts";

/**
 * Where an audit log is: the named directory or `.jsonl` file, else where `start` keeps it; undefined when there is none.
 * @throws what `findConfig` throws
 */
export function auditDirectoryOf(
  named: string | undefined,
  flags: Pick<ControlFlags, "config" | "keyDir">,
  world: SettingsWorld,
): string | undefined {
  return named === undefined ? auditOf(flags, world).audit?.dir : resolve(world.directory, named);
}

/**
 * The lines of all files of an audit log, oldest first, or of the one `.jsonl` file. One file at a time is in memory.
 * @throws {SallyportError} ERR_CONFIG AUDIT_UNREADABLE, also when the directory holds no log
 */
export function* auditLines(directory: string, files: StoreFiles): Generator<string> {
  if (directory.endsWith(RECORDS_END)) {
    yield* linesOf(directory, files);
    return;
  }
  const names = logFilesIn(listOf(directory, files));
  if (names.length === 0) throw unreadable(directory, NO_LOG);
  for (const name of names) yield* linesOf(join(directory, name), files);
}

function* linesOf(path: string, files: StoreFiles): Generator<string> {
  const text = readOf(path, files);
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    yield text.slice(start, end);
    start = end + 1;
  }
  if (start < text.length) yield text.slice(start);
}

function listOf(directory: string, files: StoreFiles): readonly string[] {
  try {
    return files.list(directory);
  } catch (cause) {
    throw unreadable(directory, systemCode(cause), cause);
  }
}

function readOf(path: string, files: StoreFiles): string {
  try {
    return files.read(path).toString("latin1");
  } catch (cause) {
    throw unreadable(path, systemCode(cause), cause);
  }
}

const NO_LOG = "there is no audit log in it";

/** @throws {SallyportError} ERR_CONFIG AUDIT_UNREADABLE where there is neither a log in the directory nor the named file */
export function demandLog(path: string, files: StoreFiles): void {
  const isThere = path.endsWith(RECORDS_END) ? files.exists(path) : logFilesIn(listOf(path, files)).length > 0;
  if (!isThere) throw unreadable(path, path.endsWith(RECORDS_END) ? "ENOENT" : NO_LOG);
}

export function unreadable(path: string, why: string, cause?: unknown): SallyportError {
  return new SallyportError("ERR_CONFIG", "AUDIT_UNREADABLE", `cannot read ${quotePath(path)}: ${why}`, {
    advice: "name the directory of the audit log, or one .jsonl file of it, as the user that the node runs as",
    cause,
  });
}

export function auditNeeded(): SallyportError {
  return new SallyportError("ERR_CONFIG", "AUDIT_NEEDED", "nothing says which audit log is meant", {
    advice: "name its directory, or the configuration of its node with --config",
  });
}
