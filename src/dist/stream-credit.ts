import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";

/** Tag of the stream on which a node says how much it takes on the others. A node of another kind refuses it as any unknown tag. */
export const CREDIT_TAG = "sallyport:credit";

/** Octets that either side may send on a stream, behind the tag, before it has heard of credit. */
export const INITIAL_CREDIT_BYTES: number = 128 * 1024;

/** Largest window of one stream in one direction, octets: it doubles from the initial one while it is used and the pool lasts. */
export const MAX_CREDIT_BYTES: number = 2 * 1024 * 1024;

/** Octets beyond their initial windows that all streams of a session are given together. */
export const CREDIT_POOL_BYTES: number = 24 * 1024 * 1024;

/** How often a credit stream is opened on one session: one that came before the peer's session stood is refused. */
const MAX_OFFERS = 3;

/** `channel:48 octets:32` */
const RECORD_BYTES = 10;
const CHANNEL_BYTES = 6;
const MAX_GRANT = 0xffff_ffff;

/** What all windows of a session may grow by. */
export class CreditPool {
  #left: number = CREDIT_POOL_BYTES;

  take(octets: number): boolean {
    if (octets > this.#left) return false;
    this.#left -= octets;
    return true;
  }

  giveBack(octets: number): void {
    this.#left += octets;
  }
}

/** How much of one stream the peer may send. */
export class ReceiveWindow {
  #size: number = INITIAL_CREDIT_BYTES;
  /** Octets taken since the peer was last told. */
  #owed = 0;

  took(octets: number): void {
    this.#owed += octets;
  }

