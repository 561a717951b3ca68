import { addMs, type Clock, type MonotonicMs } from "../base/clock.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Budgets } from "../guard/budgets.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { Incarnation } from "../guard/ownership.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import type { NewDecision } from "../node/decisions.ts";
import type { PolicyKeeper } from "../node/policy-keeper.ts";
import type { Target } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { GuardedPair, type Judging } from "./guarded-pair.ts";
import type { InboxEntry } from "./inbox.ts";
import type { GatewayLimits } from "./limits.ts";
import { type FilterFactory, factsOfNode, otherSide, type PairFacts, SIDES, type Side } from "./message-filter.ts";
import { Observation } from "./observation.ts";
import { mayStand, policyDecisions, type Ruling } from "./policy-decisions.ts";
import { type CommanderProfile, type CommanderRequest, commanderProfile, type Decide } from "./profile.ts";
import type { LeaderProfile } from "./return-paths.ts";
import { RuleCounts } from "./rule-counts.ts";
import type { FilterEvent } from "./verdict.ts";

/** Who may do what in a pair, read and checked. */
export interface PairRuleSettings {
  /** The side that commands by `profile`; undefined: equals, each of which may do what the other's policy says. */
  readonly commander: Side | undefined;
  readonly profile: CommanderProfile;
  /** Messages that the commander takes unasked. */
  readonly inbox: readonly InboxEntry[];
  readonly leaders: LeaderProfile;
  readonly wholeReasons: boolean;
  /** Until then, Unix milliseconds, what is refused is noted and passes. */
  readonly observeUntilMs: number | undefined;
  /** Every operation that a decision lets through is told. */
  readonly tellsCommands: boolean;
  readonly limits: Partial<GatewayLimits>;
}

const NO_ENTRIES: readonly InboxEntry[] = [];

/** An operation that was let through. */
export interface CommandEvent {
  readonly kind: "command";
  readonly verb: Verb;
  /** Escaped: a name, `M:F/A`, or `process`. */
  readonly target: string;
}

/** What a pair tells of its messages. `from`: the side that sent the message. */
export type MessageEvent = (FilterEvent | CommandEvent) & {
  readonly from: Side;
  readonly outside: NodeName;
  readonly inside: NodeName;
};

export interface PairRulesParts {
  readonly settings: PairRuleSettings;
  /** By the node that is protected: what the other one may do to it, in place of the profile. */
  readonly policies: Readonly<Partial<Record<Side, PolicyKeeper>>>;
  readonly clock: Clock;
  readonly guardLimits: GuardLimits;
  readonly budgets: Budgets;
  /** Takes a decision and gives its id. */
  readonly record: (made: NewDecision) => string;
  /** Must not throw. */
  readonly tell: (event: MessageEvent) => void;
}

/** The rules of one pair option, for each session that comes up under it. */
export class PairRules {
  readonly #parts: PairRulesParts;
  #settings: PairRuleSettings;
  readonly #live = new Map<GuardedPair, Live>();

  constructor(parts: PairRulesParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
  }

  /** Pairs that are up. */
  get live(): Iterable<GuardedPair> {
    return this.#live.keys();
  }

