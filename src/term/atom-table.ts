import type { Term } from "./types.ts";
import { atom } from "./types.ts";
import { atomNameFromUtf8 } from "./utf8.ts";

/** Number of slots; a power of two. */
const SLOTS = 1024;
/** Longest atom that is kept, in bytes. Longer ones are decoded each time. */
const SLOT_BYTES = 64;

/**
 * Bounded cache from the UTF-8 bytes of an atom to its term and its name. One for each connection: direct-mapped, 1024
 * slots of 64 bytes (about 100 KiB when in use), a newcomer replaces what had its slot, so a peer can neither make it grow nor
 * see what other peers send. The same bytes usually give the same objects; nothing may depend on that.
 */
export class AtomTable {
  readonly #bytes: Uint8Array = new Uint8Array(SLOTS * SLOT_BYTES);
  /** Length of the atom in each slot plus one; zero means empty. */
  readonly #sizes: Uint8Array = new Uint8Array(SLOTS);
  readonly #names: string[] = new Array<string>(SLOTS).fill("");
  readonly #terms: Term[] = new Array<Term>(SLOTS).fill(undefined);

  /**
   * The atom in `buffer[start, end)`; the bounds are the caller's to check.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_ATOM_INVALID
   */
  atomAt(buffer: Buffer, start: number, end: number): Term {
    if (end - start > SLOT_BYTES) return atom(atomNameFromUtf8(buffer, start, end));
    return this.#terms[this.#slot(buffer, start, end)];
  }

  /** The name of the atom in `buffer[start, end)`; otherwise as `atomAt`. */
  nameAt(buffer: Buffer, start: number, end: number): string {
    if (end - start > SLOT_BYTES) return atomNameFromUtf8(buffer, start, end);
    return this.#names[this.#slot(buffer, start, end)] as string;
  }

  /** The slot that holds the atom, filled now when it did not. */
  #slot(buffer: Buffer, start: number, end: number): number {
    const size = end - start;
    let hash = size;
    for (let i = start; i < end; i++) hash = Math.imul(hash, 31) + (buffer[i] as number);
    hash ^= hash >>> 15;
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
    const kept = this.#bytes;
    const base = slot * SLOT_BYTES;
    if (this.#sizes[slot] === size + 1) {
      let i = 0;
      while (i < size && kept[base + i] === buffer[start + i]) i++;
      if (i === size) return slot;
    }
    const name = atomNameFromUtf8(buffer, start, end);
    for (let i = 0; i < size; i++) kept[base + i] = buffer[start + i] as number;
    this.#sizes[slot] = size + 1;
    this.#names[slot] = name;
    this.#terms[slot] = atom(name);
    return slot;
  }
}
