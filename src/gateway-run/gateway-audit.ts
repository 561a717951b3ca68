import type { AuditTrail } from "../audit/audit-trail.ts";
import type { DecisionEntry } from "../audit/decision-entries.ts";
import { auditTrailIn } from "../audit/open-trail.ts";
import type { SourceEntry } from "../audit/source-entries.ts";
import type { Assurance } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { GatewayAuditStatus } from "../gateway/api.ts";
import type { LinkSession, PairEvent } from "../gateway/link.ts";
import { otherSide } from "../gateway/message-filter.ts";
import type { GatewayAuditOption } from "../gateway/options.ts";
import type { MessageEvent } from "../gateway/pair-rules.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import { outcomeOf } from "../node/attempts.ts";
import type { GatewaySystem } from "./gateway-world.ts";

type Over = Extract<PairEvent, { kind: "down" | "refused" }>;
type Warn = (reason: string, message: string) => void;

/** What the log of a gateway says of itself where that of a node has its name. */
const OPENED_BY = "gateway";

/** The record of a gateway on disk. Nothing here throws, and nothing stops when it cannot be written. */
export class GatewayAudit {
  readonly #option: GatewayAuditOption;
  readonly #system: GatewaySystem;
  readonly #warn: Warn;
  /** Of the sessions that are up, the id of their attempt, by what tells them apart. */
  readonly #ids = new Map<string, string>();
  #dir: string;
  #trail: AuditTrail;

  /** @param warn hears of a log that cannot be written, in a turn of its own */
  constructor(option: GatewayAuditOption, system: GatewaySystem, warn: Warn) {
    this.#option = option;
    this.#system = system;
    this.#warn = warn;
    this.#dir = option.dir;
    this.#trail = this.#open(option.dir);
  }

  /** Whether there may be no new connection now, because nothing could be recorded of it. */
  get isClosed(): boolean {
    return this.#trail.isClosed;
  }

  /** Why that is so. */
  get refusal(): SallyportError | undefined {
    return this.#trail.refusal;
  }

  /** A connection that was cut because of its address. */
  sourceRefused(entry: SourceEntry): void {
    this.#trail.sourceRefused(entry);
  }

  /** For decisions: who was refused what, and by which rule. */
  decision(entry: DecisionEntry): void {
    this.#trail.decision(entry);
  }

  /** A session came up. */
  up(pair: string, event: Extract<PairEvent, { kind: "up" }>, session: LinkSession | undefined): void {
    const id = newDecisionId(this.#system.random);
    const [peer, target] =
      event.dialledBy === "outside" ? [event.outside, event.inside] : [event.inside, event.outside];
    this.#ids.set(`${pair} ${target} ${event.address}`, id);
    const dialler = session?.filter.facts?.[event.dialledBy];
    this.#trail.attempt({
      id,
      role: "acceptor",
      protocol: dialler?.protocol ?? "otp",
      address: event.address,
      fingerprint: dialler?.fingerprints[0] ?? dialler?.shownFingerprint ?? null,
      assurance: dialler?.assurance ?? null,
      durationMs: Math.round(event.durationMs),
      peer,
      peerIs: "proven",
      pinned: null,
      outcome: "accepted",
      code: null,
      reason: null,
      stage: null,
      through: { pair, target, dialledBy: event.dialledBy, endedBy: null },
    });
  }

  /** A session ended, or an attempt did not come so far. */
  over(pair: string, event: Over): void {
    const { dialler, target, address, dialledBy, endedBy, error, durationMs } = event;
    const key = `${pair} ${target} ${address}`;
    const id = this.#ids.get(key) ?? newDecisionId(this.#system.random);
    this.#ids.delete(key);
    const common = {
      id,
      role: "acceptor",
      protocol: null,
      address,
      fingerprint: null,
      assurance: null as Assurance | null,
      durationMs: Math.round(durationMs),
      through: { pair, target, dialledBy, endedBy },
    } as const;
    if (event.kind === "down") {
      this.#trail.end({ ...common, peer: dialler ?? "", reason: error?.reason ?? "CLOSED" });
      return;
    }
    this.#trail.attempt({
      ...common,
      peer: dialler ?? null,
      peerIs: dialler === undefined ? null : "claimed",
      pinned: null,
      outcome: error === undefined ? "failed" : outcomeOf(error),
      code: error?.code ?? null,
      reason: error?.reason ?? "CLOSED",
      stage: error?.stage ?? null,
    });
  }

  /** A message that did not pass, unless a decision tells of it already; and, where asked for, an operation that did. */
  message(pair: string, event: MessageEvent): void {
    const message = { pair, peer: event[event.from], node: event[otherSide(event.from)] };
    if (event.kind === "command") {
      if (this.#option.commands === true) this.#trail.command({ ...message, verb: event.verb, target: event.target });
    } else if (event.kind === "denied" && event.id === undefined) {
      const { why, operation, target, head, observed } = event;
      const id = newDecisionId(this.#system.random);
      this.#trail.refused({ ...message, id, why, operation, target, head, observed });
    }
  }

  /** Another process takes the directory: what comes from now on is kept in one of its own, named for where the chain stands. */
  handOver(): void {
    const { seq } = this.#trail.head;
    this.#trail.close();
    this.#dir = `${this.#option.dir}/handed-over-${String(seq).padStart(12, "0")}`;
    this.#trail = this.#open(this.#dir);
  }

  status(): GatewayAuditStatus {
    const {
      audit_written: written = 0,
      audit_lost: lost = 0,
      audit_waiting: waiting = 0,
      audit_summarised: summarised = 0,
    } = this.#trail.counters();
    const { isFailing, isClosed } = this.#trail;
    return {
      dir: this.#dir,
      commands: this.#option.commands === true,
      isFailing,
      isClosed,
      written,
      lost,
      waiting,
      summarised,
    };
  }

  close(): void {
    this.#trail.close();
  }

  #open(dir: string): AuditTrail {
    const { files, crypto, clock } = this.#system;
    const { failClosed } = this.#option;
    const trail = auditTrailIn({ dir, ...(failClosed === undefined ? {} : { failClosed }) }, { files, crypto, clock });
    trail.start(OPENED_BY);
    trail.listen(this.#warn);
    return trail;
  }
}
