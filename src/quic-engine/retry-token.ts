import { createHmac, timingSafeEqual } from "node:crypto";
import type { MonotonicMs } from "../base/clock.ts";

const MAC_BYTES = 32;
const TIME_BYTES = 6;
/** A client answers a Retry within a round trip. */
const LIFETIME_MS = 10_000;
const MAX_ID_BYTES = 20;

/** Tokens of stateless retry: `mac:32 issuedMs:6 originalId`, bound to the source address and port. RFC 9000 section 8.1.2. */
export class RetryTokens {
  readonly #key: Buffer;

  /** @param key 32 random bytes */
  constructor(key: Buffer) {
    this.#key = key;
  }

  issue(host: string, port: number, originalId: Uint8Array, now: MonotonicMs): Buffer {
    const body = Buffer.alloc(TIME_BYTES + originalId.length);
    body.writeUIntBE(Math.trunc(now), 0, TIME_BYTES);
    body.set(originalId, TIME_BYTES);
    return Buffer.concat([this.#mac(host, port, body), body]);
  }

  /** The original destination id of a token of ours that is fresh and from that address; otherwise undefined. */
  open(host: string, port: number, token: Uint8Array, now: MonotonicMs): Buffer | undefined {
    if (token.length < MAC_BYTES + TIME_BYTES || token.length > MAC_BYTES + TIME_BYTES + MAX_ID_BYTES) return undefined;
    const body = Buffer.from(token.subarray(MAC_BYTES));
    if (!timingSafeEqual(token.subarray(0, MAC_BYTES), this.#mac(host, port, body))) return undefined;
    const age = now - body.readUIntBE(0, TIME_BYTES);
    return age < 0 || age > LIFETIME_MS ? undefined : body.subarray(TIME_BYTES);
  }

  #mac(host: string, port: number, body: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(`${host} ${port} `).update(body).digest();
  }
}
