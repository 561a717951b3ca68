import type { Clock } from "../../base/clock.ts";
import type { SallyportError } from "../../base/errors.ts";
import { type CarrierInfo, type ChannelId, type ChannelKind, UNSECURED } from "../carrier.ts";
import {
  channelNotOpen,
  channelsClosedLocally,
  channelsNotOpen,
  channelsWriteBufferFull,
  UNREAD_RESET_CODE,
} from "../channel-errors.ts";
import { ChannelIds, type ChannelSide, isOpenedBy, isUnidirectional } from "../channel-ids.ts";
import type { ChannelledCarrier, ChannelledSink } from "../channels.ts";
import { formatAddress } from "../socket-address.ts";
import { bareFrame, channelHead, channelNumberFrame, MAX_ID, TO_ENGINE } from "./engine-frames.ts";
import { QuicChannel } from "./quic-channel.ts";
import { allLimits, MAX_CHANNELS, type QuicLimits } from "./quic-limits.ts";

type State = "opening" | "open" | "ending" | "closed";

/** What a carrier needs from the engine it belongs to. */
export interface QuicCarrierParts {
  readonly clock: Clock;
  readonly limits: QuicLimits;
  readonly side: ChannelSide;
  readonly session: number;
  /** `host:port` of the other end as far as it is known. */
  readonly remoteAddress: string;
  readonly send: (bytes: Uint8Array) => void;
}

/** The carrier over one QUIC connection in the engine process. `quic-engine.ts` hands it what the engine says. */
export class QuicCarrier implements ChannelledCarrier {
  readonly #clock: Clock;
  readonly #limits: Required<QuicLimits>;
  readonly #side: ChannelSide;
  readonly #session: number;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #ids: ChannelIds;
  readonly #channels: Map<ChannelId, QuicChannel> = new Map<ChannelId, QuicChannel>();
  /** Channels that this end reset and of which the engine may still say something. */
  readonly #dropping: Set<ChannelId> = new Set<ChannelId>();
  readonly #written: Set<QuicChannel> = new Set<QuicChannel>();
  #sink: ChannelledSink | undefined;
  #info: CarrierInfo;
  #state: State = "opening";
  #pending = 0;
  #unread = 0;
  #paused = false;
  #emitting = false;
  #reading = false;
  #endSent = false;
  /** The end, once known; told when everything that may still be read has been. */
  #closing: { readonly cause: SallyportError | undefined } | undefined;
  /** What has left `pendingBytes` is in the engine process. */
  readonly copiesWrites: boolean = true;
  readonly #emitLater: () => void = () => this.#emitWritten();
  readonly #readLater: () => void = () => this.#readUnread();

  constructor(parts: QuicCarrierParts) {
    this.#clock = parts.clock;
    this.#side = parts.side;
    this.#session = parts.session;
    this.#send = parts.send;
    this.#ids = new ChannelIds(parts.side);
    this.#limits = allLimits(parts.limits);
    this.#info = { transport: "quic", remoteAddress: parts.remoteAddress, localAddress: "unknown", ...UNSECURED };
  }

  /** Names the sink. Once, in the turn in which the carrier is made. */
  listen(sink: ChannelledSink): void {
    this.#sink = sink;
  }

