import { RingQueue } from "../base/ring-queue.ts";

/** Buffers kept ready at most; a burst has about as many under way before its sender is told that it is too fast. */
const MAX_FREE = 16;

/** Larger buffers are left to the collector, in bytes. */
const MAX_BUFFER_BYTES = 256 * 1024;

interface Leaving {
  readonly buffer: Buffer;
  /** Bytes written in all when the last of this buffer's was. */
  readonly end: number;
}

/**
 * Output buffers of one session, used anew once their bytes have left. V8 counts each new buffer as growth of its old
 * generation, so that a sender which makes one for every write spends a third of its time on collecting.
 */
export class WrittenBuffers {
  readonly #leaving: RingQueue<Leaving> = new RingQueue<Leaving>();
  readonly #free: Buffer[] = [];
  #written = 0;

  /** Counts bytes that were written; all of them have to be counted, in their order. */
  wrote(bytes: number): void {
    this.#written += bytes;
  }

  /** Takes over the buffer whose bytes were the last to be written. */
  lend(buffer: Buffer): void {
    if (buffer.length <= MAX_BUFFER_BYTES) this.#leaving.push({ buffer, end: this.#written });
  }

  /** A buffer that may be written anew; `pendingBytes` of all that was written have not left yet. */
  take(pendingBytes: number): Buffer | undefined {
    this.#reclaim(pendingBytes);
    return this.#free.pop();
  }

  /** Gives up one buffer. Called for each small write, it lets go of what a burst needed once the burst is over. */
  shrink(): void {
    this.#free.pop();
  }

  /** Gives up all buffers that have left. */
  trim(pendingBytes: number): void {
    this.#reclaim(pendingBytes);
    this.#free.length = 0;
  }

  #reclaim(pendingBytes: number): void {
    const left = this.#written - pendingBytes;
    for (let next = this.#leaving.peek(); next !== undefined && next.end <= left; next = this.#leaving.peek()) {
      this.#leaving.shift();
      if (this.#free.length < MAX_FREE) this.#free.push(next.buffer);
    }
  }
}
