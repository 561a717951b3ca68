/** Bounds and times of the QUIC carrier. */
export interface QuicLimits {
  /** Octets of one channel that wait to leave, from which `write` answers false; default 1 MiB. */
  readonly highWaterBytes?: number;
  /** Octets of all channels that wait to leave, beyond which the connection is cut; default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** Octets that wait on one paused channel, beyond which it is reset; default 16 MiB. */
  readonly maxUnreadBytes?: number;
  /** The same for all channels of a connection together: the channel whose bytes came last is reset; default 64 MiB. */
  readonly maxUnreadTotalBytes?: number;
}

/** Bounds of the engine process, which all connections of a node share. */
export interface QuicEngineLimits {
  /** Longest silence of the engine before it is killed and started anew, milliseconds; default 10,000. */
  readonly engineDeadlineMs?: number;
  /** First wait before the engine is started anew; doubles up to 60,000, and begins again after a minute of work; default 1000. */
  readonly restartBackoffMs?: number;
  /** Longest silence of the node before the engine ends, milliseconds; default 75,000, after which Erlang gives a silent peer up. */
  readonly nodeDeadlineMs?: number;
  /** Accepted connections that are not authenticated, in the engine; default 2048. The accept gate decides earlier. */
  readonly maxHalfOpen?: number;
  /** Connections of the engine, dialled and accepted; default 8192. */
  readonly maxSessions?: number;
  /** Octets of one connection that wait for the node, beyond which its larger datagrams are dropped; default 16 MiB. */
  readonly maxBacklogBytes?: number;
  /** Connections that one source (IPv4 /24, IPv6 /56) may begin per second, lasting and at once; default 100 and 256. */
  readonly initialsPerSecond?: number;
  readonly initialsBurst?: number;
}

export const DEFAULT_HIGH_WATER_BYTES: number = 1024 * 1024;
export const DEFAULT_MAX_PENDING_BYTES: number = 256 * 1024 * 1024;
export const DEFAULT_MAX_UNREAD_BYTES: number = 16 * 1024 * 1024;
export const DEFAULT_MAX_UNREAD_TOTAL_BYTES: number = 64 * 1024 * 1024;
export const DEFAULT_ENGINE_DEADLINE_MS = 10_000;
export const DEFAULT_NODE_DEADLINE_MS = 75_000;
export const DEFAULT_RESTART_BACKOFF_MS = 1000;
export const MAX_RESTART_BACKOFF_MS = 60_000;
export const DEFAULT_MAX_HALF_OPEN = 2048;
export const DEFAULT_MAX_SESSIONS = 8192;
export const DEFAULT_MAX_BACKLOG_BYTES: number = 16 * 1024 * 1024;
export const DEFAULT_INITIALS_PER_SECOND = 100;
export const DEFAULT_INITIALS_BURST = 256;

/** Limits with their defaults. */
export function allLimits(limits: QuicLimits): Required<QuicLimits> {
  return {
    highWaterBytes: limits.highWaterBytes ?? DEFAULT_HIGH_WATER_BYTES,
    maxPendingBytes: limits.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES,
    maxUnreadBytes: limits.maxUnreadBytes ?? DEFAULT_MAX_UNREAD_BYTES,
    maxUnreadTotalBytes: limits.maxUnreadTotalBytes ?? DEFAULT_MAX_UNREAD_TOTAL_BYTES,
  };
}

/** Octets of one channel that the engine may hold for QUIC; what is above waits in the node. */
export const ENGINE_WINDOW_BYTES: number = 1024 * 1024;
/** Channels of one connection that the node keeps; each side may have 100 of a kind open. barrel-auth section 1. */
export const MAX_CHANNELS = 4096;
/** QUIC's idle timeout and how often something is sent that the peer answers. barrel-auth sections 1 and 10. */
export const IDLE_TIMEOUT_MS = 300_000;
export const KEEP_ALIVE_MS = 13_000;
/** Longest wait in `end` for the peer to confirm what was sent. */
export const END_LINGER_MS = 5000;
/** Backstop for an owner that forgot its deadline of 5 seconds. */
export const HANDSHAKE_BACKSTOP_MS = 30_000;
