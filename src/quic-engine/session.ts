import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";
import { CLOSE_ABRUPT, CLOSE_IN_ORDER } from "../carrier/channel-errors.ts";
import { type ChannelSide, isOpenedBy, isUnidirectional } from "../carrier/channel-ids.ts";
import {
  type ClosedFacts,
  channelHead,
  channelNumberFrame,
  type EngineConfig,
  FROM_ENGINE,
  jsonFrame,
  MAX_ID,
  type OpenedFacts,
} from "../carrier/quic/engine-frames.ts";
import type { HostPort, NativeBinding, NativeConnection } from "./binding.ts";
import { Inbound } from "./inbound.ts";
import { Outgoing } from "./outgoing.ts";
import type { Pipe } from "./pipe.ts";
import { UdpSocket } from "./udp.ts";

/** What a session needs from the engine. */
export interface SessionParts {
  readonly binding: NativeBinding;
  readonly clock: Clock;
  readonly pipe: Pipe;
  readonly config: EngineConfig;
  /** Asks for a `pass` in a later turn. */
  readonly wake: (session: Session) => void;
  /** The session is over and forgotten by QUIC too. */
  readonly gone: (session: Session) => void;
}

/** Packets sent in one pass before other sessions have their turn. */
const PACKETS_PER_PASS = 256;
/** Over the backlog's mark, datagrams above this size are dropped, as a full network would; smaller ones are mostly ACKs. */
const SMALL_DATAGRAM_BYTES = 200;
/** Channels with something to write, up to which one that was cut before the peer gave it room is kept, so that it can be told. */
const MAX_READY_CHANNELS = 4096;
/** QUIC CRYPTO_ERROR with the TLS alert no_application_protocol. RFC 9001 section 8.1. */
const NO_APPLICATION_PROTOCOL = 0x178;
const CONNECTION_REFUSED = 0x2;
const PROTOCOL_VIOLATION = 0xa;
/** A timer further away than this is the idle timer: nothing is in flight. The linger bounds the wait for it. */
const QUIET_MS = 10_000;

const NO_REASON: Uint8Array = new Uint8Array(0);

