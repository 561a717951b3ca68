import type { MonotonicMs } from "../base/clock.ts";
import { RingQueue } from "../base/ring-queue.ts";
import type { NativeConnection } from "./binding.ts";

/** One write of the node. */
interface Piece {
  readonly bytes: Buffer;
  /** What was written until here leaves in packets of its own. */
  readonly flush: boolean;
}

/**
 * What `pump` came to: all is with QUIC, QUIC has no room, packets are to leave first, the share of this pass is used up, all but the
 * end is with QUIC, or the peer ended the stream with a code.
 */
export type PumpResult = "done" | "blocked" | "flush" | "share" | "end" | "gone" | number;

/** Room in QUIC's congestion window with which a packet of an end alone surely leaves, octets. */
const END_ROOM_BYTES = 256;

/** What the node wrote on one channel and QUIC has not taken yet. Bounded by the node, which waits for `written`. */
export class Outgoing {
  readonly channel: number;
  readonly #queue: RingQueue<Piece> = new RingQueue<Piece>();
  #offset = 0;
  #fin = false;
  #finSent = false;
  /** QUIC knows the stream. */
  #hasBegun = false;
  /** The peer has ended its direction: that this one is wanted no more is all that it may still say. */
  isPeerDone = false;
  /** The code with which the node cut the stream before QUIC could begin it. */
  cutWith: number | undefined;
  /** Octets that QUIC has taken and the node was not told of. */
  untold = 0;
  /** When QUIC last took octets. */
  takenAt: MonotonicMs | undefined;
  /** QUIC knows its urgency. */
  ranked = false;

  constructor(channel: number) {
    this.channel = channel;
  }

  get idle(): boolean {
    return this.cutWith !== undefined || (this.#queue.length === 0 && this.#fin === this.#finSent);
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get finished(): boolean {
    return this.#finSent;
  }

  push(bytes: Buffer, flush: boolean): void {
    if (!this.#fin) this.#queue.push({ bytes, flush });
  }

  finish(): void {
    this.#fin = true;
  }

  /**
   * The node cut a stream that the peer gives no room for yet. It is still to be begun, and cut then: numbers are used in order, and each
   * that is left out costs one of the streams that the peer allows at once, for good. RFC 9000 section 4.6.
   */
  cutUnbegun(code: number): void {
    this.#queue.clear();
    this.#offset = 0;
    this.#fin = true;
    this.cutWith = code;
  }

  /** Gives QUIC what it takes, about `share` octets at most. After "flush" the caller sends packets and calls again. */
  pump(connection: NativeConnection, share: number): PumpResult {
    const before = this.untold;
    try {
      for (let piece = this.#queue.peek(); piece !== undefined; piece = this.#queue.peek()) {
        if (this.untold - before >= share) return "share";
        const rest = this.#offset === 0 ? piece.bytes : piece.bytes.subarray(this.#offset);
        const isLast = this.#fin && !piece.flush && this.#queue.length === 1;
        const taken = connection.streamSend(this.channel, rest, isLast);
        if (taken === null) return this.#state(connection);
        this.#hasBegun = true;
        this.untold += taken;
        if (taken < rest.length) {
          this.#offset += taken;
          return "blocked";
        }
        this.#offset = 0;
        this.#queue.shift();
        if (isLast) this.#finSent = true;
        if (piece.flush) return "flush";
      }
      return this.#fin && !this.#finSent ? "end" : "done";
    } catch (error) {
      return streamFailure(error);
    }
  }

  /**
   * Gives QUIC an end without bytes, where a packet can carry it at once; the caller has sent all packets before, and sends this one
   * before anything is received. QUIC (quiche 0.18) drops an end that it still holds when the bytes before it are acknowledged.
   */
  end(connection: NativeConnection): PumpResult {
    try {
      if (this.#hasBegun && connection.streamCapacity(this.channel) < END_ROOM_BYTES) return "blocked";
      if (connection.streamSend(this.channel, NOTHING, true) === null) return this.#state(connection);
      this.#finSent = true;
      return "done";
    } catch (error) {
      return streamFailure(error);
    }
  }

  /** What became of a stream on which nothing moves: "blocked" when it may go on. */
  look(connection: NativeConnection): PumpResult {
    try {
      return this.#state(connection);
    } catch (error) {
      return streamFailure(error);
    }
  }

  /** QUIC answers null also for a stream that it has forgotten; only asking for its capacity tells the two apart. */
  #state(connection: NativeConnection): PumpResult {
    connection.streamCapacity(this.channel);
    return "blocked";
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** The binding says how a stream ended in the text of an error only. */
function streamFailure(error: unknown): PumpResult {
  const text = error instanceof Error ? error.message : "";
  const code = resetCode(text);
  if (code !== undefined) return code;
  // The peer allows no further stream yet: as soon as one of them ends.
  if (text.includes("StreamLimit")) return "blocked";
  return "gone";
}

/** The application code in `StreamStopped(256)` or `StreamReset(256)`; undefined for another error. */
export function resetCode(text: string): number | undefined {
  const match = /^Stream(?:Stopped|Reset)\((\d{1,15})\)$/.exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
