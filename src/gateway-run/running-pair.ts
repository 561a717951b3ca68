import type { Listener } from "../carrier/carrier.ts";
import { listenTcp } from "../carrier/tcp.ts";
import { listenTls } from "../carrier/tls.ts";
import type { GatewayEndpoint } from "../gateway/api.ts";
import { Link } from "../gateway/link.ts";
import type { PairWorld } from "./gateway-world.ts";
import type { PairPlan, PlannedListener } from "./plan-pair.ts";

/** One pair option at work: its listeners, and the sessions that come of them. */
export class RunningPair {
  readonly endpoints: GatewayEndpoint[] = [];
  readonly #world: PairWorld;
  readonly #links: Link[] = [];
  readonly #listeners: Listener[] = [];

  private constructor(world: PairWorld) {
    this.#world = world;
  }

  /** Binds the listeners. @throws {SallyportError} ERR_CONFIG */
  static async open(plan: PairPlan, world: PairWorld): Promise<RunningPair> {
    const pair = new RunningPair(world);
    try {
      if (plan.registers) world.mappers.expect(plan.inside);
      for (const planned of plan.listeners) await pair.#listen(planned);
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  /** Sessions, those in their handshake included. */
  get size(): number {
    return this.#links.reduce((sum, link) => sum + link.size, 0);
  }

  /** Ends listeners and sessions. Idempotent. */
  async close(): Promise<void> {
    for (const listener of this.#listeners.splice(0)) await listener.close();
    for (const link of this.#links) link.close();
  }

  async #listen(planned: PlannedListener): Promise<void> {
    const { route, listen } = planned;
    const link = new Link(route, (event) => this.#world.happened(event));
    const listener = await this.#bind(planned, link);
    this.#links.push(link);
    this.#listeners.push(listener);
    const { from, target } = route;
    this.#world.mappers.publish(from, target, listener.port);
    const host = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
    this.endpoints.push({ from, target, endpoint: `${listen.scheme}://${host}:${listener.port}` });
  }

  #bind({ listen, side: { material } }: PlannedListener, { accept }: Link): Promise<Listener> {
    const { system, gate } = this.#world;
    const parts = { ...system, gate };
    if (listen.scheme === "tcp" || material === undefined) return listenTcp(parts, listen, accept);
    return listenTls(parts, listen, material, accept);
  }
}