  open(kind: ChannelKind): ChannelId {
    const id = this.#ids.next(kind);
    if (this.#state !== "closed") this.#channels.set(id, this.#make(id));
    return id;
  }

  write(channel: ChannelId, bytes: Uint8Array): boolean {
    if (this.#state === "opening") throw channelsNotOpen();
    if (this.#state !== "open") return false;
    const entry = this.#writable(channel);
    if (entry === undefined || entry.finishing) return false;
    const pending = this.#pending + bytes.length;
    if (pending > this.#limits.maxPendingBytes) {
      this.#cut(channelsWriteBufferFull(this.#info.remoteAddress, pending, this.#limits.maxPendingBytes));
      return false;
    }
    this.#pending = pending;
    entry.push(bytes);
    this.#emitSoon(entry);
    if (entry.pending >= this.#limits.highWaterBytes) entry.congested = true;
    return !entry.congested;
  }

  flush(channel: ChannelId): void {
    if (this.#state !== "open") return;
    const entry = this.#channels.get(channel);
    if (entry === undefined) return;
    entry.pushFlush();
    this.#emit(entry);
  }

  finish(channel: ChannelId): void {
    if (this.#state === "opening") throw channelsNotOpen();
    if (this.#state !== "open") return;
    const entry = this.#writable(channel);
    if (entry === undefined || entry.finishing) return;
    entry.finishing = true;
    this.#emit(entry);
  }

  reset(channel: ChannelId, code: number): void {
    if (this.#state === "closed" || this.#closing !== undefined) return;
    const entry = this.#channels.get(channel);
    if (entry === undefined) return;
    this.#forget(entry);
    this.#dropping.add(channel);
    const bounded = Math.min(Math.max(Math.trunc(code), 0), MAX_ID);
    this.#send(channelNumberFrame(TO_ENGINE.reset, this.#session, channel, bounded, 6));
  }

  info(): CarrierInfo {
    return this.#info;
  }

  pendingBytes(): number {
    return this.#state === "closed" ? 0 : this.#pending;
  }

  pendingOn(channel: ChannelId): number {
    return this.#channels.get(channel)?.pending ?? 0;
  }

  pause(): void {
    if (this.#paused || this.#state === "closed") return;
    this.#paused = true;
    this.#send(bareFrame(TO_ENGINE.pause, this.#session));
  }

  resume(): void {
    if (!this.#paused || this.#state === "closed") return;
    this.#paused = false;
    this.#send(bareFrame(TO_ENGINE.resume, this.#session));
    this.#readSoon();
  }

  pauseChannel(channel: ChannelId): void {
    if (this.#state === "closed" || this.#dropping.has(channel)) return;
    let entry = this.#channels.get(channel);
    if (entry === undefined && this.#isAhead(channel)) {
      entry = this.#make(channel);
      this.#channels.set(channel, entry);
    }
    if (entry !== undefined) entry.paused = true;
  }

  resumeChannel(channel: ChannelId): void {
    const entry = this.#channels.get(channel);
    if (entry === undefined || !entry.paused) return;
    entry.paused = false;
    this.#readSoon();
  }

  end(): void {
    if (this.#state === "opening") this.destroy();
    if (this.#state !== "open") return;
    this.#state = "ending";
    for (const entry of this.#channels.values()) this.#emit(entry);
    this.#sendEnd();
    // What a paused sink has not read may stay: nobody waits for it.
    this.#paused = false;
    this.#send(bareFrame(TO_ENGINE.resume, this.#session));
    this.#readSoon();
  }

  destroy(): void {
    if (this.#state !== "closed") this.#cut(channelsClosedLocally(this.#info.remoteAddress));
  }

  /** Goes on from another local UDP port, as after an address change; the peer follows. Only of use on the dialling side. */
  rebind(): void {
    if (this.#state === "open") this.#send(bareFrame(TO_ENGINE.rebind, this.#session));
  }

  /** The connection stands. */
  opened(info: CarrierInfo): boolean {
    if (this.#closing !== undefined) return true;
    if (this.#state !== "opening") return false;
    this.#state = "open";
    this.#info = info;
    this.#sink?.opened(info);
    return true;
  }

  /** The peer goes on from another address. */
  moved(host: string, port: number): void {
    this.#info = { ...this.#info, remoteAddress: formatAddress(host, port) };
    this.#sink?.peerMoved(this.#info);
  }

  /** The peer lives, by its packets. */
  heard(): void {
    if (this.#state === "open") this.#sink?.heard();
  }

  /** Bytes of the peer. False when the engine cannot have meant that. */
  received(channel: ChannelId, bytes: Buffer): boolean {
    if (this.#closing !== undefined) return true;
    if (this.#state === "opening") return false;
    if (this.#dropping.has(channel)) return true;
    const entry = this.#heard(channel);
    if (entry === undefined || entry.peerEnd !== "open") return false;
    if (!(this.#paused || entry.paused) && entry.unreadBytes === 0) {
      this.#sink?.bytes(channel, bytes);
      return true;
    }
    entry.keep(bytes);
    this.#unread += bytes.length;
    const { maxUnreadBytes, maxUnreadTotalBytes } = this.#limits;
    if (entry.unreadBytes > maxUnreadBytes || this.#unread > maxUnreadTotalBytes) {
      this.reset(channel, UNREAD_RESET_CODE);
      this.#sink?.channelReset(channel, UNREAD_RESET_CODE);
    }
    return true;
  }

  /** The peer ended its direction. */
  finished(channel: ChannelId): boolean {
    if (this.#closing !== undefined || this.#dropping.has(channel)) return true;
    const entry = this.#state === "opening" ? undefined : this.#heard(channel);
    if (entry === undefined || entry.peerEnd !== "open") return false;
    entry.peerEnd = "waiting";
    if (!(this.#paused || entry.paused)) this.#readSoon();
    return true;
  }

  /** The peer reset the channel. */
  resetByPeer(channel: ChannelId, code: number): boolean {
    if (this.#closing !== undefined || this.#dropping.has(channel)) return true;
    if (this.#state === "opening") return false;
    const entry = this.#channels.get(channel) ?? (this.#isAhead(channel) ? this.#heard(channel) : undefined);
    if (entry === undefined) return true;
    this.#forget(entry);
    this.#sink?.channelReset(channel, code);
    return true;
  }

  /** The engine has done our reset. */
  dropped(channel: ChannelId): void {
    this.#dropping.delete(channel);
  }

  /** QUIC has taken octets of a channel. */
  taken(channel: ChannelId, octets: number): boolean {
    const entry = this.#channels.get(channel);
    if (entry === undefined) return true;
    if (!entry.taken(octets)) return false;
    this.#pending -= octets;
    this.#emit(entry);
    if (entry.congested && entry.pending <= this.#limits.highWaterBytes / 4) {
      entry.congested = false;
      if (this.#state === "open") this.#sink?.drained(channel);
    }
    return true;
  }

  /** The connection is over. In good order: once everything has been read; otherwise at once. */
  closed(cause: SallyportError | undefined): void {
    if (this.#closing !== undefined) return;
    this.#closing = { cause };
    this.#state = this.#state === "opening" ? "opening" : "ending";
    if (cause !== undefined) this.#drop();
    this.#readSoon();
  }

  /** Ends it on this side, and tells the engine. */
  #cut(cause: SallyportError): void {
    if (this.#closing !== undefined) return;
    this.#send(bareFrame(TO_ENGINE.destroy, this.#session));
    this.closed(cause);
  }

  #drop(): void {
    this.#channels.clear();
    this.#written.clear();
    this.#pending = 0;
    this.#unread = 0;
  }

  #make(channel: ChannelId): QuicChannel {
    const own = isOpenedBy(this.#side, channel);
    const uni = isUnidirectional(channel);
    return new QuicChannel(channel, own || !uni, !(own && uni));
  }

  /** The channel of something the peer sent; made when it is new. Undefined when the peer cannot send there. */
  #heard(channel: ChannelId): QuicChannel | undefined {
    const known = this.#channels.get(channel);
    if (known !== undefined) {
      this.#ids.heard(channel);
      return known;
    }
    if (isOpenedBy(this.#side, channel) || this.#channels.size >= MAX_CHANNELS) return undefined;
    this.#ids.heard(channel);
    const entry = this.#make(channel);
    this.#channels.set(channel, entry);
    return entry;
  }

  /** True for a channel of the peer that is not known yet. */
  #isAhead(channel: ChannelId): boolean {
    return !isOpenedBy(this.#side, channel) && !this.#channels.has(channel) && this.#channels.size < MAX_CHANNELS;
  }

  /** The channel to write on; undefined when it has ended. */
  #writable(channel: ChannelId): QuicChannel | undefined {
    if (!this.#ids.isWritable(channel)) throw channelNotOpen(channel);
    return this.#channels.get(channel);
  }

  #forget(entry: QuicChannel): void {
    this.#channels.delete(entry.id);
    this.#written.delete(entry);
    this.#pending -= entry.pending;
    this.#unread -= entry.unreadBytes;
  }

  #emitSoon(entry: QuicChannel): void {
    this.#written.add(entry);
    if (this.#emitting) return;
    this.#emitting = true;
    this.#clock.afterTurn(this.#emitLater);
  }

  #emitWritten(): void {
    this.#emitting = false;
    for (const entry of this.#written) this.#emit(entry);
  }

  #emit(entry: QuicChannel): void {
    this.#written.delete(entry);
    if (this.#closing !== undefined) return;
    entry.emit(this.#session, this.#send);
    if (entry.finishing && !entry.finishSent && entry.allEmitted) {
      entry.finishSent = true;
      this.#send(channelHead(TO_ENGINE.finish, this.#session, entry.id, 0));
    }
    if (entry.over) this.#channels.delete(entry.id);
    if (this.#state === "ending") this.#sendEnd();
  }

  /** Once everything written is in the engine, it may end the connection behind it. */
  #sendEnd(): void {
    if (this.#endSent) return;
    for (const entry of this.#channels.values()) if (!entry.allEmitted) return;
    this.#endSent = true;
    this.#send(bareFrame(TO_ENGINE.end, this.#session));
  }

  #readSoon(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#clock.afterTurn(this.#readLater);
  }

  #readUnread(): void {
    this.#reading = false;
    for (const entry of this.#channels.values()) this.#readChannel(entry);
    if (this.#closing === undefined || this.#state === "closed") return;
    // Bytes that the peer sent before it ended in good order wait for whoever paused.
    if (this.#closing.cause === undefined && this.#unread > 0) return;
    this.#state = "closed";
    this.#drop();
    this.#sink?.closed(this.#closing.cause);
  }

  #readChannel(entry: QuicChannel): void {
    while (!(this.#paused || entry.paused) && this.#channels.get(entry.id) === entry) {
      const bytes = entry.next();
      if (bytes === undefined) {
        if (entry.peerEnd !== "waiting") return;
        entry.peerEnd = "told";
        if (entry.over) this.#channels.delete(entry.id);
        this.#sink?.channelEnded(entry.id);
        return;
      }
      this.#unread -= bytes.length;
      this.#sink?.bytes(entry.id, bytes);
    }
  }
}
