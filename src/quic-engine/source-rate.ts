import { parseAddress } from "../base/address-range.ts";
import type { MonotonicMs } from "../base/clock.ts";

/** Sources remembered; above it the one that was quiet longest is forgotten. A source is some 100 octets. */
const MAX_SOURCES = 4096;

interface Bucket {
  tokens: number;
  since: MonotonicMs;
}

/** Bounds how many connections a source begins: an IPv4 /24 or an IPv6 /56. Each begins with work for our TLS. */
export class SourceRate {
  readonly #perSecond: number;
  readonly #burst: number;
  /** Longest quiet first. */
  readonly #sources: Map<string, Bucket> = new Map<string, Bucket>();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** True when one more may begin now. */
  admit(address: string, now: MonotonicMs): boolean {
    const key = sourceKey(address);
    const known = this.#sources.get(key);
    const bucket = known ?? { tokens: this.#burst, since: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.since) * this.#perSecond) / 1000);
    bucket.since = now;
    if (known !== undefined) this.#sources.delete(key);
    else if (this.#sources.size >= MAX_SOURCES) this.#forgetOldest();
    this.#sources.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #forgetOldest(): void {
    for (const key of this.#sources.keys()) {
      this.#sources.delete(key);
      return;
    }
  }
}

/** The network of an address as `node:dgram` gives it: its first three octets, or seven of an IPv6 one. */
function sourceKey(address: string): string {
  const octets = parseAddress(address);
  return octets === undefined ? address : String.fromCharCode(...octets.subarray(0, octets.length === 4 ? 3 : 7));
}
