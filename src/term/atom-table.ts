import type { Term } from "./types.ts";
import { atom } from "./types.ts";
import { atomNameFromUtf8 } from "./utf8.ts";

/** Slots at first and at most; powers of two. */
const FIRST_SLOTS = 64;
const MAX_SLOTS = 1024;
/** Longest atom that is kept, in bytes. Longer ones are decoded each time. */
const SLOT_BYTES = 64;

/**
 * Bounded cache from the UTF-8 bytes of an atom to its term and its name. One for each connection: direct-mapped, a
 * newcomer replaces what had its slot, so a peer cannot see what other peers send. It begins with 64 slots of 64 bytes and
 * grows to 1024 (about 100 KiB) while new atoms come, never beyond. The same bytes usually give the same objects; nothing may depend on that.
 */
export class AtomTable {
  #slots = FIRST_SLOTS;
  #bytes: Uint8Array = new Uint8Array(FIRST_SLOTS * SLOT_BYTES);
  /** Length of the atom in each slot plus one; zero means empty. */
  #sizes: Uint8Array = new Uint8Array(FIRST_SLOTS);
  #names: string[] = new Array<string>(FIRST_SLOTS).fill("");
  #terms: Term[] = new Array<Term>(FIRST_SLOTS).fill(undefined);
  /** Slot of the name asked for last; it may be empty, or hold another atom by now. */
  #lastName = 0;
  /** New atoms since the table has its size. */
  #fresh = 0;

  /**
   * The atom in `buffer[start, end)`; the bounds are the caller's to check.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_ATOM_INVALID
   */
  atomAt(buffer: Buffer, start: number, end: number): Term {
    if (end - start > SLOT_BYTES) return atom(atomNameFromUtf8(buffer, start, end));
    // The slot first: finding it may replace the arrays.
    const slot = this.#slot(buffer, start, end);
    return this.#terms[slot];
  }

  /** The name of the atom in `buffer[start, end)`; otherwise as `atomAt`. */
  nameAt(buffer: Buffer, start: number, end: number): string {
    const size = end - start;
    if (size > SLOT_BYTES) return atomNameFromUtf8(buffer, start, end);
    // Almost every name is that of the peer, in its pids and references: compared at once, without the hash.
    if (!this.#holds(this.#lastName, buffer, start, size)) this.#lastName = this.#slot(buffer, start, end);
    return this.#names[this.#lastName] as string;
  }

  /** The slot that holds the atom, filled now when it did not. */
  #slot(buffer: Buffer, start: number, end: number): number {
    const size = end - start;
    let hash = size;
    for (let i = start; i < end; i++) hash = Math.imul(hash, 31) + (buffer[i] as number);
    hash ^= hash >>> 15;
    const slot = (hash ^ (hash >>> 10)) & (this.#slots - 1);
    if (this.#holds(slot, buffer, start, size)) return slot;
    const name = atomNameFromUtf8(buffer, start, end);
    if (++this.#fresh > this.#slots && this.#slots < MAX_SLOTS) {
      this.#grow();
      return this.#slot(buffer, start, end);
    }
    const kept = this.#bytes;
    const base = slot * SLOT_BYTES;
    for (let i = 0; i < size; i++) kept[base + i] = buffer[start + i] as number;
    this.#sizes[slot] = size + 1;
    this.#names[slot] = name;
    this.#terms[slot] = atom(name);
    return slot;
  }

  #holds(slot: number, buffer: Buffer, start: number, size: number): boolean {
    if (this.#sizes[slot] !== size + 1) return false;
    const kept = this.#bytes;
    const base = slot * SLOT_BYTES;
    let i = 0;
    while (i < size && kept[base + i] === buffer[start + i]) i++;
    return i === size;
  }

  /** A larger, empty table: what was kept comes back with its next use. */
  #grow(): void {
    this.#slots *= 4;
    this.#bytes = new Uint8Array(this.#slots * SLOT_BYTES);
    this.#sizes = new Uint8Array(this.#slots);
    this.#names = new Array<string>(this.#slots).fill("");
    this.#terms = new Array<Term>(this.#slots).fill(undefined);
    this.#fresh = 0;
  }
}
