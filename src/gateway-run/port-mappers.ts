import type { Clock } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import { localPart, type NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { DialAddress, Listener } from "../carrier/carrier.ts";
import { listenPlain } from "../carrier/plain-listener.ts";
import type { SourceGate } from "../carrier/source-gate.ts";
import { parseAddress } from "../discovery/address.ts";
import { EpmdServer } from "../gateway/epmd-server.ts";
import { SIDES, type Side } from "../gateway/message-filter.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import { notRegistered } from "../gateway/pair-failures.ts";
import { pairInvalid } from "./pair-invalid.ts";

export interface PortMapperParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly gates: Readonly<Record<Side, Pick<SourceGate, "allows">>>;
}

/** The port mappers of a gateway: what the nodes of each side find there. */
export class PortMappers {
  readonly #names = { inside: new Map<string, number>(), outside: new Map<string, number>() };
  readonly #registrants = new Set<string>();
  readonly #servers: Record<Side, EpmdServer>;
  readonly #gates: PortMapperParts["gates"];
  readonly #listeners: Listener[] = [];
  readonly #where: NonNullable<GatewayOptions["epmd"]>;

  /** @param gates say from where the nodes of each side may ask */
  constructor(where: NonNullable<GatewayOptions["epmd"]>, { clock, random, gates }: PortMapperParts) {
    this.#where = where;
    this.#gates = gates;
    const server = (names: ReadonlyMap<string, number>, registrants: ReadonlySet<string>): EpmdServer =>
      new EpmdServer({ clock, random, names, registrants });
    this.#servers = {
      inside: server(this.#names.inside, this.#registrants),
      outside: server(this.#names.outside, new Set()),
    };
  }

  /** Nodes of `side` have a port mapper here. */
  has(side: Side): boolean {
    return this.#where[side] !== undefined;
  }

  /** @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID */
  check(): void {
    for (const side of SIDES) {
      const text = this.#where[side];
      if (text !== undefined) parseAddress(text, "tcp");
    }
  }

  /** @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID and those of `bindServer` */
  async listen(): Promise<void> {
    for (const side of SIDES) {
      const text = this.#where[side];
      if (text === undefined) continue;
      const { host, port } = parseAddress(text, "tcp");
      const server = this.#servers[side];
      const listener = await listenPlain({ host, ports: port }, (socket, from) => {
        if (this.#gates[side].allows(from)) return server.accept(socket, from);
        socket.destroy();
        return undefined;
      });
      server.port = listener.port;
      this.#listeners.push(listener);
    }
  }

  /** `target` is found at `port` by nodes of the side `from`. @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID */
  publish(from: Side, target: NodeName, port: number): void {
    const name = localPart(target);
    if (this.has(from) && this.#names[from].has(name)) throw sameName(name);
    this.#names[from].set(name, port);
  }

  /** It is not found there any more. */
  withdraw(from: Side, target: NodeName, port: number): void {
    const name = localPart(target);
    if (this.#names[from].get(name) === port) this.#names[from].delete(name);
  }

  /** Only these may register. */
  expect(insides: readonly NodeName[]): void {
    this.#registrants.clear();
    for (const inside of insides) this.#registrants.add(localPart(inside));
  }

  /** Where a node listens that has registered. @throws {SallyportError} ERR_UNREACHABLE */
  registered(target: NodeName): DialAddress {
    const at = this.#servers.inside.registeredAt(localPart(target));
    if (at === undefined) throw notRegistered(target);
    return { scheme: "tcp", host: at.host, port: at.port };
  }

  /** The port with which an inside node has registered. */
  registeredPort(inside: NodeName): number | undefined {
    return this.#servers.inside.registeredAt(localPart(inside))?.port;
  }

  /** The creation that an inside node was given when it registered. */
  registeredCreation(inside: NodeName): number | undefined {
    return this.#servers.inside.registeredAt(localPart(inside))?.creation;
  }

  /** `host:port` of each. */
  get addresses(): readonly string[] {
    return SIDES.flatMap((side) => this.#where[side] ?? []);
  }

  /** Stops listening and forgets who has registered. Idempotent; ports are free when the call returns. */
  async close(): Promise<void> {
    const closed = this.#listeners.splice(0).map((listener) => listener.close());
    for (const server of Object.values(this.#servers)) server.close();
    await Promise.all(closed);
  }
}

/** Two nodes that one port mapper could not tell apart. */
export function sameName(name: string): SallyportError {
  return pairInvalid(`two nodes are called ${name} at one port mapper`, "give them different names");
}
