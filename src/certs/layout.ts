import { canonicalName, type NodeName } from "../base/node-name.ts";

/** Names inside a folder of certificates (docs/certificates.md). */
export const CA_CERT = "ca.crt";
export const CA_KEY = "ca.key";
/** Key and certificate of the CA that comes, in one file. */
export const CA_NEXT = "ca-next.key";
/** The CA that goes. */
export const CA_OLD = "ca-old.crt";
export const PENDING_FILE = "certs.pending";
export const BACKUPS_DIRECTORY = "backups";
export const MANIFEST_FILE = "manifest.json";

const CERT_SUFFIX = ".crt";
const KEY_SUFFIX = ".key";

/** Longest file name without its suffix, octets. */
const MAX_STEM_BYTES = 200;

const STEM = /^[A-Za-z0-9_][A-Za-z0-9@._:-]*$/;
const RESERVED: readonly string[] = ["ca", "ca-next", "ca-old"];

/** Most certificate files that one folder may hold. */
export const MAX_FOLDER_CERTIFICATES = 4_096;

/** Largest file of a folder that is read, in octets: a bundle of all public roots has a quarter of it. */
export const MAX_FOLDER_FILE_BYTES: number = 1024 * 1024;

/** The file name of a node's certificate without suffix. Undefined when it cannot be one. */
export function stemOf(name: NodeName): string | undefined {
  const stem = canonicalName(name);
  return isStem(stem) ? stem : undefined;
}

/** Whether a text may be the name of a node's files. */
export function isStem(text: string): boolean {
  return text.length <= MAX_STEM_BYTES && STEM.test(text) && !RESERVED.includes(text.toLowerCase());
}

export function certFileOf(stem: string): string {
  return `${stem}${CERT_SUFFIX}`;
}

export function keyFileOf(stem: string): string {
  return `${stem}${KEY_SUFFIX}`;
}

/** The stem of a file of a node's certificate; undefined for every other file. */
export function certStem(file: string): string | undefined {
  if (!file.endsWith(CERT_SUFFIX)) return undefined;
  const stem = file.slice(0, -CERT_SUFFIX.length);
  return isStem(stem) ? stem : undefined;
}

/** Whether a change may name this file: of the CA, or of a node. */
export function isFolderFile(file: string): boolean {
  if ([CA_CERT, CA_KEY, CA_NEXT, CA_OLD].includes(file)) return true;
  return isStem(file.slice(0, -CERT_SUFFIX.length)) && (file.endsWith(CERT_SUFFIX) || file.endsWith(KEY_SUFFIX));
}

/** The steps of a rotation of the CA, in their order. */
export const ROTATION_STEPS = ["trust", "issue", "drop"] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];
