import { type ByteCollector, ByteParts, type ReleaseChunks } from "../base/byte-parts.ts";
import { SallyportError } from "../base/errors.ts";
import { ReusedBytes } from "./reused-bytes.ts";

/** Bytes of the length before each frame: 2 in the TCP handshake, 4 afterwards and on TLS, 0 where chunks are frames. */
export type PrefixBytes = 0 | 2 | 4;

/** Receives what a deframer finds. May call `setPrefix`, `setMaxFrameBytes` and `stop` of the deframer that calls it. */
export interface FrameSink {
  /** One frame body. The bytes are valid and unchanging during the call; a receiver may keep views of them. */
  frame(buffer: Buffer, start: number, end: number): void;
  /** A frame of length zero. */
  tick(): void;
  /**
   * A frame that came in several chunks, before it is joined: `parts`, then `chunk[start..end)`. True: the sink took all
   * of it out of `parts`, which is the deframer's own, and `frame` is not called. Without this method, never.
   */
  spanned?(parts: ByteCollector, chunk: Buffer, start: number, end: number): boolean;
}

/** Chunks at least this long are given back at once where nothing of them is kept. New memory costs more than that. In bytes. */
const RELEASED_BYTES = 8 * 1024;

export interface DeframerOptions {
  readonly prefix: PrefixBytes;
  /** Largest frame body taken, in bytes, inclusive. */
  readonly maxFrameBytes: number;
  /** Frees chunks that are wholly copied into a joined frame; default: the collector does. */
  readonly release?: ReleaseChunks | undefined;
}

/**
 * Cuts a byte stream into frames (otp-distribution sections 2.1 and 3.1): `length:16|32 body`. A frame within one chunk is
 * handed on without a copy; one that spans chunks is collected and joined once when it is complete. Memory follows the
 * bytes that came, never the length that was claimed. After any error, also one thrown by the sink, it takes no more.
 */
export class Deframer {
  #prefix: PrefixBytes;
  #maxFrameBytes: number;
  /** Value and number of the prefix bytes read of the frame that comes next. */
  #length = 0;
  #lengthBytes = 0;
  /** True when `#length` is complete and its body has not ended yet. */
  #inBody = false;
  #parts: ByteCollector;
  readonly #release: ReleaseChunks | undefined;
  #stopped = false;
  #busy = false;

  constructor(options: DeframerOptions) {
    this.#prefix = options.prefix;
    this.#maxFrameBytes = options.maxFrameBytes;
    this.#release = options.release;
    this.#parts = new ByteParts(options.release);
  }

  /** Bytes that came and belong to a frame that is not complete, its prefix included. */
  get partialBytes(): number {
    return this.#lengthBytes + this.#parts.bytes;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes no more bytes from now on, also none of the chunk in work, and lets go of what was held. */
  stop(): void {
    this.#stopped = true;
    this.#parts.clear();
    this.#lengthBytes = 0;
    this.#inBody = false;
  }

  /**
   * Changes the prefix from the next frame on, also for the rest of the chunk in work.
   * @throws {SallyportError} ERR_API_MISUSE DEFRAMER_MID_FRAME when part of a frame is waiting
   */
  setPrefix(prefix: PrefixBytes): void {
    if (this.partialBytes > 0) {
      throw misuse("DEFRAMER_MID_FRAME", "the prefix cannot change while part of a frame is waiting");
    }
    this.#prefix = prefix;
  }

  /** Changes the limit from the next frame on, also for the rest of the chunk in work. */
  setMaxFrameBytes(maxFrameBytes: number): void {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * From the next chunk on nothing of one is kept once `receive` is over, and a frame is valid during its call only: chunks are
   * given back, and memory is used again.
   * @throws {SallyportError} ERR_API_MISUSE DEFRAMER_MID_FRAME when part of a frame is waiting
   */
  reuseMemory(): void {
    if (this.partialBytes > 0) {
      throw misuse("DEFRAMER_MID_FRAME", "the way of collecting cannot change while part of a frame is waiting");
    }
    this.#parts = new ReusedBytes();
  }

  /** For the quiet: gives back memory that is only kept for what comes next. */
  trim(): void {
    this.#parts.trim();
  }

  /**
   * Takes the next bytes of the stream and reports every frame they complete. The chunk must not change afterwards.
   * @throws {SallyportError} ERR_LIMIT FRAME_TOO_LARGE, ERR_API_MISUSE DEFRAMER_REENTERED, or whatever the sink throws
   */
  receive(chunk: Buffer, sink: FrameSink): void {
    if (this.#stopped) return;
    if (this.#busy) throw misuse("DEFRAMER_REENTERED", "receive was called from inside its own sink");
    this.#busy = true;
    const isSpent = this.#parts instanceof ReusedBytes && chunk.length >= RELEASED_BYTES;
    let done = false;
    try {
      this.#consume(chunk, sink);
      done = true;
    } finally {
      this.#busy = false;
      if (!done) this.stop();
    }
    if (isSpent) this.#release?.([chunk]);
  }

  #consume(chunk: Buffer, sink: FrameSink): void {
    const end = chunk.length;
    let at = 0;
    while (at < end && !this.#stopped) {
      if (!this.#inBody) {
        if (this.#prefix === 0) {
          this.#checkLength(end - at);
          sink.frame(chunk, at, end);
          return;
        }
        at = this.#readPrefix(chunk, at, end);
        if (this.#lengthBytes < this.#prefix) return;
        this.#checkLength(this.#length);
        if (this.#length === 0) {
          this.#lengthBytes = 0;
          sink.tick();
          continue;
        }
        this.#inBody = true;
      }
      const missing = this.#length - this.#parts.bytes;
      if (end - at < missing) {
        this.#parts.add(chunk, at, end);
        return;
      }
      const bodyStart = at;
      at += missing;
      // The state is that between two frames before the sink runs, for the sink may change the prefix.
      const spans = this.#parts.bytes > 0;
      this.#inBody = false;
      this.#length = 0;
      this.#lengthBytes = 0;
      if (spans) {
        if (sink.spanned?.(this.#parts, chunk, bodyStart, at) === true) continue;
        const size = this.#parts.bytes + (at - bodyStart);
        const joined = this.#parts.joinWith(chunk, bodyStart, at);
        sink.frame(joined, 0, size);
      } else {
        sink.frame(chunk, bodyStart, at);
      }
    }
  }

  /** Reads what there is of the prefix and returns the offset behind it. */
  #readPrefix(chunk: Buffer, from: number, end: number): number {
    let at = from;
    let length = this.#lengthBytes === 0 ? 0 : this.#length;
    let got = this.#lengthBytes;
    while (got < this.#prefix && at < end) {
      // Multiplied, not shifted: a claimed length of 2 GiB and more must stay positive.
      length = length * 256 + (chunk[at++] as number);
      got++;
    }
    this.#length = length;
    this.#lengthBytes = got;
    return at;
  }

  #checkLength(length: number): void {
    if (length <= this.#maxFrameBytes) return;
    throw new SallyportError(
      "ERR_LIMIT",
      "FRAME_TOO_LARGE",
      `a frame of ${length} bytes exceeds maxFrameBytes ${this.#maxFrameBytes}`,
      {
        detail: { value: length, limit: this.#maxFrameBytes, option: "maxFrameBytes" },
        advice: "raise maxFrameBytes here, or let the peer send in fragments or smaller messages",
      },
    );
  }
}

function misuse(reason: string, message: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", reason, `${message}; please report this`);
}
