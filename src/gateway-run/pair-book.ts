import { isSallyportError, type SallyportError, withNote } from "../base/errors.ts";
import { localPart, parseNodeName } from "../base/node-name.ts";
import type { GatewayReload } from "../gateway/api.ts";
import { type FilterFactory, SIDES } from "../gateway/message-filter.ts";
import type { GatewayOptions, GatewayPairOption } from "../gateway/options.ts";
import type { PairWorld } from "./gateway-world.ts";
import { IdentityPool, type IdentityUse } from "./identity-pool.ts";
import { OwnRules, type RulesChange } from "./own-rules.ts";
import { pairReplaced } from "./pair-ends.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { isSamePair, type PairPlan, pairName, planPair } from "./plan-pair.ts";
import { sameName } from "./port-mappers.ts";
import { RunningPair } from "./running-pair.ts";

/** A pair that is to be started, in place of `old` where there is one. */
interface Start {
  readonly kind: "start";
  readonly plan: PairPlan;
  readonly rules: OwnRules | undefined;
  readonly old: RunningPair | undefined;
  readonly use: IdentityUse | undefined;
}

/** A pair that goes on, with other rules and certificates perhaps. */
interface Keep {
  readonly kind: "keep";
  readonly plan: PairPlan;
  readonly pair: RunningPair;
  readonly commit: () => RulesChange;
}

/** The identities that were opened for pairs; undefined: none is. */
type Identities = ReadonlyMap<GatewayPairOption, IdentityUse> | undefined;

type PairOptions = Pick<GatewayOptions, "pairs" | "dangerous">;

/** The pairs of a gateway, by name, and how others take their place. */
export class PairBook {
  readonly #world: PairWorld;
  readonly #identities: IdentityPool;
  #pairs: readonly RunningPair[] = [];

  constructor(world: PairWorld) {
    this.#world = world;
    this.#identities = new IdentityPool(world);
  }

  get all(): readonly RunningPair[] {
    return this.#pairs;
  }

  /** Reads pairs with all their files but keys, and starts nothing. @throws {SallyportError} ERR_CONFIG */
  check(options: PairOptions): readonly PairPlan[] {
    return this.#readAll(options, undefined).map(({ plan }) => plan);
  }

  /**
   * Lets the pairs of `options` run in place of those that do. All is read before anything changes; where something cannot be
   * had, what runs goes on.
   * @throws {SallyportError} ERR_CONFIG
   */
  async take(options: PairOptions): Promise<GatewayReload> {
    const identities = await this.#identities.take(options.pairs);
    try {
      return await this.#take(options, identities);
    } finally {
      // Those that run have a use of their own.
      for (const use of identities.values()) use.release();
    }
  }

