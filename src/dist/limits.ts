/** Bounds of one connection. Each has its reason in docs/limits.md. All times in milliseconds. */
export interface DistLimits {
  /** From the first byte of a connection to the end of TLS. Default 5,000. */
  readonly maxTlsHandshakeMs: number;
  /** From the first byte of a connection to an authenticated session. Default 10,000. */
  readonly maxHandshakeMs: number;
  /** Largest handshake message. Default 4,096 bytes. */
  readonly maxHandshakeFrameBytes: number;
  /**
   * Largest single frame when fragments were negotiated, from the first tick or fragment on; before that `maxMessageBytes`,
   * because a BEAM does not fragment what was sent while it was connecting. Default 16 MiB.
   */
  readonly maxFrameBytes: number;
  /** Largest message after reassembly, and largest frame where fragments were not negotiated. Default 64 MiB. */
  readonly maxMessageBytes: number;
  /** Bytes of unfinished fragmented messages per connection. Default 64 MiB. */
  readonly maxReassemblyBytes: number;
  /** Unfinished fragmented messages per connection. Default 16. */
  readonly maxReassemblySequences: number;
  /** Longest time a fragmented message may stay unfinished. Default 30,000. */
  readonly maxReassemblyMs: number;
  /** Longest time one started frame may take to arrive. Default 30,000; ten times as much without fragments. */
  readonly maxFrameMs: number;
  /** Bytes waiting to be written at which `send` starts to answer false. Default 1 MiB. */
  readonly congestedBytes: number;
  /** Bytes waiting to be written at which `send` throws SEND_QUEUE_FULL. Default 128 MiB. */
  readonly maxQueuedBytes: number;
  /** Bytes of messages and requests that wait for one connection to be made. Default 8 MiB. */
  readonly maxWaitingBytes: number;
  /** Nesting of one term. Default 512, which is also the greatest value. */
  readonly maxDepth: number;
  /** Largest integer of a term, in bytes. Default 65,536. */
  readonly maxIntegerBytes: number;
  /** Different atoms in one message (the first 1,024 count each). Default 20,000. */
  readonly maxAtoms: number;
  /** Elements of tuples, lists and maps decoded in one message, all together. Default 8,000,000. */
  readonly maxElements: number;
}

const MIB = 1024 * 1024;

/** The defaults of rulings U13 and C14. */
export const DEFAULT_DIST_LIMITS: DistLimits = {
  maxTlsHandshakeMs: 5_000,
  maxHandshakeMs: 10_000,
  maxHandshakeFrameBytes: 4_096,
  maxFrameBytes: 16 * MIB,
  maxMessageBytes: 64 * MIB,
  maxReassemblyBytes: 64 * MIB,
  maxReassemblySequences: 16,
  maxReassemblyMs: 30_000,
  maxFrameMs: 30_000,
  congestedBytes: MIB,
  maxQueuedBytes: 128 * MIB,
  maxWaitingBytes: 8 * MIB,
  maxDepth: 512,
  maxIntegerBytes: 65_536,
  maxAtoms: 20_000,
  maxElements: 8_000_000,
};

/** How long one started frame may take: without fragments a message of any size is one. */
export function longestFrameMs(limits: DistLimits, hasFragments: boolean): number {
  return hasFragments ? limits.maxFrameMs : limits.maxFrameMs * 10;
}
