import type { ChannelId } from "../carrier/carrier.ts";
import { earlyBytes } from "./barrel-link-failures.ts";

/** Bytes of frames that may come before our own handshake is at the point where the peer may send any. */
export const MAX_UNASKED_BYTES: number = 64 * 1024;

/** Bytes of frames that may overtake the peer's last handshake message. */
export const MAX_OVERTAKING_BYTES: number = 8 * 1024 * 1024;

/** A smaller chunk is copied when it waits: it must not hold a large one in memory. In bytes. */
const SMALL_BYTES = 4096;

/** What came on lanes before the session stood: streams are not ordered among each other (barrel-auth section 10). */
export class EarlyFrames {
  #chunks: [channel: ChannelId, chunk: Buffer][] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /**
   * Keeps one chunk.
   * @param mayBeSession the peer may hold the session for up
   * @throws {SallyportError} ERR_PEER_MISBEHAVED EARLY_BYTES
   */
  add(channel: ChannelId, chunk: Buffer, mayBeSession: boolean): void {
    this.#bytes += chunk.length;
    const limit = mayBeSession ? MAX_OVERTAKING_BYTES : MAX_UNASKED_BYTES;
    if (this.#bytes > limit) throw earlyBytes(this.#bytes, limit);
    this.#chunks.push([channel, chunk.length < SMALL_BYTES ? Buffer.from(chunk) : chunk]);
  }

  /** All that was kept, in its order; nothing is kept any more. */
  take(): readonly (readonly [channel: ChannelId, chunk: Buffer])[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    return chunks;
  }
}
