import type { Clock } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import { type CarrierInfo, type ChannelId, type ChannelKind, UNSECURED } from "../carrier/carrier.ts";
import {
  CLOSE_ABRUPT,
  channelNotOpen,
  channelsClosedLocally,
  channelsCutByPeer,
  channelsNotOpen,
  channelsWriteBufferFull,
  UNREAD_RESET_CODE,
} from "../carrier/channel-errors.ts";
import { ChannelIds, type ChannelSide } from "../carrier/channel-ids.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";

export interface ChannelledMemoryOptions {
  /** Deliveries run in its `afterTurn`; absent: only `ChannelledMemoryPair.pump` delivers. */
  readonly clock?: Clock;
  /** Cuts what is delivered at once into chunks, as a network would; their concatenation must be the input. Default: none. */
  readonly split?: (bytes: Buffer) => readonly Buffer[];
  /** Undelivered octets of one channel from which `write` answers false; default 256 KiB. */
  readonly highWaterBytes?: number;
  /** Undelivered octets of all channels beyond which the connection is cut; default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** Octets waiting on a channel that its receiver paused, beyond which the channel is reset; default 16 MiB. */
  readonly maxUnreadBytes?: number;
  /** What each end learns of the other, such as certificates; overrides the plain defaults. */
  readonly dialled?: Partial<CarrierInfo>;
  readonly accepted?: Partial<CarrierInfo>;
}

/** Two connected ends with channels. */
export interface ChannelledMemoryPair {
  readonly dialled: ChannelledMemoryCarrier;
  readonly accepted: ChannelledMemoryCarrier;
  /** Names both sinks and opens both ends at the next delivery. Once. */
  connect(dialledSink: ChannelledSink, acceptedSink: ChannelledSink): void;
  /** Delivers all that can be delivered, until both ends are quiet. Returns the number of deliveries. */
  pump(): number;
}

const DEFAULT_HIGH_WATER_BYTES = 256 * 1024;
const DEFAULT_MAX_PENDING_BYTES = 256 * 1024 * 1024;
const DEFAULT_MAX_UNREAD_BYTES = 16 * 1024 * 1024;

type State = "opening" | "open" | "ending" | "closed";

/** What one end has queued for the other on one channel. */
class Outgoing {
  queue: Uint8Array[] = [];
  pending = 0;
  congested = false;
  /** Nothing may be written any more; `told` once the other end knows. */
  end: "open" | "finishing" | "told" = "open";
}

/** One end of a channelled memory pair. Bytes are copied when delivered, so a writer that breaks the ownership rule is seen. */
export class ChannelledMemoryCarrier implements ChannelledCarrier {
  readonly #options: ChannelledMemoryOptions;
  readonly #info: CarrierInfo;
  readonly #wake: () => void;
  readonly #ids: ChannelIds;
  readonly #out: Map<ChannelId, Outgoing> = new Map<ChannelId, Outgoing>();
  readonly #pausedChannels: Set<ChannelId> = new Set<ChannelId>();
  /** Resets that the other end has not heard of yet. */
  #resets: [channel: ChannelId, code: number][] = [];
  /** Channels on which a reset was sent or heard: nothing comes or goes there any more. */
  readonly #dead: Set<ChannelId> = new Set<ChannelId>();
  #peer: ChannelledMemoryCarrier | undefined;
  #sink: ChannelledSink | undefined;
  #state: State = "opening";
  #pending = 0;
  #paused = false;
  #closing: { readonly cause: SallyportError | undefined } | undefined;

  constructor(side: ChannelSide, options: ChannelledMemoryOptions, info: CarrierInfo, wake: () => void) {
    this.#ids = new ChannelIds(side);
    this.#options = options;
    this.#info = info;
    this.#wake = wake;
  }

  /** Joins the two ends. */
  join(peer: ChannelledMemoryCarrier): void {
    this.#peer = peer;
  }

  listen(sink: ChannelledSink): void {
    this.#sink = sink;
    this.#wake();
  }

  open(kind: ChannelKind): ChannelId {
    return this.#ids.next(kind);
  }

