import { SallyportError } from "../base/errors.ts";
import { Pid } from "../term/types.ts";

/** Largest `id` handed out: 15 bits, all that a peer without V4_NC may be sent (otp-distribution 2.4). */
export const MAX_PID_ID: number = 0x7fff;
/** Largest `serial` handed out: 13 bits, for the same reason. */
export const MAX_PID_SERIAL: number = 0x1fff;

export interface PidRange {
  /** Default `MAX_PID_ID`. */
  readonly maxId?: number;
  /** Default `MAX_PID_SERIAL`. */
  readonly maxSerial?: number;
}

/**
 * Makes the pids of this node: `id` counts from 1, then `serial` goes up and `id` starts again, as in a BEAM. After the
 * last serial it starts over and skips what is still in use.
 */
export class PidAllocator {
  readonly #node: string;
  readonly #creation: number;
  readonly #maxId: number;
  readonly #maxSerial: number;
  #id = 0;
  #serial = 0;

  constructor(node: string, creation: number, range: PidRange = {}) {
    this.#node = node;
    this.#creation = creation;
    this.#maxId = range.maxId ?? MAX_PID_ID;
    this.#maxSerial = range.maxSerial ?? MAX_PID_SERIAL;
  }

  /** A number that names (id, serial) among this node's pids, or -1 for a pid that is not of this node and creation. */
  keyOf(pid: Pid): number {
    if (pid.creation !== this.#creation || pid.id > this.#maxId || pid.serial > this.#maxSerial) return -1;
    if (pid.node !== this.#node) return -1;
    return pid.serial * (this.#maxId + 1) + pid.id;
  }

  /**
   * The next pid whose key is not in `used`. Looks at no more than `used.size + 1` candidates.
   * @throws {SallyportError} ERR_LIMIT PROCESS_LIMIT when every pid of the range is in use
   */
  next(used: ReadonlyMap<number, unknown>): Pid {
    for (let tries = used.size; tries >= 0; tries--) {
      if (this.#id === this.#maxId) {
        this.#id = 0;
        this.#serial = this.#serial === this.#maxSerial ? 0 : this.#serial + 1;
      }
      this.#id++;
      if (used.has(this.#serial * (this.#maxId + 1) + this.#id)) continue;
      return new Pid(this.#node, this.#id, this.#serial, this.#creation);
    }
    throw new SallyportError("ERR_LIMIT", "PROCESS_LIMIT", `all ${used.size} process identifiers are in use`, {
      detail: { limit: used.size },
      advice: "end processes that are no longer needed",
    });
  }
}
