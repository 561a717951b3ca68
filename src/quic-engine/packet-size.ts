import { addMs, type Clock, type MonotonicMs } from "../base/clock.ts";
import { isLoopbackHost } from "../carrier/socket-address.ts";

/** Largest datagram on a path that leaves this machine, octets of UDP payload. barrel-auth section 1. */
export const MAX_DATAGRAM_BYTES = 1452;
/**
 * Largest datagram within this machine, octets of UDP payload: what the smallest loopback interface (macOS, 16,384) carries in one
 * piece over IPv6.
 */
export const MAX_LOCAL_DATAGRAM_BYTES = 16_336;

/** After so long a probe, or what was in flight when nothing came back, has arrived or is known to be lost; milliseconds. */
const JUDGED_AFTER_MS = 50;
/** The same where none was lost since the last time: on a busy machine the peer was only late. */
const TRUSTED_AFTER_MS = 10;
/** Wait before the next try after a lost one, milliseconds; doubles each time up to the second. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

type State =
  /** For good: the path leaves this machine, or the peer or the system takes no larger ones. */
  | { readonly kind: "small" }
  | { readonly kind: "waiting"; readonly until: MonotonicMs }
  /** The next packet that has enough to carry is the probe. */
  | { readonly kind: "ready" }
  /** What was sent is judged at that time, by the packets lost until now. Meanwhile packets are small. */
  | { readonly kind: "judging"; readonly at: MonotonicMs; readonly lost: number }
  | { readonly kind: "large" };

/** What it asks the connection. */
export interface MeasuredConnection {
  /** The smaller of what this side sends at most and what the peer takes. */
  maxSendUdpPayloadSize(): number;
  stats(): { readonly lost: number };
}

/** What a connection may send at most to that address (an IP literal), octets; told to QUIC before the connection begins. */
export function largestDatagram(remote: string): number {
  return isLoopbackHost(remote) ? MAX_LOCAL_DATAGRAM_BYTES : MAX_DATAGRAM_BYTES;
}

/**
 * How large the packets of one connection are: small on every path that leaves this machine, since a larger one would be cut into
 * fragments on its way without a word. Within the machine a single large one is tried, and they stay in use while none goes
 * missing when nothing comes back. RFC 8899.
 */
export class PacketSize {
  readonly #clock: Clock;
  readonly #connection: MeasuredConnection;
  #state: State;
  #retryMs = FIRST_RETRY_MS;
  /** Packets lost when it was last judged. */
  #lostBefore = 0;

  /** For a connection that stands. */
  constructor(clock: Clock, connection: MeasuredConnection) {
    this.#clock = clock;
    this.#connection = connection;
    this.#state = { kind: connection.maxSendUdpPayloadSize() > MAX_DATAGRAM_BYTES ? "ready" : "small" };
  }

  /** Room for the next packet, octets. */
  get bytes(): number {
    const { kind } = this.#state;
    return kind === "large" || kind === "ready" ? MAX_LOCAL_DATAGRAM_BYTES : MAX_DATAGRAM_BYTES;
  }

  /** A packet of so many octets was sent. */
  sent(octets: number): void {
    if (this.#state.kind === "ready" && octets > MAX_DATAGRAM_BYTES) {
      this.#judgeLater(JUDGED_AFTER_MS, this.#connection.stats().lost);
    }
  }

  /** A timer of QUIC ran out: what was sent last may not have arrived. */
  expired(): void {
    if (this.#state.kind !== "large") return;
    const { lost } = this.#connection.stats();
    this.#judgeLater(lost === this.#lostBefore ? TRUSTED_AFTER_MS : JUDGED_AFTER_MS, lost);
  }

  /** The system refused a large packet. */
  refused(): void {
    this.#state = { kind: "small" };
  }

  /** The peer goes on from this address. */
  moved(remote: string): void {
    if (!isLoopbackHost(remote)) this.#state = { kind: "small" };
  }

  /** To be called now and then: time may have made a difference. */
  look(): void {
    const state = this.#state;
    if (state.kind === "judging") {
      const now = this.#clock.now();
      if (now >= state.at) this.#judge(now, state.lost);
    } else if (state.kind === "waiting" && this.#clock.now() >= state.until) this.#state = { kind: "ready" };
  }

  #judge(now: MonotonicMs, lostBefore: number): void {
    const { lost } = this.#connection.stats();
    this.#lostBefore = lost;
    if (lost === lostBefore) {
      this.#state = { kind: "large" };
      this.#retryMs = FIRST_RETRY_MS;
      return;
    }
    this.#state = { kind: "waiting", until: addMs(now, this.#retryMs) };
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  #judgeLater(ms: number, lost: number): void {
    this.#state = { kind: "judging", at: addMs(this.#clock.now(), ms), lost };
  }
}
