import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, sameNode, tryNodeName } from "../base/node-name.ts";
import { type Fingerprint, fingerprintOf, KEY_BYTES, type PublicKey, sameKey, tryPublicKey } from "./public-key.ts";
import { SIGNATURE_BYTES, signText, verifyText } from "./signed-text.ts";

/** Longest chain of statements: how many rotations a peer may have missed. */
export const MAX_SUCCESSIONS = 8;

/** How long a statement holds when nothing else is said: 400 days, in milliseconds. */
export const SUCCESSION_VALIDITY_MS: number = 400 * 86_400_000;

/** How far the clocks of two nodes may differ before a statement's dates fail: one day, in milliseconds. */
export const SUCCESSION_SKEW_MS = 86_400_000;

const MAX_SERIAL = 0xffff_ffff;
const FIXED_BYTES = 4 + 8 + 8 + KEY_BYTES + KEY_BYTES + 1;

/** "From now on `newKey` is `name`", signed by `oldKey`. Times are Unix milliseconds, both inclusive. */
export interface SuccessionStatement {
  /** 1 to 2^32 - 1; rises with each statement of a node. */
  readonly serial: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly oldKey: PublicKey;
  readonly newKey: PublicKey;
  readonly name: NodeName;
  readonly signature: Buffer;
}

/** Statements, oldest first; at most `MAX_SUCCESSIONS`. */
export type SuccessionChain = readonly SuccessionStatement[];

/** Why a chain does not lead from a pinned key to the shown one. */
export type SuccessionFault =
  | "no-link"
  | "too-long"
  | "broken-order"
  | "wrong-name"
  | "revoked-key"
  | "not-valid-now"
  | "bad-signature"
  | "replayed";

/** What a chain is judged against. */
export interface SuccessionFacts {
  readonly name: NodeName;
  /** The key that is pinned for this name. */
  readonly pinned: PublicKey;
  /** The key the peer proved to hold. */
  readonly shown: PublicKey;
  readonly nowMs: number;
  /** The last serial that was accepted for this name, and the key it led to. */
  readonly accepted: { readonly serial: number; readonly key: Fingerprint } | undefined;
  isRevoked(fingerprint: Fingerprint): boolean;
}

/** What came of judging a chain. */
export type SuccessionVerdict =
  | { readonly kind: "holds"; readonly serial: number }
  | { readonly kind: "fails"; readonly fault: SuccessionFault };

/** Makes a statement, signed with the seed of the old key. */
export function makeStatement(
  content: Omit<SuccessionStatement, "signature">,
  oldSeed: Uint8Array,
  crypto: IdentityCrypto,
): SuccessionStatement {
  if (!Number.isInteger(content.serial) || content.serial < 1 || content.serial > MAX_SERIAL) {
    throw new SallyportError("ERR_LIMIT", "SUCCESSION_SERIAL", `serial ${content.serial} is not 1..${MAX_SERIAL}`, {
      stage: "identity",
      advice: "start again with a new node name, or have peers pin the new key by hand",
    });
  }
  const signature = signText("sallyport/1 succession", signedPart(content), oldSeed, crypto);
  return { ...content, signature };
}

/** `count:8` and the statements: the body of SUCCESSION and the content of the file `succession` (docs/protocol.md). */
export function encodeChain(chain: SuccessionChain): Buffer {
  const parts: Uint8Array[] = [Buffer.from([chain.length])];
  for (const statement of chain) parts.push(signedPart(statement), statement.signature);
  return Buffer.concat(parts);
}

/**
 * Reads `count:8` and that many statements, with nothing after them. Undefined for anything else: a count of none or
 * more than 8, a key or name that is none, a time beyond 2^53, a validity that ends before it starts.
 */
export function decodeChain(bytes: Buffer): SuccessionChain | undefined {
  const count = bytes.length === 0 ? 0 : bytes.readUInt8(0);
  if (count < 1 || count > MAX_SUCCESSIONS) return undefined;
  const chain: SuccessionStatement[] = [];
  let at = 1;
  for (let i = 0; i < count; i++) {
    if (bytes.length - at < FIXED_BYTES) return undefined;
    const nameBytes = bytes.readUInt8(at + FIXED_BYTES - 1);
    const end = at + FIXED_BYTES + nameBytes + SIGNATURE_BYTES;
    if (bytes.length < end) return undefined;
    const statement = decodeStatement(bytes, at, nameBytes);
    if (statement === undefined) return undefined;
    chain.push(statement);
    at = end;
  }
  return at === bytes.length ? chain : undefined;
}

