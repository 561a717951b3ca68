import type { Rate } from "./bounds.ts";

const SPAN_MS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, h: 3_600_000 };
const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `20/s`, `600/min`, `5/h`; undefined when it is none. */
export function parseRate(text: string): Rate | undefined {
  const parts = /^([1-9]\d{0,11})\/(s|min|h)$/.exec(text);
  return parts === null ? undefined : { count: Number(parts[1]), perMs: SPAN_MS[parts[2] ?? ""] ?? 0 };
}

/** `8KiB`, `1MiB`, `512B`: bytes, at least one; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const parts = /^([1-9]\d{0,11})(B|KiB|MiB|GiB)$/.exec(text);
  if (parts === null) return undefined;
  const bytes = Number(parts[1]) * (UNIT_BYTES[parts[2] ?? ""] ?? 0);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `8KiB/s`, `1MiB/min`; undefined when it is none. */
export function parseByteRate(text: string): Rate | undefined {
  const slash = text.indexOf("/");
  const count = slash < 0 ? undefined : parseSize(text.slice(0, slash));
  const perMs = /^(s|min|h)$/.test(text.slice(slash + 1)) ? SPAN_MS[text.slice(slash + 1)] : undefined;
  return count === undefined || perMs === undefined ? undefined : { count, perMs };
}

const TIME = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?(Z|([+-])(\d{2}):(\d{2})))?$/;

/**
 * `2027-01-15` (its first moment, UTC) or an ISO time with its zone: Unix milliseconds; undefined when it is none, as 30
 * February is not.
 */
export function parseTime(text: string): number | undefined {
  const parts = TIME.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "0", , sign] = parts;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const zoneHours = Number(parts[10] ?? 0);
  const zoneMinutes = Number(parts[11] ?? 0);
  if (zoneHours > 23 || zoneMinutes > 59) return undefined;
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // Date rolls a day that does not exist over to the next month.
  const date = new Date(midnight);
  if (date.getUTCFullYear() !== Number(year) || date.getUTCMonth() !== Number(month) - 1) return undefined;
  if (date.getUTCDate() !== Number(day)) return undefined;
  const inDay = Number(hour) * SPAN_H + Number(minute) * SPAN_MIN + Number(second) * 1_000;
  const zone = (zoneHours * SPAN_H + zoneMinutes * SPAN_MIN) * (sign === "-" ? -1 : 1);
  return midnight + inDay + Number(fraction.padEnd(3, "0")) - zone;
}

const SPAN_MIN = 60_000;
const SPAN_H = 3_600_000;
