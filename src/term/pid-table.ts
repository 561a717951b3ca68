import { Pid } from "./types.ts";

/** Slots at first and at most; powers of two. */
const FIRST_SLOTS = 64;
const MAX_SLOTS = 1024;

/**
 * Bounded cache of pids, one for each connection: direct-mapped, a newcomer replaces what had its slot. It begins small and
 * grows to 1024 slots while it is in use, so an idle connection costs little. Equal pids usually come back as the same
 * object; nothing may depend on that.
 */
export class PidTable {
  #slots: (Pid | undefined)[] = new Array<Pid | undefined>(FIRST_SLOTS).fill(undefined);
  /** New pids since the table has its size. */
  #fresh = 0;

  /** The pid of these fields: the kept object when there is one, else a new one that is kept from now on. */
  get(node: string, id: number, serial: number, creation: number): Pid {
    let hash = Math.imul(id ^ Math.imul(serial, 0x9e37_79b1) ^ creation, 0x85eb_ca6b) ^ node.length;
    hash ^= hash >>> 16;
    const slot = hash & (this.#slots.length - 1);
    const kept = this.#slots[slot];
    if (
      kept !== undefined &&
      kept.id === id &&
      kept.serial === serial &&
      kept.creation === creation &&
      kept.node === node
    ) {
      return kept;
    }
    const pid = new Pid(node, id, serial, creation);
    this.#slots[slot] = pid;
    if (++this.#fresh > this.#slots.length && this.#slots.length < MAX_SLOTS) {
      // What was kept comes back with its next use.
      this.#slots = new Array<Pid | undefined>(this.#slots.length * 4).fill(undefined);
      this.#fresh = 0;
    }
    return pid;
  }
}
