import { addMs, type Clock } from "../base/clock.ts";
import { isUnidirectional, isUserChannel } from "../carrier/channel-ids.ts";
import { channelNumberFrame, FROM_ENGINE } from "../carrier/quic/engine-frames.ts";
import type { NativeConnection } from "./binding.ts";
import { Outgoing, type PumpResult } from "./outgoing.ts";
import type { Pipe } from "./pipe.ts";

/** Octets of the application's streams given to QUIC in one pass, so that a message that comes meanwhile waits for no more. */
const BULK_SHARE_BYTES: number = 128 * 1024;
/** Octets of one channel of which the node is told at once, whatever else happens. */
const TELL_BYTES: number = 128 * 1024;
/** The same for a channel on which nothing is left: less than the node waits for before it writes on. */
const TELL_IDLE_BYTES = 2048;
/** Channels with something to write, up to which one that was cut before the peer gave it room is kept, so that it can be told. */
const MAX_READY_CHANNELS = 4096;
/**
 * Where the peer has ended its direction, an end without bytes of its own is given to QUIC so long after the last bytes, milliseconds:
 * QUIC forgets the stream with the ACK of its last bytes, and sends an end that was lost no second time then. By that time they are
 * acknowledged, and it is the end that is waited for.
 */
const LATE_END_MS = 250;
/** QUIC's urgency of the application's streams; it sends lower ones first, and its default is 127. */
const BULK_URGENCY = 191;

/** What the channels of a session need from it. */
export interface OutHost {
  readonly connection: NativeConnection;
  readonly clock: Clock;
  /** Set when QUIC was given something. */
  hasToSend: boolean;
  /** Has QUIC send what it has. */
  sendPackets(): void;
  /** The peer wants no more of a channel. */
  ended(channel: number, code: number): void;
  /** Ends a channel with a code of the node's. */
  drop(channel: number, code: number): void;
}

/**
 * What the node wrote on the channels of one session. Messages come before the application's streams: QUIC is offered those
 * only when it has taken all of the others.
 */
export class OutChannels {
  readonly #host: OutHost;
  readonly #all: Map<number, Outgoing> = new Map<number, Outgoing>();
  /** Those with something to write. */
  readonly #lanes: Set<Outgoing> = new Set<Outgoing>();
  readonly #bulk: Set<Outgoing> = new Set<Outgoing>();
  readonly #watched: Set<Outgoing> = new Set<Outgoing>();
  readonly #untold: Set<Outgoing> = new Set<Outgoing>();
  #endsWait = false;

  constructor(host: OutHost) {
    this.#host = host;
  }

