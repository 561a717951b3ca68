import type { Control } from "./control-types.ts";

/** Entries kept. A connection's traffic is mostly between few pairs, and each miss costs one look per entry. */
const ENTRIES = 4;

/** Longest control term kept, in bytes. */
const MAX_KEPT_BYTES = 1024;

/** Room an entry is given at first, in bytes; a send between two pids has about 60. */
const FIRST_BYTES = 128;

const NOTHING: Buffer = Buffer.alloc(0);

interface Entry {
  /** Its own memory, used again when the entry gives way. */
  bytes: Buffer;
  view: DataView;
  length: number;
  control: Control;
}

/**
 * The last few control messages of one connection by their bytes, most recently used first. External terms are
 * prefix-free: no term is the beginning of another, so equal bytes at the start mean an equal control message. That does
 * not hold where ATOM_CACHE_REF is in play; such frames must not come here.
 */
export class RecentControls {
  /** Length of the bytes that `find` matched last. */
  matchedBytes = 0;
  readonly #entries: Entry[] = [];
  /** Of the chunk looked at last. */
  #view: DataView = viewOf(NOTHING);
  #viewed: Buffer = NOTHING;

  /** The control message whose bytes stand at `start`, when it is among the recent ones. */
  find(buffer: Buffer, start: number, end: number): Control | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    if (this.#viewed !== buffer) {
      this.#view = viewOf(buffer);
      this.#viewed = buffer;
    }
    const view = this.#view;
    for (let n = 0; n < entries.length; n++) {
      const entry = entries[n] as Entry;
      const length = entry.length;
      if (length > end - start) continue;
      // From the end: what differs most, the target's number, stands there, while the beginnings are much alike.
      // Four bytes at a time, for the comparison is a good part of the work on a small message.
      const kept = entry.view;
      let i = length - 4;
      while (i >= 0 && kept.getInt32(i, true) === view.getInt32(start + i, true)) i -= 4;
      if (i >= 0) continue;
      i += 3;
      while (i >= 0 && kept.getUint8(i) === view.getUint8(start + i)) i--;
      if (i >= 0) continue;
      this.matchedBytes = length;
      if (n > 0) this.#toFront(n, entry);
      return entry.control;
    }
    return undefined;
  }

  /** Keeps a copy of the bytes; the least recently used entry gives way. Long ones are not kept. */
  add(buffer: Buffer, start: number, end: number, control: Control): void {
    const length = end - start;
    if (length > MAX_KEPT_BYTES) return;
    const entries = this.#entries;
    let entry = entries.length < ENTRIES ? undefined : entries[ENTRIES - 1];
    if (entry === undefined) {
      const bytes = Buffer.allocUnsafeSlow(length > FIRST_BYTES ? MAX_KEPT_BYTES : FIRST_BYTES);
      entry = { bytes, view: viewOf(bytes), length, control };
      entries.push(entry);
    } else if (entry.bytes.length < length) {
      entry.bytes = Buffer.allocUnsafeSlow(MAX_KEPT_BYTES);
      entry.view = viewOf(entry.bytes);
    }
    const bytes = entry.bytes;
    for (let i = 0; i < length; i++) bytes[i] = buffer[start + i] as number;
    entry.length = length;
    entry.control = control;
    this.#toFront(entries.length - 1, entry);
  }

  #toFront(from: number, entry: Entry): void {
    const entries = this.#entries;
    for (let n = from; n > 0; n--) entries[n] = entries[n - 1] as Entry;
    entries[0] = entry;
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
