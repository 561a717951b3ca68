import { SallyportError } from "../base/errors.ts";
import type { Splice } from "../term/encode.ts";

/** Payload bytes per fragment, as a BEAM cuts (otp-distribution section 3.3). */
export const FRAGMENT_BYTES = 65_536;

/** length:32 131:8 tag:8 seqId:64 fragId:64 */
const HEAD_BYTES = 22;
const VERSION = 0x83;
const FIRST_FRAGMENT = 0x45;
const NEXT_FRAGMENT = 0x46;

/** A run of bytes in someone else's buffer, `buffer[start..end)`. */
export interface ByteRange {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * The ranges of a term of which `encodeInto` left large binaries out: `bytes[start..end)` with the splices put in. Their
 * offsets are those of the writer, so `bytes` must be the writer's bytes from its offset 0 on.
 */
export function splicedRanges(bytes: Uint8Array, start: number, end: number, splices: readonly Splice[]): ByteRange[] {
  const ranges: ByteRange[] = [];
  let at = start;
  for (const splice of splices) {
    if (splice.at > at) ranges.push({ buffer: bytes, start: at, end: splice.at });
    ranges.push({ buffer: splice.bytes, start: 0, end: splice.bytes.length });
    at = splice.at;
  }
  if (end > at) ranges.push({ buffer: bytes, start: at, end });
  return ranges;
}

/**
 * Cuts one outgoing message into fragments without copying its payload (otp-distribution section 3.3). The payload is a
 * list of ranges: encoded bytes, and large binaries that stay where they are. None of them may change until the last
 * fragment was written. Fragments are taken one by one, so other messages can go between them.
 */
export class FragmentPlan {
  readonly #seqId: bigint;
  readonly #control: Uint8Array;
  readonly #segments: readonly ByteRange[];
  readonly #partBytes: number;
  /** Id of the fragment that goes out next; 0 when all are out. */
  #fragId: number;
  #first = true;
  #segment = 0;
  #offset: number;
  #remaining: number;

  /**
   * @param seqId not 0 and not the id of another message on its way; a BEAM uses one per sending process
   * @param control the control term as `encodeControlInto` writes it in mode `header`, without `83 44 00` before it
   * @param segments the payload term without its version byte
   * @param partBytes payload bytes per fragment, 65,536 by default
   * @throws {SallyportError} ERR_API_MISUSE FRAGMENT_PLAN_INVALID
   */
  constructor(seqId: bigint, control: Uint8Array, segments: readonly ByteRange[], partBytes: number = FRAGMENT_BYTES) {
    if (seqId <= 0n || partBytes < 1) {
      throw new SallyportError(
        "ERR_API_MISUSE",
        "FRAGMENT_PLAN_INVALID",
        "a fragment sequence needs an id above 0 and parts of at least one byte",
        { advice: "number sequences from 1" },
      );
    }
    this.#seqId = seqId;
    this.#control = control;
    this.#segments = segments;
    this.#partBytes = partBytes;
    this.#remaining = 0;
    for (const segment of segments) this.#remaining += segment.end - segment.start;
    this.#fragId = Math.max(1, Math.ceil(this.#remaining / partBytes));
    this.#offset = segments[0]?.start ?? 0;
  }

  /** Fragments that have not been written yet. */
  get fragmentsLeft(): number {
    return this.#fragId;
  }

  /** Payload bytes that have not been written yet. */
  get bytesLeft(): number {
    return this.#remaining;
  }

  /**
   * Appends the next fragment to `out`, as a complete frame with its length before it, in pieces that are to be written
   * one after the other. The first piece is new, the others are views of the segments.
   * @returns the bytes appended; 0 when the last fragment is out
   */
  writeNext(out: Uint8Array[]): number {
    if (this.#fragId === 0) return 0;
    const part = Math.min(this.#remaining, this.#partBytes);
    const controlBytes = this.#first ? 1 + this.#control.length : 0;
    const head = Buffer.allocUnsafe(HEAD_BYTES + controlBytes);
    head.writeUInt32BE(HEAD_BYTES - 4 + controlBytes + part, 0);
    head[4] = VERSION;
    head[5] = this.#first ? FIRST_FRAGMENT : NEXT_FRAGMENT;
    head.writeBigUInt64BE(this.#seqId, 6);
    head.writeBigUInt64BE(BigInt(this.#fragId), 14);
    if (this.#first) {
      head[HEAD_BYTES] = 0; // an atom header without atoms
      head.set(this.#control, HEAD_BYTES + 1);
    }
    out.push(head);
    this.#pushPart(out, part);
    this.#first = false;
    this.#fragId--;
    return head.length + part;
  }

  #pushPart(out: Uint8Array[], part: number): void {
    let left = part;
    this.#remaining -= part;
    while (left > 0) {
      const segment = this.#segments[this.#segment];
      if (segment === undefined) return;
      const take = Math.min(left, segment.end - this.#offset);
      if (take > 0) out.push(segment.buffer.subarray(this.#offset, this.#offset + take));
      this.#offset += take;
      left -= take;
      if (this.#offset === segment.end) {
        this.#segment++;
        this.#offset = this.#segments[this.#segment]?.start ?? 0;
      }
    }
  }
}
