import type { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import { isUnidirectional } from "../carrier/channel-ids.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";
import { UNKNOWN_TAG_CODE } from "./stream-codes.ts";
import { CREDIT_TAG, StreamCredit } from "./stream-credit.ts";
import { sessionHasEnded, streamResetBy, streamsFull, tagInvalid } from "./stream-failures.ts";
import { type StreamHome, type StreamSink, TaggedStream } from "./tagged-stream.ts";
import type { UserChannels } from "./user-channels.ts";

/** Longest tag in bytes: its length is one byte on the wire. */
export const MAX_TAG_BYTES = 255;

/** Streams of one connection that may wait for the rest of their tag; further ones are refused (barrel-auth section 11). */
export const MAX_WAITING_TAGS = 64;

/** Tagged streams of one connection, both sides' together. */
export const MAX_STREAMS = 256;

/** Tags that barrel_p2p and Sallyport keep for themselves begin so. */
export const RESERVED_TAGS: readonly string[] = ["barrel_p2p:", "sallyport:"];

/** Who decides on the streams that a peer opens. */
export interface StreamOwner {
  /**
   * A stream came with this tag; nothing behind it was looked at. Undefined refuses it, and the peer hears the same as for a tag that
   * nobody knows.
   */
  streamOffered(stream: TaggedStream): StreamSink | undefined;
  /** A stream came to nothing before it had a tag: it came too early, too many wait, it was over within its tag, or the tag is none. */
  streamDropped(): void;
}

/**
 * The streams of the application on one barrel connection (barrel-auth section 11): `tagLength:8 tag`, then bytes. Every
 * stream that the peer opens is the owner's to decide before anybody sees a byte behind its tag.
 */
export class TaggedStreams implements UserChannels, StreamHome {
  readonly #owner: StreamOwner;
  readonly #open = new Map<ChannelId, TaggedStream>();
  /** Streams whose tag is not whole. */
  readonly #waiting = new Map<ChannelId, Buffer>();
  readonly #credit: StreamCredit = new StreamCredit(this.#open);
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
    const stream = new TaggedStream(this, carrier, { tag, channel, canSay: true, isCounted: this.#credit.isCounted });
    this.#open.set(channel, stream);
    // In one piece: a barrel node keeps parts of a tag beyond the connection.
    carrier.write(channel, preamble);
    carrier.flush(channel);
    this.#credit.offer();
    return stream;
  }

  forget(stream: TaggedStream): void {
    this.#open.delete(stream.channel);
    this.#credit.forget(stream);
  }

  up(carrier: ChannelledCarrier): void {
    this.#carrier = carrier;
    this.#credit.up(carrier);
  }

  tooEarly(): void {
    this.#owner.streamDropped();
  }

  bytes(channel: ChannelId, chunk: Buffer): void {
    const stream = this.#open.get(channel);
    if (stream !== undefined) this.#hear(stream, chunk);
    else if (!this.#credit.bytes(channel, chunk)) this.#preamble(channel, chunk);
  }

  ended(channel: ChannelId): void {
    const stream = this.#open.get(channel);
    if (stream !== undefined) {
      stream.heardAll();
      return;
    }
    if (this.#credit.ended(channel)) return;
    // Ended within its tag: our direction ends with it, or the stream would take one of the peer's places until the session ends.
    this.#drop(channel);
  }

  reset(channel: ChannelId, code: number): void {
    if (this.#credit.reset(channel)) return;
    if (this.#waiting.delete(channel)) this.#owner.streamDropped();
    const stream = this.#open.get(channel);
    stream?.close(streamResetBy(stream.tag, code));
  }

  drained(channel: ChannelId): void {
    if (!this.#credit.drained(channel)) this.#open.get(channel)?.drained();
  }

  closed(cause: SallyportError | undefined): void {
    this.#carrier = undefined;
    this.#credit.closed();
    this.#waiting.clear();
    for (const stream of [...this.#open.values()]) stream.close(cause ?? sessionHasEnded(stream.tag));
  }

  #hear(stream: TaggedStream, chunk: Buffer): void {
    stream.sink?.data(chunk);
    stream.window.took(chunk.length);
    this.#credit.tell(stream);
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
    if (tag === CREDIT_TAG && !isUnidirectional(channel) && this.#credit.take(channel, rest)) return;
    if (carrier === undefined || !Buffer.from(tag, "utf8").equals(tagBytes) || isReserved(tag)) {
      this.#drop(channel);
      return;
    }
    if (this.#open.size >= MAX_STREAMS) {
      this.#drop(channel);
      return;
    }
    const facts = { tag, channel, canSay: !isUnidirectional(channel), isCounted: this.#credit.isCounted };
    const stream = new TaggedStream(this, carrier, facts);
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
    this.#credit.offer();
    if (rest.length > 0) this.#hear(stream, rest);
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

function isReserved(tag: string): boolean {
  return RESERVED_TAGS.some((prefix) => tag.startsWith(prefix));
}

function preambleOf(tag: string): Buffer {
  const bytes = Buffer.from(tag, "utf8");
  const isText = bytes.toString("utf8") === tag;
  if (!isText || bytes.length < 1 || bytes.length > MAX_TAG_BYTES || isReserved(tag)) {
    throw tagInvalid(tag, MAX_TAG_BYTES);
  }
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
