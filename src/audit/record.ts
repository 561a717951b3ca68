import type { Crypto } from "../base/crypto.ts";
import { quotePeerText } from "../base/escape.ts";

/** What a field of a record may hold; numbers are whole. */
export type AuditValue = string | number | boolean | null;

/** The fields of a record, flat. `seq`, `prev` and `hash` come with the chain. */
export type AuditFields = Readonly<Record<string, AuditValue>>;

/** Where a chain stands: number and hash of its last record. */
export interface ChainHead {
  readonly seq: number;
  /** 64 hex digits. */
  readonly hash: string;
}

/** A record that was read and is consistent in itself. */
export interface SealedRecord extends ChainHead {
  readonly prev: string;
  readonly fields: AuditFields;
}

/** The part of the cryptography that a chain needs. */
export type ChainCrypto = Pick<Crypto, "sha256">;

/** What the first record of all follows. */
export const GENESIS: ChainHead = { seq: 0, hash: "0".repeat(64) };

/** Longest line, in bytes, without its line break. */
export const MAX_LINE_BYTES = 4096;

/** Most text of a peer in one record, in bytes. */
export const MAX_PEER_TEXT_BYTES = 256;

const HASH = /^[0-9a-f]{64}$/;

/** Text that comes from a peer, as a record may hold it: printable ASCII, cut. */
export function peerText(text: string): string {
  return quotePeerText(text).slice(0, MAX_PEER_TEXT_BYTES);
}

/**
 * The one text of a record: flat JSON, keys sorted by code unit, no spaces, printable ASCII only.
 * @throws {RangeError} a number that is not a safe integer
 */
export function canonicalJson(fields: AuditFields): string {
  const parts = Object.keys(fields)
    .sort()
    .map((key) => `${jsonText(key)}:${jsonValue(fields[key] ?? null)}`);
  return `{${parts.join(",")}}`;
}

/**
 * Makes the next record of a chain: `hash = SHA-256(prev as bytes || canonical record without hash)`.
 * @throws {RangeError} a line longer than MAX_LINE_BYTES, and what `canonicalJson` throws
 */
export function seal(
  head: ChainHead,
  fields: AuditFields,
  crypto: ChainCrypto,
): { readonly line: string; readonly head: ChainHead } {
  const body = { ...fields, seq: head.seq + 1, prev: head.hash };
  const hash = hashOf(body, head.hash, crypto);
  const line = canonicalJson({ ...body, hash });
  if (line.length > MAX_LINE_BYTES) throw new RangeError(`an audit record of ${line.length} bytes`);
  return { line, head: { seq: body.seq, hash } };
}

/** Reads a line; undefined unless it is the canonical text of a record whose hash is right. */
export function unseal(line: string, crypto: ChainCrypto): SealedRecord | undefined {
  const all = parseFlat(line);
  if (all === undefined) return undefined;
  const { hash, ...body } = all;
  const { seq, prev, ...fields } = body;
  if (typeof hash !== "string" || typeof prev !== "string" || !HASH.test(prev)) return undefined;
  if (typeof seq !== "number" || seq < 1) return undefined;
  if (canonicalJson(all) !== line || hashOf(body, prev, crypto) !== hash) return undefined;
  return { seq, prev, hash, fields };
}

/** The record `next` comes right behind `head`. */
export function follows(head: ChainHead, next: SealedRecord): boolean {
  return next.seq === head.seq + 1 && next.prev === head.hash;
}

function hashOf(body: AuditFields, prev: string, crypto: ChainCrypto): string {
  const text = Buffer.from(canonicalJson(body), "latin1");
  return crypto.sha256(Buffer.concat([Buffer.from(prev, "hex"), text])).toString("hex");
}

function parseFlat(line: string): AuditFields | undefined {
  if (line.length > MAX_LINE_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const entries: [string, AuditValue][] = [];
  for (const [key, field] of Object.entries(value)) {
    if (!isAuditValue(field)) return undefined;
    entries.push([key, field]);
  }
  return Object.fromEntries(entries);
}

function isAuditValue(value: unknown): value is AuditValue {
  if (typeof value === "number") return Number.isSafeInteger(value);
  return value === null || typeof value === "string" || typeof value === "boolean";
}

function jsonValue(value: AuditValue): string {
  if (typeof value === "string") return jsonText(value);
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new RangeError("an audit record takes integers");
  return String(value);
}

function jsonText(text: string): string {
  return JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
