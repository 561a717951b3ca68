import { type ByteCollector, ByteParts, type ReleaseChunks } from "../base/byte-parts.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { misbehaved } from "./misbehaved.ts";
import { ReusedBytes } from "./reused-bytes.ts";

/** Default for `maxBytes`: payload bytes that all unfinished sequences of one peer may hold together (rulings U13). */
export const DEFAULT_REASSEMBLY_BYTES: number = 64 * 1024 * 1024;

/** Default for `maxSequences`: unfinished sequences of one peer (rulings U13). */
export const DEFAULT_SEQUENCES = 16;

/** Default for `maxFragments`: fragments of one message. 64 MiB in pieces of 1 KiB; a BEAM sends pieces of 64 KiB. */
export const DEFAULT_FRAGMENTS = 65_536;

/** Default age at which an unfinished sequence is given up, counted from its first fragment (threat-model RS-03). */
export const DEFAULT_SEQUENCE_AGE_MS = 30_000;

export interface ReassemblerOptions {
  /** In bytes, inclusive. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Default 16. */
  readonly maxSequences?: number;
  /** Per message. Default 65,536. */
  readonly maxFragments?: number;
  /** Frees chunks that are wholly copied into a joined message; default: the collector does. */
  readonly release?: ReleaseChunks | undefined;
  /** A joined message is valid only until the next fragment, and no fragment needs to stay unchanged. Default false. */
  readonly reuses?: boolean;
}

/** A message whose last fragment came. */
export interface Reassembled<T> {
  /** What the owner gave with the first fragment. */
  readonly context: T;
  /** Holds the payload from `start` to `end`; a view of the frame when the message had one fragment only. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

interface Sequence<T> {
  readonly context: T;
  readonly startedAt: MonotonicMs;
  /** The fragment id that must come next; 1 is the last one. */
  next: bigint;
  /** Undefined once the sequence was aborted: its fragments are counted and dropped. */
  parts: ByteCollector | undefined;
}

/**
 * Puts fragmented messages of one connection together (otp-distribution section 3.3). `T` is whatever the owner wants to
 * have again when the message is complete, for example its control message. Every misuse ends the connection
 * (threat-model RS-04): sequence id 0, a second first fragment, an unknown sequence, an id out of order.
 */
export class Reassembler<T> {
  readonly #maxBytes: number;
  readonly #maxSequences: number;
  readonly #maxFragments: bigint;
  readonly #release: ReleaseChunks | undefined;
  readonly #reuses: boolean;
  readonly #sequences: Map<bigint, Sequence<T>> = new Map();
  #bytes = 0;
  /** That of the message joined last, for the next one. */
  #spare: ReusedBytes | undefined;

  constructor(options: ReassemblerOptions = {}) {
    this.#maxBytes = options.maxBytes ?? DEFAULT_REASSEMBLY_BYTES;
    this.#maxSequences = options.maxSequences ?? DEFAULT_SEQUENCES;
    this.#maxFragments = BigInt(options.maxFragments ?? DEFAULT_FRAGMENTS);
    this.#release = options.release;
    this.#reuses = options.reuses ?? false;
  }

  /** Payload bytes held for unfinished sequences. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Unfinished sequences, aborted ones included. */
  get sequences(): number {
    return this.#sequences.size;
  }

  /**
   * Takes the payload part of a first fragment. The bytes must not change afterwards.
   * @returns the message when this was its only fragment
   * @throws {SallyportError} ERR_PEER_MISBEHAVED FRAGMENT_*; ERR_LIMIT TOO_MANY_SEQUENCES, TOO_MANY_FRAGMENTS,
   * REASSEMBLY_TOO_LARGE
   */
  first(
    seqId: bigint,
    fragId: bigint,
    context: T,
    buffer: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): Reassembled<T> | undefined {
    this.#checkFirst(seqId, fragId);
    if (fragId === 1n) {
      // Nothing is held, but a message that would be refused in two pieces must not pass in one.
      this.#checkRoom(end - start);
      return { context, buffer, start, end };
    }
    this.#begin(seqId, fragId, context, end - start, now).add(buffer, start, end);
    return undefined;
  }

  /**
   * As `first`, of a frame that is not joined yet and not the only one of its message: the payload part is all from byte
   * `from` of `head` on, and then `buffer[start..end)`. Takes everything out of `head`.
   */
  firstParts(
    seqId: bigint,
    fragId: bigint,
    context: T,
    head: ByteCollector,
    from: number,
    buffer: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): void {
    this.#checkFirst(seqId, fragId);
    const parts = this.#begin(seqId, fragId, context, head.bytes - from + (end - start), now);
    head.moveTo(parts, from);
    parts.add(buffer, start, end);
  }

  #checkFirst(seqId: bigint, fragId: bigint): void {
    if (seqId === 0n) throw misbehaved("FRAGMENT_ZERO_SEQUENCE", "a fragment with sequence id 0");
    if (fragId === 0n) throw misbehaved("FRAGMENT_OUT_OF_ORDER", "a first fragment with fragment id 0");
    if (!this.#sequences.has(seqId)) return;
    throw misbehaved("FRAGMENT_DUPLICATE", `a second first fragment for sequence ${seqId}, which is not finished`);
  }

  /** Begins a sequence of several fragments, the first of `bytes`; they go to what is returned. */
  #begin(seqId: bigint, fragId: bigint, context: T, bytes: number, now: MonotonicMs): ByteCollector {
    if (fragId > this.#maxFragments) {
      throw limit("TOO_MANY_FRAGMENTS", "a message of", fragId, "fragments", "maxFragments", this.#maxFragments);
    }
    if (this.#sequences.size >= this.#maxSequences) {
      const count = this.#sequences.size + 1;
      throw limit(
        "TOO_MANY_SEQUENCES",
        "the peer began",
        count,
        "messages at once",
        "maxReassemblySequences",
        this.#maxSequences,
      );
    }
    this.#checkRoom(bytes);
    const parts = this.#collector();
    this.#bytes += bytes;
    this.#sequences.set(seqId, { context, startedAt: now, next: fragId - 1n, parts });
    return parts;
  }

