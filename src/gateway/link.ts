import type { MonotonicMs } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { AcceptHandler, Admission } from "../carrier/carrier.ts";
import type { ChannelledAcceptHandler } from "../carrier/channels.ts";
import type { BarrelLink } from "../dist/barrel-link.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import type { DutyEvent } from "./duty.ts";
import type { FilterReport } from "./filter-report.ts";
import type { Leg } from "./leg.ts";
import type { LegCarrier } from "./leg-carrier.ts";
import type { MessageFilter, Side } from "./message-filter.ts";
import { Pair, type PairWatcher } from "./pair.ts";
import { tooManyAttempts } from "./pair-failures.ts";
import type { Route } from "./route.ts";

/** Handshakes of one dialling name on one listener at once. A node needs one; two where it dials again at once. */
export const MAX_PAIRING_ATTEMPTS = 8;

/** Something that happened to a pair. Names are claims until `up`. */
export type PairEvent =
  | {
      readonly kind: "up";
      readonly inside: NodeName;
      readonly outside: NodeName;
      readonly dialledBy: Side;
      /** `host:port` of the dialling node. */
      readonly address: string;
      /** From the first byte, milliseconds. */
      readonly durationMs: number;
    }
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
      /** How long it stood, or was tried, milliseconds. */
      readonly durationMs: number;
      /** What the session has counted in the end; undefined when it was none, or is not counted. */
      readonly report: FilterReport | undefined;
    };

/** What a gateway tells of its pairs. `pair`: the name of the pair. */
export type GatewayEvent = (PairEvent & { readonly pair: string }) | DutyEvent;

/** A pair of nodes that is up. */
export interface LinkSession {
  readonly inside: NodeName;
  readonly outside: NodeName;
  readonly dialledBy: Side;
  /** `host:port` of the dialling node. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly sinceMs: number;
  readonly filter: MessageFilter;
}

/** All pairs that come of one listener. */
export class Link implements PairWatcher {
  readonly #route: Route;
  readonly #tell: (event: PairEvent) => void;
  /** Each with the time of its first byte. */
  readonly #pairs = new Map<Pair, MonotonicMs>();
  readonly #sessions = new Map<Pair, LinkSession & { readonly upAt: MonotonicMs }>();
  readonly #attempts = new Map<NodeName, Set<Pair>>();
  /** Why pairs were ended from here. */
  readonly #causes = new Map<Pair, SallyportError>();
  #isClosed = false;

  constructor(route: Route, tell: (event: PairEvent) => void) {
    this.#route = route;
    this.#tell = tell;
  }

  /** Pairs, those in their handshake included. */
  get size(): number {
    return this.#pairs.size;
  }

  readonly accept: AcceptHandler = (carrier, admission) =>
    this.#accepted({ kind: "stream", make: () => carrier }, admission).near.connection;

  /** For listeners on QUIC. */
  readonly acceptChannels: ChannelledAcceptHandler = (carrier, admission) =>
    this.#accepted({ kind: "channels", make: () => carrier }, admission).near.link as BarrelLink;

  #accepted(carrier: LegCarrier, admission: Admission): Pair {
    const pair = new Pair(this.#route, this, carrier, admission);
    if (this.#isClosed) pair.end();
    else this.#pairs.set(pair, this.#now());
    return pair;
  }

  /** Those that are up. */
  get sessions(): Iterable<LinkSession> {
    return this.#sessions.values();
  }

  /** Ends all pairs in good order, and those that still come. `cause`: why, for the events. */
  close(cause?: SallyportError): void {
    this.#isClosed = true;
    for (const pair of [...this.#pairs.keys()]) this.#end(pair, cause);
  }

  /** Ends all pairs at once: nothing is sent any more. */
  destroy(cause: SallyportError): void {
    for (const pair of [...this.#pairs.keys()]) {
      this.#causes.set(pair, cause);
      pair.giveWay(cause);
    }
  }

  /** Ends the session of a filter in good order. */
  end(filter: MessageFilter, cause: SallyportError): void {
    for (const [pair, session] of [...this.#sessions]) if (session.filter === filter) this.#end(pair, cause);
  }

  #end(pair: Pair, cause: SallyportError | undefined): void {
    if (cause !== undefined) this.#causes.set(pair, cause);
    pair.end("stopping");
  }

  /** Trust has changed in these keys' directory: ends the pairs that rest on what is gone. */
  cut(keeper: IdentityKeeper, changes: readonly TrustChange[]): void {
    for (const pair of [...this.#pairs.keys()]) pair.cut(keeper, changes);
  }

  #now(): MonotonicMs {
    return this.#route.world.clock.now();
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
    const { from, target, world } = this.#route;
    const [outside, inside] = from === "outside" ? [dialler, target] : [target, dialler];
    const address = pair.near.connection.remoteAddress;
    const upAt = this.#now();
    const names = { inside, outside, dialledBy: from, address };
    const { filter } = pair;
    if (filter !== undefined) this.#sessions.set(pair, { ...names, sinceMs: world.clock.wallMs(), filter, upAt });
    this.#tell({ kind: "up", ...names, durationMs: upAt - (this.#pairs.get(pair) ?? upAt) });
  }

  ended(pair: Pair, first: Leg, cause: SallyportError | undefined): void {
    const now = this.#now();
    const session = this.#sessions.get(pair);
    const since = session?.upAt ?? this.#pairs.get(pair) ?? now;
    const error = this.#causes.get(pair) ?? cause;
    this.#pairs.delete(pair);
    this.#sessions.delete(pair);
    this.#causes.delete(pair);
    this.#settled(pair);
    this.#tell({
      kind: pair.wasUp ? "down" : "refused",
      dialledBy: this.#route.from,
      target: this.#route.target,
      dialler: pair.near.peer,
      address: pair.near.connection.remoteAddress,
      endedBy: first.side,
      error,
      durationMs: now - since,
      report: session?.filter.report?.(),
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
