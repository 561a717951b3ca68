import { isSallyportError } from "../base/errors.ts";
import { DEFAULT_TERM_LIMITS } from "../term/limits.ts";
import { TermSkipper } from "../term/skip.ts";
import { NEW_PID_EXT, PID_EXT, SMALL_INTEGER_EXT, SMALL_TUPLE_EXT } from "../term/tags.ts";
import {
  ALIAS_SEND,
  ALIAS_SEND_TT,
  ALTACT_SIG_SEND,
  MONITOR_P_EXIT,
  NODE_LINK,
  PAYLOAD_MONITOR_P_EXIT,
  SEND,
  SEND_TT,
  SPAWN_REPLY,
  SPAWN_REPLY_TT,
  SPAWN_REQUEST,
  SPAWN_REQUEST_TT,
  UNLINK_ID,
  UNLINK_ID_ACK,
} from "../wire/control-ops.ts";

/** Streams for data in each direction: both sides have to have the same number (barrel-auth section 2). */
export const LANES = 16;

/** Answers by alias whose lane is remembered for the DOWN that may follow. */
export const MAX_ALIAS_LANES = 256;

/** The frame does not hold enough of its control message yet. */
export const NEEDS_MORE = -1;

const PASS_THROUGH = 0x70;
const VERSION = 0x83;
const HEADER = 0x44;
const FIRST_FRAGMENT = 0x45;
const NEXT_FRAGMENT = 0x46;
/** Tuple, its arity, and the number of the operation. */
const CONTROL_HEAD_BYTES = 4;
/** 83 45 seq:64 id:64, then an atom header without atoms. */
const FRAGMENT_CONTROL_AT = 19;

/**
 * Which lane an outgoing frame takes. Whatever one process sends takes one lane, whatever its target is called, so what goes
 * between two processes keeps its order; a spawn's answer goes the way of the process that it tells of. What names
 * no sender goes by its target. Stateful: fragments follow their first, the DOWN of a named process the last answer by its alias.
 */
export class LaneRouter {
  readonly #skipper: TermSkipper = new TermSkipper();
  /** Lanes of large messages that are not through, by sequence. Bounded by the sender's large messages. */
  readonly #sequences = new Map<number, number>();
  readonly #aliases = new Map<string, number>();

  /** Large messages that are not through. */
  get openSequences(): number {
    return this.#sequences.size;
  }

  /**
   * The lane, from 0 on, of the frame whose payload begins at `start`; `NEEDS_MORE` when `end` is not its end and cuts its control
   * message. What cannot be read goes to lane 0: the peer will say what is wrong with it.
   */
  laneOf(frame: Buffer, start: number, end: number, isWhole: boolean): number {
    if (end - start < 2) return isWhole ? 0 : NEEDS_MORE;
    if (frame[start] === PASS_THROUGH) return this.#ofControl(frame, start + 2, end, isWhole);
    if (frame[start] !== VERSION) return 0;
    switch (frame[start + 1]) {
      case HEADER:
        return this.#ofControl(frame, start + 3, end, isWhole);
      case FIRST_FRAGMENT: {
        const lane = this.#ofControl(frame, start + FRAGMENT_CONTROL_AT, end, isWhole);
        if (lane === NEEDS_MORE || end - start < FRAGMENT_CONTROL_AT) return lane;
        if (idAt(frame, start + 10) > 1) this.#sequences.set(idAt(frame, start + 2), lane);
        return lane;
      }
      case NEXT_FRAGMENT: {
        if (end - start < FRAGMENT_CONTROL_AT - 1) return isWhole ? 0 : NEEDS_MORE;
        const sequence = idAt(frame, start + 2);
        const lane = this.#sequences.get(sequence) ?? 0;
        if (idAt(frame, start + 10) <= 1) this.#sequences.delete(sequence);
        return lane;
      }
      default:
        return 0;
    }
  }

  #ofControl(frame: Buffer, at: number, end: number, isWhole: boolean): number {
    if (end - at < CONTROL_HEAD_BYTES) return isWhole ? 0 : NEEDS_MORE;
    try {
      return this.#lane(frame, at, end);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      return isWhole ? 0 : NEEDS_MORE;
    }
  }

  /** `at`: the control tuple. @throws {SallyportError} when it is cut */
  #lane(frame: Buffer, at: number, end: number): number {
    if (frame[at] !== SMALL_TUPLE_EXT || frame[at + 2] !== SMALL_INTEGER_EXT) return 0;
    const op = frame[at + 3] as number;
    const first = at + CONTROL_HEAD_BYTES;
    switch (op) {
      case NODE_LINK:
        return 0;
      case SEND:
      case SEND_TT:
      case SPAWN_REQUEST:
      case SPAWN_REQUEST_TT:
      case UNLINK_ID:
      case UNLINK_ID_ACK:
      case ALTACT_SIG_SEND:
        return this.#hash(frame, this.#skip(frame, first, end, 1), end);
      case SPAWN_REPLY:
      case SPAWN_REPLY_TT: {
        const to = this.#skip(frame, first, end, 1);
        const result = this.#skip(frame, to, end, 2);
        const isPid = frame[result] === NEW_PID_EXT || frame[result] === PID_EXT;
        return this.#hash(frame, isPid ? result : to, end);
      }
      case ALIAS_SEND:
      case ALIAS_SEND_TT: {
        const lane = this.#hash(frame, first, end);
        this.#remember(this.#text(frame, this.#skip(frame, first, end, 1), end), lane);
        return lane;
      }
      case MONITOR_P_EXIT:
      case PAYLOAD_MONITOR_P_EXIT: {
        const isPid = frame[first] === NEW_PID_EXT || frame[first] === PID_EXT;
        const known = isPid ? undefined : this.#aliases.get(this.#text(frame, this.#skip(frame, first, end, 2), end));
        return known ?? this.#hash(frame, first, end);
      }
      default:
        return this.#hash(frame, first, end);
    }
  }

  #remember(alias: string, lane: number): void {
    this.#aliases.delete(alias);
    if (this.#aliases.size >= MAX_ALIAS_LANES) {
      for (const oldest of this.#aliases.keys()) {
        this.#aliases.delete(oldest);
        break;
      }
    }
    this.#aliases.set(alias, lane);
  }

  #skip(frame: Buffer, from: number, end: number, terms: number): number {
    let at = from;
    for (let i = 0; i < terms; i++) at = this.#skipper.skip(frame, at, end, DEFAULT_TERM_LIMITS);
    return at;
  }

  /** The bytes of the term at `at`, as a key. */
  #text(frame: Buffer, at: number, end: number): string {
    return frame.toString("latin1", at, this.#skip(frame, at, end, 1));
  }

  /** FNV-1a over the bytes of the term at `at`. */
  #hash(frame: Buffer, at: number, end: number): number {
    const to = this.#skip(frame, at, end, 1);
    let hash = 0x811c_9dc5;
    for (let i = at; i < to; i++) hash = Math.imul(hash ^ (frame[i] as number), 0x0100_0193);
    return (hash ^ (hash >>> 15)) & (LANES - 1);
  }
}

/** Sequences count from 1, so they stay exact as numbers. */
function idAt(frame: Buffer, at: number): number {
  return frame.readUInt32BE(at) * 0x1_0000_0000 + frame.readUInt32BE(at + 4);
}
