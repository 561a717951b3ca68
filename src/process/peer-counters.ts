/** What a session's tables dropped or refused since the session began; each a number of signals. */
export interface PeerCounters {
  /** EXIT without an active link. */
  readonly ignoredExits: number;
  /** LINK for a pair that has a record already. */
  readonly ignoredLinks: number;
  /** UNLINK_ID_ACK that acknowledges nothing. */
  readonly ignoredUnlinkAcks: number;
  /** DEMONITOR_P without a monitor of that sender. */
  readonly ignoredDemonitors: number;
  /** MONITOR_P_EXIT whose reference, target and watcher do not all fit one monitor. */
  readonly ignoredDowns: number;
  /** MONITOR_P with a reference that is in use. */
  readonly duplicateMonitors: number;
  /** LINK above `maxLinksIn` or `maxLinks`. */
  readonly refusedLinks: number;
  /** MONITOR_P above `maxMonitorsIn`. */
  readonly refusedMonitors: number;
  /** EXIT messages lost to a full mailbox. */
  readonly droppedExitMessages: number;
}

/** The same, for those who count. */
export type PeerCounting = { -readonly [K in keyof PeerCounters]: number };

export function newPeerCounting(): PeerCounting {
  return {
    ignoredExits: 0,
    ignoredLinks: 0,
    ignoredUnlinkAcks: 0,
    ignoredDemonitors: 0,
    ignoredDowns: 0,
    duplicateMonitors: 0,
    refusedLinks: 0,
    refusedMonitors: 0,
    droppedExitMessages: 0,
  };
}
