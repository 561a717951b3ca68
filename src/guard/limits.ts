/** Bounds of what one peer may use of a node, whatever its policy says. */
export interface GuardLimits {
  /** Calls of one peer that services have not answered. Default 4,096. */
  readonly maxInflightPerPeer: number;
  /** Refused operations of one session a second; above it the connection is not read for `denialPauseMs`. Default 1,000. */
  readonly maxDenialsPerSecond: number;
  /** How long a connection above it is not read, milliseconds. Default 100. */
  readonly denialPauseMs: number;
  /** Verdicts that one session keeps on names that nothing has, and on functions. Default 4,096. */
  readonly maxKeptVerdicts: number;
  /** Peers whose use of their bounds is remembered, also between sessions. Default 10,000. */
  readonly maxBudgets: number;
  /** Capabilities (`node.grant`) that stand at once. Default 16,384. */
  readonly maxGrants: number;
  /** Refusals of one kind (peer, verb, kind of target, rule) that are told singly in a minute; more become one event. Default 10. */
  readonly maxToldPerKind: number;
  /** Decisions that `why` finds without the audit log; the oldest is forgotten. Default 10,000. */
  readonly maxKeptDecisions: number;
}

export const DEFAULT_GUARD_LIMITS: GuardLimits = {
  maxInflightPerPeer: 4_096,
  maxDenialsPerSecond: 1_000,
  denialPauseMs: 100,
  maxKeptVerdicts: 4_096,
  maxBudgets: 10_000,
  maxGrants: 16_384,
  maxToldPerKind: 10,
  maxKeptDecisions: 10_000,
};
