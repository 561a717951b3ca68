import type { MonotonicMs } from "../base/clock.ts";
import type { Target } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import type { FilterOptions } from "./filter-parts.ts";
import type { FilterReport } from "./filter-report.ts";
import type { MessageFilter, PairFacts, Side } from "./message-filter.ts";
import { ASKED } from "./needs-no-grant.ts";
import type { Observation } from "./observation.ts";
import { PeerFilter, type PeerFilterOptions } from "./peer-filter.ts";
import type { CommanderRequest } from "./profile.ts";
import type { ReturnPaths } from "./return-paths.ts";
import type { RuleCounts } from "./rule-counts.ts";
import type { FilterEvent, Verdict } from "./verdict.ts";

/** How one pair is judged: one commands the other, or each what it may. */
export type Judging =
  | { readonly kind: "commander"; readonly commander: Side; readonly options: FilterOptions }
  | { readonly kind: "peers"; readonly options: PeerFilterOptions };

/** What one node has set on the other, and stands. */
export type Tie = Pick<CommanderRequest, "verb" | "target">;

const PROCESS: Target = Object.freeze({ kind: "pid", name: undefined, granted: false });

export interface GuardedPairParts {
  readonly facts: PairFacts;
  readonly judging: Judging;
  readonly rules: RuleCounts;
  readonly observation: Observation | undefined;
  /** Hears of what is refused. Must not throw. */
  readonly tell: (event: FilterEvent, from: Side) => void;
  readonly ended: (pair: GuardedPair) => void;
}

/** The filter of one pair of legs: who sent a message decides by what it is judged. */
export class GuardedPair implements MessageFilter {
  readonly facts: PairFacts;
  readonly #parts: GuardedPairParts;
  readonly #one: GatewayFilter | undefined;
  readonly #peers: PeerFilter | undefined;
  readonly #commander: Side;
  readonly #forwarded = { outside: 0, inside: 0 };

  constructor(parts: GuardedPairParts, now: MonotonicMs) {
    this.facts = parts.facts;
    this.#parts = parts;
    const { judging } = parts;
    this.#commander = judging.kind === "commander" ? judging.commander : "outside";
    this.#one = judging.kind === "commander" ? new GatewayFilter(judging.options, now) : undefined;
    this.#peers = judging.kind === "peers" ? new PeerFilter(judging.options, now) : undefined;
  }

  judge(from: Side, control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const verdict =
      this.#one === undefined
        ? (this.#peers as PeerFilter).from(from, control, buffer, start, end, now)
        : from === this.#commander
          ? this.#one.fromCommander(control, buffer, start, end, now)
          : this.#one.fromWorker(control, buffer, start, end, now);
    if (verdict.forward !== undefined) this.#forwarded[from]++;
    const filter = this.#one ?? (this.#peers as PeerFilter);
    for (const event of filter.takeEvents()) this.#parts.tell(event, from);
    return verdict;
  }

  isPressed(side: Side): boolean {
    if (this.#one === undefined) return this.#peerPaths(side).isPressed;
    return side === this.#commander && this.#one.paths.isPressed;
  }

  /** Monitors and links that the node on `side` has set by rules: not those of what it spawned or of its calls, nor those that need none. */
  *ties(side: Side): IterableIterator<Tie> {
    const paths =
      this.#one === undefined ? this.#peerPaths(side) : side === this.#commander ? this.#one.paths : undefined;
    for (const { target, child, isOfCall } of paths?.monitors.values() ?? []) {
      const isNamed = typeof target === "string";
      if (child !== undefined || isOfCall === true || (isNamed && ASKED.includes(target))) continue;
      yield { verb: "monitor", target: isNamed ? { kind: "name", name: target } : PROCESS };
    }
    for (const { child, unlinking } of paths?.links.values() ?? []) {
      if (child === undefined && unlinking === undefined) yield { verb: "link", target: PROCESS };
    }
  }

  report(): FilterReport {
    const { rules, observation } = this.#parts;
    const tables =
      this.#one !== undefined
        ? tablesOf(this.#one.paths, "")
        : { ...tablesOf(this.#peerPaths("outside"), "outside."), ...tablesOf(this.#peerPaths("inside"), "inside.") };
    const denied = Object.fromEntries((this.#one ?? (this.#peers as PeerFilter)).denied);
    const isObserved = observation?.isOn === true;
    return { tables, forwarded: { ...this.#forwarded }, denied, rules: rules.report(), isObserved };
  }

  ended(): void {
    (this.#one ?? (this.#peers as PeerFilter)).end();
    this.#parts.ended(this);
  }

  #peerPaths(side: Side): ReturnPaths {
    return (this.#peers as PeerFilter).paths[side];
  }
}

function tablesOf(paths: ReturnPaths, prefix: string): Record<string, { size: number; limit: number }> {
  const { monitors, links, spawns, children, workerMonitors, calls, expected, leaders, printing, revealed } = paths;
  const hard = [monitors, links, spawns, children, workerMonitors, calls].map((t) => [t.name, t] as const);
  const soft = [
    ["maxExpectedAnswers", expected],
    ["maxLeaders", leaders],
    ["maxPrinting", printing],
    ["maxRevealed", revealed],
  ] as const;
  return Object.fromEntries([...hard, ...soft].map(([name, { size, limit }]) => [prefix + name, { size, limit }]));
}
