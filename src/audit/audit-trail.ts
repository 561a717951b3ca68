import type { Clock, Timer } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import { hostOf } from "../carrier/socket-address.ts";
import { type AttemptEntry, attemptFields, type EndEntry, endFields } from "./attempt-entries.ts";
import type { AuditLog } from "./audit-log.ts";
import { type DecisionEntry, decisionFields, decisionReason } from "./decision-entries.ts";
import { FloodLimiter } from "./flood-limiter.ts";
import {
  type CommandEntry,
  commandFields,
  commandReason,
  type RefusedEntry,
  refusedFields,
  refusedReason,
} from "./gateway-entries.ts";
import { type AuditLimits, SESSION_KEYS_FACTOR, SESSION_RECORDS_FACTOR, SOURCE_BOUNDS } from "./limits.ts";
import { type AuditFields, type ChainHead, peerText } from "./record.ts";
import { SOURCE_NOT_ALLOWED, type SourceEntry, sourceFields } from "./source-entries.ts";

/** Shortest time between two warnings that the log cannot be written, milliseconds. */
export const AUDIT_WARNING_MS = 60_000;

/** Warnings kept for a listener that has not come yet. */
const MAX_EARLY_WARNINGS = 4;

/** Permission bits that let somebody else look into the directory or change it. */
const OTHERS = 0o077;

type Warn = (reason: "AUDIT_NOT_WRITTEN" | "AUDIT_EXPOSED", message: string) => void;

/** What is counted together: failed attempts, sessions with their ends, decisions, what rules allowed, and what a gateway sees. */
interface Lane {
  readonly of: "attempt" | "session" | "decision" | "refused" | "command" | "source";
  readonly limiter: FloodLimiter;
  timer: Timer | undefined;
}

/** The audit log of a node: takes what happened, keeps floods out, and never throws. */
export class AuditTrail {
  readonly #log: AuditLog;
  readonly #clock: Clock;
  readonly #failClosed: boolean;
  readonly #attempts: Lane;
  readonly #sessions: Lane;
  readonly #decisions: Lane;
  readonly #grants: Lane;
  readonly #refused: Lane;
  readonly #commands: Lane;
  readonly #sources: Lane;
  #summarised = 0;
  #faults = 0;
  #warnedAt: number | undefined;
  #over = false;
  /** Warnings that nobody has heard. */
  readonly #early: Parameters<Warn>[] = [];
  #warn: Warn = (...warning) => {
    if (this.#early.length < MAX_EARLY_WARNINGS) this.#early.push(warning);
  };

