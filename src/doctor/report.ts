import type { Diagnosis, ProbeStage } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";

/** What is shown as evidence: plain values, texts of the other side escaped, nothing secret. */
export type Evidence = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** One stage of `doctor connect`. */
export interface StageReport {
  readonly stage: ProbeStage;
  readonly state: "ok" | "failed" | "not reached";
  /** One sentence. */
  readonly says: string;
  /** How long it took; null where that is not known by itself. */
  readonly ms: number | null;
  readonly evidence: Evidence;
}

/** Something that is no failure now and will be one, or is one for others. */
export interface Note {
  /** UPPER_SNAKE. */
  readonly code: string;
  readonly message: string;
  readonly advice: string;
}

/** What came of examining one peer. */
export interface ConnectReport {
  readonly node: string;
  readonly target: string;
  readonly stages: readonly StageReport[];
  readonly notes: readonly Note[];
  /** Undefined: all stages are in order. */
  readonly failure: { readonly error: SallyportError; readonly diagnosis: Diagnosis } | undefined;
}
