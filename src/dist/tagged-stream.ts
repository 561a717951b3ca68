import type { SallyportError } from "../base/errors.ts";
import { RingQueue } from "../base/ring-queue.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";
import { DEFAULT_STREAM_RESET_CODE, isResetCode } from "./stream-codes.ts";
import { type CreditedStream, INITIAL_CREDIT_BYTES, ReceiveWindow } from "./stream-credit.ts";
import { resetCodeInvalid, streamEnded, streamQueueFull, streamResetHere } from "./stream-failures.ts";

/** Bytes of one stream that may wait to leave. */
export const MAX_STREAM_QUEUED_BYTES: number = 8 * 1024 * 1024;

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

/** Where a stream belongs. */
export interface StreamHome {
  forget(stream: TaggedStream): void;
}

/** One stream of bytes between two nodes, under a tag. All calls are synchronous; nothing throws after its end but `write`. */
export class TaggedStream implements CreditedStream {
  readonly tag: string;
  readonly channel: ChannelId;
  readonly window: ReceiveWindow = new ReceiveWindow();
  readonly #home: StreamHome;
  readonly #carrier: ChannelledCarrier;
  sink: StreamSink | undefined;
  #canSay: boolean;
  #canHear = true;
  #isClosed = false;
  /** Our direction has ended, for the carrier too. */
  #isFinished: boolean;
  #isCounted: boolean;
  /** Bytes that may go to the carrier where the peer counts; below zero when more went before that was known. */
  #credit: number = INITIAL_CREDIT_BYTES;
  /** What waits for credit. */
  readonly #held: RingQueue<Uint8Array> = new RingQueue<Uint8Array>();
  #heldBytes = 0;
  #wantsRoom = false;

  /** @param canSay whether this side may write @param isCounted whether no more may leave than the peer has credited */
  constructor(
    home: StreamHome,
    carrier: ChannelledCarrier,
    facts: { readonly tag: string; readonly channel: ChannelId; readonly canSay: boolean; readonly isCounted: boolean },
  ) {
    this.#home = home;
    this.#carrier = carrier;
    this.tag = facts.tag;
    this.channel = facts.channel;
    this.#canSay = facts.canSay;
    this.#isFinished = !facts.canSay;
    this.#isCounted = facts.isCounted;
  }

  /** False for a one-way stream of the peer's, and once this side has said all. */
  get isWritable(): boolean {
    return this.#canSay && !this.#isClosed;
  }

  /** Bytes written that have not left. */
  get pendingBytes(): number {
    return this.#isClosed ? 0 : this.#heldBytes + this.#carrier.pendingOn(this.channel);
  }

  get takesMore(): boolean {
    return this.#canHear && !this.#isClosed;
  }

  /**
   * Queues bytes, which must not change until they have left. False: wait for `drained`.
   * @throws {SallyportError} ERR_CLOSED STREAM_ENDED; ERR_LIMIT STREAM_QUEUE_FULL
   */
  write(bytes: Uint8Array): boolean {
    if (!this.isWritable) throw streamEnded(this.tag);
    const waiting = this.pendingBytes + bytes.length;
    if (waiting > MAX_STREAM_QUEUED_BYTES) throw streamQueueFull(this.tag, waiting, MAX_STREAM_QUEUED_BYTES);
    if (bytes.length === 0) return this.#heldBytes === 0;
    if (this.#heldBytes === 0 && bytes.length <= this.#room) {
      const hasRoom = this.#hand(bytes);
      this.#carrier.flush(this.channel);
      return hasRoom;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    this.#wantsRoom = true;
    this.#sendHeld();
    return false;
  }

  /** Says that nothing more follows. Idempotent. */
  finish(): void {
    if (!this.isWritable) return;
    this.#canSay = false;
    this.#finishNow();
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

  /** Stops and resumes the peer's bytes, and with them its credit. What comes meanwhile waits in the carrier, within its bound. */
  pause(): void {
    if (!this.#isClosed) this.#carrier.pauseChannel(this.channel);
  }

  resume(): void {
    if (!this.#isClosed) this.#carrier.resumeChannel(this.channel);
  }

  granted(octets: number): void {
    this.#credit = Math.min(this.#credit + octets, Number.MAX_SAFE_INTEGER);
    this.#sendHeld();
  }

  counted(isCounted: boolean): void {
    this.#isCounted = isCounted;
    this.#sendHeld();
  }

  /** For `TaggedStreams`: the peer has said all. */
  heardAll(): void {
    if (!this.#canHear) return;
    this.#canHear = false;
    this.sink?.ended();
    this.#settle();
  }

  /** For `TaggedStreams`: the carrier takes more. */
  drained(): void {
    // What waits for credit leaves first.
    if (this.#heldBytes > 0) return;
    this.#wantsRoom = false;
    this.sink?.drained();
  }

  /** For `TaggedStreams`. */
  close(error: SallyportError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held.clear();
    this.#heldBytes = 0;
    this.#home.forget(this);
    this.sink?.closedBy(error);
  }

  get #room(): number {
    return this.#isCounted ? this.#credit : Number.POSITIVE_INFINITY;
  }

  #hand(bytes: Uint8Array): boolean {
    this.#credit -= bytes.length;
    return this.#carrier.write(this.channel, bytes);
  }

  #sendHeld(): void {
    if (this.#heldBytes === 0 || this.#isClosed || this.#room <= 0) return;
    let hasRoom = true;
    for (let next = this.#held.peek(); next !== undefined && this.#room > 0; next = this.#held.peek()) {
      const part = next.length <= this.#room ? next : next.subarray(0, this.#room);
      if (part === next) this.#held.shift();
      else this.#held.replaceHead(next.subarray(part.length));
      this.#heldBytes -= part.length;
      hasRoom = this.#hand(part);
    }
    this.#carrier.flush(this.channel);
    if (this.#heldBytes > 0) return;
    if (hasRoom && this.#wantsRoom) this.drained();
    if (!this.#canSay) this.#finishNow();
  }

  /** Our direction ends behind what waits for credit. */
  #finishNow(): void {
    if (this.#heldBytes > 0 || this.#isFinished || this.#isClosed) return;
    this.#isFinished = true;
    this.#carrier.finish(this.channel);
    this.#settle();
  }

  #settle(): void {
    if (!this.#canHear && this.#isFinished) this.close(undefined);
  }
}