/** One QUIC connection: reads its streams into frames for the node, writes what the node wrote, and keeps its timer. */
export class Session {
  readonly id: number;
  readonly side: ChannelSide;
  readonly connection: NativeConnection;
  /** Connection ids under which datagrams find this session. */
  readonly keys: readonly string[];
  socket: UdpSocket;
  /** True until the node has said that the peer is authenticated. */
  halfOpen = true;
  readonly #parts: SessionParts;
  readonly #alpn: readonly string[];
  readonly #local: HostPort;
  #remote: HostPort;
  readonly #outgoing: Map<number, Outgoing> = new Map<number, Outgoing>();
  readonly #ready: Set<Outgoing> = new Set<Outgoing>();
  readonly #watched: Set<Outgoing> = new Set<Outgoing>();
  readonly #inbound: Inbound;
  #opened = false;
  #reported = false;
  #lingerUntil: MonotonicMs | undefined;
  readonly #openUntil: MonotonicMs;
  #keptAlive: MonotonicMs;
  #timer: Timer | undefined;
  #timerAt: MonotonicMs | undefined;
  readonly #info: { from: HostPort; to: HostPort };
  readonly #fire: () => void = () => {
    this.#timer = undefined;
    this.#timerAt = undefined;
    this.connection.onTimeout();
    this.#parts.wake(this);
  };

  constructor(
    parts: SessionParts,
    facts: { readonly id: number; readonly side: ChannelSide; readonly keys: readonly string[] },
    connection: NativeConnection,
    alpn: readonly string[],
    socket: UdpSocket,
    remote: HostPort,
  ) {
    this.#parts = parts;
    this.id = facts.id;
    this.side = facts.side;
    this.keys = facts.keys;
    this.connection = connection;
    this.#alpn = alpn;
    this.socket = socket;
    // QUIC keeps the first local address for good: another socket under it is the network's affair.
    this.#local = { host: socket.host, port: socket.port };
    this.#remote = remote;
    this.#info = { from: remote, to: this.#local };
    this.#inbound = new Inbound(facts.id, parts.pipe);
    const now = parts.clock.now();
    this.#openUntil = addMs(now, parts.config.handshakeMs);
    this.#keptAlive = now;
  }

  /** A datagram for this session. QUIC decrypts in place. */
  datagram(bytes: Buffer, host: string, port: number): void {
    if (this.#inbound.bytes > this.#parts.config.maxBacklogBytes && bytes.length > SMALL_DATAGRAM_BYTES) return;
    if (this.#info.from.port !== port || this.#info.from.host !== host) this.#info.from = { host, port };
    try {
      this.connection.recv(bytes, this.#info);
    } catch {
      // Undecryptable datagrams are ignored; after a protocol error QUIC has a close to send.
    }
    this.#parts.wake(this);
  }

  write(channel: number, bytes: Buffer, flush: boolean): void {
    const outgoing = this.#outgoingOn(channel);
    outgoing.push(bytes, flush);
    this.#ready.add(outgoing);
    if (flush) this.#writeStreams();
    this.#parts.wake(this);
  }

  finish(channel: number): void {
    const outgoing = this.#outgoingOn(channel);
    outgoing.finish();
    this.#ready.add(outgoing);
    this.#parts.wake(this);
  }

  reset(channel: number, code: number): void {
    const outgoing = this.#outgoing.get(channel);
    const isUnbegun = outgoing !== undefined && !outgoing.hasBegun && isOpenedBy(this.side, channel);
    if (isUnbegun && this.#ready.size < MAX_READY_CHANNELS) {
      outgoing.cutUnbegun(code);
      this.#ready.add(outgoing);
    } else this.#drop(channel, code);
    this.#inbound.queue(channelHead(FROM_ENGINE.dropped, this.id, channel, 0));
    this.#parts.wake(this);
  }

  pause(): void {
    this.#inbound.pause(true);
  }

  resume(): void {
    this.#inbound.pause(false);
  }

  /** Closes in good order once the peer has everything, or the linger is over. */
  end(): void {
    if (this.#lingerUntil !== undefined) return;
    this.#lingerUntil = addMs(this.#parts.clock.now(), this.#parts.config.lingerMs);
    this.#parts.wake(this);
  }

  destroy(): void {
    if (this.#opened) this.#close(true, CLOSE_ABRUPT);
    else this.#close(false, CONNECTION_REFUSED);
    this.#parts.wake(this);
  }

  /** Sends something that the peer answers. */
  poke(): void {
    this.#keptAlive = this.#parts.clock.now();
    try {
      this.connection.sendAckEliciting();
    } catch {
      // It closes.
    }
    this.#parts.wake(this);
  }

  /** Once in a while: keeps the connection alive, and ends one that does not come up. */
  tend(now: MonotonicMs): void {
    if (!this.#opened && now >= this.#openUntil) this.#close(false, CONNECTION_REFUSED);
    if (this.#lingerUntil !== undefined && now >= this.#lingerUntil) this.#close(true, CLOSE_IN_ORDER);
    if (this.#opened && now - this.#keptAlive >= this.#parts.config.keepAliveMs) this.poke();
    else this.#parts.wake(this);
  }

  /** All work that has come up, in a fixed order: open, read, write, send, end, timer. */
  pass(): void {
    if (!this.#opened && this.connection.isEstablished()) this.#open();
    if (this.#opened && !this.#reported) {
      this.#readStreams();
      this.#writeStreams();
    }
    if (this.#lingerUntil !== undefined) this.#finishUp();
    this.#sendPackets();
    this.#reportEnd();
    if (this.#reported && this.connection.isClosed()) {
      this.#timer?.cancel();
      this.#parts.gone(this);
      return;
    }
    this.#arm();
  }

  /** The engine itself failed on this session, or its socket did. */
  abandon(system: string): void {
    this.#report({ by: "system", app: false, code: 0, system });
    this.#timer?.cancel();
    this.#parts.gone(this);
  }

  #open(): void {
    const alpn = Buffer.from(this.connection.applicationProto()).toString("latin1");
    // Neither a missing protocol nor a resumed session, which shows no certificate, is anything this node speaks.
    if (!this.#alpn.includes(alpn)) {
      this.#close(false, NO_APPLICATION_PROTOCOL);
      return;
    }
    if (this.connection.isResumed()) {
      this.#close(false, PROTOCOL_VIOLATION);
      return;
    }
    this.#opened = true;
    const certificate = this.connection.peerCertChain()?.[0];
    const facts: OpenedFacts = {
      remoteHost: this.#remote.host,
      remotePort: this.#remote.port,
      localHost: this.#local.host,
      localPort: this.#local.port,
      alpn,
      peerCert: certificate === undefined ? "" : Buffer.from(certificate).toString("base64"),
    };
    this.#inbound.queue(jsonFrame(FROM_ENGINE.opened, this.id, facts));
  }

  #readStreams(): void {
    for (const channel of this.connection.readable()) {
      const end = this.#inbound.read(this.connection, channel);
      if (end === "finished") this.#finishedByPeer(channel);
      else if (end !== undefined) this.#resetByPeer(channel, end);
    }
    // Small datagrams that still come through end here: QUIC itself would go on keeping them.
    if (this.#inbound.bytes > 2 * this.#parts.config.maxBacklogBytes) this.#close(true, CLOSE_ABRUPT);
  }

  #writeStreams(): void {
    for (const outgoing of this.#ready) {
      let result = outgoing.pump(this.connection);
      while (result === "flush") {
        this.#sendPackets();
        result = outgoing.pump(this.connection);
      }
      if (outgoing.taken > 0) {
        const frame = channelNumberFrame(FROM_ENGINE.written, this.id, outgoing.channel, outgoing.taken, 4);
        this.#parts.pipe.send(frame);
        outgoing.taken = 0;
      }
      if (result === "blocked") continue;
      this.#ready.delete(outgoing);
      if (result === "done") {
        if (outgoing.cutWith !== undefined) this.#drop(outgoing.channel, outgoing.cutWith);
        else if (outgoing.finished && (outgoing.isPeerDone || isUnidirectional(outgoing.channel))) {
          this.#forget(outgoing);
        }
      } else {
        this.#resetByPeer(outgoing.channel, typeof result === "number" ? result : 0);
      }
    }
    // A peer that wants no more of a stream of ours says so on that stream only.
    for (const outgoing of this.#watched) {
      if (!outgoing.idle || outgoing.cutWith !== undefined) continue;
      const result = outgoing.look(this.connection);
      if (result !== "blocked") this.#resetByPeer(outgoing.channel, typeof result === "number" ? result : 0);
    }
  }

  #sendPackets(): void {
    for (let sent = 0; sent < PACKETS_PER_PASS; sent++) {
      const datagram = UdpSocket.take();
      const result = this.#nextPacket(datagram.bytes);
      if (result === null) {
        UdpSocket.giveBack(datagram);
        return;
      }
      const to = result[1].to;
      if (to.port !== this.#remote.port || to.host !== this.#remote.host) this.#moved(to);
      this.socket.send(datagram, result[0], to.host, to.port);
    }
    this.#parts.wake(this);
  }

  #nextPacket(into: Buffer): [number, { readonly to: HostPort }] | null {
    try {
      return this.connection.send(into);
    } catch {
      return null;
    }
  }

  #moved(to: HostPort): void {
    this.#remote = { host: to.host, port: to.port };
    if (this.#opened) this.#inbound.queue(jsonFrame(FROM_ENGINE.moved, this.id, this.#remote));
  }

  #finishUp(): void {
    for (const outgoing of this.#outgoing.values()) if (!outgoing.idle) return;
    // What QUIC holds leaves first; then only an ACK can quiet its timer.
    this.#sendPackets();
    const timeout = this.connection.timeout();
    if (timeout === null || timeout > QUIET_MS || !this.#opened) this.#close(true, CLOSE_IN_ORDER);
  }

  #reportEnd(): void {
    if (this.#reported) return;
    const { connection } = this;
    if (!(connection.isDraining() || connection.isClosed())) return;
    const peer = connection.peerError();
    const own = connection.localError();
    if (peer !== null) this.#report({ by: "peer", app: peer.isApp, code: peer.errorCode, system: "" });
    else if (own !== null) this.#report({ by: "local", app: own.isApp, code: own.errorCode, system: "" });
    else this.#report({ by: "timeout", app: false, code: 0, system: "" });
  }

  #report(facts: ClosedFacts): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#outgoing.clear();
    this.#ready.clear();
    this.#watched.clear();
    // The end is told also to a node that reads nothing more.
    this.#inbound.pause(false);
    this.#inbound.queue(jsonFrame(FROM_ENGINE.closed, this.id, facts));
  }

  #close(app: boolean, code: number): void {
    try {
      this.connection.close(app, code, NO_REASON);
    } catch {
      // Closed already.
    }
  }

  #finishedByPeer(channel: number): void {
    if (isUnidirectional(channel)) return;
    const outgoing = this.#outgoingOn(channel);
    outgoing.isPeerDone = true;
    if (outgoing.finished) this.#forget(outgoing);
    else this.#watched.add(outgoing);
  }

  #resetByPeer(channel: number, code: number): void {
    this.#drop(channel, code);
    this.#inbound.queue(channelNumberFrame(FROM_ENGINE.reset, this.id, channel, Math.min(code, MAX_ID), 6));
  }

  /** Ends both directions of a channel with a code, as far as they are open. */
  #drop(channel: number, code: number): void {
    const outgoing = this.#outgoing.get(channel);
    if (outgoing !== undefined) this.#forget(outgoing);
    const { Read, Write } = this.#parts.binding.Shutdown;
    const own = isOpenedBy(this.side, channel);
    for (const direction of isUnidirectional(channel) ? [own ? Write : Read] : [Write, Read]) {
      try {
        this.connection.streamShutdown(channel, direction, code);
      } catch {
        // That direction has ended.
      }
    }
  }

  #outgoingOn(channel: number): Outgoing {
    let outgoing = this.#outgoing.get(channel);
    if (outgoing === undefined) {
      outgoing = new Outgoing(channel);
      this.#outgoing.set(channel, outgoing);
      if (isUnidirectional(channel)) this.#watched.add(outgoing);
    }
    return outgoing;
  }

  #forget(outgoing: Outgoing): void {
    this.#outgoing.delete(outgoing.channel);
    this.#ready.delete(outgoing);
    this.#watched.delete(outgoing);
  }

  #arm(): void {
    const timeout = this.connection.timeout();
    if (timeout === null) return;
    const at = addMs(this.#parts.clock.now(), timeout);
    // An earlier timer looks again when it fires; only a later one is of no use.
    if (this.#timerAt !== undefined && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#parts.clock.at(at, this.#fire);
  }
}
