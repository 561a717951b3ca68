import { BARREL_PREFIX_BYTES, decodeBarrel, MAX_BARREL_MESSAGE_BYTES } from "./barrel-codec.ts";
import { messageTooLong, tooManyBytes } from "./barrel-failures.ts";
import type { BarrelMessage } from "./barrel-messages.ts";

/** Most bytes of the exchange that may wait unread: the longest message and its length. */
export const MAX_BARREL_UNREAD_BYTES: number = BARREL_PREFIX_BYTES + MAX_BARREL_MESSAGE_BYTES;

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Cuts the bytes of an auth stream into messages, however they were split. A length above the longest legal message is refused
 * before its bytes are kept; barrel itself takes up to 65,535.
 */
export class BarrelReader {
  #held: Buffer = NOTHING;

  /** Takes bytes in. Views of `chunk` are kept only until `settle`. */
  add(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
  }

  /** The next whole message; undefined when there is none. @throws as `decodeBarrel`, and HANDSHAKE_TOO_LONG */
  next(): BarrelMessage | undefined {
    const held = this.#held;
    if (held.length < BARREL_PREFIX_BYTES) return undefined;
    const length = held.readUInt16BE(0);
    if (length > MAX_BARREL_MESSAGE_BYTES) throw messageTooLong(length, MAX_BARREL_MESSAGE_BYTES);
    const end = BARREL_PREFIX_BYTES + length;
    if (held.length < end) return undefined;
    this.#held = held.subarray(end);
    return decodeBarrel(held, BARREL_PREFIX_BYTES, end);
  }

  /** Bytes that were not read. */
  get unreadBytes(): number {
    return this.#held.length;
  }

  /**
   * Keeps what is left as a copy: a few bytes must not hold a whole chunk in memory.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED EARLY_BYTES when it is more than may wait
   */
  settle(): void {
    if (this.#held.length > MAX_BARREL_UNREAD_BYTES) throw tooManyBytes(this.#held.length, MAX_BARREL_UNREAD_BYTES);
    this.#held = this.#held.length === 0 ? NOTHING : Buffer.from(this.#held);
  }

  clear(): void {
    this.#held = NOTHING;
  }
}
