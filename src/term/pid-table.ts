import { Pid } from "./types.ts";

/** Number of slots; a power of two. */
const SLOTS = 1024;

/**
 * Bounded cache of pids, one for each connection: direct-mapped, 1024 slots, a newcomer replaces what had its slot. Equal
 * pids usually come back as the same object; nothing may depend on that.
 */
export class PidTable {
  readonly #slots: (Pid | undefined)[] = new Array<Pid | undefined>(SLOTS).fill(undefined);

  /** The pid of these fields: the kept object when there is one, else a new one that is kept from now on. */
  get(node: string, id: number, serial: number, creation: number): Pid {
    let hash = Math.imul(id ^ Math.imul(serial, 0x9e37_79b1) ^ creation, 0x85eb_ca6b) ^ node.length;
    hash ^= hash >>> 16;
    const slot = hash & (SLOTS - 1);
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
    return pid;
  }
}
