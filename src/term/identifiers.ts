import { u32 } from "./big-endian.ts";
import { malformed } from "./faults.ts";
import { MAX_OLD_CREATION, MAX_REFERENCE_WORDS, NEW_PORT_EXT, OLD_REFERENCE_WORD_BOUND, V4_PORT_EXT } from "./tags.ts";
import { Port, Reference } from "./types.ts";

/** Checks a creation of the old forms, two bits. @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_IDENTIFIER_INVALID */
export function oldCreation(creation: number, at: number): number {
  if (creation <= MAX_OLD_CREATION) return creation;
  throw malformed(
    "TERM_IDENTIFIER_INVALID",
    at,
    `creation ${creation} in an old form, at most ${MAX_OLD_CREATION} is allowed`,
  );
}

/** Checks the first word of a reference of the old forms, 18 bits. Errors as `oldCreation`. */
export function oldWord(word: number, at: number): number {
  if (word < OLD_REFERENCE_WORD_BOUND) return word;
  throw malformed("TERM_IDENTIFIER_INVALID", at, `reference number ${word} in an old form exceeds 18 bits`);
}

/** The `count` words of a reference at `p`; the caller has checked the bounds. */
export function readWords(b: Buffer, p: number, count: number): number[] {
  if (count === 3) return [u32(b, p), u32(b, p + 4), u32(b, p + 8)];
  if (count === 5) return [u32(b, p), u32(b, p + 4), u32(b, p + 8), u32(b, p + 12), u32(b, p + 16)];
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(u32(b, p + i * 4));
  return list;
}

/** @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_IDENTIFIER_INVALID for a reference of more than 5 words */
export function checkWordCount(count: number, at: number): void {
  if (count <= MAX_REFERENCE_WORDS) return;
  const message = `${count} words in a reference, ${MAX_REFERENCE_WORDS} are allowed`;
  throw malformed("TERM_IDENTIFIER_INVALID", at, message);
}

/** NEW_REFERENCE_EXT after its node: `creation:8 count*word:32` at `p`. The caller has checked the bounds. Errors as `oldCreation`. */
export function oldReference(b: Buffer, p: number, count: number, node: string, at: number): Reference {
  const words = readWords(b, p + 1, count);
  if (words[0] !== undefined) oldWord(words[0], at);
  return new Reference(node, oldCreation(b[p] as number, at), words);
}

/** Bytes of a port after its node. */
export function portBytes(tag: number): number {
  if (tag === V4_PORT_EXT) return 12;
  return tag === NEW_PORT_EXT ? 8 : 5;
}

/** A port after its node: `id:64 creation:32`, `id:32 creation:32` or `id:32 creation:8` at `p`. The caller has checked the bounds. Errors as `oldCreation`. */
export function readPort(b: Buffer, tag: number, p: number, node: string, at: number): Port {
  if (tag === V4_PORT_EXT) {
    return new Port(node, (BigInt(u32(b, p)) << 32n) | BigInt(u32(b, p + 4)), u32(b, p + 8));
  }
  const creation = tag === NEW_PORT_EXT ? u32(b, p + 4) : oldCreation(b[p + 4] as number, at);
  return new Port(node, BigInt(u32(b, p)), creation);
}
