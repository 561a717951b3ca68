import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { CheckedPart } from "../health/checks.ts";
import type { CertificateState } from "../health/expiry-watch.ts";
import type { Decision } from "../policy/decision.ts";
import type { DutyFinding } from "./duty.ts";
import type { FilterReport } from "./filter-report.ts";
import type { Side } from "./message-filter.ts";
import type { GatewayOptions } from "./options.ts";

/** Where the nodes of one side dial a node of the other. */
export interface GatewayEndpoint {
  /** The side that dials. */
  readonly from: Side;
  /** The node that is dialled there. */
  readonly target: string;
  /** `tls://HOST:PORT`, `tcp://HOST:PORT` or `quic://HOST:PORT`. */
  readonly endpoint: string;
}

/** A running gateway. */
export interface Gateway {
  /** Where each node is dialled through the gateway. */
  readonly endpoints: readonly GatewayEndpoint[];
  /** Sessions now, those in their handshake included. */
  readonly pairs: number;
  /** What it does now and has done. */
  status(): GatewayStatus;
  /** Whether it can do its work, and how long its certificates and those of its legs are good. Never throws. */
  health(): GatewayHealth;
  /** Where probes ask over HTTP, such as `http://127.0.0.1:9180`; null where option `health` is not set. */
  readonly healthEndpoint: string | null;
  /** A decision of late, by its id. */
  why(id: string): Decision | undefined;
  /**
   * Takes other options. Pairs are known by their names: those that are as they were go on untouched, new ones are started,
   * and missing ones are ended. Other rules count at once, also for sessions that are up; one that cannot go on under them is
   * ended. A pair with another cookie, address or certificate path is ended and started anew; the content of certificate files
   * counts for new connections. When anything cannot be taken all stays as it was.
   * @throws {SallyportError} ERR_CONFIG; GATEWAY_RESTART_NEEDED for options that only count at the start
   */
  reload(options: GatewayOptions): Promise<GatewayReload>;
  /**
   * Takes no new connections, waits for sessions to end by themselves, then ends them. Ports are free when it returns its
   * promise, so that another process can take them; unless a reload is under way, which is waited for. That of `health` stays
   * until the end, to say that this one is not ready, unless `handOver` is set.
   */
  drain(options?: GatewayDrainOptions): Promise<GatewayDrained>;
  /** Ends all pairs and listeners. Idempotent. */
  close(): Promise<void>;
}

export interface GatewayDrainOptions {
  /** How long sessions may go on, milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** Another gateway takes over in the same directory: what is still recorded goes to a directory of its own below that of the audit log. */
  readonly handOver?: boolean;
}

/** How a drain went. */
export interface GatewayDrained {
  /** Sessions that were up when it began, and ended by themselves. */
  readonly ended: number;
  /** Sessions that were ended when the time was over. */
  readonly cut: number;
}

/** What a reload has changed, by the names of pairs. */
export interface GatewayReload {
  readonly started: readonly string[];
  readonly closed: readonly string[];
  /** Ended and started anew. */
  readonly restarted: readonly string[];
  /** Whose rules, policies or certificates were taken anew. */
  readonly changed: readonly string[];
  readonly unchanged: readonly string[];
  /** Sessions that were ended by it. */
  readonly ended: number;
}

/** How a gateway is (docs/health.md). */
export interface GatewayHealth {
  /** `yellow`: it works, and something needs a look. `red`: it cannot do its work. See `problems`. */
  readonly state: "green" | "yellow" | "red";
  readonly problems: readonly string[];
  readonly isReady: boolean;
  /** `open`, `listener`, `certificates` and `policy`, each well or with a reason. */
  readonly checks: readonly CheckedPart[];
  readonly pairs: readonly GatewayPairHealth[];
  /** Those that pairs show and trust, then what the legs of sessions have shown; `of` is the pair and the side, or a node. */
  readonly certificates: readonly CertificateState[];
}

