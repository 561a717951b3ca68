import { RingQueue } from "../base/ring-queue.ts";
import {
  CHANNEL_HEAD_BYTES,
  channelHead,
  FRAME_OVERHEAD_BYTES,
  FROM_ENGINE,
  MAX_ID,
  MAX_PIECE_BYTES,
  writeChannelHead,
} from "../carrier/quic/engine-frames.ts";
import type { NativeConnection } from "./binding.ts";
import { resetCode } from "./outgoing.ts";
import type { Backlog, Pipe } from "./pipe.ts";

/** Memory read into, octets at once. */
const SLAB_BYTES: number = 4 * MAX_PIECE_BYTES;
/** Less than this left in a slab: the next one. */
const MIN_READ_BYTES: number = 8 * 1024;

/** What one session has for the node, in order: frames that wait for credit, or for the node to read on. */
export class Inbound implements Backlog {
  readonly #session: number;
  readonly #pipe: Pipe;
  readonly #frames: RingQueue<Buffer> = new RingQueue<Buffer>();
  #slab: Buffer = Buffer.alloc(0);
  #slabAt = 0;
  #paused = false;
  /** Octets that wait, each frame with its overhead. */
  bytes = 0;

  constructor(session: number, pipe: Pipe) {
    this.#session = session;
    this.#pipe = pipe;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#pipe.offer(this);
  }

  /** A frame behind all before it. */
  queue(frame: Buffer): void {
    if (this.#frames.length === 0 && !this.#paused && this.#pipe.open) {
      this.#pipe.sendCounted(frame);
      return;
    }
    this.#frames.push(frame);
    this.bytes += frame.length + FRAME_OVERHEAD_BYTES;
    this.#pipe.offer(this);
  }

  drain(): boolean {
    while (!this.#paused) {
      if (!this.#pipe.open) return this.#frames.length > 0;
      const next = this.#frames.shift();
      if (next === undefined) return false;
      this.bytes -= next.length + FRAME_OVERHEAD_BYTES;
      this.#pipe.sendCounted(next);
    }
    return false;
  }

  /** Reads all that a stream has into frames. Gives its end, if the peer has ended it: in good order, or the code of a reset. */
  read(connection: NativeConnection, channel: number): "finished" | number | undefined {
    if (channel > MAX_ID) return undefined;
    try {
      for (;;) {
        const piece = this.#readPiece(connection, channel);
        if (piece !== "more") return piece;
      }
    } catch (error) {
      return resetCode(error instanceof Error ? error.message : "");
    }
  }

  #readPiece(connection: NativeConnection, channel: number): "more" | "finished" | undefined {
    if (this.#slab.length - this.#slabAt < CHANNEL_HEAD_BYTES + MIN_READ_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#slabAt = 0;
    }
    const start = this.#slabAt;
    const bytesAt = start + CHANNEL_HEAD_BYTES;
    const room = Math.min(MAX_PIECE_BYTES, this.#slab.length - bytesAt);
    const result = connection.streamRecv(channel, this.#slab.subarray(bytesAt, bytesAt + room));
    if (result === null) return undefined;
    const [length, fin] = result;
    if (length > 0) {
      this.#slabAt = bytesAt + length;
      writeChannelHead(this.#slab, start, FROM_ENGINE.data, this.#session, channel, length);
      this.queue(this.#slab.subarray(start, this.#slabAt));
    }
    if (!fin) return "more";
    this.queue(channelHead(FROM_ENGINE.finished, this.#session, channel, 0));
    return "finished";
  }
}
