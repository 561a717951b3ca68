import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { AcceptHandler } from "../carrier/carrier.ts";
import type { DutyEvent } from "./duty.ts";
import type { Leg } from "./leg.ts";
import type { Side } from "./message-filter.ts";
import { Pair, type PairWatcher, type Route } from "./pair.ts";
import { tooManyAttempts } from "./pair-failures.ts";

/** Handshakes of one dialling name on one listener at once. A node needs one; two where it dials again at once. */
export const MAX_PAIRING_ATTEMPTS = 8;

/** Something that happened to a pair. Names are claims until `up`. */
export type PairEvent =
  | { readonly kind: "up"; readonly inside: NodeName; readonly outside: NodeName; readonly dialledBy: Side }
  | {
      readonly kind: "down" | "refused";
      readonly dialledBy: Side;
      readonly target: NodeName;
      /** Undefined when nobody has said a name. */
      readonly dialler: NodeName | undefined;
      /** `host:port` of the dialling node. */
      readonly address: string;
      /** The side whose leg ended first. */
      readonly endedBy: Side;
      /** Undefined when that node has left in good order. */
      readonly error: SallyportError | undefined;
    };

/** What a gateway tells of its pairs. */
export type GatewayEvent = PairEvent | DutyEvent;

/** All pairs that come of one listener. */
export class Link implements PairWatcher {
  readonly #route: Route;
  readonly #tell: (event: PairEvent) => void;
  readonly #pairs = new Set<Pair>();
  readonly #attempts = new Map<NodeName, Set<Pair>>();
  #isClosed = false;

  constructor(route: Route, tell: (event: PairEvent) => void) {
    this.#route = route;
    this.#tell = tell;
  }

  /** Pairs, those in their handshake included. */
  get size(): number {
    return this.#pairs.size;
  }

  readonly accept: AcceptHandler = (carrier, admission) => {
    const pair = new Pair(this.#route, this, carrier, admission);
    if (this.#isClosed) pair.end();
    else this.#pairs.add(pair);
    return pair.near.connection;
  };

  close(): void {
    this.#isClosed = true;
    for (const pair of [...this.#pairs]) pair.end();
  }

  attempted(pair: Pair, claimed: NodeName): void {
    const attempts = this.#attempts.get(claimed) ?? new Set();
    if (attempts.size >= MAX_PAIRING_ATTEMPTS) throw tooManyAttempts(claimed, MAX_PAIRING_ATTEMPTS);
    attempts.add(pair);
    this.#attempts.set(claimed, attempts);
  }

  up(pair: Pair): void {
    this.#settled(pair);
    const dialler = pair.near.peer as NodeName;
    const { from, target } = this.#route;
    const [outside, inside] = from === "outside" ? [dialler, target] : [target, dialler];
    this.#tell({ kind: "up", inside, outside, dialledBy: from });
  }

  ended(pair: Pair, first: Leg, cause: SallyportError | undefined): void {
    this.#pairs.delete(pair);
    this.#settled(pair);
    this.#tell({
      kind: pair.wasUp ? "down" : "refused",
      dialledBy: this.#route.from,
      target: this.#route.target,
      dialler: pair.near.peer,
      address: pair.near.connection.remoteAddress,
      endedBy: first.side,
      error: cause,
    });
  }

  #settled(pair: Pair): void {
    const name = pair.near.peer;
    const attempts = name === undefined ? undefined : this.#attempts.get(name);
    if (name === undefined || attempts === undefined) return;
    attempts.delete(pair);
    if (attempts.size === 0) this.#attempts.delete(name);
  }
}
