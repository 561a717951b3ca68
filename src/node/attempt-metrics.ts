import type { AttemptOutcome, AttemptRole } from "../audit/attempt-entries.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { BARREL_METRICS, type BarrelAttempt } from "../auth/barrel-types.ts";
import type { ProtocolName } from "../base/assurance.ts";
import type { Metric } from "./api.ts";

/** Upper bounds of the duration buckets, milliseconds; a last one takes the rest. */
const BUCKETS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/** Counters by role, protocol, outcome and reason. Reasons are a closed set; what came after so many counts as OTHER. */
export const MAX_ATTEMPT_SERIES = 1024;

interface Count {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

interface Durations {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Connection attempts of a node in numbers. */
export class AttemptMetrics {
  readonly #attempts = new Map<string, Count>();
  readonly #durations = new Map<string, Durations>();
  readonly #barrel = new Map<string, Durations>();

  add(
    role: AttemptRole,
    protocol: ProtocolName | null,
    outcome: AttemptOutcome,
    reason: string | null,
    durationMs: number,
  ): void {
    const labels = { role, protocol: protocol ?? "unknown", outcome, reason: reason ?? "NONE" };
    this.#count(labels).value++;
    observe(durationsOf(this.#durations, { role, outcome }), durationMs);
  }

  /** An exchange of keys with a peer of barrel_p2p. */
  barrel({ role, outcome, durationMs }: BarrelAttempt): void {
    observe(durationsOf(this.#barrel, { role, outcome }), durationMs);
  }

  snapshot(): readonly Metric[] {
    return [
      ...[...this.#attempts.values()].map(({ labels, value }): Metric => {
        return { kind: "counter", name: "dist.auth.attempts", labels, value };
      }),
      ...[...this.#durations.values()].map((durations) => histogram("dist.auth.duration_ms", durations)),
      ...[...this.#barrel.values()].flatMap((durations): Metric[] => [
        { kind: "counter", name: BARREL_METRICS.attempts, labels: durations.labels, value: durations.count },
        histogram(BARREL_METRICS.durationMs, durations),
      ]),
    ];
  }

  #count(labels: Readonly<Record<string, string>> & { readonly reason: string }): Count {
    const full = this.#attempts.size >= MAX_ATTEMPT_SERIES;
    const key = Object.values(labels).join("\n");
    const known = this.#attempts.get(key);
    if (known !== undefined) return known;
    // Two roles, three protocols and three outcomes: a few more entries at most.
    if (full && labels.reason !== "OTHER") return this.#count({ ...labels, reason: "OTHER" });
    const count = { labels, value: 0 };
    this.#attempts.set(key, count);
    return count;
  }
}

function durationsOf(all: Map<string, Durations>, labels: Readonly<Record<string, string>>): Durations {
  const key = Object.values(labels).join("\n");
  let durations = all.get(key);
  if (durations === undefined) {
    durations = { labels, counts: [], sum: 0, count: 0 };
    all.set(key, durations);
  }
  return durations;
}

function observe(durations: Durations, durationMs: number): void {
  const bucket = BUCKETS_MS.findIndex((bound) => durationMs <= bound);
  const at = bucket < 0 ? BUCKETS_MS.length : bucket;
  durations.counts[at] = (durations.counts[at] ?? 0) + 1;
  durations.sum += durationMs;
  durations.count++;
}

function histogram(name: string, { labels, counts, sum, count }: Durations): Metric {
  let upTo = 0;
  const buckets = BUCKETS_MS.map((le, i) => {
    upTo += counts[i] ?? 0;
    return { le, count: upTo };
  });
  return { kind: "histogram", name, labels, buckets, sum, count };
}

/** What became of the records of the audit log: `lost` is the counter of drops. */
export function auditMetrics(audit: AuditTrail | undefined): readonly Metric[] {
  if (audit === undefined) return [];
  const { audit_written: written = 0, audit_lost: lost = 0, audit_summarised: summarised = 0 } = audit.counters();
  return Object.entries({ written, lost, summarised }).map(([outcome, value]) => {
    return { kind: "counter", name: "dist.audit.records", labels: { outcome }, value };
  });
}