  write(channel: ChannelId, bytes: Uint8Array): boolean {
    if (this.#state === "opening") throw channelsNotOpen();
    if (this.#state !== "open") return false;
    const out = this.#outgoing(channel);
    if (out === undefined || out.end !== "open") return false;
    const limit = this.#options.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES;
    if (this.#pending + bytes.length > limit) {
      this.#stop(channelsWriteBufferFull(this.#info.remoteAddress, this.#pending + bytes.length, limit));
      return false;
    }
    out.queue.push(bytes);
    out.pending += bytes.length;
    this.#pending += bytes.length;
    if (out.pending >= (this.#options.highWaterBytes ?? DEFAULT_HIGH_WATER_BYTES)) out.congested = true;
    this.#wake();
    return !out.congested;
  }

  finish(channel: ChannelId): void {
    if (this.#state === "opening") throw channelsNotOpen();
    if (this.#state !== "open") return;
    const out = this.#outgoing(channel);
    if (out?.end === "open") out.end = "finishing";
    this.#wake();
  }

  reset(channel: ChannelId, code: number): void {
    if (this.#state === "closed" || this.#dead.has(channel)) return;
    this.#kill(channel);
    this.#resets.push([channel, code]);
    this.#wake();
  }

  flush(): void {
    this.#wake();
  }

  info(): CarrierInfo {
    return this.#info;
  }

  pendingBytes(): number {
    return this.#pending;
  }

  pendingOn(channel: ChannelId): number {
    return this.#out.get(channel)?.pending ?? 0;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  pauseChannel(channel: ChannelId): void {
    this.#pausedChannels.add(channel);
  }

  resumeChannel(channel: ChannelId): void {
    this.#pausedChannels.delete(channel);
    this.#wake();
  }

  end(): void {
    if (this.#state === "opening") this.destroy();
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#paused = false;
    this.#pausedChannels.clear();
    this.#wake();
  }

  destroy(): void {
    if (this.#state === "closed" || this.#closing !== undefined) return;
    this.#stop(channelsClosedLocally(this.#info.remoteAddress));
  }

  /** One step of this end's affairs: open, hand the other end what is queued, end, or close. True when something happened. */
  step(): boolean {
    const peer = this.#peer;
    if (peer === undefined || this.#sink === undefined || peer.#sink === undefined) return false;
    if (this.#state === "closed") return false;
    if (this.#closing !== undefined) {
      this.#state = "closed";
      this.#sink.closed(this.#closing.cause);
      return true;
    }
    if (this.#state === "opening") {
      this.#state = "open";
      this.#sink.opened(this.#info);
      return true;
    }
    if (this.#deliverReset(peer)) return true;
    for (const [channel, out] of this.#out) {
      if (this.#deliver(channel, out, peer)) return true;
    }
    if (this.#state !== "ending" || this.#pending > 0) return false;
    // Both directions are done once what the other end still had queued has come over.
    if (peer.#pending > 0 && peer.#closing === undefined) return false;
    this.#shut(undefined);
    peer.#shut(undefined);
    return true;
  }

  #deliverReset(peer: ChannelledMemoryCarrier): boolean {
    if (peer.#state === "opening") return false;
    const reset = this.#resets.shift();
    if (reset === undefined) return false;
    if (!peer.#dead.has(reset[0])) {
      peer.#kill(reset[0]);
      peer.#sink?.channelReset(reset[0], reset[1]);
    }
    return true;
  }

  /** Hands over one channel's bytes, or its end. True when something happened. */
  #deliver(channel: ChannelId, out: Outgoing, peer: ChannelledMemoryCarrier): boolean {
    if (peer.#state === "opening" || (out.pending === 0 && out.end !== "finishing")) return false;
    if (peer.#paused || peer.#pausedChannels.has(channel)) return this.#waits(channel, out, peer);
    peer.#ids.heard(channel);
    const bytes = Buffer.concat(out.queue);
    const chunks = bytes.length === 0 ? [] : (this.#options.split?.(bytes) ?? [bytes]);
    out.queue = [];
    for (let i = 0; i < chunks.length; i++) {
      // The receiver may pause, reset or close within a call.
      if (peer.#state === "closed" || peer.#closing !== undefined || this.#dead.has(channel)) return true;
      if (peer.#paused || peer.#pausedChannels.has(channel) || peer.#dead.has(channel)) {
        out.queue.unshift(...chunks.slice(i));
        return true;
      }
      const chunk = chunks[i] ?? Buffer.alloc(0);
      out.pending -= chunk.length;
      this.#pending -= chunk.length;
      if (chunk.length > 0) peer.#sink?.bytes(channel, Buffer.from(chunk));
    }
    if (out.pending === 0 && out.end === "finishing") {
      out.end = "told";
      if (peer.#closing === undefined && !peer.#dead.has(channel)) peer.#sink?.channelEnded(channel);
    }
    if (out.congested && out.pending === 0) {
      out.congested = false;
      if (this.#state === "open" && this.#closing === undefined) this.#sink?.drained(channel);
    }
    return true;
  }

  /** A paused receiver: above its bound the channel is reset, for both. */
  #waits(channel: ChannelId, out: Outgoing, peer: ChannelledMemoryCarrier): boolean {
    if (out.pending <= (this.#options.maxUnreadBytes ?? DEFAULT_MAX_UNREAD_BYTES)) return false;
    peer.reset(channel, UNREAD_RESET_CODE);
    peer.#sink?.channelReset(channel, UNREAD_RESET_CODE);
    return true;
  }

  #outgoing(channel: ChannelId): Outgoing | undefined {
    if (!this.#ids.isWritable(channel)) throw channelNotOpen(channel);
    if (this.#dead.has(channel)) return undefined;
    let out = this.#out.get(channel);
    if (out === undefined) {
      out = new Outgoing();
      this.#out.set(channel, out);
    }
    return out;
  }

  /** Forgets what is queued on a channel; from here on nothing comes or goes on it. */
  #kill(channel: ChannelId): void {
    this.#dead.add(channel);
    this.#pending -= this.#out.get(channel)?.pending ?? 0;
    this.#out.delete(channel);
    this.#pausedChannels.delete(channel);
    this.#ids.heard(channel);
  }

  #stop(cause: SallyportError): void {
    this.#shut(cause);
    const peer = this.#peer;
    if (peer !== undefined) peer.#shut(channelsCutByPeer(peer.#info.remoteAddress, CLOSE_ABRUPT));
    this.#wake();
  }

  #shut(cause: SallyportError | undefined): void {
    if (this.#state === "closed" || this.#closing !== undefined) return;
    this.#closing = { cause };
    if (this.#state === "open") this.#state = "ending";
    this.#out.clear();
    this.#resets = [];
    this.#pending = 0;
  }
}

/** Makes the two ends of one connection with channels in memory: each channel ordered, lossless, without hidden time. */
export function createChannelledMemoryPair(options: ChannelledMemoryOptions = {}): ChannelledMemoryPair {
  let scheduled = false;
  let pumping = false;
  const pump = (): number => {
    if (pumping) return 0;
    pumping = true;
    let steps = 0;
    try {
      for (let moved = true; moved; ) {
        moved = false;
        for (const end of [dialled, accepted]) {
          if (end.step()) {
            moved = true;
            steps++;
          }
        }
      }
    } finally {
      pumping = false;
    }
    return steps;
  };
  const run = (): void => {
    scheduled = false;
    pump();
  };
  const wake = (): void => {
    if (scheduled || pumping || options.clock === undefined) return;
    scheduled = true;
    options.clock.afterTurn(run);
  };
  const dialled = new ChannelledMemoryCarrier(
    "dial",
    options,
    memoryInfo("memory:2", "memory:1", options.dialled),
    wake,
  );
  const accepted = new ChannelledMemoryCarrier(
    "accept",
    options,
    memoryInfo("memory:1", "memory:2", options.accepted),
    wake,
  );
  dialled.join(accepted);
  accepted.join(dialled);
  return {
    dialled,
    accepted,
    connect(dialledSink, acceptedSink) {
      dialled.listen(dialledSink);
      accepted.listen(acceptedSink);
    },
    pump,
  };
}

function memoryInfo(remoteAddress: string, localAddress: string, given: Partial<CarrierInfo> | undefined): CarrierInfo {
  return { transport: "memory", remoteAddress, localAddress, ...UNSECURED, ...given };
}
