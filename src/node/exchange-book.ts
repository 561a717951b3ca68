import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import { addMs, type Clock } from "../base/clock.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { EXCHANGE_TTL_MS } from "./exchange-hints.ts";
import { MAX_EXCHANGE_PEERS, type ToldPeer } from "./exchange-words.ts";

interface Entry extends ToldPeer {
  readonly assurance: Assurance;
  /** Monotonic milliseconds; Infinity while the session stands that this node dialled. */
  readonly until: number;
}

/** Who asks, or is told of. */
export interface Participant {
  readonly name: NodeName;
  readonly assurance: Assurance;
}

/** The nodes that this one tells others of, each known at first hand: by its own word, or because it was dialled there. */
export class ExchangeBook {
  readonly #clock: Clock;
  readonly #said = new Map<NodeName, Entry>();
  readonly #reached = new Map<NodeName, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A peer said where it is reached; nowhere for one that only dials. What finds no room is dropped. */
  said({ name, assurance }: Participant, endpoints: readonly DialAddress[]): void {
    const key = canonicalName(name);
    this.#said.delete(key);
    if (endpoints.length === 0) return;
    if (this.#said.size >= MAX_EXCHANGE_PEERS) this.#expire();
    if (this.#said.size >= MAX_EXCHANGE_PEERS) return;
    this.#said.set(key, { name, assurance, endpoints, until: addMs(this.#clock.now(), EXCHANGE_TTL_MS) });
  }

  /** This node reached a peer at an address. */
  reached({ name, assurance }: Participant, address: DialAddress): void {
    const key = canonicalName(name);
    if (this.#reached.size >= MAX_EXCHANGE_PEERS && !this.#reached.has(key)) return;
    this.#reached.set(key, { name, assurance, endpoints: [address], until: Number.POSITIVE_INFINITY });
  }

  /** The session with a peer ended; `isCut`: because it lost its standing, so that its own word counts no more either. */
  left(name: NodeName, isCut: boolean): void {
    const key = canonicalName(name);
    this.#reached.delete(key);
    if (isCut) this.#said.delete(key);
  }

  /**
   * Whom `asker` is told of: all but itself and those of whom this node is less sure than of the asker, since an address that
   * somebody less sure has chosen must not make a surer one dial.
   */
  tell(asker: Participant): readonly ToldPeer[] {
    this.#expire();
    const told = new Map<NodeName, ToldPeer>();
    for (const entries of [this.#reached, this.#said]) {
      for (const [key, entry] of entries) {
        if (key !== canonicalName(asker.name) && assuranceAtLeast(entry.assurance, asker.assurance))
          told.set(key, entry);
      }
    }
    return [...told.values()].slice(0, MAX_EXCHANGE_PEERS);
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#said) if (until <= now) this.#said.delete(key);
  }
}
