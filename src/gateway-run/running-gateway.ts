import { OpenChallenges } from "../auth/otp-types.ts";
import { AcceptGate } from "../carrier/accept-gate.ts";
import { acceptsConnections, portAtEpmd } from "../discovery/epmd-client.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import type { Gateway, GatewayEndpoint } from "../gateway/api.ts";
import type { DutySubject, DutyWorld } from "../gateway/duty.ts";
import type { GatewayEvent } from "../gateway/link.ts";
import type { FilterFactory } from "../gateway/message-filter.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import { Budgets } from "../guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import { judgeWith } from "../node/certificate-judge.ts";
import { Counters } from "../node/counters.ts";
import { Decisions } from "../node/decisions.ts";
import { EventHub } from "../node/event-hub.ts";
import { readCertificateFacts } from "../x509/certificate-facts.ts";
import { DutyWatch } from "./duty-watch.ts";
import type { GatewaySystem, PairWorld } from "./gateway-world.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { type PairPlan, planPair } from "./plan-pair.ts";
import { PortMappers } from "./port-mappers.ts";
import { RunningPair } from "./running-pair.ts";

/** A gateway over a given system. */
export class RunningGateway implements Gateway {
  readonly #options: GatewayOptions;
  readonly #world: PairWorld;
  readonly #pairs: RunningPair[] = [];
  #plans: readonly PairPlan[] = [];
  #duty: DutyWatch | undefined;

  private constructor(options: GatewayOptions, system: GatewaySystem, filterFor: FilterFactory | undefined) {
    this.#options = options;
    this.#world = worldOf(options, system, filterFor, (event) => this.#happened(event));
  }

  /**
   * Makes a gateway and binds its listeners.
   * @param filterFor makes the filter of each pair in place of the rules in `options`
   * @throws {SallyportError} ERR_CONFIG
   */
  static async start(
    options: GatewayOptions,
    system: GatewaySystem,
    filterFor: FilterFactory | undefined,
  ): Promise<Gateway> {
    const gateway = new RunningGateway(options, system, filterFor);
    try {
      await gateway.#start();
    } catch (error) {
      await gateway.close();
      throw error;
    }
    return gateway;
  }

  get endpoints(): readonly GatewayEndpoint[] {
    return this.#pairs.flatMap(({ endpoints }) => endpoints);
  }

  get pairs(): number {
    return this.#pairs.reduce((sum, pair) => sum + pair.size, 0);
  }

  async close(): Promise<void> {
    this.#duty?.stop();
    for (const pair of this.#pairs) await pair.close();
    await this.#world.mappers.close();
  }

  async #start(): Promise<void> {
    const { pairs, dangerous } = this.#options;
    if (pairs.length === 0) throw pairInvalid("a gateway without pairs", "give at least one pair");
    const plans = pairs.map((pair) => planPair(pair, dangerous?.plaintext ?? false, this.#world));
    for (const plan of plans) this.#pairs.push(await RunningPair.open(plan, this.#world));
    await this.#world.mappers.listen();
    this.#plans = plans;
    const { system } = this.#world;
    this.#duty = new DutyWatch({
      clock: system.clock,
      world: dutyWorld(system),
      subjects: () => this.#subjects(),
      tell: (inside, findings) => this.#options.onEvent?.({ kind: "duty", inside, findings }),
    });
  }

  #happened(event: GatewayEvent): void {
    this.#options.onEvent?.(event);
    // Only now is it sure to have registered.
    if (event.kind === "up") this.#duty?.look();
  }

  #subjects(): readonly DutySubject[] {
    const { mappers } = this.#world;
    return this.#plans.map(({ inside, dialledAt, onlyDials }) => ({
      inside,
      onlyDials,
      dialledAt,
      registeredPort: mappers.registeredPort(inside),
      ownMappers: mappers.addresses,
    }));
  }
}

/** What the check for other ways to the inside nodes asks of the network. */
function dutyWorld({ sockets, clock, addresses }: GatewaySystem): DutyWorld {
  return {
    lookup: (host, port, name) => portAtEpmd({ sockets, clock, port }, host, name),
    accepts: (host, port) => acceptsConnections({ sockets, clock }, host, port),
    addresses,
  };
}

function worldOf(
  options: GatewayOptions,
  system: GatewaySystem,
  filterFor: FilterFactory | undefined,
  happened: PairWorld["happened"],
): PairWorld {
  const { maxKeptDecisions: maxKept, maxToldPerKind, maxBudgets } = DEFAULT_GUARD_LIMITS;
  const { tickTimeMs } = options;
  return {
    system,
    legs: {
      clock: system.clock,
      limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
      ticks: { ...DEFAULT_TICK_OPTIONS, ...(tickTimeMs === undefined ? {} : { tickTimeMs }) },
      judgeCertificate: judgeWith("standard"),
      readCertificate: readCertificateFacts,
    },
    gate: new AcceptGate(system, options.acceptLimits),
    openChallenges: new OpenChallenges(),
    budgets: new Budgets(maxBudgets),
    decisions: new Decisions({
      ...system,
      events: new EventHub(() => {}),
      counters: new Counters(),
      audit: undefined,
      maxKept,
      maxToldPerKind,
      recordsGrants: false,
    }),
    mappers: new PortMappers(options.epmd ?? {}, system),
    filterFor,
    happened,
    said: (event) => options.onMessage?.(event),
  };
}
