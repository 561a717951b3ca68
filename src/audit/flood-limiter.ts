import type { MonotonicMs } from "../base/clock.ts";
import type { AuditLimits } from "./limits.ts";

/** How long records are counted together (rulings C19). */
export const FLOOD_WINDOW_MS = 60_000;

/** Different reasons counted apart in one window; reasons are a closed set, this is the stop behind it. */
export const MAX_FLOOD_REASONS = 256;

/** Records of one source and reason that were only counted. */
export interface FloodSummary {
  /** Null: of several sources, when there were too many to tell apart. */
  readonly source: string | null;
  readonly reason: string;
  readonly count: number;
  /** Id of the last one. */
  readonly lastId: string;
}

interface Cell {
  readonly source: string | null;
  readonly reason: string;
  written: number;
  counted: number;
  lastId: string;
}

/** Of a `FloodLimiter`. */
export type FloodBounds = Pick<AuditLimits, "maxPerKey" | "maxKeys" | "maxPerMinute"> & {
  /** Records that each of the first `maxKeys` sources may write in a window whatever the others do. Default 0. */
  readonly perSource?: number;
};

/**
 * Decides which records are written singly: in each window the first few of each source and reason, so many in all, and the
 * first of each reason whatever the others do. A source may have records of its own that no other can use up: these are not
 * counted among all. What is not written is counted. Pure: time is an argument.
 */
export class FloodLimiter {
  readonly #limits: FloodBounds;
  /** Records of their own that sources have written. */
  readonly #own = new Map<string, number>();
  readonly #cells = new Map<string, Cell>();
  readonly #others = new Map<string, Cell>();
  #written = 0;
  #endsAt: number | undefined;

  constructor(limits: FloodBounds) {
    this.#limits = limits;
  }

  /** Sources and reasons told apart now. */
  get size(): number {
    return this.#cells.size + this.#others.size;
  }

  /** When the window ends; undefined while there is none. */
  get endsAt(): MonotonicMs | undefined {
    return this.#endsAt as MonotonicMs | undefined;
  }

  /** True: write this one. False: it is counted. The owner calls `drain` first when the window is over. */
  take(source: string, reason: string, id: string, now: MonotonicMs): boolean {
    this.#endsAt ??= now + FLOOD_WINDOW_MS;
    const { maxPerKey, maxPerMinute } = this.#limits;
    const reasonCell = this.#reasonCell(reason);
    const isFirst = reasonCell.written === 0;
    const known = this.#cell(source, reason);
    const cell = known ?? reasonCell;
    if ((known === undefined || known.written < maxPerKey) && this.#takeOwn(source)) {
      if (known !== undefined) known.written++;
      reasonCell.written++;
      return true;
    }
    if (!isFirst && (cell.written >= maxPerKey || this.#written >= maxPerMinute)) {
      cell.counted++;
      cell.lastId = id;
      return false;
    }
    if (cell !== reasonCell) cell.written++;
    reasonCell.written++;
    this.#written++;
    return true;
  }

  /** Ends the window: what was only counted in it, by source and reason. */
  drain(): readonly FloodSummary[] {
    const summaries = [...this.#cells.values(), ...this.#others.values()]
      .filter(({ counted }) => counted > 0)
      .map(({ source, reason, counted, lastId }) => ({ source, reason, count: counted, lastId }));
    this.#cells.clear();
    this.#others.clear();
    this.#own.clear();
    this.#written = 0;
    this.#endsAt = undefined;
    return summaries;
  }

  /** False when the source has none left of its own, or is one too many. */
  #takeOwn(source: string): boolean {
    const { perSource = 0, maxKeys } = this.#limits;
    const used = this.#own.get(source);
    if (perSource === 0 || (used === undefined && this.#own.size >= maxKeys)) return false;
    if (used !== undefined && used >= perSource) return false;
    this.#own.set(source, (used ?? 0) + 1);
    return true;
  }

  /** Undefined when there is no room for one more. */
  #cell(source: string, reason: string): Cell | undefined {
    const key = `${reason}\n${source}`;
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    if (this.#cells.size >= this.#limits.maxKeys) return undefined;
    const cell = { source, reason, written: 0, counted: 0, lastId: "" };
    this.#cells.set(key, cell);
    return cell;
  }

  /** Counts a reason as a whole, and what found no room among the sources. */
  #reasonCell(reason: string): Cell {
    const name = this.#others.has(reason) || this.#others.size < MAX_FLOOD_REASONS ? reason : "OTHER";
    const known = this.#others.get(name);
    if (known !== undefined) return known;
    const cell = { source: null, reason: name, written: 0, counted: 0, lastId: "" };
    this.#others.set(name, cell);
    return cell;
  }
}
