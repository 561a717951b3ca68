import type { MonotonicMs } from "../base/clock.ts";
import type { Control } from "../wire/control-types.ts";
import type { Verdict } from "./verdict.ts";

/** Judges what one node sends of itself, asked by nobody. */
export interface Initiative {
  judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict;
}
