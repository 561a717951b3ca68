import { ByteWriter } from "../base/byte-writer.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";
import { encodeInto } from "../term/encode.ts";
import { type Control, hasPayload } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { CommanderSide } from "./commander.ts";
import type { FilterOptions, FilterParts } from "./filter-parts.ts";
import type { Initiative } from "./initiative.ts";
import { DEFAULT_GATEWAY_LIMITS } from "./limits.ts";
import type { Observation } from "./observation.ts";
import { RefusalLog } from "./refusal-log.ts";
import { ReturnPaths } from "./return-paths.ts";
import type { FilterEvent, Verdict } from "./verdict.ts";
import { WorkerSide } from "./worker.ts";

/**
 * The gate between one commander and one worker, for one session of the two (threat model 4.3). Pure: it takes decoded control
 * messages and encoded payloads, with the time, and says what is to be sent where. Everything of the commander that its rules
 * allow passes and is learned from; of the worker nothing passes that was not asked for.
 */
export class GatewayFilter {
  readonly paths: ReturnPaths;
  readonly #log: RefusalLog;
  readonly #commander: CommanderSide;
  readonly #worker: WorkerSide;
  readonly #observation: Observation | undefined;

  constructor(options: FilterOptions, now: MonotonicMs) {
    const limits = { ...DEFAULT_GATEWAY_LIMITS, ...options.limits };
    this.#log = new RefusalLog(limits.maxToldKinds);
    this.paths = new ReturnPaths(limits, (table) => this.#log.filling(table));
    const nodes = [options.commander.node, options.worker.node] as const;
    const parts: FilterParts = { options, limits, paths: this.paths, log: this.#log, nodes };
    this.#commander = new CommanderSide(parts);
    this.#worker = new WorkerSide(parts, now);
    this.#observation = options.observation;
  }

  /** Different atoms of the worker that have reached the commander. */
  get atoms(): number {
    return this.#worker.values.atoms;
  }

  /**
   * A message of the commander. The payload is `buffer[start..end)`, without version byte and without references to the atoms
   * of a header; `start === end` when there is none. The verdict may refer to `buffer`; it is not written to.
   */
  fromCommander(control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    this.#reach(now);
    return judgeWhole(this.#commander, control, buffer, start, end, now);
  }

  /** A message of the worker, likewise. */
  fromWorker(control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    this.#reach(now);
    return judgeWhole(this.#worker, control, buffer, start, end, now);
  }

  /** The session is over. */
  end(): void {
    this.paths.end();
  }

  /** Refused so far, by who and why. */
  get denied(): ReadonlyMap<string, number> {
    return this.#log.counts;
  }

  /** What the operator is to hear of since the last call. */
  takeEvents(): readonly FilterEvent[] {
    return this.#log.take();
  }

  #reach(now: MonotonicMs): void {
    this.paths.expire(now);
    this.#observation?.reach(now);
  }
}

/** What both kinds of filters share: a message is judged whole, and what it does wrong ends the pair. */
export function judgeWhole(
  side: Initiative,
  control: Control,
  buffer: Buffer,
  start: number,
  end: number,
  now: MonotonicMs,
): Verdict {
  try {
    if (hasPayload(control) !== end > start) {
      throw misbehaved("CONTROL_MALFORMED", `a ${control.kind} message with a payload too many or too few`);
    }
    if (
      (control.kind === "exit" || control.kind === "exit2" || control.kind === "monitor-exit") &&
      control.reason !== "payload"
    ) {
      // The form before EXIT_PAYLOAD, which a BEAM uses for what it queued while it was connecting.
      const writer = new ByteWriter(64);
      encodeInto(writer, control.reason.term);
      const reason = writer.takeCopy();
      return side.judge({ ...control, reason: "payload" }, reason, 0, reason.length, now);
    }
    return side.judge(control, buffer, start, end, now);
  } catch (error) {
    if (isSallyportError(error)) return { close: error };
    throw error;
  }
}
