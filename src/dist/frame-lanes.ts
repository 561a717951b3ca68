import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";
import { FRAGMENTS } from "../wire/flags.ts";
import { frameTooSlow } from "./connection-failures.ts";
import { LaneBudget, LaneReader } from "./lane-reader.ts";
import { LANES, LaneRouter } from "./lane-routing.ts";
import { LaneWriter } from "./lane-writer.ts";
import { type DistLimits, longestFrameMs } from "./limits.ts";

export interface FrameLanesParts {
  readonly carrier: ChannelledCarrier;
  readonly clock: Clock;
  readonly limits: DistLimits;
  /** Whole frames of one stream, each with its length. */
  up(frames: Buffer): void;
  /** An empty frame is to leave. */
  tick(): void;
  fail(error: SallyportError): void;
}

/** The data streams of one connection, both directions: opened when they are first needed, ordered each for itself. */
export class FrameLanes {
  readonly #parts: FrameLanesParts;
  readonly #writer: LaneWriter;
  readonly #budget: LaneBudget;
  readonly #readers = new Map<ChannelId, LaneReader>();
  /** When the unfinished frame of a stream began, as the peer's bytes have it. */
  readonly #began = new Map<ChannelId, MonotonicMs>();
  readonly #out: (ChannelId | undefined)[] = new Array<ChannelId | undefined>(LANES).fill(undefined);
  /** Lanes whose bytes may not all have left. */
  readonly #busy = new Set<ChannelId>();
  readonly #toFlush = new Set<ChannelId>();
  #hasRoom = true;
  #maxFrameMs: number;
  #timer: Timer | undefined;
  #pausedAt: MonotonicMs | undefined;
  #pausedMs = 0;
  #isClosed = false;

  constructor(parts: FrameLanesParts) {
    this.#parts = parts;
    this.#budget = new LaneBudget(parts.limits.maxMessageBytes);
    this.#maxFrameMs = longestFrameMs(parts.limits, false);
    this.#writer = new LaneWriter(new LaneRouter(), {
      tick: () => parts.tick(),
      lane: (lane, bytes) => this.#put(lane, bytes),
    });
  }

  /** @param flags what both sides offered */
  hasFragments(flags: bigint | undefined): void {
    this.#maxFrameMs = longestFrameMs(this.#parts.limits, ((flags ?? 0n) & FRAGMENTS) !== 0n);
  }

  /** Takes bytes of frames from above. False: one of the lanes they went to is congested. */
  write(bytes: Uint8Array): boolean {
    this.#hasRoom = true;
    this.#writer.write(bytes);
    return this.#hasRoom;
  }

  flush(): void {
    for (const channel of this.#toFlush) this.#parts.carrier.flush(channel);
    this.#toFlush.clear();
  }

  /** Bytes written to lanes that have not left. Streams of the application do not count. */
  pendingBytes(): number {
    let pending = 0;
    for (const channel of this.#busy) {
      const bytes = this.#parts.carrier.pendingOn(channel);
      if (bytes === 0) this.#busy.delete(channel);
      pending += bytes;
    }
    return pending;
  }

  /** Takes bytes of one stream. @throws {SallyportError} ERR_LIMIT LANES_FULL */
  receive(channel: ChannelId, chunk: Buffer): void {
    let reader = this.#readers.get(channel);
    if (reader === undefined) {
      reader = new LaneReader(this.#budget, this.#parts.limits.maxMessageBytes);
      this.#readers.set(channel, reader);
    }
    const before = this.#began.get(channel);
    let hasFinished = false;
    reader.receive(chunk, (frames) => {
      hasFinished = true;
      this.#parts.up(frames);
    });
    if (this.#isClosed || reader.partialBytes === 0) this.#began.delete(channel);
    else if (before === undefined || hasFinished) this.#began.set(channel, this.#time());
    this.#arm();
  }

  /** Bytes of an unfinished frame on one stream. */
  partialOn(channel: ChannelId): number {
    return this.#readers.get(channel)?.partialBytes ?? 0;
  }

  /** Nothing is read from here on: the time does not count against the peer. */
  paused(): void {
    this.#pausedAt ??= this.#parts.clock.now();
  }

  resumed(): void {
    if (this.#pausedAt === undefined) return;
    this.#pausedMs += this.#parts.clock.now() - this.#pausedAt;
    this.#pausedAt = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const reader of this.#readers.values()) reader.clear();
    this.#readers.clear();
    this.#began.clear();
  }

  #put(lane: number, bytes: Uint8Array): void {
    const channel = this.#out[lane] ?? this.#parts.carrier.open("data");
    this.#out[lane] = channel;
    this.#busy.add(channel);
    this.#toFlush.add(channel);
    if (!this.#parts.carrier.write(channel, bytes)) this.#hasRoom = false;
  }

  #time(): MonotonicMs {
    return addMs(this.#pausedAt ?? this.#parts.clock.now(), -this.#pausedMs);
  }

  /** One timer for all lanes: for the frame that has waited longest when it is set. */
  #arm(): void {
    if (this.#timer !== undefined || this.#isClosed || this.#began.size === 0) return;
    const { clock } = this.#parts;
    let oldest = this.#time();
    for (const began of this.#began.values()) if (began < oldest) oldest = began;
    const leftMs = oldest + this.#maxFrameMs - this.#time();
    this.#timer = clock.at(addMs(clock.now(), Math.max(1, leftMs)), () => this.#look(), true);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#time();
    for (const began of this.#began.values()) {
      if (now - began < this.#maxFrameMs) continue;
      this.#parts.fail(frameTooSlow(this.#maxFrameMs));
      return;
    }
    this.#arm();
  }
}
