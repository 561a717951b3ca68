import { OpenChallenges } from "../auth/otp-types.ts";
import { hostPart, type NodeName, parseDialTarget, parseNodeName } from "../base/node-name.ts";
import type { Carrier, CarrierDialer, Listener } from "../carrier/carrier.ts";
import { createMemoryNetwork } from "../carrier/memory-network.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { readExchange } from "../node/exchange-plan.ts";
import { SallyportNode } from "../node/node.ts";
import type { NodeParts } from "../node/node-parts.ts";
import type { ExchangeOption } from "../node/options.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** How a node of `MemoryNodes` differs from a plain one. */
export interface MemoryNodeOptions extends Partial<Omit<NodeParts, "seeds" | "exchange">> {
  readonly seeds?: readonly string[];
  readonly exchange?: ExchangeOption;
  /** Cookie towards all others. */
  readonly cookie?: string;
  /** Default 1; what others find out by themselves is port 1 of the host part. */
  readonly port?: number;
  readonly listens?: boolean;
}

/** Whole nodes on one memory network and one virtual clock. They know each other by the cookie. */
export class MemoryNodes {
  readonly clock: VirtualClock = new VirtualClock();
  readonly #network = createMemoryNetwork({ clock: this.clock });
  readonly #listeners = new Map<NodeName, Listener>();
  readonly #carriers: { readonly ends: ReadonlySet<string>; readonly carrier: Carrier }[] = [];
  readonly #dice: SeededRandom;
  /** `host:port` of every dial, with who dialled. */
  readonly dials: string[] = [];
  /** `NODE REASON` of every warning. */
  readonly warnings: string[] = [];

  /** @param seed of all randomness of the nodes */
  constructor(seed: number = 1) {
    this.#dice = new SeededRandom(seed);
  }

  /** Starts a node; its seeds are dialled from now on. */
  start(text: string, options: MemoryNodeOptions = {}): SallyportNode {
    const { seeds = [], exchange, cookie = "one cookie for all", port = 1, listens = true, ...parts } = options;
    const name = parseNodeName(text);
    const random = new SeededRandom(this.#dice.uint32());
    const endpoints = listens ? [`tls://${hostPart(name)}:${port}`] : [];
    const plan = readExchange(exchange, name, this.clock, () => endpoints);
    const node = new SallyportNode({
      own: { name, creation: 4 + this.#dice.below(1_000_000), flags: DEFAULT_FLAGS },
      clock: this.clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => Buffer.from(cookie),
      },
      dialers: { tls: this.#dialerOf(name) },
      resolver: {
        label: "the network",
        resolve: async (target) => {
          const hints = (await plan?.hints.resolve(target)) ?? [];
          return hints.length > 0 ? hints : [{ scheme: "tls", host: hostPart(target), port: 1 }];
        },
      },
      judgeCertificate: () => ({ matched: false, presented: [] }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      seeds: seeds.map(parseDialTarget),
      ...(plan === undefined ? {} : { exchange: plan }),
      onListenerError: (error) => {
        throw error;
      },
      ...parts,
    });
    node.on("warning", ({ reason }) => this.warnings.push(`${name} ${reason}`));
    if (listens) this.#listeners.set(name, this.#network.listen(hostPart(name), port, node.accept));
    node.startJoining();
    return node;
  }

  /** Ends a node without a word, as a machine that loses its power; its name can be started again. */
  async kill(node: SallyportNode): Promise<void> {
    await this.#listeners.get(node.name)?.close();
    const closed = node.close({ timeoutMs: 0 });
    await this.settle();
    await closed;
  }

  /** Cuts every connection between two nodes, as a cable does. */
  async cut(a: NodeName, b: NodeName): Promise<void> {
    for (const { ends, carrier } of this.#carriers) {
      if (ends.has(hostPart(a)) && ends.has(hostPart(b))) carrier.destroy();
    }
    await this.settle();
  }

  /** Lets everything happen that can without time passing. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 30; quiet++) {
      if (this.clock.runTurn() > 0) quiet = 0;
      await Promise.resolve();
    }
  }

  /** Lets time pass in steps, and everything happen on the way. */
  async pass(ms: number, stepMs: number = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
      await this.settle();
    }
  }

  #dialerOf(name: NodeName): CarrierDialer {
    return {
      dial: (address, serverName, sink) => {
        this.dials.push(`${name} ${address.host}:${address.port}`);
        const carrier = this.#network.dial(address, serverName, sink);
        this.#carriers.push({ ends: new Set([hostPart(name), address.host]), carrier });
        return carrier;
      },
    };
  }
}