  async #take(options: PairOptions, identities: Identities): Promise<GatewayReload> {
    const wanted = this.#readAll(options, identities);
    const kept = wanted.filter((one) => one.kind === "keep");
    const starts = wanted.filter((one) => one.kind === "start");
    const leaving = this.#pairs.filter((pair) => !kept.some((one) => one.pair === pair));
    const started = await this.#exchange(starts, leaving);
    const { changed, unchanged, ended } = this.#commit(kept);
    const lost = leaving.reduce((sum, pair) => sum + pair.sessions.length, 0);
    for (const pair of leaving) await pair.close(pairReplaced(pair.name));
    this.#pairs = wanted.flatMap(({ plan }) => {
      const isIt = (pair: RunningPair): boolean => pair.name === plan.name;
      return started.find(isIt) ?? this.#pairs.find(isIt) ?? [];
    });
    this.#world.mappers.expect(registering(this.#pairs));
    const fresh = wanted.filter(({ plan }) => !unchanged.includes(plan.name));
    this.#tell(fresh.map(({ plan }) => plan));
    const restarted = starts.flatMap(({ old }) => old?.name ?? []);
    return {
      started: started.map(({ name }) => name).filter((name) => !restarted.includes(name)),
      closed: leaving.map(({ name }) => name).filter((name) => !restarted.includes(name)),
      restarted,
      changed,
      unchanged,
      ended: ended + lost,
    };
  }

  /** Ends all. `causeOf`: why, by the name of the pair. Idempotent. */
  async close(causeOf?: (pair: string) => SallyportError): Promise<void> {
    await Promise.all(this.#pairs.map((pair) => pair.close(causeOf?.(pair.name))));
  }

  #readAll({ pairs, dangerous }: PairOptions, identities: Identities): readonly (Start | Keep)[] {
    if (pairs.length === 0) throw pairInvalid("a gateway without pairs", "give at least one pair");
    const plaintext = dangerous?.plaintext ?? false;
    const wanted = pairs.map((option, index) => inPair(option, index, () => this.#read(option, plaintext, identities)));
    this.#checkNames(wanted);
    return wanted;
  }

  #read(option: GatewayPairOption, plaintext: boolean | "any", identities: Identities): Start | Keep {
    const world = this.#world;
    const name = pairName(option);
    const old = this.#pairs.find((pair) => pair.name === name);
    const use = identities?.get(option);
    const planned = (filterFor: FilterFactory) => planPair(option, plaintext, world, filterFor, use?.identities);
    if (old !== undefined) {
      const plan = planned(old.filterFor);
      if (isSamePair(plan, old.plan)) {
        const commit = old.rules?.prepare(option.filter ?? {}) ?? (() => ({ isChanged: false, over: [] }));
        return { kind: "keep", plan, pair: old, commit };
      }
    }
    if (world.filterFor !== undefined) {
      return { kind: "start", plan: planned(world.filterFor), rules: undefined, old, use };
    }
    const outside = option.outside.nodes.map(parseNodeName);
    const parts = { pair: name, inside: parseNodeName(option.inside.node), outside, world };
    const rules = new OwnRules(parts, option.filter ?? {});
    return { kind: "start", plan: planned(rules.filterFor), rules, old, use };
  }

  /** Each pair has a name of its own, and so has each node at a port mapper. */
  #checkNames(wanted: readonly (Start | Keep)[]): void {
    const names = new Set<string>();
    const mapped = new Set<string>();
    for (const { plan } of wanted) {
      if (names.has(plan.name))
        throw pairInvalid(`two pairs are called ${plan.name}`, "give each pair a name of its own");
      names.add(plan.name);
      for (const { route, listen } of plan.listeners) {
        if (listen.scheme === "quic") continue;
        const name = localPart(route.target);
        const key = `${route.from} ${name}`;
        if (this.#world.mappers.has(route.from) && mapped.has(key)) throw sameName(name);
        mapped.add(key);
      }
    }
  }

  /** The ports of `leaving` are free for others; when those cannot have what they need, `leaving` has them again. */
  async #exchange(starts: readonly Start[], leaving: readonly RunningPair[]): Promise<readonly RunningPair[]> {
    const { mappers } = this.#world;
    const starting = starts.map(({ plan, rules, use }) => new RunningPair(plan, rules, this.#world, use?.again()));
    await Promise.all(leaving.map((pair) => pair.vacate(pairReplaced(pair.name))));
    try {
      mappers.expect(registering([...this.#pairs, ...starting]));
      for (const pair of starting) await pair.listen();
      return starting;
    } catch (error) {
      await Promise.all(starting.map((pair) => pair.close()));
      for (const pair of leaving) await pair.listen();
      mappers.expect(registering(this.#pairs));
      throw error;
    }
  }

  #commit(kept: readonly Keep[]): Pick<GatewayReload, "changed" | "unchanged" | "ended"> {
    const changed: string[] = [];
    const unchanged: string[] = [];
    let ended = 0;
    for (const { pair, plan, commit } of kept) {
      const hasCertificates = pair.takeCertificates(plan);
      const { isChanged, over } = commit();
      ended += pair.end(over);
      (isChanged || hasCertificates ? changed : unchanged).push(pair.name);
    }
    return { changed, unchanged, ended };
  }

  #tell(plans: readonly PairPlan[]): void {
    for (const { name, sides, identities } of plans) {
      const inside = [...(identities?.inside.values() ?? [])].flatMap(({ warnings }) => warnings);
      const keys = { outside: identities?.outside?.warnings ?? [], inside };
      for (const side of SIDES) {
        for (const { reason, message } of [...sides[side].warnings, ...keys[side]]) {
          this.#world.notice({ kind: "warning", reason, message: `pair ${name}, ${side}: ${message}` });
        }
      }
      const until = this.#pairs.find((pair) => pair.name === name)?.rules?.observedUntil ?? null;
      if (until !== null) this.#world.notice({ kind: "observed", pair: name, until });
    }
  }
}

function registering(pairs: readonly RunningPair[]): ReturnType<typeof parseNodeName>[] {
  return pairs.flatMap(({ plan }) => (plan.registers ? plan.inside : []));
}

/** What is wrong with a pair says of which. */
function inPair<T>(option: GatewayPairOption, index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    const pair = pairName(option);
    throw withNote(error, ` (pairs[${index}], ${pair})`, { pair, index });
  }
}
