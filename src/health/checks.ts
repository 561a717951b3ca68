import { addMs, type Clock, type Timer } from "../base/clock.ts";

/** Longest time in which health answers, whatever hangs, milliseconds. */
export const HEALTH_DEADLINE_MS = 8_000;

/** What one check has found. */
export interface CheckResult {
  readonly ok: boolean;
  /** Stable word for what is wrong. */
  readonly reason?: string;
  /** What else it has to say; no secret, no name of a peer. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** One thing that is looked at. It may throw and it may hang: both are answers. */
export interface HealthCheck {
  readonly name: string;
  check(): CheckResult | Promise<CheckResult>;
}

/** A check that was run. */
export interface CheckedPart extends CheckResult {
  readonly name: string;
}

/**
 * Runs checks at once and beside each other. Never throws: one that fails is `CHECK_FAILED`, one that takes longer than the
 * deadline `CHECK_TIMED_OUT`.
 */
export function runChecks(
  checks: readonly HealthCheck[],
  clock: Clock,
  deadlineMs: number = HEALTH_DEADLINE_MS,
): Promise<readonly CheckedPart[]> {
  let timer: Timer | undefined;
  const late = new Promise<CheckResult>((resolve) => {
    const at = addMs(clock.now(), deadlineMs);
    timer = clock.at(at, () => resolve({ ok: false, reason: "CHECK_TIMED_OUT" }), true);
  });
  const run = async (check: HealthCheck): Promise<CheckedPart> => {
    const result = await Promise.race([attempted(check), late]);
    return { name: check.name, ...result };
  };
  return Promise.all(checks.map(run)).finally(() => timer?.cancel());
}

async function attempted(part: HealthCheck): Promise<CheckResult> {
  try {
    return await part.check();
  } catch {
    return { ok: false, reason: "CHECK_FAILED" };
  }
}
