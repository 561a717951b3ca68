import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import type { FileFacts, StoreFiles } from "../base/store-files.ts";
import {
  BACKUPS_DIRECTORY,
  FIRST_USE_DIRECTORY,
  type IdentityWarning,
  NODE_KEY_FILE,
  NODE_PUB_FILE,
  quotePath,
  SUCCESSION_FILE,
  sweepTemporaries,
  TRUSTED_DIRECTORY,
} from "./key-layout.ts";
import { NodeKey } from "./node-key.ts";
import { KEY_BYTES } from "./public-key.ts";
import { decodeChain, isSigned, type SuccessionChain } from "./succession.ts";

/** How strictly modes and owners of secret files are judged (rulings C17). */
export type FileProfile = "standard" | "strict";

/** The parts of the world that key files need. */
export interface KeyWorld {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  readonly random: Random;
}

export interface KeyFilesOptions extends KeyWorld {
  /** The key directory, without a slash at its end. */
  readonly directory: string;
  readonly profile: FileProfile;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /**
   * What to do without `node.key` beside signs that there was one (`node.pub`, pins, backups). Default `refuse`: a new
   * key would be refused by every peer that knows the old one. `never-create` refuses without such signs too.
   */
  readonly lost?: "refuse" | "create" | "never-create";
}

export interface LoadedKey {
  readonly key: NodeKey;
  /** Whether the pair was made by this call. */
  readonly created: boolean;
  /** Statements that lead to this key, oldest first; for the SUCCESSION message. Empty when it never rotated. */
  readonly chain: SuccessionChain;
  readonly warnings: readonly IdentityWarning[];
}

/** How often a pair is read again because a rotation replaced it in between. */
const READ_ATTEMPTS = 3;

/**
 * Loads the node's key pair, or makes it when nothing is there.
 *
 * `node.key` is the identity and `node.pub` only a copy of what derives from it. So the key is written first, by an
 * exclusive create that one of two racing processes wins, and a missing `node.pub` is written anew. A `node.pub` that
 * differs stops the start, unless a statement of succession shows that a rotation was interrupted between its two
 * writes; then the key that is in `node.key` stands.
 * @throws {SallyportError} ERR_CONFIG KEYPAIR_MISMATCH, IDENTITY_LOST, KEY_SIZE, KEY_ZERO, KEY_UNREADABLE,
 * KEY_NOT_WRITTEN, KEY_MISSING; ERR_DENIED KEY_PERMISSIONS
 */
export function loadNodeKey(options: KeyFilesOptions): LoadedKey {
  const { files, directory } = options;
  sweepTemporaries(files, directory, options.nowMs);
  if (factsOf(files, `${directory}/${NODE_KEY_FILE}`) !== undefined) return loadPair(options, false);
  if (options.lost === "never-create") throw keyMissing(directory);
  const sign = options.lost === "create" ? undefined : signOfEarlierKey(files, directory);
  if (sign !== undefined) {
    throw new SallyportError(
      "ERR_CONFIG",
      "IDENTITY_LOST",
      `${quotePath(directory)} has ${sign} but no ${NODE_KEY_FILE}: this node had a key that is gone`,
      {
        stage: "identity",
        advice: "restore node.key from your backup or from backups/, or ask explicitly for a new identity",
      },
    );
  }
  return loadPair(options, createKey(options));
}

function keyMissing(directory: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "KEY_MISSING", `there is no key in ${quotePath(directory)}`, {
    stage: "identity",
    advice: "make one with: sallyport keys init, name the directory with --key-dir, or put node.key back",
  });
}

/** Statements of `chain` up to the last one that leads to `key`; none when it never leads there. */
export function chainTo(chain: SuccessionChain, key: Uint8Array): SuccessionChain {
  for (let i = chain.length - 1; i >= 0; i--) if (chain[i]?.newKey.equals(key) === true) return chain.slice(0, i + 1);
  return [];
}

