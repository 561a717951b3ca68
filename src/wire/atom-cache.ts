import type { AtomTable } from "../term/atom-table.ts";
import type { Term } from "../term/types.ts";
import { misbehaved } from "./misbehaved.ts";

const NEW_ENTRY = 8;
/** 8 segments of 256 slots: no more than 2048 entries are ever kept. */
const SEGMENT_MASK = 7;
const LONG_ATOMS = 1;

/**
 * The inbound atom cache of one connection (section 3.2). We do not offer the cache, but a peer that fills it all the
 * same is followed, for ignoring an entry would turn later atoms into wrong ones. There is no outbound cache: what we
 * send has an empty atom header, `83 44 00`.
 */
export class InboundAtomCache {
  readonly #atoms: AtomTable;
  /** Asked with `has`, for the atom `undefined` is the value `undefined`. */
  readonly #slots: Map<number, Term> = new Map();
  #position = 0;

  constructor(atoms: AtomTable) {
    this.#atoms = atoms;
  }

  /** Offset after the header that was read last. */
  get position(): number {
    return this.#position;
  }

  /**
   * Reads the atom header at `at`, from its count byte on: `n:8 flags:(n/2+1)*8 refs`, and enters its new atoms.
   * @returns the atoms that ATOM_CACHE_REF 0, 1, ... of this frame stand for, in an array of the caller's
   * @throws {SallyportError} ERR_PEER_MISBEHAVED ATOM_HEADER_TRUNCATED, ATOM_HEADER_UNSET_SLOT, TERM_ATOM_INVALID
   */
  readHeader(buffer: Buffer, at: number, end: number): Term[] {
    if (at >= end) throw truncated(at);
    const count = buffer[at] as number;
    const refs: Term[] = [];
    const flagsAt = at + 1;
    let cursor = flagsAt;
    if (count > 0) cursor += (count >> 1) + 1;
    if (cursor > end) throw truncated(end);
    const lengthBytes = count > 0 && (nibble(buffer, flagsAt, count) & LONG_ATOMS) !== 0 ? 2 : 1;
    for (let i = 0; i < count; i++) {
      if (cursor >= end) throw truncated(cursor);
      const flags = nibble(buffer, flagsAt, i);
      const slot = (flags & SEGMENT_MASK) * 256 + (buffer[cursor++] as number);
      if ((flags & NEW_ENTRY) === 0) {
        if (!this.#slots.has(slot)) {
          throw misbehaved(
            "ATOM_HEADER_UNSET_SLOT",
            `an atom header refers to cache slot ${slot}, which was never set`,
            {
              slot,
            },
          );
        }
        refs.push(this.#slots.get(slot));
        continue;
      }
      if (end - cursor < lengthBytes) throw truncated(cursor);
      const length = lengthBytes === 2 ? buffer.readUInt16BE(cursor) : (buffer[cursor] as number);
      cursor += lengthBytes;
      if (end - cursor < length) throw truncated(cursor);
      const term = this.#atoms.atomAt(buffer, cursor, cursor + length);
      cursor += length;
      this.#slots.set(slot, term);
      refs.push(term);
    }
    this.#position = cursor;
    return refs;
  }
}

/** The `i`-th half byte of the flags, low half first. */
function nibble(buffer: Buffer, flagsAt: number, i: number): number {
  return ((buffer[flagsAt + (i >> 1)] as number) >> ((i & 1) * 4)) & 15;
}

function truncated(at: number): Error {
  return misbehaved("ATOM_HEADER_TRUNCATED", `an atom header runs past the end of its frame at byte ${at}`, { at });
}
