import type { Control } from "./control-types.ts";

/** Entries kept. A connection's traffic is mostly between few pairs, and each miss costs one look per entry. */
const ENTRIES = 4;

/** Longest control term kept, in bytes. */
const MAX_KEPT_BYTES = 1024;

/**
 * The last few control messages of one connection by their bytes, most recently used first. External terms are
 * prefix-free: no term is the beginning of another, so equal bytes at the start mean an equal control message. That does
 * not hold where ATOM_CACHE_REF is in play; such frames must not come here.
 */
export class RecentControls {
  /** Length of the bytes that `find` matched last. */
  matchedBytes = 0;
  readonly #bytes: Buffer[] = [];
  readonly #controls: Control[] = [];

  /** The control message whose bytes stand at `start`, when it is among the recent ones. */
  find(buffer: Buffer, start: number, end: number): Control | undefined {
    const count = this.#controls.length;
    for (let n = 0; n < count; n++) {
      const kept = this.#bytes[n] as Buffer;
      const length = kept.length;
      if (length > end - start) continue;
      // From the end: what differs most, the target's number, stands there, while the beginnings are much alike.
      let i = length - 1;
      while (i >= 0 && kept[i] === buffer[start + i]) i--;
      if (i >= 0) continue;
      const control = this.#controls[n] as Control;
      this.matchedBytes = length;
      if (n > 0) this.#toFront(n, kept, control);
      return control;
    }
    return undefined;
  }

  /** Keeps a copy of the bytes; the least recently used entry gives way. Long ones are not kept. */
  add(buffer: Buffer, start: number, end: number, control: Control): void {
    if (end - start > MAX_KEPT_BYTES) return;
    const kept = Buffer.allocUnsafeSlow(end - start);
    buffer.copy(kept, 0, start, end);
    const last = Math.min(this.#controls.length, ENTRIES - 1);
    this.#toFront(last, kept, control);
  }

  #toFront(from: number, kept: Buffer, control: Control): void {
    for (let n = from; n > 0; n--) {
      this.#bytes[n] = this.#bytes[n - 1] as Buffer;
      this.#controls[n] = this.#controls[n - 1] as Control;
    }
    this.#bytes[0] = kept;
    this.#controls[0] = control;
  }
}