  /** Nothing is left to give to QUIC. */
  get idle(): boolean {
    for (const outgoing of this.#all.values()) if (!outgoing.idle) return false;
    return true;
  }

  /** An end was not given to QUIC for the sake of time alone: `pump` is to be called again soon. */
  get endsWait(): boolean {
    return this.#endsWait;
  }

  write(channel: number, bytes: Buffer, flush: boolean): void {
    const outgoing = this.#on(channel);
    outgoing.push(bytes, flush);
    this.#ready(channel).add(outgoing);
  }

  finish(channel: number): void {
    const outgoing = this.#on(channel);
    outgoing.finish();
    this.#ready(channel).add(outgoing);
  }

  /**
   * The node cuts a channel that it has opened and that QUIC could not begin yet: it is begun first. False where there is none
   * like that, or too many wait.
   */
  cut(channel: number, code: number, isOwn: boolean): boolean {
    const outgoing = this.#all.get(channel);
    if (outgoing === undefined || outgoing.hasBegun || !isOwn) return false;
    if (this.#lanes.size + this.#bulk.size >= MAX_READY_CHANNELS) return false;
    outgoing.cutUnbegun(code);
    this.#ready(channel).add(outgoing);
    return true;
  }

  /** The peer has ended its direction. */
  peerDone(channel: number): void {
    if (isUnidirectional(channel)) return;
    const outgoing = this.#on(channel);
    outgoing.isPeerDone = true;
    if (isOver(outgoing)) this.#forget(outgoing);
    else this.#watched.add(outgoing);
  }

  drop(channel: number): void {
    const outgoing = this.#all.get(channel);
    if (outgoing !== undefined) this.#forget(outgoing);
  }

  clear(): void {
    for (const each of [this.#all, this.#lanes, this.#bulk, this.#watched, this.#untold]) each.clear();
  }

  /** Gives QUIC what it takes. True when it took something and may take more in another pass. */
  pump(): boolean {
    this.#endsWait = false;
    for (const outgoing of this.#lanes) this.#pumpOne(outgoing, this.#lanes, Number.POSITIVE_INFINITY);
    let share = BULK_SHARE_BYTES;
    for (const outgoing of this.#bulk) {
      share -= this.#pumpOne(outgoing, this.#bulk, share);
      if (share <= 0) return true;
    }
    return false;
  }

  /** A peer that wants no more of a stream of ours says so on that stream only. */
  watch(): void {
    for (const outgoing of this.#watched) {
      // QUIC may have forgotten one that has ended in good order.
      if (outgoing.finished || !outgoing.idle || outgoing.cutWith !== undefined) continue;
      this.#settle(outgoing, outgoing.look(this.#host.connection));
    }
  }

  /**
   * Tells the node what QUIC has taken, where it waits for that, or of everything.
   * @returns true when something is left to tell
   */
  tell(pipe: Pipe, session: number, everything: boolean): boolean {
    for (const outgoing of this.#untold) {
      const { channel, untold, idle } = outgoing;
      if (!everything && untold < (idle ? TELL_IDLE_BYTES : TELL_BYTES)) continue;
      pipe.send(channelNumberFrame(FROM_ENGINE.written, session, channel, untold, 4));
      outgoing.untold = 0;
      this.#untold.delete(outgoing);
      if (isOver(outgoing)) this.#forget(outgoing);
    }
    return this.#untold.size > 0;
  }

  /** @returns the octets that QUIC has taken */
  #pumpOne(outgoing: Outgoing, ready: Set<Outgoing>, share: number): number {
    const { connection } = this.#host;
    const before = outgoing.untold;
    let result = outgoing.pump(connection, share);
    let leftAt = before;
    while (result === "flush") {
      this.#host.sendPackets();
      leftAt = outgoing.untold;
      result = outgoing.pump(connection, share - (leftAt - before));
    }
    if (outgoing.untold > leftAt) this.#host.hasToSend = true;
    if (result === "end") result = this.#end(outgoing);
    const taken = outgoing.untold - before;
    if (taken > 0) this.#took(outgoing);
    if (result !== "blocked" && result !== "share") ready.delete(outgoing);
    else if (taken > 0) {
      // Whoever else waits comes first the next time.
      ready.delete(outgoing);
      ready.add(outgoing);
    }
    this.#settle(outgoing, result);
    return taken;
  }

  #end(outgoing: Outgoing): PumpResult {
    const { takenAt, isPeerDone } = outgoing;
    if (isPeerDone && takenAt !== undefined && this.#host.clock.now() < addMs(takenAt, LATE_END_MS)) {
      this.#endsWait = true;
      return "blocked";
    }
    this.#host.sendPackets();
    if (this.#host.hasToSend) return "blocked";
    const result = outgoing.end(this.#host.connection);
    this.#host.sendPackets();
    return result;
  }

  #took(outgoing: Outgoing): void {
    outgoing.takenAt = this.#host.clock.now();
    this.#untold.add(outgoing);
    if (outgoing.ranked) return;
    outgoing.ranked = true;
    if (isUserChannel(outgoing.channel)) this.#host.connection.streamPriority(outgoing.channel, BULK_URGENCY, true);
  }

  #settle(outgoing: Outgoing, result: PumpResult): void {
    if (result === "blocked" || result === "share") return;
    if (result === "done") {
      if (outgoing.cutWith !== undefined) this.#host.drop(outgoing.channel, outgoing.cutWith);
      else if (isOver(outgoing)) this.#forget(outgoing);
    } else this.#host.ended(outgoing.channel, typeof result === "number" ? result : 0);
  }

  #on(channel: number): Outgoing {
    let outgoing = this.#all.get(channel);
    if (outgoing === undefined) {
      outgoing = new Outgoing(channel);
      this.#all.set(channel, outgoing);
      if (isUnidirectional(channel)) this.#watched.add(outgoing);
    }
    return outgoing;
  }

  #ready(channel: number): Set<Outgoing> {
    return isUserChannel(channel) ? this.#bulk : this.#lanes;
  }

  #forget(outgoing: Outgoing): void {
    this.#all.delete(outgoing.channel);
    for (const each of [this.#lanes, this.#bulk, this.#watched, this.#untold]) each.delete(outgoing);
  }
}

/** Nothing more is said on it in either direction, and the node was told of all its octets. */
function isOver(outgoing: Outgoing): boolean {
  const { finished, untold, isPeerDone, channel } = outgoing;
  return finished && untold === 0 && (isPeerDone || isUnidirectional(channel));
}
