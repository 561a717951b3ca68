/** A piece at least this long is kept by reference; shorter ones are copied together. In bytes. */
const KEEP_BYTES = 1024;

/** A piece whose memory is more than this many times larger is copied, so that it does not pin the rest. */
const MAX_PINNED_RATIO = 4;

/** Largest block into which short pieces are copied, in bytes. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** Frees the memory of chunks of which nobody holds a view any more. */
export type ReleaseChunks = (chunks: readonly Buffer[]) => void;

/** Bytes that arrive in pieces and are wanted in one piece. */
export interface ByteCollector {
  /** Bytes collected so far. */
  readonly bytes: number;
  /** Adds `buffer[start..end)`. */
  add(buffer: Buffer, start: number, end: number): void;
  /** The first bytes, at least `count` of them in one piece, as a view; undefined when they lie in several pieces. */
  head(count: number): Buffer | undefined;
  /** Adds everything from byte `from` on to `target`; the collection is empty again. */
  moveTo(target: ByteCollector, from: number): void;
  /**
   * Everything collected plus `buffer[start..end)`, from the beginning of a buffer which may be longer; the collection is
   * empty again.
   */
  joinWith(buffer: Buffer, start: number, end: number): Buffer;
  /** Lets go of everything. */
  clear(): void;
  /** For the quiet: gives back memory that is only kept for what comes next. */
  trim(): void;
}

/**
 * Bytes that arrive in pieces and are wanted in one piece. Long pieces are kept by reference, short ones are copied into
 * blocks that grow with what was copied already and are filled to their end, so neither the number of objects nor the
 * memory can be driven far beyond the bytes present, however small the pieces are. The pieces must not change afterwards.
 */
export class ByteParts implements ByteCollector {
  readonly #release: ReleaseChunks | undefined;
  #parts: Buffer[] = [];
  /** Block of copied bytes; those before `#runStart` are in `#parts` already, there is room from `#runEnd` on. */
  #block: Buffer | undefined;
  #runStart = 0;
  #runEnd = 0;
  #copiedBytes = 0;
  #bytes = 0;

  /** @param release frees whole chunks once they are joined; without it the collector does */
  constructor(release?: ReleaseChunks) {
    this.#release = release;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    this.#bytes += length;
    if (length < KEEP_BYTES) {
      this.#addShort(buffer, start, end);
      return;
    }
    this.#closeRun();
    this.#parts.push(
      buffer.buffer.byteLength > length * MAX_PINNED_RATIO
        ? copyOf(buffer, start, end)
        : start === 0 && end === buffer.length
          ? buffer
          : buffer.subarray(start, end),
    );
  }

  head(count: number): Buffer | undefined {
    const first = this.#parts[0] ?? this.#block?.subarray(this.#runStart, this.#runEnd);
    return first === undefined || first.length < count ? undefined : first;
  }

  moveTo(target: ByteCollector, from: number): void {
    this.#closeRun();
    let skip = from;
    for (const part of this.#parts) {
      const start = Math.min(skip, part.length);
      target.add(part, start, part.length);
      skip -= start;
    }
    this.clear();
  }

  /**
   * Takes the oldest bytes out, for whoever reads piece by piece; undefined when there are none. They are the caller's; short pieces come
   * out together.
   */
  shift(): Buffer | undefined {
    if (this.#parts.length === 0) this.#closeRun();
    const part = this.#parts.shift();
    if (part === undefined) return undefined;
    this.#bytes -= part.length;
    // What follows grows from the beginning again.
    if (this.#bytes === 0) this.clear();
    return part;
  }

  /** In one new buffer of the caller's, just as long. */
  joinWith(buffer: Buffer, start: number, end: number): Buffer {
    const joined = Buffer.allocUnsafeSlow(this.#bytes + (end - start));
    let at = 0;
    for (const part of this.#parts) {
      joined.set(part, at);
      at += part.length;
    }
    if (this.#block !== undefined) {
      this.#block.copy(joined, at, this.#runStart, this.#runEnd);
      at += this.#runEnd - this.#runStart;
    }
    buffer.copy(joined, at, start, end);
    this.#release?.(this.#parts.filter(isWholeMemory));
    this.clear();
    return joined;
  }

  clear(): void {
    this.#parts = [];
    this.#block = undefined;
    this.#runStart = 0;
    this.#runEnd = 0;
    this.#copiedBytes = 0;
    this.#bytes = 0;
  }

  trim(): void {}

  #addShort(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    let block = this.#block;
    if (block === undefined || block.length - this.#runEnd < length) {
      this.#closeRun();
      block = Buffer.allocUnsafeSlow(Math.min(MAX_BLOCK_BYTES, Math.max(KEEP_BYTES, this.#copiedBytes)));
      this.#block = block;
      this.#runStart = 0;
      this.#runEnd = 0;
    }
    buffer.copy(block, this.#runEnd, start, end);
    this.#runEnd += length;
    this.#copiedBytes += length;
  }

  /** Moves what was copied since the last long piece into the list; the rest of the block stays in use. */
  #closeRun(): void {
    if (this.#block === undefined || this.#runEnd === this.#runStart) return;
    this.#parts.push(this.#block.subarray(this.#runStart, this.#runEnd));
    this.#runStart = this.#runEnd;
  }
}

/** True for a chunk that was kept whole: nobody else can hold a part of it. */
function isWholeMemory(part: Buffer): boolean {
  return part.length === part.buffer.byteLength;
}

function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  buffer.copy(copy, 0, start, end);
  return copy;
}