/** All statements in the file `succession`, or none; a broken file gives a warning. */
export function readChain(files: StoreFiles, directory: string, warnings: IdentityWarning[]): SuccessionChain {
  const path = `${directory}/${SUCCESSION_FILE}`;
  try {
    if (files.facts(path) === undefined) return [];
    const chain = decodeChain(files.read(path));
    if (chain !== undefined) return chain;
  } catch {
    // Said below.
  }
  const message = `${quotePath(path)} cannot be used: peers that know an earlier key of this node will refuse it`;
  warnings.push({ reason: "SUCCESSION_BROKEN", message });
  return [];
}

/** Reads and checks the 32 octets of a secret key file. The caller overwrites the result after use. */
export function readSeed(files: StoreFiles, path: string): Buffer {
  const seed = readExactly(files, path);
  if (seed.every((byte) => byte === 0)) {
    throw new SallyportError("ERR_CONFIG", "KEY_ZERO", `${quotePath(path)} holds only zero bytes`, {
      stage: "identity",
      advice: "the file was lost, as by a power cut; restore it from your backup",
    });
  }
  return seed;
}

/** Makes a write of a key file, with one error for all causes. */
export function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "KEY_NOT_WRITTEN", `cannot write ${quotePath(path)}`, {
      stage: "identity",
      detail: { path: quotePath(path), system: systemCode(cause) },
      advice: "let this process's user write the key directory, and see that the disk has room",
      cause,
    });
  }
}

function loadPair(options: KeyFilesOptions, created: boolean): LoadedKey {
  const { files, crypto, directory } = options;
  const keyPath = `${directory}/${NODE_KEY_FILE}`;
  const pubPath = `${directory}/${NODE_PUB_FILE}`;
  for (let attempt = 1; ; attempt++) {
    const warnings: IdentityWarning[] = [];
    checkProtection(options, keyPath, warnings);
    const seed = readSeed(files, keyPath);
    try {
      const key = new NodeKey(seed, crypto);
      const stored = readChain(files, directory, warnings);
      const pub = factsOf(files, pubPath) === undefined ? undefined : readExactly(files, pubPath);
      if (pub?.equals(key.publicKey) !== true) {
        const unchanged = crypto.equal(readSeed(files, keyPath), seed);
        if (!unchanged && attempt < READ_ATTEMPTS) continue;
        if (pub !== undefined && !isInterrupted(stored, pub, key.publicKey, crypto)) throw mismatch(directory);
        writePub(files, pubPath, key.publicKey, warnings);
      }
      return { key, created, chain: chainTo(stored, key.publicKey), warnings };
    } finally {
      seed.fill(0);
    }
  }
}

/** Makes `node.key`; false when another process made it first. */
function createKey(options: KeyFilesOptions): boolean {
  const { files, directory } = options;
  const path = `${directory}/${NODE_KEY_FILE}`;
  writing(directory, () => files.makeDirectory(directory, DIRECTORY_MODE));
  // A copy of the lost key would be taken for a mismatch if this process ended right after the next write.
  writing(directory, () => files.remove(`${directory}/${NODE_PUB_FILE}`));
  const seed = options.random.bytes(KEY_BYTES);
  try {
    files.writeNew(path, seed, SECRET_MODE);
    return true;
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") return false;
    return writing(path, () => {
      throw cause;
    });
  } finally {
    seed.fill(0);
  }
}

/** The copy is for people and for provisioning: a directory that cannot be written does not stop the start. */
function writePub(files: StoreFiles, path: string, key: Uint8Array, warnings: IdentityWarning[]): void {
  try {
    files.writeAtomic(path, key, PUBLIC_MODE);
  } catch (cause) {
    const message = `${quotePath(path)} is missing or old and cannot be written (${systemCode(cause)})`;
    warnings.push({ reason: "PUB_NOT_WRITTEN", message });
  }
}

/** Whether one of our own statements links the two keys: a rotation or its undoing stopped between two writes. */
function isInterrupted(chain: SuccessionChain, pub: Buffer, key: Buffer, crypto: IdentityCrypto): boolean {
  return chain.some(
    (statement) =>
      ((statement.oldKey.equals(pub) && statement.newKey.equals(key)) ||
        (statement.oldKey.equals(key) && statement.newKey.equals(pub))) &&
      isSigned(statement, crypto),
  );
}

