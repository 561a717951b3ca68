/** Bounds of the audit log. */
export interface AuditLimits {
  /** A file that would grow above this is followed by a new one. Default 8 MiB. */
  readonly maxFileBytes: number;
  /** Files kept, the newest included; the oldest are removed. Default 16. */
  readonly maxFiles: number;
  /** Records of their own for one source and reason in a minute; further ones are counted. Default 10. */
  readonly maxPerKey: number;
  /** Sources and reasons told apart in a minute. Default 256 for attempts that failed, eight times that for sessions. */
  readonly maxKeys: number;
  /** Records of their own in a minute, whatever the source. Default 600; for sessions four times that. */
  readonly maxPerMinute: number;
  /** Records that wait while the log cannot be written; further ones are dropped and counted. Default 1,000. */
  readonly maxWaiting: number;
}

export const DEFAULT_AUDIT_LIMITS: AuditLimits = {
  maxFileBytes: 8 * 1024 * 1024,
  maxFiles: 16,
  maxPerKey: 10,
  maxKeys: 256,
  maxPerMinute: 600,
  maxWaiting: 1_000,
};

/** Sessions are of peers that have proven themselves: a whole fleet may come back at once. */
export const SESSION_KEYS_FACTOR = 8;
export const SESSION_RECORDS_FACTOR = 4;

/** Of connections that were closed by their source address: they cost nobody anything, so they may fill no log. */
export const SOURCE_BOUNDS = { maxPerKey: 1, maxPerMinute: 60 } as const;
