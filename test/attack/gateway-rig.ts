import { createGateway } from "../../src/create-gateway.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { FilterFactory, Side } from "../../src/gateway/message-filter.ts";
import type { GatewayOptions, GatewayPairOption } from "../../src/gateway/options.ts";
import { Peer, Raw, type Trap, trap } from "./client.ts";
import { COMMANDER, Session, WORKER } from "./gateway-session.ts";

const COOKIES = { outside: "cookie-of-the-outside", inside: "cookie-of-the-inside" } as const;

/** A gateway of this process with the commander on one side and the worker on the other, both of them played by the test. */
export class GatewayRig {
  readonly gateway: Gateway;
  readonly events: GatewayEvent[];
  /** Where the gateway dials the inside node, and the outside one. */
  readonly traps: Readonly<Record<Side, Trap>>;
  readonly commander: Side;
  readonly #open: { destroy(): void }[] = [];

  private constructor(gateway: Gateway, events: GatewayEvent[], traps: Record<Side, Trap>, commander: Side) {
    this.gateway = gateway;
    this.events = events;
    this.traps = traps;
    this.commander = commander;
  }

  /** @param filterFor in place of the rules */
  static async start(
    commander: Side,
    filterFor?: FilterFactory,
    options: Partial<GatewayOptions> & { readonly pair?: (pair: GatewayPairOption) => GatewayPairOption } = {},
  ): Promise<GatewayRig> {
    const { pair = (same) => same, ...others } = options;
    const traps = { inside: await trap(), outside: await trap() };
    const events: GatewayEvent[] = [];
    const nodes = commander === "outside" ? [COMMANDER, WORKER] : [WORKER, COMMANDER];
    const [outside = "", inside = ""] = nodes;
    const gateway = await createGateway(
      {
        pairs: [
          pair({
            inside: { node: inside, address: `tcp://127.0.0.1:${traps.inside.port}`, cookie: COOKIES.inside },
            outside: {
              nodes: [outside],
              listen: "tcp://127.0.0.1:0",
              addresses: { [outside]: `tcp://127.0.0.1:${traps.outside.port}` },
              cookie: COOKIES.outside,
            },
            filter: { commander, limits: { maxAtoms: 100 } },
          }),
        ],
        dangerous: { plaintext: true },
        onEvent: (event) => void events.push(event),
        ...others,
      },
      filterFor,
    );
    return new GatewayRig(gateway, events, traps, commander);
  }

  get worker(): Side {
    return this.commander === "outside" ? "inside" : "outside";
  }

  name(side: Side): string {
    return side === this.commander ? COMMANDER : WORKER;
  }

  cookie(side: Side): string {
    return COOKIES[side];
  }

  /** Where nodes of this side dial the other. */
  port(from: Side): number {
    const found = this.gateway.endpoints.find((one) => one.from === from)?.endpoint ?? "";
    return Number(found.split(":").at(-1));
  }

  async raw(from: Side): Promise<Raw> {
    return this.keep(await Raw.tcp(this.port(from)));
  }

  keep<T extends { destroy(): void }>(open: T): T {
    this.#open.push(open);
    return open;
  }

  /** Both nodes joined; `from` has dialled. */
  async peers(from: Side = "outside", flags: Partial<Record<Side, bigint>> = {}): Promise<Record<Side, Peer>> {
    const to = from === "outside" ? "inside" : "outside";
    const claim = (side: Side) => ({
      name: this.name(side),
      cookie: COOKIES[side],
      creation: side === "outside" ? 1_001 : 2_002,
      ...(flags[side] === undefined ? {} : { flags: flags[side] }),
    });
    const dialled = this.traps[to].next().then((raw) => Peer.answer(this.keep(raw), 2, claim(to)));
    const near = await Peer.dial(await this.raw(from), 2, claim(from));
    const far = await dialled;
    return from === "outside" ? { outside: near, inside: far } : { outside: far, inside: near };
  }

  /** A session in which the commander has begun things. */
  async session(from: Side = "outside"): Promise<Session> {
    const peers = await this.peers(from);
    return Session.begin(peers[this.commander], peers[this.worker]);
  }

  /** Ends all connections of the test. */
  drop(): void {
    for (const open of this.#open.splice(0)) open.destroy();
  }

  async stop(): Promise<void> {
    this.drop();
    await this.gateway.close();
    this.traps.inside.close();
    this.traps.outside.close();
  }
}
