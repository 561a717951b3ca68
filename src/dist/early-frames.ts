import { ByteParts } from "../base/byte-parts.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import { earlyBytes } from "./barrel-link-failures.ts";

/** Bytes of frames that may come before our own handshake is at the point where the peer may send any. */
export const MAX_UNASKED_BYTES: number = 64 * 1024;

/** Bytes of frames that may overtake the peer's last handshake message. */
export const MAX_OVERTAKING_BYTES: number = 8 * 1024 * 1024;

/** What came on lanes before the session stood: streams are not ordered among each other (barrel-auth section 10). */
export class EarlyFrames {
  #waiting = new Map<ChannelId, ByteParts>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#bytes === 0;
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
    const parts = this.#waiting.get(channel) ?? new ByteParts();
    parts.add(chunk, 0, chunk.length);
    this.#waiting.set(channel, parts);
  }

  /** All that was kept, each lane's in its order; nothing is kept any more. */
  *take(): Iterable<readonly [channel: ChannelId, chunk: Buffer]> {
    const waiting = this.#waiting;
    this.clear();
    for (const [channel, parts] of waiting) {
      for (let chunk = parts.shift(); chunk !== undefined; chunk = parts.shift()) yield [channel, chunk];
    }
  }

  /** Lets go of everything. */
  clear(): void {
    this.#waiting = new Map();
    this.#bytes = 0;
  }
}
