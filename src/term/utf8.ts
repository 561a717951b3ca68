import { malformed } from "./faults.ts";
import { MAX_ATOM_CHARS } from "./tags.ts";

/** Result of `countUtf8` for bytes that are not UTF-8. */
export const NOT_UTF8 = -1;

/** Code points in `buffer[start, end)`, or `NOT_UTF8`: overlong forms, surrogates and points above U+10FFFF are refused. */
export function countUtf8(buffer: Uint8Array, start: number, end: number): number {
  let count = 0;
  let at = start;
  while (at < end) {
    const lead = buffer[at] as number;
    count++;
    if (lead < 0x80) {
      at++;
      continue;
    }
    const size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size === 0 || at + size > end) return NOT_UTF8;
    const second = buffer[at + 1] as number;
    // The range of the second byte is what keeps out overlong forms, surrogates and points beyond the last one.
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return NOT_UTF8;
    for (let i = 2; i < size; i++) if (((buffer[at + i] as number) & 0xc0) !== 0x80) return NOT_UTF8;
    at += size;
  }
  return count;
}

/**
 * The name in the UTF-8 bytes of an atom.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_ATOM_INVALID for invalid UTF-8 or more than 255 characters
 */
export function atomNameFromUtf8(buffer: Buffer, start: number, end: number): string {
  checkUtf8Atom(buffer, start, end);
  return buffer.toString("utf8", start, end);
}

/** The check of `atomNameFromUtf8` alone. */
export function checkUtf8Atom(buffer: Uint8Array, start: number, end: number): void {
  const chars = countUtf8(buffer, start, end);
  if (chars === NOT_UTF8) throw malformed("TERM_ATOM_INVALID", start, "an atom is not valid UTF-8");
  if (chars > MAX_ATOM_CHARS) {
    throw malformed(
      "TERM_ATOM_INVALID",
      start,
      `an atom has ${chars} characters, at most ${MAX_ATOM_CHARS} are allowed`,
    );
  }
}

/** The name in the Latin-1 bytes of an atom of the old form. Errors as `atomNameFromUtf8`. */
export function atomNameFromLatin1(buffer: Buffer, start: number, end: number): string {
  if (end - start > MAX_ATOM_CHARS) {
    throw malformed(
      "TERM_ATOM_INVALID",
      start,
      `an atom has ${end - start} characters, at most ${MAX_ATOM_CHARS} are allowed`,
    );
  }
  return buffer.toString("latin1", start, end);
}

/** True when every UTF-16 surrogate of `text` stands in a pair, so that it has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
