import type { NodeOptions } from "../../src/node/options.ts";
import { FaultProxy, type Link } from "./fault-proxy.ts";
import { Life, type LifeOptions } from "./lifecycle-rig.ts";
import type { NativeRig } from "./native-rig.ts";

/** Two nodes in processes of their own that pin each other and reach each other through a proxy each. */
export class DiallingPair {
  readonly names: readonly [string, string];
  readonly #rig: NativeRig;
  readonly #extra: Partial<NodeOptions>;
  readonly #flags: readonly string[];
  a!: Life;
  b!: Life;
  /** In front of A, and in front of B: who dials A comes by the first. */
  toA!: FaultProxy;
  toB!: FaultProxy;

  private constructor(rig: NativeRig, names: readonly [string, string], extra: Partial<NodeOptions>, flags: string[]) {
    this.#rig = rig;
    this.names = names;
    this.#extra = extra;
    this.#flags = flags;
  }

  static async start(
    rig: NativeRig,
    names: readonly [string, string],
    extra: Partial<NodeOptions> = {},
    flags: string[] = [],
  ): Promise<DiallingPair> {
    const pair = new DiallingPair(rig, names, extra, flags);
    await rig.acquainted(...names);
    pair.toA = await FaultProxy.start(() => pair.a.port);
    pair.toB = await FaultProxy.start(() => pair.b.port);
    pair.a = await Life.start(pair.#options(0));
    pair.b = await Life.start(pair.#options(1));
    return pair;
  }

  get links(): readonly Link[] {
    return [...this.toA.links, ...this.toB.links];
  }

  /** Starts B again, in its next life. */
  async startAgain(): Promise<void> {
    this.b = await Life.start(this.#options(1));
  }

  /** Resolves when this many connections are left of all; rejects after `withinMs`. */
  async untilLinks(count: number, withinMs: number): Promise<void> {
    for (const end = performance.now() + withinMs; this.links.length > count; ) {
      if (performance.now() > end) throw new Error(`${this.links.length} connections stand after ${withinMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Resolves when nothing has moved through either proxy for so long. */
  async quiet(forMs: number): Promise<void> {
    await Promise.all([this.toA.quiet(forMs), this.toB.quiet(forMs)]);
  }

  /** Takes back all plans for connections to come. */
  heal(): void {
    for (const proxy of [this.toA, this.toB]) proxy.plan = () => ({});
    for (const proxy of [this.toA, this.toB]) proxy.onLink = () => undefined;
  }

  async stop(): Promise<void> {
    this.toA?.close();
    this.toB?.close();
    await Promise.all([this.a?.kill(), this.b?.kill()]);
  }

  #options(which: 0 | 1): LifeOptions {
    const [name, other, proxy] =
      which === 0 ? ([...this.names, this.toB] as const) : ([this.names[1], this.names[0], this.toA] as const);
    return {
      flags: this.#flags,
      options: {
        name,
        epmd: "off",
        identity: { dir: this.#rig.keyDir(name) },
        listen: ["tls://127.0.0.1:0"],
        resolve: { [other]: `127.0.0.1:${proxy.port}` },
        ...this.#extra,
      },
    };
  }
}
