import { ByteParts } from "../../base/byte-parts.ts";
import { RingQueue } from "../../base/ring-queue.ts";
import type { ChannelId } from "../carrier.ts";
import { CHANNEL_HEAD_BYTES, channelHead, MAX_PIECE_BYTES, TO_ENGINE, writeChannelHead } from "./engine-frames.ts";
import { ENGINE_WINDOW_BYTES } from "./quic-limits.ts";

/** In the queue of a channel: what was written until here leaves in packets of its own. */
const FLUSH: Uint8Array = new Uint8Array(0);

/** Up to this length a frame is copied together: a write of several pieces costs the system and the platform more. */
const COPIED_BYTES = 2048;

/** One channel as the node sees it: what waits to leave, and what came and waits to be read. */
export class QuicChannel {
  readonly id: ChannelId;
  readonly #queue: RingQueue<Uint8Array> = new RingQueue<Uint8Array>();
  #queued = 0;
  #inEngine = 0;
  /** Nothing more may be written. */
  finishing = false;
  finishSent = false;
  congested = false;
  paused = false;
  readonly #unread: ByteParts = new ByteParts();
  /** The peer's end: not seen, seen and behind unread bytes, or told. */
  peerEnd: "open" | "waiting" | "told" = "open";

  /** @param writes whether this end writes @param reads whether the peer does */
  constructor(id: ChannelId, writes: boolean, reads: boolean) {
    this.id = id;
    if (!writes) {
      this.finishing = true;
      this.finishSent = true;
    }
    if (!reads) this.peerEnd = "told";
  }

  /** Octets written that QUIC has not taken. */
  get pending(): number {
    return this.#queued + this.#inEngine;
  }

  /** Everything written is in the engine. */
  get allEmitted(): boolean {
    return this.#queued === 0;
  }

  /** Both directions have ended. */
  get over(): boolean {
    return this.finishSent && this.peerEnd === "told" && this.pending === 0;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
  }

  pushFlush(): void {
    if (this.#queued === 0) return;
    this.#queue.push(FLUSH);
  }

  /** Hands the engine what its window has room for. */
  emit(session: number, send: (bytes: Uint8Array) => void): void {
    while (this.#queued > 0 && this.#inEngine < ENGINE_WINDOW_BYTES) this.#emitFrame(session, send);
  }

  /** QUIC has taken octets. False when it never had as many. */
  taken(octets: number): boolean {
    if (octets > this.#inEngine) return false;
    this.#inEngine -= octets;
    return true;
  }

  get unreadBytes(): number {
    return this.#unread.bytes;
  }

  keep(bytes: Buffer): void {
    this.#unread.add(bytes, 0, bytes.length);
  }

  /** The oldest unread bytes, taken out. */
  next(): Buffer | undefined {
    return this.#unread.shift();
  }

  /** One frame: as many queued pieces as fit, up to a flush. */
  #emitFrame(session: number, send: (bytes: Uint8Array) => void): void {
    const parts: Uint8Array[] = [];
    let length = 0;
    let flush = false;
    for (let piece = this.#queue.peek(); piece !== undefined && length < MAX_PIECE_BYTES; piece = this.#queue.peek()) {
      if (piece === FLUSH) {
        this.#queue.shift();
        flush = true;
        break;
      }
      const room = MAX_PIECE_BYTES - length;
      if (piece.length > room) {
        parts.push(piece.subarray(0, room));
        length += room;
        this.#queue.replaceHead(piece.subarray(room));
        break;
      }
      this.#queue.shift();
      parts.push(piece);
      length += piece.length;
    }
    if (this.#queue.peek() === FLUSH) {
      this.#queue.shift();
      flush = true;
    }
    if (length === 0) return;
    this.#queued -= length;
    this.#inEngine += length;
    const type = flush ? TO_ENGINE.writeAndFlush : TO_ENGINE.write;
    if (length <= COPIED_BYTES) {
      send(joined(type, session, this.id, length, parts));
      return;
    }
    send(channelHead(type, session, this.id, length));
    for (const part of parts) send(part);
  }
}

function joined(type: number, session: number, channel: number, length: number, parts: readonly Uint8Array[]): Buffer {
  const frame = Buffer.allocUnsafe(CHANNEL_HEAD_BYTES + length);
  writeChannelHead(frame, 0, type, session, channel, length);
  let at = CHANNEL_HEAD_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}