  /** What the peer is to be told now: nothing before half of the window was taken. Then a window that is used grows. */
  due(pool: CreditPool): number {
    if (this.#owed < this.#size / 2) return 0;
    const grows = this.#size < MAX_CREDIT_BYTES && pool.take(this.#size);
    const grant = Math.min(this.#owed + (grows ? this.#size : 0), MAX_GRANT);
    this.#owed -= grant - (grows ? this.#size : 0);
    if (grows) this.#size *= 2;
    return grant;
  }

  close(pool: CreditPool): void {
    pool.giveBack(this.#size - INITIAL_CREDIT_BYTES);
  }
}

/** Reads the records of a credit stream, however they are cut. */
export class CreditReader {
  #kept: Buffer = Buffer.alloc(0);

  push(chunk: Buffer, grant: (channel: ChannelId, octets: number) => void): void {
    let at = 0;
    let record = chunk;
    if (this.#kept.length > 0) {
      at = Math.min(RECORD_BYTES - this.#kept.length, chunk.length);
      record = Buffer.concat([this.#kept, chunk.subarray(0, at)]);
      if (record.length === RECORD_BYTES) grant(channelAt(record, 0), octetsAt(record, 0));
      this.#kept = record.length === RECORD_BYTES ? Buffer.alloc(0) : record;
    }
    for (; at + RECORD_BYTES <= chunk.length; at += RECORD_BYTES) grant(channelAt(chunk, at), octetsAt(chunk, at));
    if (at < chunk.length) this.#kept = Buffer.from(chunk.subarray(at));
  }
}

const channelAt = (bytes: Buffer, at: number): ChannelId => bytes.readUIntBE(at, CHANNEL_BYTES);
const octetsAt = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + CHANNEL_BYTES);

function record(channel: ChannelId, octets: number): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeUIntBE(channel, 0, CHANNEL_BYTES);
  bytes.writeUInt32BE(octets, CHANNEL_BYTES);
  return bytes;
}

/** A stream as credit sees it. */
export interface CreditedStream {
  readonly channel: ChannelId;
  readonly window: ReceiveWindow;
  /** The peer may still send. */
  readonly takesMore: boolean;
  /** The peer takes so many octets more. */
  granted(octets: number): void;
  /** Whether the peer counts what it takes; where it does not, nothing holds the stream back. */
  counted(isCounted: boolean): void;
}

/**
 * Credit between two nodes that both know it: barrel's own streams have none, for the windows of QUIC are endless there (barrel-auth
 * section 1.1). Each side opens one stream under `CREDIT_TAG` as soon as it has to do with a stream, and says on it how much more it takes
 * on which one. To have heard the peer's is to know that it counts; to see one's own refused is to know that it does not. Until then no
 * more than the initial credit leaves.
 */
export class StreamCredit {
  readonly #streams: ReadonlyMap<ChannelId, CreditedStream>;
  readonly #pool: CreditPool = new CreditPool();
  readonly #reader: CreditReader = new CreditReader();
  #carrier: ChannelledCarrier | undefined;
  #peer: "unknown" | "counts" | "does not" = "unknown";
  #out: ChannelId | undefined;
  #in: ChannelId | undefined;
  #offers = 0;
  /** The credit stream takes no more for now; what is due is said when it does. */
  #isCongested = false;

  constructor(streams: ReadonlyMap<ChannelId, CreditedStream>) {
    this.#streams = streams;
  }

  /** Whether a new stream sends no more than its credit. */
  get isCounted(): boolean {
    return this.#peer !== "does not";
  }

  up(carrier: ChannelledCarrier): void {
    this.#carrier = carrier;
  }

  /** Lets the peer know that this side counts, unless it does, or refused to hear of it. */
  offer(): void {
    if (this.#out !== undefined || this.#peer === "does not" || this.#offers === MAX_OFFERS) return;
    const carrier = this.#carrier;
    if (carrier === undefined) return;
    this.#offers++;
    this.#out = carrier.open("user");
    carrier.write(this.#out, Buffer.concat([Buffer.from([CREDIT_TAG.length]), Buffer.from(CREDIT_TAG)]));
    carrier.flush(this.#out);
  }

  /** The peer has opened a credit stream. False for a second one. */
  take(channel: ChannelId, rest: Buffer): boolean {
    if (this.#in !== undefined) return false;
    this.#in = channel;
    this.#peer = "counts";
    this.#carrier?.finish(channel);
    for (const stream of [...this.#streams.values()]) stream.counted(true);
    this.offer();
    this.bytes(channel, rest);
    this.#tellAll();
    return true;
  }

  /** True when the bytes were the peer's credit. */
  bytes(channel: ChannelId, chunk: Buffer): boolean {
    if (channel !== this.#in) return false;
    this.#reader.push(chunk, (of, octets) => this.#streams.get(of)?.granted(octets));
    return true;
  }

  ended(channel: ChannelId): boolean {
    // The peer ends its direction of our credit stream as soon as it knows it; at the end of its own it gives no more.
    return channel === this.#out || channel === this.#in;
  }

  reset(channel: ChannelId): boolean {
    if (channel === this.#in) return true;
    if (channel !== this.#out) return false;
    this.#out = undefined;
    // Refused before its session stood, and heard of since: once more.
    if (this.#peer === "counts") this.offer();
    else {
      this.#peer = "does not";
      for (const stream of [...this.#streams.values()]) stream.counted(false);
    }
    return true;
  }

  drained(channel: ChannelId): boolean {
    if (channel !== this.#out) return false;
    this.#isCongested = false;
    this.#tellAll();
    return true;
  }

  /** Tells the peer what is due on a stream. */
  tell(stream: CreditedStream): void {
    const carrier = this.#carrier;
    if (carrier === undefined || this.#out === undefined || this.#peer !== "counts" || this.#isCongested) return;
    if (!stream.takesMore) return;
    const octets = stream.window.due(this.#pool);
    if (octets === 0) return;
    this.#isCongested = !carrier.write(this.#out, record(stream.channel, octets));
    carrier.flush(this.#out);
  }

  forget(stream: CreditedStream): void {
    stream.window.close(this.#pool);
  }

  closed(): void {
    this.#carrier = undefined;
  }

  #tellAll(): void {
    for (const stream of this.#streams.values()) this.tell(stream);
  }
}
