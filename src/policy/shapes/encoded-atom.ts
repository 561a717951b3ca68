import { malformed, truncated } from "../../term/faults.ts";
import { ATOM_CACHE_REF, ATOM_EXT, ATOM_UTF8_EXT, SMALL_ATOM_EXT, SMALL_ATOM_UTF8_EXT } from "../../term/tags.ts";
import { atomName, type Term } from "../../term/types.ts";

/** True for a tag under which an atom stands. */
export function isAtomTag(tag: number | undefined): boolean {
  return (
    tag === SMALL_ATOM_UTF8_EXT ||
    tag === ATOM_UTF8_EXT ||
    tag === ATOM_CACHE_REF ||
    tag === SMALL_ATOM_EXT ||
    tag === ATOM_EXT
  );
}

/** An atom's name in the two encodings of the external term format. Made once, compared many times. */
export class AtomText {
  readonly name: string;
  readonly #utf8: Buffer;
  /** Undefined when a character is beyond Latin-1. */
  readonly #latin1: Buffer | undefined;

  constructor(name: string) {
    this.name = name;
    this.#utf8 = Buffer.from(name, "utf8");
    this.#latin1 = /^[\u0000-\u00ff]*$/.test(name) ? Buffer.from(name, "latin1") : undefined;
  }

  /** True when the atom at `at`, of any form, is this one; false when it is another, or no atom. Allocates nothing. */
  standsAt(buffer: Buffer, at: number, end: number, atomRefs: readonly Term[] | undefined): boolean {
    const tag = buffer[at];
    if (!isAtomTag(tag)) return false;
    const start = atomStart(buffer, at, end);
    const stop = atomEnd(buffer, at, end);
    if (tag === ATOM_CACHE_REF) return referredAtom(buffer, at, atomRefs) === this.name;
    const wanted = tag === SMALL_ATOM_UTF8_EXT || tag === ATOM_UTF8_EXT ? this.#utf8 : this.#latin1;
    return (
      wanted !== undefined &&
      stop - start === wanted.length &&
      buffer.compare(wanted, 0, wanted.length, start, stop) === 0
    );
  }
}

/** Offset of the first byte of the name. The tag at `at` is an atom's. */
function atomStart(buffer: Buffer, at: number, end: number): number {
  const tag = buffer[at];
  const head = tag === ATOM_UTF8_EXT || tag === ATOM_EXT ? 3 : 2;
  if (end - at < head) throw truncated(at, head, Math.max(0, end - at));
  return at + (tag === ATOM_CACHE_REF ? 1 : head);
}

/**
 * Offset after the atom at `at`, whose tag is an atom's.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_TRUNCATED
 */
export function atomEnd(buffer: Buffer, at: number, end: number): number {
  const start = atomStart(buffer, at, end);
  const tag = buffer[at];
  let size = buffer[at + 1] as number;
  if (tag === ATOM_CACHE_REF) size = 1;
  else if (tag === ATOM_UTF8_EXT || tag === ATOM_EXT) size = buffer.readUInt16BE(at + 1);
  if (end - start < size) throw truncated(start, size, end - start);
  return start + size;
}

function referredAtom(buffer: Buffer, at: number, atomRefs: readonly Term[] | undefined): string | undefined {
  const index = buffer[at + 1] as number;
  if (atomRefs === undefined || index >= atomRefs.length) {
    throw malformed("TERM_ATOM_REF_INVALID", at, `no atom ${index} in the distribution header`, { index });
  }
  return atomName(atomRefs[index]);
}
