/** Bounds of what the gateway keeps and lets through for one pair of nodes. Tables of the worker's rights fill by the commander alone. */
export interface GatewayLimits {
  /** Calls of the commander that the worker has not answered. Full: the call fails with `noconnection`. Default 16,384. */
  readonly maxCalls: number;
  /** Answers that might come to references the commander sent otherwise. Full: the oldest is forgotten. Default 16,384. */
  readonly maxExpectedAnswers: number;
  /** How long such an answer may take, milliseconds. Default 600,000. */
  readonly answerMs: number;
  /** Longest tag of a call, and of an expected answer, in bytes. Default 2,048. */
  readonly maxTagBytes: number;
  /** Monitors of the commander. Full: DOWN with `noconnection`. Default 16,384. */
  readonly maxMonitors: number;
  /** Links of the commander. Full: EXIT with `noconnection`. Default 4,096. */
  readonly maxLinks: number;
  /** Spawn requests the worker has not answered. Full: the spawn fails with `noconnection`. Default 4,096. */
  readonly maxSpawns: number;
  /** Processes spawned with a link or monitor that stands. Full: the spawn fails with `noconnection`. Default 4,096. */
  readonly maxChildren: number;
  /** Processes of the commander that the worker may monitor. Full: the one unused longest is forgotten. Default 16,384. */
  readonly maxRevealed: number;
  /** Monitors of the worker. Full: it gets DOWN with `noconnection`. Default 4,096. */
  readonly maxWorkerMonitors: number;
  /** Group leaders of the commander. Full: the one unused longest is forgotten. Default 256. */
  readonly maxLeaders: number;
  /** Requests of the worker to print that are not answered. Full: the oldest is forgotten, and its answer needs a grant. Default 4,096. */
  readonly maxPrinting: number;
  /** Bytes a second that the worker may print to one group leader. Default 1 MiB. */
  readonly leaderBytesPerSecond: number;
  /** Terms of one message that are looked through for references and pids. Default 20,000. */
  readonly maxScannedTerms: number;
  /** Pids that one expected answer may go to. Default 64. */
  readonly maxPidsPerAnswer: number;
  /** Different atoms of the worker that reach the commander in one session; above it the session ends. Default 20,000. */
  readonly maxAtoms: number;
  /** Messages a second from processes that the commander spawned to their parents. Default 1,000. */
  readonly childMessagesPerSecond: number;
  /** Bytes a second of those. Default 1 MiB. */
  readonly childBytesPerSecond: number;
  /** Refused messages of the worker in ten seconds; above it the session ends. Default 10,000. */
  readonly maxRefusals: number;
  /** Kinds of refusals that are told apart as seen before. Default 256. */
  readonly maxToldKinds: number;
}

export const DEFAULT_GATEWAY_LIMITS: GatewayLimits = Object.freeze({
  maxCalls: 16_384,
  maxExpectedAnswers: 16_384,
  answerMs: 600_000,
  maxTagBytes: 2_048,
  maxMonitors: 16_384,
  maxLinks: 4_096,
  maxSpawns: 4_096,
  maxChildren: 4_096,
  maxRevealed: 16_384,
  maxWorkerMonitors: 4_096,
  maxLeaders: 256,
  maxPrinting: 4_096,
  leaderBytesPerSecond: 1_048_576,
  maxScannedTerms: 20_000,
  maxPidsPerAnswer: 64,
  maxAtoms: 20_000,
  childMessagesPerSecond: 1_000,
  childBytesPerSecond: 1_048_576,
  maxRefusals: 10_000,
  maxToldKinds: 256,
});
