import type { Brand } from "./brand.ts";

/** Milliseconds of a clock that never goes back. Only for deadlines and durations. */
export type MonotonicMs = Brand<number, "MonotonicMs">;

/** Handle of an armed timer. */
export interface Timer {
  /** Idempotent. */
  cancel(): void;
}

/** Time, as an injected part: tests pass a virtual one. */
export interface Clock {
  /** Monotonic milliseconds; for deadlines. */
  now(): MonotonicMs;
  /** Wall clock, Unix milliseconds; only for certificates, names of backups and logs. */
  wallMs(): number;
  /** Calls `run` once, at or after `at`. Does not keep the process alive when `background` is true. */
  at(at: MonotonicMs, run: () => void, background?: boolean): Timer;
  /** Calls `run` after the current turn's synchronous work, before any further I/O. */
  afterTurn(run: () => void): void;
  /** Calls `run` in a later turn, after pending I/O had its chance. */
  later(run: () => void): void;
}

/** `base + deltaMs`. */
export function addMs(base: MonotonicMs, deltaMs: number): MonotonicMs {
  return (base + deltaMs) as MonotonicMs;
}