export interface GatewayPairHealth {
  readonly name: string;
  /** At all its endpoints. */
  readonly isListening: boolean;
  readonly endpoints: number;
  /** Connections that are in their handshake. */
  readonly connecting: number;
  /** Outside nodes with a session. */
  readonly connected: readonly string[];
}

export interface GatewayStatus {
  readonly state: "running" | "draining" | "closed";
  /** Unix milliseconds. */
  readonly startedMs: number;
  /** Plain TCP on the outside. */
  readonly plaintext: boolean | "any";
  /** `HOST:PORT` of the port mappers. */
  readonly epmd: Readonly<Partial<Record<Side, string>>>;
  /** Null without one. */
  readonly audit: GatewayAuditStatus | null;
  /** Connections that were cut before a byte of TLS, by the side they came from. */
  readonly sources: Readonly<Record<Side, GatewaySourceStatus>>;
  readonly pairs: readonly GatewayPairStatus[];
}

export interface GatewaySourceStatus {
  /** Because of their address. */
  readonly refusedAddress: number;
  /** Because the audit log fails closed. */
  readonly refusedShut: number;
}

export interface GatewayAuditStatus {
  readonly dir: string;
  readonly commands: boolean;
  /** It cannot be written. */
  readonly isFailing: boolean;
  /** Because of that, no new connection is taken. */
  readonly isClosed: boolean;
  readonly written: number;
  /** Dropped: there was no room to wait. */
  readonly lost: number;
  /** Waiting for it to work again. */
  readonly waiting: number;
  /** Counted together instead of written one by one. */
  readonly summarised: number;
}

export interface GatewayPairStatus {
  readonly name: string;
  readonly inside: string;
  /** Who may be on the other side. */
  readonly outside: readonly string[];
  /** The side that commands; null for equals. */
  readonly commander: Side | null;
  /** ISO time, UTC, until which what is refused passes; null when it does not. */
  readonly observedUntil: string | null;
  /** By the node that is protected. */
  readonly policies: Readonly<Partial<Record<Side, GatewayPolicyStatus>>>;
  readonly endpoints: readonly GatewayEndpoint[];
  /** The keys of its legs: what the nodes of a side have to trust. */
  readonly keys: readonly GatewayPairKey[];
  /** Other ways to the inside node, as of the last look. */
  readonly duty: readonly DutyFinding[];
  /** Connections that are in their handshake. */
  readonly connecting: number;
  readonly sessions: readonly GatewaySessionStatus[];
  /** All sessions of the pair since it was started, those that are up included. */
  readonly totals: GatewayPairTotals;
}

/** A key that the gateway shows in the place of a node. */
export interface GatewayPairKey {
  /** Where it is shown. */
  readonly side: Side;
  /** The node on the other side that it stands for. */
  readonly standsFor: string;
  /** `SHA256:...` */
  readonly fingerprint: string;
}

export interface GatewayPolicyStatus {
  /** Null where it was given in code. */
  readonly file: string | null;
  readonly generation: number;
  /** Why the file as it is now was not taken; null when it was. */
  readonly problem: string | null;
}

export interface GatewaySessionStatus {
  readonly inside: string;
  readonly outside: string;
  readonly dialledBy: Side;
  /** `host:port` of the dialling node. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly sinceMs: number;
  /** What each leg speaks: `native`, `otp` or, over QUIC, `barrel`; null where the filter does not say. */
  readonly protocol: Readonly<Record<Side, ProtocolName>> | null;
  /** How each leg is authenticated; null where the filter does not say. */
  readonly assurance: Readonly<Record<Side, Assurance>> | null;
  /** Null where the filter counts nothing. */
  readonly report: FilterReport | null;
}

export interface GatewayPairTotals extends Pick<FilterReport, "forwarded" | "denied" | "rules"> {
  /** Sessions that came up. */
  readonly up: number;
  /** Connections that did not come so far. */
  readonly refused: number;
}
