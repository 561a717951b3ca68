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

/** A table for people, one line a row. */
export function tableOf(rows: readonly RoundTrips[]): string[] {
  const width = Math.max(4, ...rows.map((row) => row.what.length));
  const line = (what: string, ...cells: readonly (string | number)[]): string =>
    what.padEnd(width) + cells.map((cell) => String(cell).padStart(10)).join("");
  return [
    line("", "calls", "p50", "p95", "max"),
    ...rows.map((row) => line(row.what, row.calls, `${row.p50Us} us`, `${row.p95Us} us`, `${row.maxUs} us`)),
  ];
}
