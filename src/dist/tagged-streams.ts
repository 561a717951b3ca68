import type { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import { isUnidirectional } from "../carrier/channel-ids.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";
import type { UserChannels } from "./barrel-link.ts";
import { DEFAULT_STREAM_RESET_CODE, isResetCode, UNKNOWN_TAG_CODE } from "./stream-codes.ts";
import {
  resetCodeInvalid,
  sessionHasEnded,
  streamEnded,
  streamQueueFull,
  streamResetBy,
  streamResetHere,
  streamsFull,
  tagInvalid,
} from "./stream-failures.ts";

/** Longest tag in bytes: its length is one byte on the wire. */
export const MAX_TAG_BYTES = 255;

/** Streams of one connection that may wait for the rest of their tag; further ones are refused (barrel-auth section 11). */
export const MAX_WAITING_TAGS = 64;

/** Tagged streams of one connection, both sides' together. */
export const MAX_STREAMS = 256;

/** Bytes of one stream that may wait to leave. */
export const MAX_STREAM_QUEUED_BYTES: number = 8 * 1024 * 1024;

/** Tags that barrel_p2p keeps for itself begin so. */
export const RESERVED_TAGS = "barrel_p2p:";

/** Who uses one stream. No call comes after `closedBy`. */
export interface StreamSink {
  /** Bytes of the peer. The chunk is the receiver's. */
  data(chunk: Buffer): void;
  /** The peer has said all. */
  ended(): void;
  /** After a `write` that answered false: there is room again. */
  drained(): void;
  /** Exactly once: both sides have said all (undefined), or the stream was cut. */
  closedBy(error: SallyportError | undefined): void;
}

/** Who decides on the streams that a peer opens. */
export interface StreamOwner {
  /**
   * A stream came with this tag; nothing behind it was looked at. Undefined refuses it, and the peer hears the same as for a tag that
   * nobody knows.
   */
  streamOffered(stream: TaggedStream): StreamSink | undefined;
  /** A stream was refused before its tag was whole: too many wait, or the tag is none. */
  streamDropped(): void;
}

/** One stream of bytes between two nodes, under a tag. All calls are synchronous; nothing throws after its end but `write`. */
export class TaggedStream {
  readonly tag: string;
  readonly channel: ChannelId;
  readonly #streams: TaggedStreams;
  readonly #carrier: ChannelledCarrier;
  sink: StreamSink | undefined;
  #canSay: boolean;
  #canHear = true;
  #isClosed = false;

  constructor(streams: TaggedStreams, carrier: ChannelledCarrier, tag: string, channel: ChannelId, canSay: boolean) {
    this.#streams = streams;
    this.#carrier = carrier;
    this.tag = tag;
    this.channel = channel;
    this.#canSay = canSay;
  }

  /** False for a one-way stream of the peer's, and once this side has said all. */
  get isWritable(): boolean {
    return this.#canSay && !this.#isClosed;
  }

  /** Bytes written that have not left. */
  get pendingBytes(): number {
    return this.#isClosed ? 0 : this.#carrier.pendingOn(this.channel);
  }

  /**
   * Queues bytes, which must not change until they have left. False: wait for `drained`.
   * @throws {SallyportError} ERR_CLOSED STREAM_ENDED; ERR_LIMIT STREAM_QUEUE_FULL
   */
  write(bytes: Uint8Array): boolean {
    if (!this.isWritable) throw streamEnded(this.tag);
    const waiting = this.pendingBytes + bytes.length;
    if (waiting > MAX_STREAM_QUEUED_BYTES) throw streamQueueFull(this.tag, waiting, MAX_STREAM_QUEUED_BYTES);
    const hasRoom = this.#carrier.write(this.channel, bytes);
    this.#carrier.flush(this.channel);
    return hasRoom;
  }

  /** Says that nothing more follows. Idempotent. */
  finish(): void {
    if (!this.isWritable) return;
    this.#canSay = false;
    this.#carrier.finish(this.channel);
    this.#settle();
  }

  /**
   * Cuts the stream, both ways, and tells the peer the code. Idempotent.
   * @throws {SallyportError} ERR_API_MISUSE STREAM_CODE
   */
  reset(code: number = DEFAULT_STREAM_RESET_CODE): void {
    if (!isResetCode(code)) throw resetCodeInvalid(code);
    if (this.#isClosed) return;
    this.#carrier.reset(this.channel, code);
    this.close(streamResetHere(this.tag, code));
  }

  /** Stops and resumes the peer's bytes: credit. What comes meanwhile waits in the carrier, within its bound. */
  pause(): void {
    if (!this.#isClosed) this.#carrier.pauseChannel(this.channel);
  }

  resume(): void {
    if (!this.#isClosed) this.#carrier.resumeChannel(this.channel);
  }

  /** For `TaggedStreams`: the peer has said all. */
  heardAll(): void {
    if (!this.#canHear) return;
    this.#canHear = false;
    this.sink?.ended();
    this.#settle();
  }

  /** For `TaggedStreams`. */
  close(error: SallyportError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#streams.forget(this);
    this.sink?.closedBy(error);
  }

  #settle(): void {
    if (!this.#canHear && !this.#canSay) this.close(undefined);
  }
}

/**
 * The streams of the application on one barrel connection (barrel-auth section 11): `tagLength:8 tag`, then bytes. Every
 * stream that the peer opens is the owner's to decide before anybody sees a byte behind its tag.
 */
export class TaggedStreams implements UserChannels {
  readonly #owner: StreamOwner;
  readonly #open = new Map<ChannelId, TaggedStream>();
  /** Streams whose tag is not whole. */
  readonly #waiting = new Map<ChannelId, Buffer>();
  #carrier: ChannelledCarrier | undefined;

  constructor(owner: StreamOwner) {
    this.#owner = owner;
  }

  /** Streams that are not over. */
  get size(): number {
    return this.#open.size;
  }

  /** All streams that are not over. */
  all(): Iterable<TaggedStream> {
    return this.#open.values();
  }

  /**
   * Opens a stream and says its tag. Whether the peer takes it shows later: a refusal is a reset.
   * @throws {SallyportError} ERR_CLOSED SESSION_CLOSED; ERR_API_MISUSE STREAM_TAG; ERR_LIMIT STREAMS_FULL, CHANNELS_EXHAUSTED
   */
  open(tag: string): TaggedStream {
    const preamble = preambleOf(tag);
    const carrier = this.#carrier;
    if (carrier === undefined) throw sessionHasEnded(tag);
    if (this.#open.size >= MAX_STREAMS) throw streamsFull(MAX_STREAMS);
    const channel = carrier.open("user");
    const stream = new TaggedStream(this, carrier, tag, channel, true);
    this.#open.set(channel, stream);
    // In one piece: a barrel node keeps parts of a tag beyond the connection.
    carrier.write(channel, preamble);
    carrier.flush(channel);
    return stream;
  }

  forget(stream: TaggedStream): void {
    this.#open.delete(stream.channel);
  }

  up(carrier: ChannelledCarrier): void {
    this.#carrier = carrier;
  }

  bytes(channel: ChannelId, chunk: Buffer): void {
    const stream = this.#open.get(channel);
    if (stream !== undefined) stream.sink?.data(chunk);
    else this.#preamble(channel, chunk);
  }

  ended(channel: ChannelId): void {
    const stream = this.#open.get(channel);
    if (stream !== undefined) {
      stream.heardAll();
      return;
    }
    // Ended within its tag: our direction ends with it, or the stream would take one of the peer's places until the session ends.
    this.#waiting.delete(channel);
    this.#carrier?.reset(channel, UNKNOWN_TAG_CODE);
  }

  reset(channel: ChannelId, code: number): void {
    this.#waiting.delete(channel);
    const stream = this.#open.get(channel);
    stream?.close(streamResetBy(stream.tag, code));
  }

  drained(channel: ChannelId): void {
    this.#open.get(channel)?.sink?.drained();
  }

  closed(cause: SallyportError | undefined): void {
    this.#carrier = undefined;
    this.#waiting.clear();
    for (const stream of [...this.#open.values()]) stream.close(cause ?? sessionHasEnded(stream.tag));
  }

  #preamble(channel: ChannelId, chunk: Buffer): void {
    const before = this.#waiting.get(channel);
    if (before === undefined && this.#waiting.size >= MAX_WAITING_TAGS) {
      this.#drop(channel);
      return;
    }
    // No more of the chunk than belongs to the tag is copied.
    const wanted = 1 + ((before ?? chunk)[0] ?? 0);
    const take = Math.min(chunk.length, wanted - (before?.length ?? 0));
    const bytes =
      before === undefined ? Buffer.from(chunk.subarray(0, take)) : Buffer.concat([before, chunk.subarray(0, take)]);
    if (wanted === 1) {
      this.#drop(channel);
      return;
    }
    if (bytes.length < wanted) {
      this.#waiting.set(channel, bytes);
      return;
    }
    this.#waiting.delete(channel);
    this.#offer(channel, bytes.subarray(1), chunk.subarray(take));
  }

  #offer(channel: ChannelId, tagBytes: Buffer, rest: Buffer): void {
    const carrier = this.#carrier;
    const tag = tagBytes.toString("utf8");
    if (carrier === undefined || !Buffer.from(tag, "utf8").equals(tagBytes) || tag.startsWith(RESERVED_TAGS)) {
      this.#drop(channel);
      return;
    }
    if (this.#open.size >= MAX_STREAMS) {
      this.#drop(channel);
      return;
    }
    const stream = new TaggedStream(this, carrier, tag, channel, !isUnidirectional(channel));
    this.#open.set(channel, stream);
    const sink = this.#owner.streamOffered(stream);
    // Whoever was asked may have ended it, or the connection.
    if (this.#open.get(channel) !== stream) return;
    if (sink === undefined) {
      this.#open.delete(channel);
      carrier.reset(channel, UNKNOWN_TAG_CODE);
      return;
    }
    stream.sink = sink;
    if (rest.length > 0) sink.data(rest);
  }

  #drop(channel: ChannelId): void {
    this.#waiting.delete(channel);
    this.#owner.streamDropped();
    this.#carrier?.reset(channel, UNKNOWN_TAG_CODE);
  }
}

/** @throws {SallyportError} ERR_API_MISUSE STREAM_TAG */
export function checkTag(tag: string): void {
  preambleOf(tag);
}

function preambleOf(tag: string): Buffer {
  const bytes = Buffer.from(tag, "utf8");
  const isText = bytes.toString("utf8") === tag;
  if (!isText || bytes.length < 1 || bytes.length > MAX_TAG_BYTES || tag.startsWith(RESERVED_TAGS)) {
    throw tagInvalid(tag, MAX_TAG_BYTES);
  }
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
