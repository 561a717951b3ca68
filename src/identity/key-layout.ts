import { quotePeerText } from "../base/escape.ts";
import type { StoreFiles } from "../base/store-files.ts";

/** A thing an operator should know, that stops nothing. `message` holds no secret and is one line. */
export interface IdentityWarning {
  /** Stable, UPPER_SNAKE. */
  readonly reason: string;
  readonly message: string;
}

/** Names inside the key directory (docs/identity.md). */
export const NODE_KEY_FILE = "node.key";
export const NODE_PUB_FILE = "node.pub";
export const SUCCESSION_FILE = "succession";
export const INCARNATION_FILE = "incarnation";
export const ROTATION_LOCK_FILE = "rotating";
export const TRUSTED_DIRECTORY = "trusted";
export const FIRST_USE_DIRECTORY = "first-use";
export const REVOKED_DIRECTORY = "revoked";
export const META_DIRECTORY = "meta";
export const BACKUPS_DIRECTORY = "backups";
export const INVITES_DIRECTORY = "invites";
export const JOINING_DIRECTORY = "joining";
/** Of the node's own certificate; it has a file `NODE_KEY_FILE` too. */
export const TLS_DIRECTORY = "tls";
export const CERTIFICATE_FILE = "node.crt";

const TEMPORARY = /^\.tmp-[0-9a-f]{24}$/;

/** A temporary file this old belongs to no running write, milliseconds. */
const ABANDONED_MS = 600_000;

/** A path for a message: on one line, in printable ASCII. */
export function quotePath(path: string): string {
  return quotePeerText(path);
}

/**
 * Removes what a killed process left of unfinished writes: such a file may hold half a secret. Errors are ignored, since
 * a read-only directory has nothing to clean.
 */
export function sweepTemporaries(files: StoreFiles, directory: string, nowMs: number): void {
  try {
    for (const name of files.list(directory)) {
      if (!TEMPORARY.test(name)) continue;
      const path = `${directory}/${name}`;
      const facts = files.facts(path);
      if (facts !== undefined && nowMs - facts.changedMs > ABANDONED_MS) files.remove(path);
    }
  } catch {
    // The next start tries again.
  }
}

/** `YYYYMMDDTHHMMSSZ` of Unix milliseconds, UTC. */
export function utcStamp(ms: number): string {
  return `${new Date(ms)
    .toISOString()
    .replace(/[-:]/g, "")
    .replace(/\.\d+Z$/, "")}Z`;
}
