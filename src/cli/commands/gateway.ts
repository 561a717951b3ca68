import { type ControlServer, openControlServer } from "../../control/control-server.ts";
import { type GatewayTarget, performGateway, sessionsOf } from "../../control/gateway-perform.ts";
import { checkGateway, createGateway } from "../../create-gateway.ts";
import type { Gateway, GatewayDrained, GatewayReload } from "../../gateway/api.ts";
import type { CommandWorld } from "../command-world.ts";
import type { GatewayRunFlags } from "../gateway-commands.ts";
import { reloadFailed } from "../gateway-events.ts";
import { type GatewayFile, readGatewayFile, withPlace } from "../gateway-file.ts";
import { GatewayPrinter } from "../gateway-printer.ts";
import { asSallyportError, reportResult } from "../report.ts";
import { StopSignal } from "../stop-signal.ts";

/** How long sessions may go on when nobody says otherwise, milliseconds. */
const DRAIN_MS = 30_000;

/** How long clients of the control socket may take to hear that it is over, milliseconds. */
const LAST_ANSWER_MS = 1_000;

/** `gateway`: runs the gate until a signal or `gateway drain` stops it, and prints what happens. */
export async function gateway(world: CommandWorld, flags: GatewayRunFlags): Promise<void> {
  if (flags.check === true) {
    check(world, flags);
    return;
  }
  // Before all else, so that a signal never finds the process unprepared.
  const signal = new StopSignal(world);
  const printer = new GatewayPrinter(world);
  const running = new RunningCommand(world, flags, printer);
  try {
    const reason = await running.run(signal.came);
    printer.stop({ event: "stopped", reason, ...(await running.drained) });
    await running.finish();
  } finally {
    running.forget();
    printer.stop();
    signal.forget();
  }
}

function check(world: CommandWorld, flags: GatewayRunFlags): void {
  const config = readGatewayFile(flags, world);
  try {
    checkGateway(config.options);
  } catch (failure) {
    throw withPlace(failure, config);
  }
  const { file, options } = config;
  const pairs = options.pairs.map(({ name, inside }) => name ?? inside.node);
  reportResult(world.terminal, { file, pairs }, `${file} can be taken: ${pairs.join(", ")}`);
}

/** A gateway with its control socket. */
class RunningCommand implements Omit<GatewayTarget, "gateway"> {
  /** How the drain went; settled once it is over. */
  drained: Promise<GatewayDrained> = Promise.resolve({ ended: 0, cut: 0 });
  readonly #world: CommandWorld;
  readonly #flags: GatewayRunFlags;
  readonly #printer: GatewayPrinter;
  readonly #asked: Promise<string>;
  /** The last reload, over or not; never rejects. */
  #reloading: Promise<unknown> = Promise.resolve();
  #gateway: Gateway | undefined;
  #control: ControlServer | undefined;
  #forgetReload = (): void => undefined;
  #wasAsked: (reason: string) => void = () => undefined;

  constructor(world: CommandWorld, flags: GatewayRunFlags, printer: GatewayPrinter) {
    this.#world = world;
    this.#flags = flags;
    this.#printer = printer;
    this.#asked = new Promise((resolve) => {
      this.#wasAsked = resolve;
    });
  }

  /** Runs until `signal`, or until somebody asks over the control socket; tells which, when all sessions are over. */
  async run(signal: Promise<string>): Promise<string> {
    const config = readGatewayFile(this.#flags, this.#world);
    // Before the ports: a second gateway with this configuration must fail before any node hears of it.
    this.#control = await this.#openControl(config);
    const gateway = await this.#create(config);
    this.#gateway = gateway;
    const { epmd = {} } = config.options;
    const endpoints = gateway
      .status()
      .pairs.flatMap(({ name: pair, endpoints }) => endpoints.map((endpoint) => ({ pair, ...endpoint })));
    const health = gateway.healthEndpoint === null ? {} : { health: gateway.healthEndpoint };
    this.#printer.begin({ event: "listening", file: config.file, endpoints, epmd, ...health });
    this.#warn(config);
    const target: GatewayTarget = {
      gateway,
      reload: () => this.reload(),
      drain: (options) => this.drain(options),
    };
    this.#control?.serve((request) => performGateway(target, request));
    this.#forgetReload = this.#world.onReloadSignal(() => void this.reload().catch(() => undefined));
    const reason = await Promise.race([
      signal.then((name) => {
        if (gateway.status().state === "running") this.#drain(this.#flags.drainTimeout ?? DRAIN_MS, false);
        return name;
      }),
      this.#asked,
    ]);
    await this.drained;
    return reason;
  }

  reload(): Promise<GatewayReload> {
    const result = this.#reload();
    this.#reloading = result.catch(() => undefined);
    return result;
  }

  async #reload(): Promise<GatewayReload> {
    let config: GatewayFile | undefined;
    try {
      config = readGatewayFile(this.#flags, this.#world);
      const result = await (this.#gateway as Gateway).reload(config.options);
      this.#printer.forget();
      this.#printer.print({ event: "reload", ok: true, ...result });
      this.#warn(config);
      return result;
    } catch (failure) {
      const placed = config === undefined ? failure : withPlace(failure, config);
      this.#printer.print(reloadFailed(asSallyportError(placed)));
      throw placed;
    }
  }

  #warn({ warnings }: GatewayFile): void {
    for (const warning of warnings) this.#printer.print({ event: "warning", ...warning });
  }

  /** Whoever asks while it drains already waits for that. */
  async drain({ timeoutMs = DRAIN_MS, handOver }: Parameters<GatewayTarget["drain"]>[0]) {
    await this.#reloading;
    if (this.#gateway?.status().state === "running") this.#drain(timeoutMs, handOver);
    this.#wasAsked(handOver ? "handed over" : "drained");
    return handOver ? undefined : this.drained;
  }

  /** Those who wait at the control socket hear the end. */
  async finish(): Promise<void> {
    await this.#control?.finish(LAST_ANSWER_MS);
  }

  /** Lets go of what the process holds besides sessions. */
  forget(): void {
    this.#control?.close();
    this.#forgetReload();
  }

  #drain(timeoutMs: number, handOver: boolean): void {
    const gateway = this.#gateway as Gateway;
    // Ports are free when this returns.
    this.drained = gateway.drain({ timeoutMs, handOver });
    this.drained.catch(() => undefined);
    const sessions = sessionsOf(gateway);
    this.#printer.print({ event: "draining", sessions, timeoutMs, handOver });
    if (handOver) this.#control?.handOver();
  }

  async #openControl({ control: path }: GatewayFile): Promise<ControlServer | undefined> {
    const { clock, files } = this.#world;
    return path === undefined ? undefined : openControlServer({ clock, files, path });
  }

  async #create(config: GatewayFile): Promise<Gateway> {
    try {
      return await createGateway({ ...config.options, ...this.#printer.listeners });
    } catch (failure) {
      throw withPlace(failure, config);
    }
  }
}
