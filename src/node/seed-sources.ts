import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { DialTarget } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { aroundMs } from "./backoff.ts";
import type { SeedSource } from "./ports.ts";
import { MAX_SEEDS } from "./seeds.ts";

/** How often a source is asked, milliseconds, give or take a quarter. */
export const SEED_SOURCE_MS = 30_000;

/** Longest wait for the answer of a source, milliseconds. */
export const SEED_SOURCE_DEADLINE_MS = 10_000;

export interface SeedSourcesParts {
  readonly sources: readonly SeedSource[];
  readonly clock: Clock;
  readonly random: Random;
  /** A source has answered. */
  listed(label: string, targets: readonly DialTarget[]): void;
  /** Tells the operator. May run code of the user. */
  warn(reason: string, message: string): void;
}

/** Asks sources of seeds again and again. One that fails is warned of once, and its last answer stands. */
export class SeedSources {
  readonly #parts: SeedSourcesParts;
  readonly #stop = new AbortController();
  readonly #timers = new Map<SeedSource, Timer>();
  readonly #failing = new Set<SeedSource>();

  constructor(parts: SeedSourcesParts) {
    this.#parts = parts;
  }

  start(): void {
    for (const source of this.#parts.sources) void this.#ask(source);
  }

  stop(): void {
    this.#stop.abort();
    for (const timer of this.#timers.values()) timer.cancel();
  }

  /** Never rejects. */
  async #ask(source: SeedSource): Promise<void> {
    const { clock, random, listed } = this.#parts;
    try {
      const targets = await this.#answer(source);
      if (this.#stop.signal.aborted) return;
      this.#failing.delete(source);
      listed(source.label, targets.slice(0, MAX_SEEDS));
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#failed(source, error);
    }
    const at = addMs(clock.now(), aroundMs(SEED_SOURCE_MS, random));
    this.#timers.set(
      source,
      clock.at(at, () => void this.#ask(source), true),
    );
  }

  /** What it lists; rejects at the deadline also when the source does not mind its signal. */
  #answer(source: SeedSource): Promise<readonly DialTarget[]> {
    const { clock } = this.#parts;
    const asked = new AbortController();
    return new Promise((resolve, reject) => {
      const late = (): void => {
        asked.abort();
        reject(new Error(`no answer within ${SEED_SOURCE_DEADLINE_MS} ms`));
      };
      const deadline = clock.at(addMs(clock.now(), SEED_SOURCE_DEADLINE_MS), late, true);
      this.#stop.signal.addEventListener("abort", () => asked.abort(), { once: true, signal: asked.signal });
      const done = (): void => {
        deadline.cancel();
        asked.abort();
      };
      source.list(asked.signal).then(
        (targets) => {
          done();
          resolve(targets);
        },
        (error: unknown) => {
          done();
          reject(error);
        },
      );
    });
  }

  #failed(source: SeedSource, error: unknown): void {
    if (this.#failing.has(source)) return;
    this.#failing.add(source);
    const why = error instanceof Error ? error.message : String(error);
    const message = `${source.label} cannot be asked for seeds; those of its last answer stay: ${why}`;
    this.#parts.warn("SEED_SOURCE_FAILED", message);
  }
}