  /** @param failClosed no new connection while the log cannot be written */
  constructor(log: AuditLog, clock: Clock, limits: AuditLimits, failClosed: boolean = false) {
    this.#failClosed = failClosed;
    this.#log = log;
    this.#clock = clock;
    const maxKeys = limits.maxKeys * SESSION_KEYS_FACTOR;
    const maxPerMinute = limits.maxPerMinute * SESSION_RECORDS_FACTOR;
    this.#attempts = { of: "attempt", limiter: new FloodLimiter(limits), timer: undefined };
    this.#sessions = {
      of: "session",
      limiter: new FloodLimiter({ ...limits, maxKeys, maxPerMinute }),
      timer: undefined,
    };
    const perSource = limits.maxPerKey;
    const lane = (of: Lane["of"]): Lane => {
      return { of, limiter: new FloodLimiter({ ...limits, perSource }), timer: undefined };
    };
    this.#decisions = lane("decision");
    this.#grants = lane("decision");
    this.#refused = lane("refused");
    this.#commands = lane("command");
    this.#sources = { of: "source", limiter: new FloodLimiter({ ...limits, ...SOURCE_BOUNDS }), timer: undefined };
  }

  /** Where the chain stands. */
  get head(): ChainHead {
    return this.#log.head;
  }

  /** True while records are being lost. */
  get isFailing(): boolean {
    return this.#log.isFailing;
  }

  /** Whether there may be no new connection now. */
  get isClosed(): boolean {
    return this.#failClosed && this.#log.isFailing;
  }

  /** Why; undefined when there may be. */
  get refusal(): SallyportError | undefined {
    if (!this.isClosed) return undefined;
    return new SallyportError(
      "ERR_DENIED",
      "AUDIT_NOT_WRITTEN",
      "no new connection while the audit log cannot be written",
      {
        stage: "session",
        advice: "look at the disk and the directory of the log; it is tried again every five seconds",
      },
    );
  }

  get #effect(): string {
    return this.#failClosed
      ? "no new connection is taken or made until it can, sessions go on"
      : "up to 1,000 records wait, further ones are lost, all else goes on";
  }

  /** Its part of `vitals().counters`. */
  counters(): Readonly<Record<string, number>> {
    return {
      audit_written: this.#log.written,
      audit_lost: this.#log.lost + this.#faults,
      audit_waiting: this.#log.waiting,
      audit_summarised: this.#summarised,
    };
  }

  /** Opens the log of the node `name`; `name` of a gateway is `gateway`. */
  start(name: string): void {
    this.#log.start({ node: name }, (cause) => {
      const now = this.#clock.now();
      if (this.#warnedAt !== undefined && now - this.#warnedAt < AUDIT_WARNING_MS) return;
      this.#warnedAt = now;
      const message = `the audit log cannot be written (${whyOf(cause)}); ${this.#effect}`;
      this.#warn("AUDIT_NOT_WRITTEN", message);
    });
    const mode = this.#log.directoryMode;
    if (mode !== undefined && (mode & OTHERS) !== 0) {
      const message = `others have access to the directory of the audit log (mode ${mode.toString(8)})`;
      this.#warn("AUDIT_EXPOSED", message);
    }
  }

  /** From now on warnings go to `warn`, in a turn of their own; those since `start` at once. */
  listen(warn: Warn): void {
    for (const warning of this.#early.splice(0)) warn(...warning);
    this.#warn = (reason, message) => this.#clock.later(() => warn(reason, message));
  }

  /** One connection attempt. */
  attempt(entry: AttemptEntry): void {
    const accepted = entry.outcome === "accepted";
    // A flood of strangers comes from ever new ports.
    const source = accepted ? (entry.peer ?? entry.address) : (hostOf(entry.address) ?? entry.address);
    this.#take(accepted ? this.#sessions : this.#attempts, source, entry.reason ?? "ACCEPTED", entry.id, () =>
      attemptFields(entry),
    );
  }

  /** A connection that was closed before a byte of TLS, by the network it came from: the first of each in a minute has a record. */
  sourceRefused(entry: SourceEntry): void {
    this.#take(this.#sources, entry.source, SOURCE_NOT_ALLOWED, "", () => sourceFields(entry));
  }

  /** The end of one session. */
  end(entry: EndEntry): void {
    this.#take(this.#sessions, entry.peer, entry.reason, entry.id, () => endFields(entry));
  }

  /** A refused, audited or allowed operation. What rules allow takes nothing away from the others. */
  decision(entry: DecisionEntry): void {
    const isGrant = entry.outcome === "allow" && entry.mode === "enforce";
    this.#take(isGrant ? this.#grants : this.#decisions, entry.peer, decisionReason(entry), entry.id, () =>
      decisionFields(entry),
    );
  }

  /** A message that did not pass a gateway. */
  refused(entry: RefusedEntry): void {
    this.#take(this.#refused, entry.peer, refusedReason(entry), entry.id, () => refusedFields(entry));
  }

  /** An operation that passed a gateway. Its id is that of nothing else. */
  command(entry: CommandEntry): void {
    this.#take(this.#commands, entry.peer, commandReason(entry), "", () => commandFields(entry));
  }

  /** Writes what was only counted, and closes the log. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    for (const lane of [this.#attempts, this.#sessions, this.#decisions, this.#grants]) this.#summarise(lane);
    for (const lane of [this.#refused, this.#commands, this.#sources]) this.#summarise(lane);
    this.#log.close();
  }

  #take(lane: Lane, source: string, reason: string, id: string, fields: () => AuditFields): void {
    try {
      const now = this.#clock.now();
      const { endsAt } = lane.limiter;
      if (endsAt !== undefined && now >= endsAt) this.#summarise(lane);
      if (this.#over || lane.limiter.take(source, reason, id, now)) this.#log.record(fields());
      else lane.timer ??= this.#clock.at(lane.limiter.endsAt ?? now, () => this.#summarise(lane), true);
    } catch {
      this.#faults++;
    }
  }

  #summarise(lane: Lane): void {
    lane.timer?.cancel();
    lane.timer = undefined;
    for (const { source, reason, count, lastId } of lane.limiter.drain()) {
      this.#summarised += count;
      const from = source === null ? null : peerText(source);
      this.#log.record({ kind: "summary", of: lane.of, source: from, reason: peerText(reason), count, lastId });
    }
  }
}

function whyOf(cause: unknown): string {
  const system = systemCode(cause);
  return system === "UNKNOWN" && cause instanceof Error ? peerText(cause.message) : system;
}
