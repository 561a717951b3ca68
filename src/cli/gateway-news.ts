import type { MonotonicMs } from "../base/clock.ts";
import type { GatewayMessage } from "../gateway/notices.ts";
import { type GatewayOutput, messageOutput } from "./gateway-events.ts";

/** How long what is not printed is counted together, milliseconds. */
export const NEWS_WINDOW_MS = 60_000;

/** Lines of each kind of event in one minute; more are counted. */
export const MAX_NEWS_LINES: Readonly<Record<Counted, number>> = {
  up: 60,
  down: 60,
  refused: 60,
  denied: 60,
  command: 600,
  filling: 60,
};

/** Failed connections of one node for one reason that are printed in a minute. */
export const MAX_NEWS_PER_REASON = 3;

/** Kinds of refused messages that are known as printed before; beyond that all count as known. */
export const MAX_NEWS_KINDS = 4_096;

/** Kinds that are counted apart in one minute; further ones are counted together. */
export const MAX_NEWS_COUNTS = 64;

type Counted = Extract<GatewayOutput, { readonly event: "more" }>["of"];

interface Count {
  readonly of: Counted;
  readonly pair: string;
  readonly kind: string;
  count: number;
}

/**
 * Keeps what a gateway prints within bounds: of refused messages the first of each kind whole, others as a count each minute.
 * Pure: time is an argument.
 */
export class GatewayNews {
  readonly #known = new Set<string>();
  readonly #counts = new Map<string, Count>();
  readonly #printed = new Map<string, number>();
  #endsAt: number | undefined;

  /** When what was counted is due; undefined while nothing was. */
  get endsAt(): MonotonicMs | undefined {
    return this.#endsAt as MonotonicMs | undefined;
  }

  /** A message, as it is to be printed; undefined when it was counted. */
  message(message: GatewayMessage, now: MonotonicMs): GatewayOutput | undefined {
    this.#endsAt ??= now + NEWS_WINDOW_MS;
    if (message.kind !== "denied") {
      const kind = message.kind === "command" ? message.verb : message.limit;
      return this.#printsOne(message.kind)
        ? messageOutput(message)
        : this.#count(message.kind, message.pair, `${kind} by ${message[message.from]}`);
    }
    const { pair, from, why, operation, target, head, decision } = message;
    const passed = message.observed ? ", observed" : "";
    const counted = `${message[from]}: ${decision?.rule ?? why}${passed}`;
    // What a rule decided is told by what was wanted, and not by the message that wanted it.
    if (!message.isFirst && decision === undefined) return this.#count("denied", pair, counted);
    const what = decision === undefined ? `${operation} ${target} ${head}` : `${decision.verb} ${decision.target}`;
    const kind = `${pair} ${from} ${why} ${what}`;
    if (this.#known.has(kind) || this.#known.size >= MAX_NEWS_KINDS || !this.#printsOne("denied"))
      return this.#count("denied", pair, counted);
    this.#known.add(kind);
    return messageOutput(message);
  }

  /** A connection that did not become a session, as it is to be printed; undefined when it was counted. */
  refused(output: Extract<GatewayOutput, { event: "refused" }>, now: MonotonicMs): GatewayOutput | undefined {
    this.#endsAt ??= now + NEWS_WINDOW_MS;
    const { pair, dialler, reason } = output;
    const key = `refused ${pair} ${dialler} ${reason}`;
    const before = this.#printed.get(key) ?? 0;
    if (before >= MAX_NEWS_PER_REASON || !this.#printsOne("refused"))
      return this.#count("refused", pair, `${dialler ?? "somebody"}: ${reason}`);
    this.#printed.set(key, before + 1);
    return output;
  }

  /** A session that came up or ended, as it is to be printed; undefined when it was counted. */
  session(output: Extract<GatewayOutput, { event: "up" | "down" }>, now: MonotonicMs): GatewayOutput | undefined {
    this.#endsAt ??= now + NEWS_WINDOW_MS;
    if (this.#printsOne(output.event)) return output;
    const { pair } = output;
    return this.#count(
      output.event,
      pair,
      output.event === "up" ? `${output.outside} and ${output.inside}` : output.reason,
    );
  }

  /** Other rules count: what is refused under them is news. */
  forget(): void {
    this.#known.clear();
  }

  /** The minute is over: what was only counted in it. */
  drain(): readonly GatewayOutput[] {
    const counts = [...this.#counts.values()];
    this.#counts.clear();
    this.#printed.clear();
    this.#endsAt = undefined;
    return counts.map((count) => ({ event: "more", ...count }));
  }

  #printsOne(of: Counted): boolean {
    const printed = this.#printed.get(of) ?? 0;
    if (printed >= MAX_NEWS_LINES[of]) return false;
    this.#printed.set(of, printed + 1);
    return true;
  }

  #count(of: Counted, pair: string, kind: string): undefined {
    const own = `${of} ${pair} ${kind}`;
    const isFull = this.#counts.size >= MAX_NEWS_COUNTS && !this.#counts.has(own);
    const count = this.#counts.get(isFull ? of : own) ?? {
      of,
      pair: isFull ? "several" : pair,
      kind: isFull ? "others" : kind,
      count: 0,
    };
    count.count++;
    this.#counts.set(isFull ? of : own, count);
  }
}
