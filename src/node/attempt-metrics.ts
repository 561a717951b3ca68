import type { AttemptOutcome, AttemptRole } from "../audit/attempt-entries.ts";
import { BARREL_METRICS, type BarrelAttempt } from "../auth/barrel-types.ts";
import type { ProtocolName } from "../base/assurance.ts";
import type { Metric } from "./api.ts";

/** Upper bounds of the duration buckets, milliseconds; a last one takes the rest. */
const BUCKETS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/** Counters by role, protocol, outcome and reason. Reasons are a closed set; what came after so many counts as OTHER. */
export const MAX_ATTEMPT_SERIES = 1024;

interface Count {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

interface Durations {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Connection attempts of a node in numbers. */
export class AttemptMetrics {
  readonly #attempts = new Map<string, Count>();
  readonly #durations = new Map<string, Durations>();

  add(
    role: AttemptRole,
    protocol: ProtocolName | null,
    outcome: AttemptOutcome,
    reason: string | null,
    durationMs: number,
  ): void {
    const labels = { role, protocol: protocol ?? "unknown", outcome, reason: reason ?? "NONE" };
    this.#count(labels).value++;
    this.#time(this.#durationsOf("dist.auth.duration_ms", { role, outcome }), durationMs);
  }

  /** One exchange of keys with a barrel node, under the names that barrel_p2p has for it. */
  addBarrel({ role, outcome, durationMs }: BarrelAttempt): void {
    const labels = { role, outcome };
    const name = BARREL_METRICS.attempts;
    const key = `${name}\n${role}\n${outcome}`;
    const count = this.#attempts.get(key) ?? { name, labels, value: 0 };
    this.#attempts.set(key, count);
    count.value++;
    this.#time(this.#durationsOf(BARREL_METRICS.durationMs, labels), durationMs);
  }

  #time(durations: Durations, durationMs: number): void {
    const bucket = BUCKETS_MS.findIndex((bound) => durationMs <= bound);
    const at = bucket < 0 ? BUCKETS_MS.length : bucket;
    durations.counts[at] = (durations.counts[at] ?? 0) + 1;
    durations.sum += durationMs;
    durations.count++;
  }

  snapshot(): readonly Metric[] {
    return [
      ...[...this.#attempts.values()].map(({ name, labels, value }): Metric => {
        return { kind: "counter", name, labels, value };
      }),
      ...[...this.#durations.values()].map(({ name, labels, counts, sum, count }): Metric => {
        let upTo = 0;
        const buckets = BUCKETS_MS.map((le, i) => {
          upTo += counts[i] ?? 0;
          return { le, count: upTo };
        });
        return { kind: "histogram", name, labels, buckets, sum, count };
      }),
    ];
  }

  #count(labels: Readonly<Record<string, string>> & { readonly reason: string }): Count {
    const full = this.#attempts.size >= MAX_ATTEMPT_SERIES;
    const key = Object.values(labels).join("\n");
    const known = this.#attempts.get(key);
    if (known !== undefined) return known;
    // Two roles, three protocols and three outcomes: a few more entries at most.
    if (full && labels.reason !== "OTHER") return this.#count({ ...labels, reason: "OTHER" });
    const count = { name: "dist.auth.attempts", labels, value: 0 };
    this.#attempts.set(key, count);
    return count;
  }

  #durationsOf(name: string, labels: { readonly role: string; readonly outcome: string }): Durations {
    const key = `${name}\n${labels.role}\n${labels.outcome}`;
    let durations = this.#durations.get(key);
    if (durations === undefined) {
      durations = { name, labels, counts: [], sum: 0, count: 0 };
      this.#durations.set(key, durations);
    }
    return durations;
  }
}
