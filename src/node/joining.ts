import type { SallyportError } from "../base/errors.ts";
import type { DialTarget, NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { DEFAULT_RECONNECT, type Reconnect } from "./backoff.ts";
import type { BarrelPorts } from "./connection-parts.ts";
import { Exchange, type ExchangeParts } from "./exchange.ts";
import type { ExchangePlan } from "./exchange-plan.ts";
import type { NodeCore } from "./node-core.ts";
import type { Dialers, SeedSource } from "./ports.ts";
import type { SeedHealth } from "./seed.ts";
import { SeedSources } from "./seed-sources.ts";
import type { Session } from "./session.ts";
import type { SessionHost } from "./session-host.ts";
import type { SessionWatcher } from "./session-watcher.ts";
import { CONFIGURED, Upkeep } from "./upkeep.ts";

/** The nodes that a node connects to by itself. */
export interface JoiningParts {
  readonly seeds?: readonly DialTarget[] | undefined;
  readonly seedSources?: readonly SeedSource[] | undefined;
  readonly reconnect?: Reconnect | undefined;
  /** Undefined: nobody is asked for other nodes, and nobody is answered. */
  readonly exchange?: ExchangePlan | undefined;
  readonly dialers: Dialers;
  readonly barrel?: BarrelPorts | undefined;
}

/** How a node finds others and stays connected with them: seeds, sources of seeds, and peer exchange. */
export class Joining implements SessionWatcher {
  readonly #parts: JoiningParts;
  readonly #upkeep: Upkeep;
  readonly #sources: SeedSources;
  readonly #exchange: Exchange | undefined;

  constructor(parts: JoiningParts, core: NodeCore, host: SessionHost, call: ExchangeParts["call"]) {
    const { seeds = [], seedSources: sources = [], reconnect = DEFAULT_RECONNECT, exchange: plan, dialers } = parts;
    const { name: own, clock, random, counters, events } = core;
    const warn = (reason: string, message: string): void => events.emit("warning", { reason, message });
    const sessionWith = (name: NodeName): Session | undefined => host.sessions.reach(name);
    this.#parts = parts;
    this.#upkeep = new Upkeep({
      own,
      clock,
      random,
      reconnect,
      sessionWith,
      dial: (target) => host.dial(target),
      warn,
    });
    this.#upkeep.keep(CONFIGURED, seeds);
    const listed = (label: string, targets: readonly DialTarget[]): void => this.#upkeep.keep(label, targets);
    this.#sources = new SeedSources({ sources, clock, random, warn, listed });
    if (plan === undefined) return;
    this.#exchange = new Exchange({
      own,
      clock,
      random,
      counters,
      plan,
      mayDial: (scheme) => (scheme === "quic" ? parts.barrel : dialers[scheme]) !== undefined,
      sessionWith,
      call,
      isKept: (name) => this.#upkeep.has(name),
      learned: (names) => {
        if (plan.connect) listed(plan.hints.label, names.map(toTarget));
      },
    });
  }

  /** Handlers of the process that answers who asks for nodes; undefined for a node that takes no part in the exchange. */
  get answers(): Exchange["handlers"] | undefined {
    return this.#exchange?.handlers;
  }

  /** Listeners are bound: from now on seeds are dialled. */
  start(): void {
    this.#upkeep.start();
    this.#sources.start();
  }

  stop(): void {
    this.#sources.stop();
    this.#exchange?.stop();
    this.#upkeep.stop();
  }

  up(session: Session, address: DialAddress | undefined): void {
    this.#upkeep.up(session);
    this.#exchange?.up(session, address);
  }

  down(session: Session, cause: SallyportError | undefined): void {
    this.#exchange?.down(session, cause);
    this.#upkeep.down(session, cause);
  }

  /** The owner asks for a session: see `Node.connect`. */
  wanted({ name }: DialTarget): void {
    this.#upkeep.wanted(name);
  }

  /** The owner ends a session: see `Node.disconnect`. */
  disconnected({ name }: DialTarget): void {
    this.#upkeep.disconnected(name);
  }

  /** Whether the connection with this peer is to stand, used or not. */
  isKept(name: NodeName): boolean {
    return this.#upkeep.has(name);
  }

  health(): readonly SeedHealth[] {
    return this.#upkeep.health();
  }

  problems(): readonly string[] {
    return this.#upkeep.isTroubled(this.#parts.exchange?.hints.label ?? "") ? ["SEED_NOT_JOINED"] : [];
  }
}

function toTarget(name: NodeName): DialTarget {
  return { name, port: undefined };
}
