import { SallyportError } from "../base/errors.ts";
import { PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import type { NodeName } from "../base/node-name.ts";
import { sameNode } from "../base/node-name.ts";
import { type KeyFilesOptions, type LoadedKey, loadNodeKey, readChain, readSeed } from "./key-files.ts";
import { BACKUPS_DIRECTORY, NODE_KEY_FILE, NODE_PUB_FILE, SUCCESSION_FILE } from "./key-layout.ts";
import { NodeKey } from "./node-key.ts";
import { type Fingerprint, KEY_BYTES } from "./public-key.ts";
import { backUpPair, backupNotFound, backupStamps, restored, rotationFailed, underLock } from "./rotation-files.ts";
import { encodeChain, MAX_SUCCESSIONS, SUCCESSION_VALIDITY_MS, type SuccessionChain } from "./succession.ts";

export interface RotationOptions extends KeyFilesOptions {
  /** The node name that the statement vouches for. */
  readonly name: NodeName;
}

export interface Rotation {
  readonly key: NodeKey;
  readonly oldFingerprint: Fingerprint;
  /** Statements to send to peers from now on, oldest first. */
  readonly chain: SuccessionChain;
  /** Directory that holds the former pair. */
  readonly backup: string;
  /** Names of the files that were replaced. */
  readonly files: readonly string[];
}

/**
 * Makes a new pair. The old one goes to `backups/YYYYMMDDTHHMMSSZ/`, and a statement of succession signed by it is added
 * to the file `succession`. A failure puts the old files back.
 *
 * Order: backup, `succession`, `node.key`, `node.pub`. Whenever the process is killed, the next load finds the old pair
 * or the new one: the statement shows that the two belong together.
 * @throws {SallyportError} ERR_CONFIG ROTATION_BUSY, ROTATION_FAILED, and what `loadNodeKey` throws
 */
export function rotateNodeKey(options: RotationOptions): Rotation {
  return underLock(options, () => {
    const seed = options.random.bytes(KEY_BYTES);
    try {
      return replaceKey(options, seed);
    } finally {
      seed.fill(0);
    }
  });
}

/**
 * Goes back to the pair of a backup: the newest that is not the pair in use, or the one with this stamp. The present key signs a statement for
 * it, so that peers follow.
 * @throws {SallyportError} ERR_CONFIG BACKUP_NOT_FOUND, ROTATION_BUSY, ROTATION_FAILED, and what `loadNodeKey` throws
 */
export function rollbackNodeKey(options: RotationOptions, stamp?: string): Rotation {
  const { files, directory } = options;
  return underLock(options, () => {
    const chosen = backupStamps(options, NODE_KEY_FILE).find((name) =>
      stamp === undefined ? isOther(options, name) : name === stamp,
    );
    if (chosen === undefined) throw backupNotFound(directory);
    const seed = readSeed(files, `${directory}/${BACKUPS_DIRECTORY}/${chosen}/${NODE_KEY_FILE}`);
    try {
      return replaceKey(options, seed);
    } finally {
      seed.fill(0);
    }
  });
}

/** Whether a backup holds a pair that is not the one in use: a killed rotation leaves a backup of that. */
function isOther({ files, directory }: RotationOptions, stamp: string): boolean {
  try {
    const pub = files.read(`${directory}/${BACKUPS_DIRECTORY}/${stamp}/${NODE_PUB_FILE}`);
    return !pub.equals(files.read(`${directory}/${NODE_PUB_FILE}`));
  } catch {
    return false;
  }
}

function replaceKey(options: RotationOptions, newSeed: Buffer): Rotation {
  const { files, crypto, directory } = options;
  const old = loadNodeKey({ ...options, lost: "refuse" });
  const next = new NodeKey(newSeed, crypto);
  const oldSeed = readSeed(files, `${directory}/${NODE_KEY_FILE}`);
  try {
    if (next.fingerprint === old.key.fingerprint) {
      throw new SallyportError("ERR_CONFIG", "BACKUP_NOT_FOUND", "that backup holds the key in use", {
        stage: "identity",
        advice: "name an earlier backup",
      });
    }
    const chain = extendChain(options, old, next);
    const backup = backUpPair(
      options,
      { name: NODE_KEY_FILE, bytes: oldSeed },
      { name: NODE_PUB_FILE, bytes: old.key.publicKey },
    );
    replaceFiles(options, { old: old.key, oldSeed, next, newSeed, chain });
    const replaced = [SUCCESSION_FILE, NODE_KEY_FILE, NODE_PUB_FILE];
    const oldFingerprint = old.key.fingerprint;
    return { key: next, oldFingerprint, chain, backup, files: replaced };
  } catch (cause) {
    next.destroy();
    throw cause;
  } finally {
    oldSeed.fill(0);
    old.key.destroy();
  }
}

/** The chain with one more statement, by the old key. */
function extendChain(options: RotationOptions, old: LoadedKey, next: NodeKey): SuccessionChain {
  const { name, nowMs } = options;
  const stored = readChain(options.files, options.directory, []);
  const known = old.chain.every((statement) => sameNode(statement.name, name)) ? old.chain : [];
  // Seconds keep the serial rising when the file with the last one was lost.
  let serial = Math.max(1, Math.floor(nowMs / 1000));
  for (const statement of stored) serial = Math.max(serial, statement.serial + 1);
  const statement = old.key.succeed({
    serial,
    notBefore: nowMs,
    notAfter: nowMs + SUCCESSION_VALIDITY_MS,
    newKey: next.publicKey,
    name,
  });
  return [...known, statement].slice(-MAX_SUCCESSIONS);
}

interface Replacement {
  readonly old: NodeKey;
  readonly oldSeed: Buffer;
  readonly next: NodeKey;
  readonly newSeed: Buffer;
  readonly chain: SuccessionChain;
}

function replaceFiles(options: RotationOptions, to: Replacement): void {
  const { files, directory } = options;
  const chainPath = `${directory}/${SUCCESSION_FILE}`;
  const keyPath = `${directory}/${NODE_KEY_FILE}`;
  const pubPath = `${directory}/${NODE_PUB_FILE}`;
  const undo: (() => void)[] = [];
  let path = chainPath;
  try {
    const formerChain = files.facts(chainPath) === undefined ? undefined : files.read(chainPath);
    undo.push(() => {
      if (formerChain === undefined) files.remove(chainPath);
      else files.writeAtomic(chainPath, formerChain, PUBLIC_MODE);
    });
    files.writeAtomic(chainPath, encodeChain(to.chain), PUBLIC_MODE);
    path = keyPath;
    undo.push(() => files.writeAtomic(keyPath, to.oldSeed, SECRET_MODE));
    files.writeAtomic(keyPath, to.newSeed, SECRET_MODE);
    path = pubPath;
    undo.push(() => files.writeAtomic(pubPath, to.old.publicKey, PUBLIC_MODE));
    files.writeAtomic(pubPath, to.next.publicKey, PUBLIC_MODE);
  } catch (cause) {
    throw rotationFailed(path, restored(undo), cause);
  }
}
