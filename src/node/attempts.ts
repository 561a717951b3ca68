import type { AttemptEntry, AttemptOutcome, AttemptRole } from "../audit/attempt-entries.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import type { BarrelAttempt } from "../auth/barrel-types.ts";
import type { ProtocolName } from "../base/assurance.ts";
import type { Clock, MonotonicMs } from "../base/clock.ts";
import { diagnose } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { LinkNotice } from "../dist/barrel-link-owner.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import type { Metric, Peer } from "./api.ts";
import { AttemptMetrics } from "./attempt-metrics.ts";
import { BarrelCounts } from "./barrel-counts.ts";

export interface AttemptsParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined: attempts are only counted. */
  readonly audit?: AuditTrail | undefined;
}

/** Counts and records the connection attempts of a node (docs/audit.md). Nothing of it throws into a connection. */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #metrics: AttemptMetrics = new AttemptMetrics();
  readonly #barrel: BarrelCounts = new BarrelCounts();

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
  }

  /** A connection begins; `target` is the dialled name, undefined on the accepting side. */
  begin(target: NodeName | undefined): Attempt {
    return new Attempt(target, this.#metrics, this.#parts);
  }

  /** How an exchange of keys over QUIC went, also under the names that barrel_p2p has for it. */
  barrel(attempt: BarrelAttempt): void {
    this.#metrics.barrel(attempt);
  }

  /** What else is counted of connections over QUIC. */
  noticed(notice: LinkNotice): void {
    this.#barrel.add(notice);
  }

  /** `streamsDropped`: see `BarrelCounts.snapshot`. */
  snapshot(streamsDropped: number): readonly Metric[] {
    return [...this.#metrics.snapshot(), ...this.#barrel.snapshot(streamsDropped)];
  }
}

/** What is known of the peer of a connection that did not become a session. */
export interface AttemptFacts {
  /** What it said of itself. */
  readonly claimed: NodeName | undefined;
  /** Of the key it has proven to own. */
  readonly fingerprint: string | undefined;
}

/** One connection from its first byte to its end. */
export class Attempt {
  readonly #target: NodeName | undefined;
  readonly #role: AttemptRole;
  readonly #metrics: AttemptMetrics;
  readonly #parts: AttemptsParts;
  readonly #startedAt: MonotonicMs;
  #protocol: ProtocolName | null = null;
  /** Kept for the record of its end. */
  #accepted: { readonly id: string; readonly peer: Peer; readonly since: MonotonicMs } | undefined;

  constructor(target: NodeName | undefined, metrics: AttemptMetrics, parts: AttemptsParts) {
    this.#target = target;
    this.#role = target === undefined ? "acceptor" : "initiator";
    this.#metrics = metrics;
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
  }

  /** The channel stands, so it is settled how the two will talk. */
  secured(protocol: ProtocolName): void {
    this.#protocol = protocol;
  }

  /** It became a session. */
  accepted(peer: Peer): void {
    quietly(() => {
      const durationMs = this.#over("accepted", null);
      const { audit, random, clock } = this.#parts;
      if (audit === undefined) return;
      const id = newDecisionId(random);
      this.#accepted = { id, peer, since: clock.now() };
      const { name, fingerprint, assurance } = peer;
      audit.attempt({
        ...this.#entry(id, peer.address, durationMs),
        outcome: "accepted",
        peer: name,
        peerIs: "proven",
        fingerprint,
        pinned: assurance === "pinned" ? fingerprint : null,
        assurance,
      });
    });
  }

  /** It ended before it was a session. */
  failed(error: SallyportError, address: string, { claimed, fingerprint }: AttemptFacts): void {
    quietly(() => {
      const outcome = outcomeOf(error);
      const durationMs = this.#over(outcome, error.reason);
      const { shown, pinned } = error.detail;
      const { code: diagnosis, fault } = diagnose(error);
      this.#parts.audit?.attempt({
        ...this.#entry(newDecisionId(this.#parts.random), address, durationMs),
        outcome,
        ...(this.#target === undefined
          ? { peer: claimed ?? error.peer ?? null, peerIs: (claimed ?? error.peer) === undefined ? null : "claimed" }
          : { peer: this.#target, peerIs: "dialled" }),
        fingerprint: textOf(shown) ?? fingerprint ?? null,
        pinned: textOf(pinned),
        code: error.code,
        reason: error.reason,
        stage: error.stage ?? null,
        ...{ diagnosis, fault },
      });
    });
  }

  /** The session is over. */
  ended(reason: string): void {
    quietly(() => {
      if (this.#accepted === undefined) return;
      const { id, peer, since } = this.#accepted;
      const { name, address, fingerprint, assurance } = peer;
      const durationMs = Math.round(this.#parts.clock.now() - since);
      const how = { role: this.#role, protocol: this.#protocol };
      const who = { id, ...how, address, peer: name, fingerprint, assurance };
      this.#parts.audit?.end({ ...who, reason, durationMs });
    });
  }

  /** What all records of an attempt have, and the rest empty. */
  #entry(id: string, address: string, durationMs: number): AttemptEntry {
    return {
      id,
      role: this.#role,
      protocol: this.#protocol,
      address,
      peer: null,
      peerIs: null,
      fingerprint: null,
      pinned: null,
      assurance: null,
      outcome: "failed",
      code: null,
      reason: null,
      stage: null,
      durationMs,
    };
  }

  /** Counts it; returns how long it took, whole milliseconds. */
  #over(outcome: AttemptOutcome, reason: string | null): number {
    const durationMs = this.#parts.clock.now() - this.#startedAt;
    this.#metrics.add(this.#role, this.#protocol, outcome, reason, durationMs);
    return Math.round(durationMs);
  }
}

/** Whether somebody said no, or something went wrong. */
export function outcomeOf(error: SallyportError): AttemptOutcome {
  switch (error.code) {
    case "ERR_DENIED":
    case "ERR_LIMIT":
    case "ERR_PEER_MISBEHAVED":
    case "ERR_PEER_INCOMPATIBLE":
      return "refused";
    case "ERR_UNREACHABLE":
    case "ERR_DEADLINE":
    case "ERR_CLOSED":
    case "ERR_REMOTE":
    case "ERR_CONFIG":
    case "ERR_API_MISUSE":
    case "ERR_INTERNAL":
      return "failed";
  }
}

function textOf(value: string | number | boolean | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** Bookkeeping that fails harms no connection: the numbers are wrong by one then. */
function quietly(run: () => void): void {
  try {
    run();
  } catch {
    // Nothing above could do anything about it.
  }
}
