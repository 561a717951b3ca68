import { RingQueue } from "../base/ring-queue.ts";
import { isUserChannel } from "../carrier/channel-ids.ts";
import {
  bareFrame,
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
import { RecentChannels } from "./recent-channels.ts";

/**
 * Memory read into, octets at once: little at first, twice as much each time that a read has filled it. V8 counts all of it, the system
 * only what was written to, and the memory guard goes by the difference.
 */
const FIRST_SLAB_BYTES: number = 16 * 1024;
const MAX_SLAB_BYTES: number = 4 * MAX_PIECE_BYTES;
/** Less than this left in a slab: the next one. */
const MIN_READ_BYTES: number = 8 * 1024;

/** Hears of a stream that the peer has ended: in good order, or with the code of a reset. */
export type EndHandler = (channel: number, end: "finished" | number) => void;

/**
 * What one session has for the node: frames that wait for credit, or for the node to read on. Those of the application's streams
 * wait behind all others; the order of one channel is kept.
 */
export class Inbound implements Backlog {
  readonly #session: number;
  readonly #pipe: Pipe;
  readonly #frames: RingQueue<Buffer> = new RingQueue<Buffer>();
  readonly #bulk: RingQueue<Buffer> = new RingQueue<Buffer>();
  readonly #recentLanes: RecentChannels = new RecentChannels();
  readonly #recentBulk: RecentChannels = new RecentChannels();
  /** Channels that were read and whose end was not seen. */
  readonly #open: Set<number> = new Set<number>();
  #slab: Buffer = Buffer.alloc(0);
  #slabBytes = FIRST_SLAB_BYTES;
  #slabAt = 0;
  #paused = false;
  /** Packets of the peer when the node was last told that it lives. */
  #packets = 0;
  /** Octets that streams gave so far. */
  #given = 0;
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

  /** A frame behind all before it of its kind. */
  queue(frame: Buffer, isBulk: boolean): void {
    const isFirst = this.#frames.length === 0 && (!isBulk || this.#bulk.length === 0);
    if (isFirst && !this.#paused && this.#pipe.open) {
      this.#pipe.sendCounted(frame);
      return;
    }
    (isBulk ? this.#bulk : this.#frames).push(frame);
    this.bytes += frame.length + FRAME_OVERHEAD_BYTES;
    this.#pipe.offer(this);
  }

  drain(): boolean {
    while (!this.#paused) {
      if (!this.#pipe.open) return this.#frames.length > 0 || this.#bulk.length > 0;
      const next = this.#frames.shift() ?? this.#bulk.shift();
      if (next === undefined) return false;
      this.bytes -= next.length + FRAME_OVERHEAD_BYTES;
      this.#pipe.sendCounted(next);
    }
    return false;
  }

  /** Reads into frames all that the streams have. @returns the octets that they gave */
  readAll(connection: NativeConnection, ended: EndHandler): number {
    const before = this.#given;
    this.#readReadable(connection, ended);
    return this.#given - before;
  }

  /**
   * Looks for ends that QUIC does not tell of: where the last bytes of a stream come a second time, with its end, this version
   * takes them for known and does not list the stream again.
   */
  lookForEnds(connection: NativeConnection, ended: EndHandler): void {
    for (const channel of this.#open) {
      if (connection.streamReadable(channel) || !connection.streamFinished(channel)) continue;
      this.#open.delete(channel);
      this.queue(channelHead(FROM_ENGINE.finished, this.#session, channel, 0), isUserChannel(channel));
      ended(channel, "finished");
    }
  }

  /** Once in a while: tells the node that its peer lives, where packets came since. It needs no credit, and a paused node hears it too. */
  tellLife(connection: NativeConnection): void {
    const { recv } = connection.stats();
    if (recv === this.#packets) return;
    this.#packets = recv;
    this.#pipe.send(bareFrame(FROM_ENGINE.heard, this.#session));
  }

  /** The channel is over. */
  forget(channel: number): void {
    this.#open.delete(channel);
  }

  #readReadable(connection: NativeConnection, ended: EndHandler): void {
    // A list of the readable streams costs many times as much as to ask for one that was readable before.
    if (!connection.isReadable()) return;
    if (this.#readRecent(connection, this.#recentLanes, ended)) return;
    if (this.#readRecent(connection, this.#recentBulk, ended)) return;
    for (const channel of connection.readable()) {
      if (channel > MAX_ID) continue;
      (isUserChannel(channel) ? this.#recentBulk : this.#recentLanes).add(channel);
      this.#read(connection, channel, ended);
    }
  }

  /** True when nothing is left on any stream. */
  #readRecent(connection: NativeConnection, recent: RecentChannels, ended: EndHandler): boolean {
    for (let at = 0; at < recent.length; at++) {
      const channel = recent.at(at);
      if (!connection.streamReadable(channel)) continue;
      recent.use(at);
      this.#read(connection, channel, ended);
      if (!connection.isReadable()) return true;
    }
    return false;
  }

  #read(connection: NativeConnection, channel: number, ended: EndHandler): void {
    let end: "finished" | number | undefined;
    this.#open.add(channel);
    try {
      let piece = this.#readPiece(connection, channel);
      while (piece === "more") piece = this.#readPiece(connection, channel);
      end = piece;
    } catch (error) {
      end = resetCode(error instanceof Error ? error.message : "");
    }
    if (end === undefined) return;
    this.#open.delete(channel);
    ended(channel, end);
  }

  #readPiece(connection: NativeConnection, channel: number): "more" | "finished" | undefined {
    if (this.#slab.length - this.#slabAt < CHANNEL_HEAD_BYTES + MIN_READ_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(this.#slabBytes);
      this.#slabAt = 0;
    }
    const start = this.#slabAt;
    const bytesAt = start + CHANNEL_HEAD_BYTES;
    const room = Math.min(MAX_PIECE_BYTES, this.#slab.length - bytesAt);
    const result = connection.streamRecv(channel, this.#slab.subarray(bytesAt, bytesAt + room));
    if (result === null) return undefined;
    const [length, fin] = result;
    const isBulk = isUserChannel(channel);
    if (length > 0) {
      this.#given += length;
      if (length === room) this.#slabBytes = Math.min(2 * this.#slabBytes, MAX_SLAB_BYTES);
      this.#slabAt = bytesAt + length;
      writeChannelHead(this.#slab, start, FROM_ENGINE.data, this.#session, channel, length);
      this.queue(this.#slab.subarray(start, this.#slabAt), isBulk);
    }
    if (fin) {
      this.queue(channelHead(FROM_ENGINE.finished, this.#session, channel, 0), isBulk);
      return "finished";
    }
    // Also after a short read: an end that came by itself is told by the next one only.
    return "more";
  }
}
