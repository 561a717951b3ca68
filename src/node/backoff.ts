import { SallyportError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

/** When a node that is to be connected is dialled again: waits that double from `minMs` to `maxMs`, milliseconds. */
export interface Reconnect {
  readonly minMs: number;
  readonly maxMs: number;
}

export const DEFAULT_RECONNECT: Reconnect = { minMs: 500, maxMs: 60_000 };

/** Longest `maxMs`: what a timer of the platform takes, in milliseconds. */
export const MAX_RECONNECT_MS = 0x7fff_ffff;

/** Doublings that matter: from 1 ms they reach the longest time there is. */
const MAX_DOUBLINGS = 31;

/** Largest value of `Random.uint32`, plus one. */
const UINT32 = 2 ** 32;

/** Fills in the defaults and checks. @throws {SallyportError} ERR_CONFIG RECONNECT_INVALID */
export function checkedReconnect(given: Partial<Reconnect> = {}): Reconnect {
  const maxMs = given.maxMs ?? Math.max(DEFAULT_RECONNECT.maxMs, given.minMs ?? 0);
  const minMs = given.minMs ?? Math.min(DEFAULT_RECONNECT.minMs, maxMs);
  for (const [name, value] of [
    ["minMs", minMs],
    ["maxMs", maxMs],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_RECONNECT_MS) {
      throw invalid(`${name} is ${value}, and not a whole number from 1 to ${MAX_RECONNECT_MS}`);
    }
  }
  if (minMs > maxMs) throw invalid(`minMs ${minMs} is above maxMs ${maxMs}`);
  return { minMs, maxMs };
}

/**
 * The wait before the next dial, after `failures` that came one after the other (0 for the first wait): full jitter, which is any
 * whole number of milliseconds from 1 to `minMs` doubled that often, and to `maxMs` at most. `Infinity` is the cap at once.
 */
export function backoffMs(failures: number, { minMs, maxMs }: Reconnect, random: Random): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(failures, MAX_DOUBLINGS));
  return 1 + Math.floor((random.uint32() / UINT32) * ceiling);
}

/** A time within a quarter of `ms`, so that what all nodes do now and then is not done by all at once. */
export function aroundMs(ms: number, random: Random): number {
  return Math.round(ms * (0.75 + random.uint32() / UINT32 / 2));
}

function invalid(what: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "RECONNECT_INVALID", `reconnect.${what}`, {
    stage: "session",
    advice: "give minMs and maxMs in milliseconds, the smaller one first, or leave reconnect out: 500 and 60000",
  });
}