function mismatch(directory: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "KEYPAIR_MISMATCH",
    `${NODE_PUB_FILE} in ${quotePath(directory)} is not the public key of ${NODE_KEY_FILE}`,
    {
      stage: "identity",
      advice: "restore the right node.key; when it is right already, remove node.pub and start again",
    },
  );
}

function signOfEarlierKey(files: StoreFiles, directory: string): string | undefined {
  try {
    if (files.facts(`${directory}/${NODE_PUB_FILE}`) !== undefined) return NODE_PUB_FILE;
    for (const inner of [TRUSTED_DIRECTORY, FIRST_USE_DIRECTORY]) {
      if (files.list(`${directory}/${inner}`).some((name) => name.endsWith(".pub"))) return `pins in ${inner}/`;
    }
    return files.list(`${directory}/${BACKUPS_DIRECTORY}`).length > 0 ? `${BACKUPS_DIRECTORY}/` : undefined;
  } catch (cause) {
    throw unreadable(directory, cause);
  }
}

/**
 * Judges modes and owners of a secret file and of the directory it lies in (rulings C17): a refusal in the strict profile, a
 * warning else; an exposed link is always refused. Nothing there is nothing to judge.
 * @throws {SallyportError} ERR_DENIED KEY_PERMISSIONS; ERR_CONFIG KEY_UNREADABLE
 */
export function checkProtection(
  options: Pick<KeyFilesOptions, "files" | "directory" | "profile">,
  path: string,
  warnings: IdentityWarning[],
): void {
  const { files, directory } = options;
  const facts = factsOf(files, path);
  const above = factsOf(files, directory);
  if (facts === undefined || above === undefined) return;
  if (facts.kind !== "file") throw unreadable(path, undefined);
  const found: string[] = [];
  if ((facts.mode & 0o077) !== 0) found.push(`mode ${octal(facts.mode)}, others than its owner may use it`);
  if ((above.mode & 0o022) !== 0 && (above.mode & 0o1000) === 0) {
    found.push(`directory mode ${octal(above.mode)}, others than its owner may replace it`);
  }
  if (facts.foreign || above.foreign) found.push("owned by another user");
  const exposed = isExposed(files, path);
  if (exposed) found.push("others may write it or a directory above it");
  if (found.length === 0) return;
  const message = `${quotePath(path)}: ${found.join("; ")}`;
  if (options.profile === "standard" && !(exposed && facts.link)) {
    warnings.push({ reason: "KEY_PERMISSIONS", message });
    return;
  }
  throw new SallyportError("ERR_DENIED", "KEY_PERMISSIONS", message, {
    stage: "identity",
    detail: { path: quotePath(path), mode: octal(facts.mode) },
    advice: "chown both to this process's user, chmod 600 the key and chmod 700 its directory",
  });
}

function isExposed(files: StoreFiles, path: string): boolean {
  try {
    return files.exposed(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function factsOf(files: StoreFiles, path: string): FileFacts | undefined {
  try {
    return files.facts(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function readExactly(files: StoreFiles, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = files.read(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (bytes.length === KEY_BYTES) return bytes;
  throw new SallyportError("ERR_CONFIG", "KEY_SIZE", `${quotePath(path)} has ${bytes.length} bytes, not ${KEY_BYTES}`, {
    stage: "identity",
    detail: { path: quotePath(path), bytes: bytes.length, expected: KEY_BYTES },
    advice: "restore the file from your backup; it holds 32 raw bytes, not PEM, base64 or hex",
  });
}

function unreadable(path: string, cause: unknown): SallyportError {
  const system = systemCode(cause);
  const why = system === "" ? "it is not a plain file" : system;
  return new SallyportError("ERR_CONFIG", "KEY_UNREADABLE", `cannot read ${quotePath(path)}: ${why}`, {
    stage: "identity",
    detail: { path: quotePath(path), system },
    advice: "check that the path leads to a file which this process's user may read",
    cause,
  });
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}
