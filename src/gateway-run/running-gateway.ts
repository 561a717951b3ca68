import { addMs, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { acceptsConnections, portAtEpmd } from "../discovery/epmd-client.ts";
import type {
  Gateway,
  GatewayDrained,
  GatewayDrainOptions,
  GatewayEndpoint,
  GatewayHealth,
  GatewayReload,
  GatewayStatus,
} from "../gateway/api.ts";
import type { DutySubject, DutyWorld } from "../gateway/duty.ts";
import type { LinkSession, PairEvent } from "../gateway/link.ts";
import type { FilterFactory } from "../gateway/message-filter.ts";
import type { GatewayNotice } from "../gateway/notices.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import type { MessageEvent } from "../gateway/pair-rules.ts";
import { parseHealthAddress } from "../health/health-address.ts";
import type { HealthEndpoint } from "../health/health-endpoint.ts";
import type { Decision } from "../policy/decision.ts";
import { DutyWatch } from "./duty-watch.ts";
import { GatewayAudit } from "./gateway-audit.ts";
import { gatewayHealthOf, openGatewayProbes } from "./gateway-health.ts";
import type { GatewaySystem, PairWorld } from "./gateway-world.ts";
import { makeWorld } from "./make-world.ts";
import { PairBook } from "./pair-book.ts";
import { drained } from "./pair-ends.ts";
import { pairName } from "./plan-pair.ts";
import { demandSameStart } from "./restart-needed.ts";
import type { RunningPair } from "./running-pair.ts";

/** Default of `GatewayDrainOptions.timeoutMs`. */
export const DEFAULT_DRAIN_MS = 30_000;

/** A gateway over a given system. */
export class RunningGateway implements Gateway {
  readonly #startedMs: number;
  readonly #audit: GatewayAudit | undefined;
  readonly #world: PairWorld;
  readonly #book: PairBook;
  #options: GatewayOptions;
  #state: GatewayStatus["state"] = "running";
  #duty: DutyWatch | undefined;
  #probes: HealthEndpoint | undefined;
  /** Reloads come one after the other. */
  #reloading: Promise<unknown> = Promise.resolve();
  #drain: { ended: number; readonly empty: () => void } | undefined;

  private constructor(options: GatewayOptions, system: GatewaySystem, filterFor: FilterFactory | undefined) {
    this.#options = options;
    this.#startedMs = system.clock.wallMs();
    this.#audit =
      options.audit === undefined
        ? undefined
        : new GatewayAudit(options.audit, system, (reason, message) => this.#warn(reason, message));
    this.#world = makeWorld(options, system, {
      filterFor,
      audit: this.#audit,
      happened: (pair, event, session) => this.#happened(pair, event, session),
      said: (pair, event) => this.#said(pair, event),
      // Not before whoever asked for the gateway has it.
      notice: (notice) => system.clock.later(() => this.#notice(notice)),
    });
    this.#book = new PairBook(this.#world);
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

  /** Reads all that `start` would read. @throws {SallyportError} ERR_CONFIG */
  static check(options: GatewayOptions, system: GatewaySystem): void {
    const { audit: _, ...others } = options;
    if (options.health !== undefined) parseHealthAddress(options.health.listen);
    const gateway = new RunningGateway(others, system, undefined);
    gateway.#world.mappers.check();
    gateway.#world.admission.check(options);
    gateway.#book.check(options);
  }

  get endpoints(): readonly GatewayEndpoint[] {
    return this.#book.all.flatMap(({ endpoints }) => endpoints);
  }

  get pairs(): number {
    return this.#book.all.reduce((sum, pair) => sum + pair.size, 0);
  }

  status(): GatewayStatus {
    const { dangerous, epmd } = this.#options;
    return {
      state: this.#state,
      startedMs: this.#startedMs,
      plaintext: dangerous?.plaintext ?? false,
      epmd: epmd ?? {},
      audit: this.#audit?.status() ?? null,
      sources: this.#world.admission.counters(),
      pairs: this.#book.all.map((pair) => pair.status(this.#duty?.findings(pair.plan.inside) ?? [])),
    };
  }

  health(): GatewayHealth {
    const unbound = this.#book.all.filter(({ isListening }) => !isListening).map(({ name }) => name);
    return gatewayHealthOf({ status: this.status(), expiry: this.#world.expiry, unbound });
  }

  get healthEndpoint(): string | null {
    return this.#probes?.url ?? null;
  }

  why(id: string): Decision | undefined {
    return this.#world.decisions.why(id);
  }

  reload(options: GatewayOptions): Promise<GatewayReload> {
    const result = this.#reloading.then(() => this.#reload(options));
    this.#reloading = result.catch(() => undefined);
    return result;
  }

  async #reload(options: GatewayOptions): Promise<GatewayReload> {
    if (this.#state !== "running") throw notRunning(this.#state);
    demandSameStart(this.#options, options);
    this.#world.admission.check(options);
    const result = await this.#book.take(options);
    await this.#world.admission.take(options);
    // Who hears of events stays who it was.
    const { onEvent, onMessage, onNotice } = this.#options;
    const listeners = Object.fromEntries(Object.entries({ onEvent, onMessage, onNotice }).filter(([, told]) => told));
    this.#options = { ...options, ...listeners };
    this.#duty?.look();
    return result;
  }

  async drain({ timeoutMs = DEFAULT_DRAIN_MS, handOver = false }: GatewayDrainOptions = {}): Promise<GatewayDrained> {
    if (this.#state !== "running") throw notRunning(this.#state);
    this.#state = "draining";
    this.#duty?.stop();
    const release = (pair: RunningPair) => (handOver ? pair.handOver(drained(pair.name)) : pair.unlisten());
    const released = [...this.#book.all.map(release), this.#world.mappers.close()];
    if (handOver) this.#audit?.handOver();
    if (handOver) void this.#probes?.close();
    const { clock } = this.#world.system;
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      this.#drain = { ended: 0, empty: resolve };
      timer = clock.at(addMs(clock.now(), timeoutMs), resolve);
    });
    await Promise.all(released);
    // What a reload that was under way has opened meanwhile.
    await this.#reloading;
    await Promise.all(this.#book.all.map((pair) => pair.unlisten()));
    if (this.pairs > 0) await over;
    timer?.cancel();
    const ended = this.#drain?.ended ?? 0;
    const cut = this.#book.all.reduce((sum, pair) => sum + pair.sessions.length, 0);
    await this.#book.close(drained);
    await this.close();
    return { ended, cut };
  }

  async close(): Promise<void> {
    this.#duty?.stop();
    const isNew = this.#state !== "closed";
    this.#state = "closed";
    this.#drain?.empty();
    await this.#book.close();
    await this.#world.mappers.close();
    await this.#reloading;
    await this.#book.close();
    if (!isNew) return;
    await this.#probes?.close();
    this.#world.expiry.stop();
    this.#world.decisions.stop();
    this.#world.admission.stop();
    this.#audit?.close();
  }

  async #start(): Promise<void> {
    const { system, mappers, admission } = this.#world;
    await admission.take(this.#options);
    await this.#book.take(this.#options);
    await mappers.listen();
    const { health } = this.#options;
    if (health !== undefined) this.#probes = await openGatewayProbes(health, () => this.health(), system.clock);
    this.#world.expiry.start();
    if ((this.#options.dangerous?.plaintext ?? false) !== false) {
      const message = "plain TCP on the outside is on: whoever can read the network reads and forges everything";
      this.#world.notice({ kind: "warning", reason: "DANGEROUS_PLAINTEXT", message });
    }
    this.#duty = new DutyWatch({
      clock: system.clock,
      world: dutyWorld(system),
      subjects: () => this.#subjects(),
      tell: (inside, findings) => this.#options.onEvent?.({ kind: "duty", inside, findings }),
    });
  }

  #happened(pair: string, event: PairEvent, session: LinkSession | undefined): void {
    if (event.kind === "up") this.#audit?.up(pair, event, session);
    else this.#audit?.over(pair, event);
    this.#options.onEvent?.({ ...event, pair });
    // Only now is it sure to have registered.
    if (event.kind === "up") this.#duty?.look();
    if (this.#drain === undefined) return;
    if (event.kind === "down") this.#drain.ended++;
    if (this.pairs === 0) this.#drain.empty();
  }

  #said(pair: string, event: MessageEvent): void {
    this.#audit?.message(pair, event);
    const { onMessage, pairs } = this.#options;
    if (onMessage === undefined) return;
    if (event.kind === "command" && !isAskedFor(pairs, pair)) return;
    const decision = event.kind === "denied" && event.id !== undefined ? this.why(event.id) : undefined;
    onMessage({ ...event, pair, ...(decision === undefined ? {} : { decision }) });
  }

  #warn(reason: string, message: string): void {
    this.#notice({ kind: "warning", reason, message });
  }

  #notice(notice: GatewayNotice): void {
    this.#options.onNotice?.(notice);
  }

  #subjects(): readonly DutySubject[] {
    const { mappers } = this.#world;
    return this.#book.all.map(({ plan: { inside, dialledAt, onlyDials, option } }) => ({
      inside,
      onlyDials,
      dialledAt: dialledAt === undefined ? undefined : { ...dialledAt, isUdp: dialledAt.scheme === "quic" },
      hasKey: option.inside.identity !== undefined,
      registeredPort: mappers.registeredPort(inside),
      ownMappers: mappers.addresses,
    }));
  }
}

/** Whether the option of the pair asks to be told of operations, and not just the audit log. */
function isAskedFor(pairs: GatewayOptions["pairs"], name: string): boolean {
  return pairs.find((option) => pairName(option) === name)?.filter?.tellsCommands === true;
}

function notRunning(state: GatewayStatus["state"]): SallyportError {
  return new SallyportError("ERR_CLOSED", "GATEWAY_STOPPING", `the gateway is ${state}`, {
    advice: "ask the gateway that took over, or start another one",
  });
}

/** What the check for other ways to the inside nodes asks of the network. */
function dutyWorld({ sockets, clock, addresses }: GatewaySystem): DutyWorld {
  return {
    lookup: (host, port, name) => portAtEpmd({ sockets, clock, port }, host, name),
    accepts: (host, port) => acceptsConnections({ sockets, clock }, host, port),
    addresses,
  };
}