  /** Makes the filter of a pair that comes up. @throws {SallyportError} where a policy does not let one of the nodes connect */
  readonly filterFor: FilterFactory = (facts) => {
    const { clock } = this.#parts;
    const now = clock.now();
    const live = new Live(this.#parts, this.#settings, facts, now);
    const pair = new GuardedPair(
      {
        facts,
        judging: live.judging,
        rules: live.rules,
        observation: live.observation,
        tell: (event, from) => live.tell(event, from),
        ended: (over) => void this.#live.delete(over),
      },
      now,
    );
    this.#live.set(pair, live);
    return pair;
  };

  /**
   * The policies have changed, or time has, or `settings` are other ones: pairs that are up go on by the new rules. Gives those
   * that may not: a node may not connect any more, has a monitor or link that no rule allows any more, or what is set can only
   * be set when a pair comes up.
   */
  rejudge(settings: PairRuleSettings = this.#settings): readonly GuardedPair[] {
    const isOther = !isJudgedAlike(settings, this.#settings);
    this.#settings = settings;
    return [...this.#live].filter(([pair, live]) => isOther || !live.rejudge(settings, pair)).map(([pair]) => pair);
  }
}

/** Whether pairs that are up can go on by `next`: only what is asked anew for each operation differs. */
function isJudgedAlike(next: PairRuleSettings, last: PairRuleSettings): boolean {
  const rest = ({ profile: _, inbox: __, tellsCommands: ___, ...others }: PairRuleSettings) => JSON.stringify(others);
  return rest(next) === rest(last);
}

/** What decides in one session. */
class Live {
  readonly judging: Judging;
  readonly rules: RuleCounts = new RuleCounts();
  readonly observation: Observation | undefined;
  readonly #parts: PairRulesParts;
  readonly #facts: PairFacts;
  /** By the side that is protected. */
  readonly #guards: Partial<Record<Side, SessionGuard>> = {};
  #settings: PairRuleSettings;

  constructor(parts: PairRulesParts, settings: PairRuleSettings, facts: PairFacts, now: MonotonicMs) {
    this.#parts = parts;
    this.#settings = settings;
    this.#facts = facts;
    for (const side of SIDES) this.#admit(side);
    const { observeUntilMs, commander } = settings;
    const leftMs = observeUntilMs === undefined ? 0 : observeUntilMs - parts.clock.wallMs();
    this.observation = leftMs > 0 ? new Observation(addMs(now, leftMs), now) : undefined;
    const decides = { outside: this.#decideOf("outside"), inside: this.#decideOf("inside") };
    const only = decides.outside === undefined ? "inside" : "outside";
    const other = decides[otherSide(only)];
    const hasOne = decides[only] !== undefined && other === undefined && this.observation === undefined;
    const optionsOf = (side: Side) => this.#optionsOf(side, decides[side], side === commander);
    this.judging = hasOne
      ? { kind: "commander", commander: only, options: optionsOf(only) }
      : { kind: "peers", options: { outside: optionsOf("outside"), inside: optionsOf("inside") } };
  }

  /** False: one of the nodes may not connect any more, or holds on to what it may not. */
  rejudge(settings: PairRuleSettings, pair: GuardedPair): boolean {
    this.#settings = settings;
    for (const side of SIDES) {
      const policy = this.#parts.policies[side];
      const guard = this.#guards[side];
      if (policy === undefined || guard === undefined) continue;
      const standing = policy.judge(guard.facts, this.#roleTowards(side));
      if (standing.kind === "refused") return false;
      guard.rejudge(standing.rules);
      if (this.observation?.isOn === true) continue;
      for (const tie of pair.ties(otherSide(side))) if (!mayStand(guard, tie)) return false;
    }
    return true;
  }

  tell(event: FilterEvent | CommandEvent, from: Side): void {
    const { outside, inside } = this.#facts;
    // What the worker's refusals name is made of its own words: it would fill the counts with them.
    if (event.kind === "denied" && event.by === "commander" && event.rule !== undefined) this.rules.denied(event.rule);
    this.#parts.tell({ ...event, from, outside: outside.name, inside: inside.name });
  }

  /** @throws {SallyportError} what the policy of the node on `side` says of the other one */
  #admit(side: Side): void {
    const { policies, record, clock, guardLimits: limits, budgets } = this.#parts;
    const policy = policies[side];
    if (policy === undefined) return;
    const facts = factsOfNode(this.#facts[otherSide(side)]);
    const standing = policy.judge(facts, this.#roleTowards(side));
    if (standing.kind === "refused") {
      const { outcome, rule, alias, why } = standing;
      const target = this.#facts[side].name;
      record({
        ...this.#subject(side),
        outcome,
        rule,
        why,
        alias,
        nearestMiss: null,
        verb: "connect",
        target,
        mode: "enforce",
      });
      throw standing.error;
    }
    const nodes: [string, string] = [this.#facts[side].name, this.#facts[otherSide(side)].name];
    const budget = budgets.of(facts.fingerprints.at(-1) ?? `@${facts.name}`, clock.now());
    this.#guards[side] = new SessionGuard({ facts, rules: standing.rules, nodes, budget, limits, clock });
  }

  /** Whoever dials is let in by a rule; who is dialled by the node itself may also be a stranger, who only answers. */
  #roleTowards(side: Side): "acceptor" | "dialler" {
    return this.#facts.dialledBy === side ? "dialler" : "acceptor";
  }

  /** What the node on `sender` may do; undefined: nothing of its own. */
  #decideOf(sender: Side): Decide | undefined {
    const receiver = otherSide(sender);
    const guard = this.#guards[receiver];
    if (guard !== undefined) {
      return this.#watched(
        sender,
        policyDecisions({
          guard: () => guard,
          record: (request, ruling) => this.#record(receiver, request, ruling),
          allowed: (rule) => this.rules.allowed(rule),
        }),
      );
    }
    if (this.#settings.commander !== sender) return undefined;
    const refuse = (request: CommanderRequest, rule: string): string =>
      this.#record(receiver, request, { outcome: "deny-rule", rule, nearestMiss: null, mode: "enforce" });
    let { profile } = this.#settings;
    let decide = commanderProfile(profile, refuse);
    return this.#watched(sender, (request) => {
      // A reload may have brought another one.
      if (profile !== this.#settings.profile) {
        profile = this.#settings.profile;
        decide = commanderProfile(profile, refuse);
      }
      return decide(request);
    });
  }

  #denyAll(sender: Side): Decide {
    return this.#watched(sender, (request) => {
      const ruling: Ruling = { outcome: "deny-default", rule: null, nearestMiss: null, mode: "enforce" };
      return { allowed: false, id: this.#record(otherSide(sender), request, ruling), rule: "deny-default" };
    });
  }

  #watched(sender: Side, decide: Decide): Decide {
    const observed = this.observation?.observe(decide) ?? decide;
    return (request) => {
      const decision = observed(request);
      if (decision.allowed && this.#settings.tellsCommands) {
        this.tell({ kind: "command", verb: request.verb, target: targetText(request.target) }, sender);
      }
      return decision;
    };
  }

