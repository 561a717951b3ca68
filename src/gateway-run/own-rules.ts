import type { NodeName } from "../base/node-name.ts";
import type { GatewayPolicyStatus } from "../gateway/api.ts";
import type { GuardedPair } from "../gateway/guarded-pair.ts";
import { type FilterFactory, SIDES, type Side } from "../gateway/message-filter.ts";
import type { PairFilterOption } from "../gateway/options.ts";
import { type PairRuleSettings, PairRules } from "../gateway/pair-rules.ts";
import { readRules } from "../gateway/read-rules.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import type { PolicyReloadResult } from "../node/api.ts";
import { PolicyTimer } from "../node/policy-timer.ts";
import type { PairWorld } from "./gateway-world.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { PairPolicy } from "./pair-policy.ts";
import { sameText } from "./same-text.ts";

export interface OwnRulesParts {
  /** Name of the pair. */
  readonly pair: string;
  readonly inside: NodeName;
  readonly outside: readonly NodeName[];
  readonly world: PairWorld;
}

/** What other rules have come to. */
export interface RulesChange {
  /** Anything is different at all. */
  readonly isChanged: boolean;
  /** Sessions that may not go on. */
  readonly over: readonly GuardedPair[];
}

type Policies = Partial<Record<Side, PairPolicy>>;

/** The rules of one pair at work: settings and policies, which change with their files and with time. */
export class OwnRules {
  readonly #parts: OwnRulesParts;
  #option: PairFilterOption;
  #settings: PairRuleSettings;
  #policies: Policies;
  #rules: PairRules;
  #timers: PolicyTimer[] = [];
  #end: (over: readonly GuardedPair[]) => void = () => undefined;

  /** @throws {SallyportError} ERR_CONFIG for rules or policies that must not be taken */
  constructor(parts: OwnRulesParts, option: PairFilterOption) {
    this.#parts = parts;
    this.#option = option;
    this.#settings = this.#read(option);
    this.#policies = this.#open(option);
    this.#rules = this.#make();
  }

  readonly filterFor: FilterFactory = (facts) => this.#rules.filterFor(facts);

  get commander(): Side | null {
    return this.#settings.commander ?? null;
  }

  /** ISO time until which what is refused passes; null when it does not. */
  get observedUntil(): string | null {
    const { observeUntilMs } = this.#settings;
    const isOver = observeUntilMs === undefined || this.#parts.world.system.clock.wallMs() >= observeUntilMs;
    return isOver ? null : new Date(observeUntilMs).toISOString();
  }

  policies(): Readonly<Partial<Record<Side, GatewayPolicyStatus>>> {
    return Object.fromEntries(Object.entries(this.#policies).map(([side, policy]) => [side, policy.status()]));
  }

  /** From now on changed files and time count. `end` ends sessions that may not go on. */
  start(end: (over: readonly GuardedPair[]) => void): void {
    this.#end = end;
    this.#watch();
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) timer.stop();
    for (const policy of Object.values(this.#policies)) policy.stop();
  }

  /**
   * Reads other rules; nothing changes before the result is called.
   * @throws {SallyportError} ERR_CONFIG for rules or policies that must not be taken
   */
  prepare(option: PairFilterOption): () => RulesChange {
    const isSameOption = sameText(option, this.#option);
    // An observation that is over is no reason to refuse the rest of a file.
    const settings = isSameOption ? this.#settings : this.#read(option);
    const sides = (from: object) => SIDES.filter((side) => Object.hasOwn(from, side)).join();
    if (sides(option.policies ?? {}) !== sides(this.#policies)) {
      const policies = this.#open(option);
      return () => this.#replace(option, settings, policies);
    }
    const takes = SIDES.flatMap((side) => {
      const given = option.policies?.[side];
      return (given === undefined ? undefined : this.#policies[side]?.read(given)) ?? [];
    });
    return () => {
      if (isSameOption && takes.length === 0) return { isChanged: false, over: [] };
      for (const take of takes) take();
      this.#option = option;
      this.#settings = settings;
      const over = this.#rules.rejudge(settings);
      this.#watch();
      return { isChanged: true, over };
    };
  }

  /** Another node is protected by a policy than before: nothing of the old rules can go on. */
  #replace(option: PairFilterOption, settings: PairRuleSettings, policies: Policies): RulesChange {
    const over = [...this.#rules.live];
    this.stop();
    this.#option = option;
    this.#settings = settings;
    this.#policies = policies;
    this.#rules = this.#make();
    this.#watch();
    return { isChanged: true, over };
  }

  #watch(): void {
    for (const timer of this.#timers.splice(0)) timer.stop();
    const { clock } = this.#parts.world.system;
    for (const [side, policy] of Object.entries(this.#policies) as [Side, PairPolicy][]) {
      policy.watch((result) => this.#policyRead(side, result));
      const { keeper } = policy;
      const timer = new PolicyTimer({
        clock,
        nextChangeMs: (nowMs) => keeper.nextChangeMs(nowMs),
        changed: () => {
          this.#end(this.#rules.rejudge());
          timer.arm();
        },
      });
      this.#timers.push(timer);
    }
    const { observeUntilMs: until } = this.#settings;
    if (until !== undefined && until > clock.wallMs()) {
      const { pair, world } = this.#parts;
      const nextChangeMs = (nowMs: number): number => (nowMs < until ? until : Number.POSITIVE_INFINITY);
      const changed = (): void => world.notice({ kind: "enforced", pair });
      this.#timers.push(new PolicyTimer({ clock, nextChangeMs, changed }));
    }
    for (const timer of this.#timers) timer.arm();
  }

  #policyRead(side: Side, result: PolicyReloadResult): void {
    const { pair, world } = this.#parts;
    world.notice({ kind: "policy", pair, side, ...result });
    if (!result.ok) return;
    this.#end(this.#rules.rejudge());
    for (const timer of this.#timers) timer.arm();
  }

  #read(option: PairFilterOption): PairRuleSettings {
    const { pair, world } = this.#parts;
    const settings = readRules(pair, option, world.system.clock.wallMs());
    return { ...settings, tellsCommands: settings.tellsCommands || world.tellsCommands };
  }

  #open({ policies: given = {} }: PairFilterOption): Policies {
    const { inside, outside, world } = this.#parts;
    const policies: Policies = {};
    for (const side of SIDES) {
      const option = given[side];
      if (option === undefined) continue;
      const [name, ...others] = side === "inside" ? [inside] : outside;
      if (name === undefined || others.length > 0)
        throw pairInvalid(
          `one policy cannot be that of ${outside.length} outside nodes`,
          "make a pair of each of them",
        );
      policies[side] = new PairPolicy(option, name, world.system);
    }
    return policies;
  }

  #make(): PairRules {
    const { pair, world } = this.#parts;
    const { system, budgets, decisions, said } = world;
    const keepers = Object.entries(this.#policies).map(([side, { keeper }]) => [side, keeper] as const);
    return new PairRules({
      settings: this.#settings,
      policies: Object.fromEntries(keepers),
      clock: system.clock,
      guardLimits: DEFAULT_GUARD_LIMITS,
      budgets,
      record: (made) => decisions.record(made),
      tell: (event) => said(pair, event),
    });
  }
}
