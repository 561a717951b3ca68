import type { AuditTrail } from "../audit/audit-trail.ts";
import { decisionReason } from "../audit/decision-entries.ts";
import { FloodLimiter } from "../audit/flood-limiter.ts";
import { DEFAULT_AUDIT_LIMITS } from "../audit/limits.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import { DecisionLog } from "../guard/decision-log.ts";
import type { Decision } from "../policy/decision.ts";
import type { Counters } from "./counters.ts";
import type { EventHub } from "./event-hub.ts";

/** Kinds of refusals that may be told in full in one minute. */
const KINDS_TOLD = 60;

/** Kinds of refusals of which the last is kept until they are told; of more, the log must still know it. */
const MAX_COUNTED_KINDS = 4_096;

export interface DecisionsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventHub;
  readonly counters: Counters;
  /** Undefined: nothing is recorded on disk. */
  readonly audit: Pick<AuditTrail, "decision"> | undefined;
  readonly maxKept: number;
  /** Refusals of one kind that are told singly in a minute. */
  readonly maxToldPerKind: number;
  /** Record what rules allow as well, in the audit log. */
  readonly recordsGrants: boolean;
}

/** A decision before it has an id. */
export type NewDecision = Omit<Decision, "id" | "atMs">;

/**
 * Refusals and audited grants of a node: counted always; kept for `why`, told as an event and recorded in the audit log, of
 * which the latter two are bounded: in each minute the first ten of a kind singly, the rest as a count (rulings C19).
 */
export class Decisions {
  readonly #parts: DecisionsParts;
  readonly #log: DecisionLog;
  readonly #told: FloodLimiter;
  /** The last of each kind that was only counted, by peer and kind: the log may have forgotten it when they are told. */
  readonly #counted = new Map<string, Decision>();
  #timer: Timer | undefined;

  constructor(parts: DecisionsParts) {
    this.#parts = parts;
    this.#log = new DecisionLog(parts.maxKept);
    const maxPerKey = parts.maxToldPerKind;
    const maxPerMinute = Math.max(DEFAULT_AUDIT_LIMITS.maxPerMinute, maxPerKey * KINDS_TOLD);
    this.#told = new FloodLimiter({ ...DEFAULT_AUDIT_LIMITS, maxPerKey, maxPerMinute, perSource: maxPerKey });
  }

  get recordsGrants(): boolean {
    return this.#parts.recordsGrants && this.#parts.audit !== undefined;
  }

  /** A decision of late, by its id. */
  why(id: string): Decision | undefined {
    return this.#log.find(id);
  }

  /** Takes a decision and returns its id, which is all that a peer may hear of it. */
  record(made: NewDecision): string {
    const { clock, random, events, counters, audit } = this.#parts;
    const isNews = made.outcome !== "allow" || made.mode === "audit";
    if (isNews) counters.add(made.outcome === "allow" ? "audited" : "denied");
    const decision: Decision = { id: newDecisionId(random), atMs: clock.wallMs(), ...made };
    this.#log.add(decision);
    const { id, outcome, rule, alias, peer, node, key, verb, target, generation, mode, nearestMiss } = decision;
    const why = decision.why === undefined ? {} : { why: decision.why };
    const miss = nearestMiss === null ? null : `${nearestMiss.rule}:${nearestMiss.why}`;
    const at = node === undefined ? {} : { node };
    const entry = { id, outcome, rule, ...why, miss, alias, peer, ...at, key, verb, target, generation, mode };
    audit?.decision(entry);
    if (isNews && events.has("denied") && this.#isTold(decision, decisionReason(entry))) {
      events.emit("denied", { decision: id, outcome, rule, ...why, peer, verb, target, count: 1 });
    }
    return id;
  }

  /** Tells what was only counted so far. */
  stop(): void {
    this.#summarise();
  }

  #isTold(decision: Decision, reason: string): boolean {
    const { peer, id } = decision;
    const now = this.#parts.clock.now();
    const { endsAt } = this.#told;
    if (endsAt !== undefined && now >= endsAt) this.#summarise();
    if (this.#told.take(peer, reason, id, now)) return true;
    const kind = `${reason}\n${peer}`;
    if (this.#counted.size < MAX_COUNTED_KINDS || this.#counted.has(kind)) this.#counted.set(kind, decision);
    this.#timer ??= this.#parts.clock.at(this.#told.endsAt ?? now, () => this.#summarise(), true);
    return false;
  }

  #summarise(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const lasts = new Map([...this.#counted.values()].map((decision) => [decision.id, decision]));
    this.#counted.clear();
    for (const { count, lastId } of this.#told.drain()) {
      const last = lasts.get(lastId) ?? this.#log.find(lastId);
      if (last === undefined) continue;
      const { outcome, rule, peer, verb, target } = last;
      const why = last.why === undefined ? {} : { why: last.why };
      this.#parts.events.emit("denied", { decision: lastId, outcome, rule, ...why, peer, verb, target, count });
    }
  }
}
