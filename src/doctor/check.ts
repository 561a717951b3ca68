/** What was found of one thing on this machine. */
export interface Check {
  /** What was looked at: `name`, `clock`, `keys`, ... */
  readonly check: string;
  readonly state: "ok" | "warning" | "fault" | "skipped";
  /** UPPER_SNAKE; null where nothing is wrong. */
  readonly code: string | null;
  readonly says: string;
  /** Empty where nothing is to be done. */
  readonly advice: string;
}

export function fine(check: string, says: string): Check {
  return { check, state: "ok", code: null, says, advice: "" };
}

/** It does not apply. */
export function skipped(check: string, says: string): Check {
  return { check, state: "skipped", code: null, says, advice: "" };
}

export function doubtful(check: string, code: string, says: string, advice: string): Check {
  return { check, state: "warning", code, says, advice };
}

export function bad(check: string, code: string, says: string, advice: string): Check {
  return { check, state: "fault", code, says, advice };
}
