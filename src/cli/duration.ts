import { InvalidArgumentError } from "commander";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `90s`, `30m`, `1h` or `7d` as milliseconds, for an option. */
export function durationArgument(text: string): number {
  const match = /^\s*(\d{1,6})([smhd])$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (ms > 0) return ms;
  throw new InvalidArgumentError("Write a number and s, m, h or d, as 90s, 30m, 1h or 7d.");
}
