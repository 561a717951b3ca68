/** What the packets around the bytes of streams may take: this part of the bytes, and no more than so many octets of each datagram. */
const OVERHEAD_SHARE = 8;
const OVERHEAD_BYTES = 44;
/** What the peer may send for one packet of this side that is more than an ACK: an ACK of its own. Octets. */
const ANSWER_BYTES = 128;
/** What is left of the estimate a second later: ACKs, keep-alives and packets that came twice are forgotten. */
const KEPT_A_SECOND = 0.9;

/** The sum over all connections of the engine, octets. */
export interface WithheldTotal {
  octets: number;
}

/**
 * An estimate of what QUIC holds back for one peer: octets that came and that no stream has given. The windows announced to peers
 * have no end, and QUIC does not tell what it keeps: bytes behind a gap, TLS data behind a gap, path challenges.
 */
export class Withheld {
  readonly #total: WithheldTotal;
  #octets = 0;
  /** Those that came since streams were last read. */
  #datagrams = 0;

  constructor(total: WithheldTotal) {
    this.#total = total;
  }

  get octets(): number {
    return this.#octets;
  }

  /** A datagram came. */
  received(octets: number): void {
    this.#datagrams++;
    this.#set(this.#octets + octets);
  }

  /** Streams were read, and gave so many octets. */
  given(octets: number): void {
    // Of every datagram alone: else the room that full ones do not need would pay for as much behind gaps.
    const overhead = Math.min(octets / OVERHEAD_SHARE, this.#datagrams * OVERHEAD_BYTES);
    this.#datagrams = 0;
    if (octets > 0) this.#set(this.#octets - octets - overhead);
  }

  /** A packet left that the peer has to answer. */
  sent(): void {
    this.#set(this.#octets - ANSWER_BYTES);
  }

  /** To be called once a second. */
  fade(): void {
    this.#set(this.#octets * KEPT_A_SECOND);
  }

  /** The connection is over. */
  clear(): void {
    this.#set(0);
  }

  #set(octets: number): void {
    const next = Math.max(0, octets);
    this.#total.octets += next - this.#octets;
    this.#octets = next;
  }
}