  /** @param decides undefined: nothing of its own */
  #optionsOf(side: Side, decides: Decide | undefined, isCommander: boolean): FilterOptions {
    const decide = decides ?? this.#denyAll(side);
    const mayAsk = decides !== undefined;
    const { leaders, wholeReasons, limits } = this.#settings;
    const inbox = (): readonly InboxEntry[] => (isCommander ? this.#settings.inbox : NO_ENTRIES);
    return {
      commander: incarnation(this.#facts, side),
      worker: incarnation(this.#facts, otherSide(side)),
      decide,
      mayAsk,
      limits,
      get inbox() {
        return inbox();
      },
      leaders,
      wholeReasons: wholeReasons || this.observation !== undefined,
      ...(this.observation === undefined ? {} : { observation: this.observation }),
    };
  }

  #record(receiver: Side, { verb, target }: CommanderRequest, ruling: Ruling): string {
    return this.#parts.record({ ...this.#subject(receiver), ...ruling, verb, target: targetText(target) });
  }

  #subject(receiver: Side): Pick<NewDecision, "node" | "alias" | "peer" | "key" | "generation"> {
    const guard = this.#guards[receiver];
    const { name } = this.#facts[otherSide(receiver)];
    return {
      node: this.#facts[receiver].name,
      alias: guard?.authority.alias ?? null,
      peer: name,
      key: guard?.facts.fingerprints[0] ?? null,
      generation: guard?.generation ?? 0,
    };
  }
}

function incarnation(facts: PairFacts, side: Side): Incarnation {
  const { name, creation } = facts[side];
  return { node: name, creation };
}

function targetText(target: Target): string {
  switch (target.kind) {
    case "name":
      return quotePeerText(target.name);
    case "function":
      return quotePeerText(target.label);
    default:
      return target.kind === "pid" ? "process" : "node";
  }
}
