import type { Answer, Told } from "./machine.ts";

/** What became of an attempt, as it was seen at both ends. */
export type RowOutcome =
  /** It happened. */
  | "done"
  /** It did not happen, and who tried was told no. */
  | "refused"
  /** It did not happen, who tried was told nothing, and the receiver saw it. */
  | "silence"
  /** It did not happen, and the receiver ended the session. */
  | "cut off"
  /** Some of many happened, up to a limit. */
  | "limited"
  /** There was no way to try. */
  | "no way"
  /** None of these: never expected. */
  | "unclear";

/** What should become of an attempt. */
export interface Expected {
  readonly outcome: RowOutcome;
  /** Rule id, or what stands for one: `deny-default`, the counter of what was dropped. */
  readonly by: string;
}

/** One line of the demo's table. */
export interface Row {
  readonly from: string;
  readonly to: string;
  readonly attempt: string;
  readonly expected: Expected;
  readonly observed: Expected;
  /** Id under which the receiver knows the refusal. */
  readonly decision: string | null;
  /** What came back. */
  readonly answer: string;
  readonly ok: boolean;
}

/** What was seen of one attempt. */
export interface Sighting {
  readonly answer: Answer;
  /** The refusals that the receiver recorded meanwhile, oldest first. */
  readonly told: readonly Told[];
  /** Why the receiver ended the session, where it did. */
  readonly cutBy: string | undefined;
  /** What the receiver counted meanwhile of answers that nobody waited for: the name of the counter. */
  readonly dropped: string | undefined;
  /** Whether the thing itself happened at the receiver; undefined where only the answer shows it. */
  readonly happened: boolean | undefined;
  /** By what the receiver lets it through, where it does. */
  readonly grantedBy: string;
}

/** Reads the outcome out of what both ends saw. What does not fit together is `unclear`. */
export function outcomeOf(sighting: Sighting): { readonly observed: Expected; readonly decision: string | null } {
  const { answer, told, dropped, cutBy, happened, grantedBy } = sighting;
  const refusal = told.find(({ decision }) => decision === answer.decision) ?? told[0];
  const by = refusal === undefined ? (dropped ?? "-") : (refusal.rule ?? refusal.outcome);
  const decision = refusal?.decision ?? null;
  const seen = (outcome: RowOutcome, why: string = by): ReturnType<typeof outcomeOf> => ({
    observed: { outcome, by: why },
    decision,
  });
  // The id that was told to the one must be known to the other.
  if (answer.decision !== undefined && answer.decision !== decision) return seen("unclear");
  if (happened === true)
    return seen(refusal === undefined ? "done" : "unclear", refusal === undefined ? grantedBy : by);
  if (answer.kind === "cut") return seen(cutBy === undefined ? "unclear" : "cut off", cutBy);
  if (answer.kind === "refused") return seen(refusal === undefined ? "unclear" : "refused");
  if (answer.kind === "nothing") return seen(by === "-" ? "unclear" : "silence");
  if (answer.kind === "answered" && happened === undefined && refusal === undefined) return seen("done", grantedBy);
  return seen("unclear");
}

/** The row of an attempt. */
export function rowOf(
  { from, to, attempt, expected }: Pick<Row, "from" | "to" | "attempt" | "expected">,
  { observed, decision }: ReturnType<typeof outcomeOf>,
  answer: string,
): Row {
  const ok = observed.outcome === expected.outcome && observed.by === expected.by;
  return { from, to, attempt, expected, observed, decision, answer, ok };
}
