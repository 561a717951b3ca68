/** Times of many calls of one kind, in microseconds. */
export interface RoundTrips {
  readonly what: string;
  readonly calls: number;
  readonly p50Us: number;
  readonly p95Us: number;
  readonly maxUs: number;
}

/** Sums up times, the nearest-rank way: a percentile is a time that was measured. */
export function summarize(what: string, timesUs: readonly number[]): RoundTrips {
  const sorted = [...timesUs].sort((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { what, calls: sorted.length, p50Us: at(0.5), p95Us: at(0.95), maxUs: at(1) };
}
