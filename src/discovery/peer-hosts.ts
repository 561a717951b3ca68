import { lookup } from "node:dns/promises";
import { parseAddress } from "../base/address-range.ts";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { KnownSources } from "../carrier/source-list.ts";

/** Hosts of peers whose addresses are kept, at most; further ones are left out. */
export const MAX_PEER_HOSTS = 256;

/** Addresses kept of one of them. */
export const MAX_ADDRESSES_PER_HOST = 16;

/** How often they are looked up anew, milliseconds. */
export const PEER_HOSTS_MS = 60_000;

/** Longest wait for one answer, milliseconds. */
export const PEER_LOOKUP_MS = 5_000;

/** Lookups at once: each takes one of the few threads of the platform. */
const LOOKUPS_AT_ONCE = 2;

/** The addresses of a host, as texts. @throws the system's error */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/** Asks as every program of this machine does, hosts file included. */
export const systemLookup: HostLookup = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** The addresses under which hosts are found, looked up again and again. What cannot be looked up keeps its last answer. */
export class PeerHosts implements KnownSources {
  readonly #clock: Clock;
  readonly #lookup: HostLookup;
  #addresses = new Map<string, ReadonlySet<string>>();
  #hosts: readonly string[] = [];
  /** Lookups that have not come back, by host: none is asked twice at once. */
  readonly #asking = new Set<string>();
  #timer: Timer | undefined;
  #round = 0;

  constructor(clock: Clock, lookupHost: HostLookup = systemLookup) {
    this.#clock = clock;
    this.#lookup = lookupHost;
  }

  holds(address: Uint8Array): boolean {
    const key = address.join(".");
    for (const known of this.#addresses.values()) if (known.has(key)) return true;
    return false;
  }

  /** Looks these up from now on, in place of others. Resolves when all were answered or took too long. Never rejects. */
  async replace(hosts: readonly string[]): Promise<void> {
    this.#timer?.cancel();
    const round = ++this.#round;
    this.#hosts = [...new Set(hosts)].slice(0, MAX_PEER_HOSTS);
    const kept = new Map<string, ReadonlySet<string>>();
    for (const host of this.#hosts) {
      const octets = parseAddress(host);
      const known = octets === undefined ? this.#addresses.get(host) : new Set([octets.join(".")]);
      if (known !== undefined) kept.set(host, known);
    }
    this.#addresses = kept;
    await this.#lookUpAll(round);
  }

  /** Asks no more. Idempotent. */
  stop(): void {
    this.#round++;
    this.#timer?.cancel();
  }

  async #lookUpAll(round: number): Promise<void> {
    const waiting = this.#hosts.filter((host) => parseAddress(host) === undefined);
    if (waiting.length === 0) return;
    const work = async (): Promise<void> => {
      for (let host = waiting.shift(); host !== undefined && round === this.#round; host = waiting.shift()) {
        await this.#lookUp(host, round);
      }
    };
    await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, work));
    if (round !== this.#round) return;
    this.#timer = this.#clock.at(addMs(this.#clock.now(), PEER_HOSTS_MS), () => void this.#lookUpAll(round), true);
  }

  /** An answer that comes too late still counts. */
  #lookUp(host: string, round: number): Promise<void> {
    if (this.#asking.has(host)) return Promise.resolve();
    this.#asking.add(host);
    return new Promise((resolve) => {
      const late = this.#clock.at(addMs(this.#clock.now(), PEER_LOOKUP_MS), resolve, true);
      const over = (): void => {
        this.#asking.delete(host);
        late.cancel();
        resolve();
      };
      this.#lookup(host).then((found) => {
        if (round === this.#round) this.#addresses.set(host, keysOf(found));
        over();
      }, over);
    });
  }
}

function keysOf(found: readonly string[]): ReadonlySet<string> {
  const keys = found.slice(0, MAX_ADDRESSES_PER_HOST).map((text) => parseAddress(text)?.join("."));
  return new Set(keys.filter((key) => key !== undefined));
}
