import { PROBE_STAGES, type ProbeStage } from "../base/diagnosis.ts";
import type { Evidence, StageReport } from "./report.ts";

/** Gathers the stages of one examination in their order; what nobody speaks of was not reached. */
export class StageBook {
  readonly #stages = new Map<ProbeStage, StageReport>();

  passed(stage: ProbeStage, says: string, evidence: Evidence = {}, ms: number | null = null): void {
    this.#stages.set(stage, { stage, state: "ok", says, ms, evidence });
  }

  /** Adds to what is known of a stage already. */
  failed(stage: ProbeStage, says: string, evidence: Evidence = {}, ms: number | null = null): void {
    const before = this.#stages.get(stage);
    this.#stages.set(stage, {
      stage,
      state: "failed",
      says,
      ms: ms ?? before?.ms ?? null,
      evidence: { ...before?.evidence, ...evidence },
    });
  }

  has(stage: ProbeStage): boolean {
    return this.#stages.has(stage);
  }

  /** All stages; behind the first that failed none was reached. */
  all(): readonly StageReport[] {
    const failedAt = PROBE_STAGES.findIndex((stage) => this.#stages.get(stage)?.state === "failed");
    return PROBE_STAGES.map((stage, at) => {
      const known = failedAt !== -1 && at > failedAt ? undefined : this.#stages.get(stage);
      return known ?? { stage, state: "not reached", says: "", ms: null, evidence: {} };
    });
  }
}