  /**
   * Takes the payload part of a later fragment. The bytes must not change afterwards.
   * @returns the message when this was its last fragment and it was not aborted
   * @throws {SallyportError} ERR_PEER_MISBEHAVED FRAGMENT_*; ERR_LIMIT REASSEMBLY_TOO_LARGE
   */
  next(seqId: bigint, fragId: bigint, buffer: Buffer, start: number, end: number): Reassembled<T> | undefined {
    const sequence = this.#following(seqId, fragId);
    const parts = sequence.parts;
    if (parts !== undefined) this.#checkRoom(end - start);
    sequence.next = fragId - 1n;
    if (fragId > 1n) {
      if (parts === undefined) return undefined;
      parts.add(buffer, start, end);
      this.#bytes += end - start;
      return undefined;
    }
    return this.#last(seqId, sequence, buffer, start, end);
  }

  /**
   * As `next`, of a frame that is not joined yet: the payload part is all from byte `from` of `head` on, and then
   * `buffer[start..end)`. Takes everything out of `head`.
   */
  nextParts(
    seqId: bigint,
    fragId: bigint,
    head: ByteCollector,
    from: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): Reassembled<T> | undefined {
    const sequence = this.#following(seqId, fragId);
    const parts = sequence.parts;
    if (parts === undefined) {
      sequence.next = fragId - 1n;
      head.clear();
      if (fragId === 1n) this.#sequences.delete(seqId);
      return undefined;
    }
    const headBytes = head.bytes - from;
    this.#checkRoom(headBytes + (end - start));
    sequence.next = fragId - 1n;
    this.#bytes += headBytes;
    head.moveTo(parts, from);
    if (fragId === 1n) return this.#last(seqId, sequence, buffer, start, end);
    parts.add(buffer, start, end);
    this.#bytes += end - start;
    return undefined;
  }

  /** The sequence that fragment `fragId` goes on with. */
  #following(seqId: bigint, fragId: bigint): Sequence<T> {
    if (seqId === 0n) throw misbehaved("FRAGMENT_ZERO_SEQUENCE", "a fragment with sequence id 0");
    const sequence = this.#sequences.get(seqId);
    if (sequence === undefined) {
      throw misbehaved(
        "FRAGMENT_UNKNOWN_SEQUENCE",
        `a fragment of sequence ${seqId}, which was not begun or has expired`,
      );
    }
    if (fragId !== sequence.next) {
      throw misbehaved(
        "FRAGMENT_OUT_OF_ORDER",
        `fragment ${fragId} of sequence ${seqId}; ${sequence.next} must come next`,
      );
    }
    return sequence;
  }

  #last(seqId: bigint, sequence: Sequence<T>, buffer: Buffer, start: number, end: number): Reassembled<T> | undefined {
    this.#sequences.delete(seqId);
    const parts = sequence.parts;
    if (parts === undefined) return undefined;
    this.#bytes -= parts.bytes;
    const size = parts.bytes + (end - start);
    const joined = parts.joinWith(buffer, start, end);
    if (parts instanceof ReusedBytes) this.#spare = parts;
    return { context: sequence.context, buffer: joined, start: 0, end: size };
  }

  #collector(): ByteCollector {
    if (!this.#reuses) return new ByteParts(this.#release);
    const spare = this.#spare ?? new ReusedBytes();
    this.#spare = undefined;
    return spare;
  }

  /** For the quiet: gives back memory that is only kept for what comes next. */
  trim(): void {
    this.#spare = undefined;
  }

  /**
   * Gives up the payload of one sequence and frees its bytes. Its later fragments are still expected, in order, and
   * dropped, so a refused message does not look like a broken peer. Unknown ids are ignored.
   */
  abort(seqId: bigint): void {
    const sequence = this.#sequences.get(seqId);
    if (sequence?.parts === undefined) return;
    this.#bytes -= sequence.parts.bytes;
    sequence.parts = undefined;
  }

  /**
   * Forgets the sequences begun more than `maxAgeMs` ago and returns what the owner gave with each. A later fragment of
   * one of them is a fragment of an unknown sequence.
   */
  expire(now: MonotonicMs, maxAgeMs: number = DEFAULT_SEQUENCE_AGE_MS): T[] {
    const expired: T[] = [];
    for (const [seqId, sequence] of this.#sequences) {
      if (now - sequence.startedAt <= maxAgeMs) continue;
      this.abort(seqId);
      this.#sequences.delete(seqId);
      expired.push(sequence.context);
    }
    return expired;
  }

  /** Forgets everything, when the connection ends. */
  clear(): void {
    this.#sequences.clear();
    this.#bytes = 0;
  }

  #checkRoom(more: number): void {
    const value = this.#bytes + more;
    if (value <= this.#maxBytes) return;
    throw limit("REASSEMBLY_TOO_LARGE", "unfinished messages of", value, "bytes", "maxReassemblyBytes", this.#maxBytes);
  }
}

function limit(
  reason: string,
  what: string,
  value: number | bigint,
  unit: string,
  option: string,
  bound: number | bigint,
): SallyportError {
  return new SallyportError("ERR_LIMIT", reason, `${what} ${value} ${unit} exceeds ${option} ${bound}`, {
    detail: { value: Number(value), limit: Number(bound), option },
    advice: `raise ${option} here, or let the peer send less at once`,
  });
}
