import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import { Atom, isAtom, type Term, Tuple } from "../term/types.ts";
import type { EventHub } from "./event-hub.ts";

/** Clocks that are further apart than this are told of, milliseconds. */
export const MAX_CLOCK_SKEW_MS = 60_000;

const CLOCK = new Atom("sallyport_clock");

/** The question to `net_kernel` for the other node's wall clock, with the asker's: `{sallyport_clock, UnixMs}`. */
export function clockQuestion(wallMs: number): Tuple {
  return new Tuple([CLOCK, Math.round(wallMs)]);
}

/** The time in a question or an answer; undefined when it is neither. */
export function clockIn(term: Term): number | undefined {
  if (!(term instanceof Tuple) || term.length !== 2 || !isAtom(term.elements[0], CLOCK.name)) return undefined;
  const [, ms] = term.elements;
  return typeof ms === "number" && Number.isSafeInteger(ms) ? ms : undefined;
}

/** Tells the operator of this node when a peer that asked for the time has another one. */
export function noteClock(events: EventHub, clock: Clock, peer: NodeName, peerMs: number): void {
  const skewMs = Math.round(peerMs - clock.wallMs());
  if (Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS) return;
  events.emit("warning", { reason: "CLOCK_SKEW", message: clockSkewText(peer, skewMs) });
}

/** @param skewMs what the other clock is ahead */
export function clockSkewText(peer: NodeName, skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const way = skewMs > 0 ? "ahead of" : "behind";
  return `the clock of ${peer} is ${seconds} s ${way} this machine's; certificates and expiry dates go by these clocks`;
}