/**
 * Whether `chain` leads from the pinned key to the shown one. Only the part after the last statement by the pinned key
 * is needed, and only its signatures and dates count; order and names must hold throughout.
 */
export function judgeChain(chain: SuccessionChain, facts: SuccessionFacts, crypto: IdentityCrypto): SuccessionVerdict {
  if (chain.length > MAX_SUCCESSIONS) return fails("too-long");
  const last = chain[chain.length - 1];
  let start = -1;
  for (const [i, statement] of chain.entries()) {
    const before = chain[i - 1];
    if (!sameNode(statement.name, facts.name)) return fails("wrong-name");
    if (before !== undefined) {
      if (statement.serial <= before.serial || !sameKey(statement.oldKey, before.newKey)) return fails("broken-order");
    }
    if (sameKey(statement.oldKey, facts.pinned)) start = i;
  }
  if (last === undefined || start === -1 || !sameKey(last.newKey, facts.shown)) return fails("no-link");
  // An older statement of a node that went back to an earlier key must not lead away from it again. The one accepted
  // last may come again, with its own key: the pin may not have reached the disk after the serial did.
  const floor = facts.accepted;
  if (floor !== undefined) {
    const again = last.serial === floor.serial && fingerprintOf(last.newKey, crypto) === floor.key;
    if (last.serial <= floor.serial && !again) return fails("replayed");
  }
  for (const statement of chain.slice(start)) {
    if (facts.isRevoked(fingerprintOf(statement.oldKey, crypto))) return fails("revoked-key");
    if (facts.isRevoked(fingerprintOf(statement.newKey, crypto))) return fails("revoked-key");
    if (facts.nowMs + SUCCESSION_SKEW_MS < statement.notBefore) return fails("not-valid-now");
    if (facts.nowMs - SUCCESSION_SKEW_MS > statement.notAfter) return fails("not-valid-now");
  }
  for (const statement of chain.slice(start)) if (!isSigned(statement, crypto)) return fails("bad-signature");
  return { kind: "holds", serial: last.serial };
}

/** Whether a statement carries the signature of its own old key. */
export function isSigned(statement: SuccessionStatement, crypto: IdentityCrypto): boolean {
  const { oldKey, signature } = statement;
  return verifyText("sallyport/1 succession", signedPart(statement), oldKey, signature, crypto);
}

function fails(fault: SuccessionFault): SuccessionVerdict {
  return { kind: "fails", fault };
}

/** `serial:32 notBefore:64 notAfter:64 oldKey:32*8 newKey:32*8 nameLength:8 name`. */
function signedPart(statement: Omit<SuccessionStatement, "signature">): Buffer {
  const out = Buffer.alloc(FIXED_BYTES + statement.name.length);
  out.writeUInt32BE(statement.serial, 0);
  out.writeBigUInt64BE(BigInt(statement.notBefore), 4);
  out.writeBigUInt64BE(BigInt(statement.notAfter), 12);
  out.set(statement.oldKey, 20);
  out.set(statement.newKey, 52);
  out.writeUInt8(statement.name.length, 84);
  out.write(statement.name, FIXED_BYTES, "latin1");
  return out;
}

/** The caller has checked that the bytes are there. */
function decodeStatement(bytes: Buffer, at: number, nameBytes: number): SuccessionStatement | undefined {
  const serial = bytes.readUInt32BE(at);
  const notBefore = Number(bytes.readBigUInt64BE(at + 4));
  const notAfter = Number(bytes.readBigUInt64BE(at + 12));
  const oldKey = tryPublicKey(bytes.subarray(at + 20, at + 52));
  const newKey = tryPublicKey(bytes.subarray(at + 52, at + 84));
  const signatureAt = at + FIXED_BYTES + nameBytes;
  const name = tryNodeName(bytes.toString("latin1", at + FIXED_BYTES, signatureAt));
  if (serial === 0 || !Number.isSafeInteger(notBefore) || !Number.isSafeInteger(notAfter)) return undefined;
  if (notBefore > notAfter || oldKey === undefined || newKey === undefined || name === undefined) return undefined;
  if (sameKey(oldKey, newKey)) return undefined;
  const signature = Buffer.from(bytes.subarray(signatureAt, signatureAt + SIGNATURE_BYTES));
  return { serial, notBefore, notAfter, oldKey, newKey, name, signature };
}
