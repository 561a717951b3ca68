/** Names of what a node counts; part of `vitals()`. */
export type CounterName =
  | "denied"
  /** Let through because of audit mode. */
  | "audited"
  /** Answers, DOWNs and EXITs to nothing that is open. */
  | "unsolicited"
  /** Times a connection was not read for a while because of what it asked for in vain. */
  | "denial_pauses"
  | "dropped_no_target"
  | "dropped_mailbox_full"
  | "dropped_no_session"
  | "late_replies"
  | "handler_errors"
  | "sessions_up"
  | "sessions_down"
  | "sessions_moved"
  | "sessions_redialled"
  | "sessions_resumed"
  | "resumptions_failed"
  | "connections_refused"
  | "dials_failed"
  /** Streams of barrel peers that came to nothing before they had a tag. */
  | "streams_dropped"
  /** PONGs that answer no PING of ours. */
  | "pongs_stray"
  /** Peers that were asked for other nodes and did not answer. */
  | "exchange_failed"
  /** Answers of theirs that are none. */
  | "exchange_answers_refused";

/** Plain counters, each a number of events since start. */
export class Counters {
  /** Messages delivered to processes; a field of its own because it is counted for each. */
  messagesIn = 0;
  readonly #values = new Map<CounterName, number>();

  add(name: CounterName, count: number = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + count);
  }

  get(name: CounterName): number {
    return this.#values.get(name) ?? 0;
  }

  snapshot(): Record<string, number> {
    return { messages_in: this.messagesIn, ...Object.fromEntries(this.#values) };
  }
}
