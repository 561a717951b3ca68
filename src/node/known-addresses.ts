import type { Assurance } from "../base/assurance.ts";
import { hostOf, plainHost } from "../carrier/socket-address.ts";

/** Addresses remembered at most; the one that was not seen for the longest time goes. */
export const MAX_KNOWN_ADDRESSES = 4096;

/**
 * From where peers came that are surely who they say: these keep places of their own in the accept gate, so that a flood of
 * strangers does not shut them out (rulings S6).
 */
export class KnownAddresses {
  /** Host without port, the one not seen for the longest time first. */
  readonly #hosts = new Set<string>();

  /** A session stands. One that rests on nothing but first sight makes nobody known. */
  sessionUp(address: string, assurance: Assurance): void {
    if (assurance !== "none" && assurance !== "tofu") this.add(address);
  }

  /** @param address `host:port`, `[host]:port` */
  add(address: string): void {
    const host = hostOf(address);
    if (host === undefined) return;
    this.#hosts.delete(host);
    this.#hosts.add(host);
    if (this.#hosts.size <= MAX_KNOWN_ADDRESSES) return;
    for (const oldest of this.#hosts) {
      this.#hosts.delete(oldest);
      return;
    }
  }

  /** @param host without port */
  has(host: string): boolean {
    return this.#hosts.has(plainHost(host));
  }
}
