import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { RingQueue } from "../base/ring-queue.ts";
import { FRAME_OVERHEAD_BYTES } from "../carrier/quic/engine-frames.ts";
import { TurnWriter } from "../carrier/quic/turn-writer.ts";

/** Octets of session frames, each with its overhead, that the node may have outstanding: what waits in the pipe and in the node's event loop. */
export const PIPE_WINDOW_BYTES: number = 1024 * 1024;

/** What has session frames waiting. */
export interface Backlog {
  /** Gives its frames to `send` while there is credit. True when some are left. */
  drain(): boolean;
}

/** The engine's end of the pipe: gathers the frames of one turn into one write, and keeps the session frames within credit. */
export class Pipe {
  readonly #writer: TurnWriter;
  readonly #waiting: RingQueue<Backlog> = new RingQueue<Backlog>();
  readonly #known: Set<Backlog> = new Set<Backlog>();
  #credit = PIPE_WINDOW_BYTES;

  constructor(socket: Duplex, clock: Clock) {
    this.#writer = new TurnWriter(socket, clock);
  }

  /** True while session frames may be sent. */
  get open(): boolean {
    return this.#credit > 0;
  }

  /** True while frames of this turn wait for its end: another one makes no further write. */
  get isGathering(): boolean {
    return this.#writer.isGathering;
  }

  /** Frames from here on wait for `release`, in the same turn. */
  hold(): void {
    this.#writer.hold();
  }

  release(): void {
    this.#writer.release();
  }

  /** A frame that needs no credit. */
  send(bytes: Uint8Array): void {
    this.#writer.write(bytes);
  }

  /** A session frame. The caller has asked `open` before. */
  sendCounted(bytes: Uint8Array): void {
    this.#credit -= bytes.length + FRAME_OVERHEAD_BYTES;
    this.send(bytes);
  }

  /** Drains the backlog in its turn, now or when the node gives credit. */
  offer(backlog: Backlog): void {
    if (!this.#known.has(backlog)) {
      this.#known.add(backlog);
      this.#waiting.push(backlog);
    }
    this.#serve();
  }

  credit(octets: number): void {
    this.#credit = Math.min(this.#credit + octets, PIPE_WINDOW_BYTES);
    this.#serve();
  }

  #serve(): void {
    while (this.#credit > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#known.delete(next);
      if (next.drain() && !this.#known.has(next)) {
        this.#known.add(next);
        this.#waiting.push(next);
      }
    }
  }
}
