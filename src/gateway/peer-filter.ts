import type { MonotonicMs } from "../base/clock.ts";
import type { Control } from "../wire/control-types.ts";
import { CommanderSide } from "./commander.ts";
import { judgeWhole } from "./filter.ts";
import type { FilterOptions, FilterParts } from "./filter-parts.ts";
import type { Initiative } from "./initiative.ts";
import { DEFAULT_GATEWAY_LIMITS } from "./limits.ts";
import { SIDES, type Side } from "./message-filter.ts";
import { RefusalLog } from "./refusal-log.ts";
import { ReturnPaths } from "./return-paths.ts";
import { DROP, type FilterEvent, type Verdict } from "./verdict.ts";
import { WorkerSide } from "./worker.ts";

/** How equals are filtered: as a commander each by its own decision, as a worker each by what the other asked for. */
export type PeerFilterOptions = Readonly<Record<Side, FilterOptions>>;

/**
 * The gate between two nodes of which each may command what its rules allow: a message is an answer to what the other asked
 * for, or else an operation of its sender's own. Pure, as `GatewayFilter`.
 */
export class PeerFilter {
  /** What each side expects as a commander. */
  readonly paths: Readonly<Record<Side, ReturnPaths>>;
  readonly #log: RefusalLog;
  readonly #senders: Readonly<Record<Side, Sender>>;
  readonly #options: PeerFilterOptions;

  /** In `options.outside` the outside node is the commander, in `options.inside` the inside one. */
  constructor(options: PeerFilterOptions, now: MonotonicMs) {
    this.#options = options;
    const limits = { ...DEFAULT_GATEWAY_LIMITS, ...options.outside.limits };
    this.#log = new RefusalLog(limits.maxToldKinds);
    const partsOf = (side: Side): FilterParts => {
      const given = options[side];
      const own = { ...DEFAULT_GATEWAY_LIMITS, ...given.limits };
      const paths = new ReturnPaths(own, (table) => this.#log.filling(table));
      const nodes = [given.commander.node, given.worker.node] as const;
      return { options: given, limits: own, paths, log: this.#log, nodes };
    };
    const parts = { outside: partsOf("outside"), inside: partsOf("inside") };
    this.paths = { outside: parts.outside.paths, inside: parts.inside.paths };
    this.#senders = {
      outside: new Sender(parts.outside, parts.inside, now),
      inside: new Sender(parts.inside, parts.outside, now),
    };
  }

  /** Different atoms of each side that have reached the other. */
  atoms(of: Side): number {
    return this.#senders[of].answers.values.atoms;
  }

  /** A message of the node on the side `from`; the payload and the verdict are as in `GatewayFilter.fromCommander`. */
  from(from: Side, control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    for (const side of SIDES) {
      this.paths[side].expire(now);
      this.#options[side].observation?.reach(now);
    }
    return judgeWhole(this.#senders[from], control, buffer, start, end, now);
  }

  /** The session is over. */
  end(): void {
    for (const side of SIDES) this.paths[side].end();
  }

  /** Refused so far, by who and why. */
  get denied(): ReadonlyMap<string, number> {
    return this.#log.counts;
  }

  /** What the operator is to hear of since the last call. */
  takeEvents(): readonly FilterEvent[] {
    return this.#log.take();
  }
}

/** One of two equals, as the one who sends. */
class Sender implements Initiative {
  /** As a worker of the other. */
  readonly answers: WorkerSide;
  readonly #commands: CommanderSide;
  /** What it expects of the other. */
  readonly #own: ReturnPaths;
  /** What the other expects of it. */
  readonly #others: ReturnPaths;

  constructor(own: FilterParts, others: FilterParts, now: MonotonicMs) {
    this.#own = own.paths;
    this.#others = others.paths;
    this.#commands = new CommanderSide(own);
    const commands = this.#commands;
    this.answers = new WorkerSide(others, now, {
      judge(control, b, start, end, at) {
        // An acknowledgement that nobody waits for crossed with the end of its link.
        return control.kind === "unlink-id-ack" ? DROP : commands.judge(control, b, start, end, at);
      },
    });
  }

  /** A link is one, whoever made it: what ends it ends the rows of both. */
  judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    if (control.kind === "unlink-id") {
      const verdict = this.#commands.judge(control, b, start, end, now);
      const link = this.#others.link(control.to, control.from);
      if (link !== undefined && link.unlinking === undefined) this.#others.endLink(link);
      return verdict;
    }
    const own = control.kind === "exit" ? this.#own.link(control.from, control.to) : undefined;
    const verdict = this.answers.judge(control, b, start, end, now);
    if (own !== undefined && own.unlinking === undefined && verdict.forward !== undefined) this.#own.endLink(own);
    return verdict;
  }
}
