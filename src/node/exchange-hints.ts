import { addMs, type Clock } from "../base/clock.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { MAX_EXCHANGE_PEERS, MAX_PEER_ENDPOINTS, type ToldPeer } from "./exchange-words.ts";
import type { Resolver } from "./ports.ts";

/** Nodes that all peers together may tell of; each of those that are asked has its part of it. */
export const MAX_EXCHANGE_HINTS = 16_384;

/** How long what a peer told counts, without a further answer of it, milliseconds. */
export const EXCHANGE_TTL_MS = 300_000;

interface Answer {
  readonly peers: ReadonlyMap<NodeName, ToldPeer>;
  readonly until: number;
}

/**
 * What peers told of others: where they may be reached. Nothing but hints; who answers there is found out by the handshake. An answer
 * replaces the one before of the same peer, and lapses.
 */
export class ExchangeHints implements Resolver {
  readonly label = "peer exchange";
  readonly #clock: Clock;
  readonly #answers = new Map<NodeName, Answer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes an answer of `teller`, one of `tellers` peers that are asked. */
  take(teller: NodeName, tellers: number, told: readonly ToldPeer[]): void {
    const share = Math.min(MAX_EXCHANGE_PEERS, Math.floor(MAX_EXCHANGE_HINTS / tellers));
    const peers = new Map(told.slice(0, share).map((peer) => [canonicalName(peer.name), peer]));
    this.#answers.set(teller, { peers, until: addMs(this.#clock.now(), EXCHANGE_TTL_MS) });
  }

  /** Of all tellers, in the order in which they first answered; each address once. */
  async resolve(name: NodeName): Promise<readonly DialAddress[]> {
    const key = canonicalName(name);
    const found: DialAddress[] = [];
    for (const { peers } of this.#standing()) {
      for (const address of peers.get(key)?.endpoints ?? []) {
        if (found.length < MAX_PEER_ENDPOINTS && !found.some((known) => isSame(known, address))) found.push(address);
      }
    }
    return found;
  }

  /** All nodes that are told of now. */
  names(): readonly NodeName[] {
    const names = new Map<NodeName, NodeName>();
    for (const { peers } of this.#standing()) for (const [key, { name }] of peers) names.set(key, name);
    return [...names.values()];
  }

  *#standing(): Iterable<Answer> {
    const now = this.#clock.now();
    for (const [teller, answer] of this.#answers) {
      if (answer.until > now) yield answer;
      else this.#answers.delete(teller);
    }
  }
}

function isSame(a: DialAddress, b: DialAddress): boolean {
  return a.host === b.host && a.port === b.port && a.scheme === b.scheme;
}
