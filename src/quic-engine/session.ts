import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";
import { CLOSE_ABRUPT, CLOSE_IN_ORDER } from "../carrier/channel-errors.ts";
import { type ChannelSide, isOpenedBy, isUnidirectional, isUserChannel } from "../carrier/channel-ids.ts";
import {
  type ClosedFacts,
  channelHead,
  channelNumberFrame,
  type EngineConfig,
  FROM_ENGINE,
  jsonFrame,
  MAX_ID,
} from "../carrier/quic/engine-frames.ts";
import { type HostPort, type NativeBinding, type NativeConnection, nextPacket } from "./binding.ts";
import { FormerPaths } from "./former-paths.ts";
import { type EndHandler, Inbound } from "./inbound.ts";
import { type Holder, MAX_HALF_OPEN_BYTES } from "./memory-guard.ts";
import { OutChannels, type OutHost } from "./out-channels.ts";
import { PacketSize } from "./packet-size.ts";
import type { Pipe } from "./pipe.ts";
import { QuicTimer } from "./quic-timer.ts";
import { endOf, openedFacts, systemEnd } from "./session-facts.ts";
import { type PacketSocket, UdpSocket } from "./udp.ts";
import { Withheld, type WithheldTotal } from "./withheld.ts";

/** What a session needs from the engine. */
export interface SessionParts {
  readonly binding: NativeBinding;
  readonly clock: Clock;
  readonly pipe: Pipe;
  readonly config: EngineConfig;
  readonly withheld: WithheldTotal;
  /** Asks for a `pass` in a later turn. */
  readonly wake: (session: Session) => void;
  /** The session is over and forgotten by QUIC too. */
  readonly gone: (session: Session) => void;
}

/** Octets sent in one go before other work has its turn. */
const SEND_BYTES_PER_PASS: number = 384 * 1024;
/** The ACK of a single datagram, and the word to the node of a small write, may wait so long for company, milliseconds. */
const SOON_MS = 5;
/** Datagrams of this weight together are answered at once: two of them. RFC 9000 section 13.2.2. */
const ANSWER_AT_WEIGHT = 8;
const DATAGRAM_WEIGHT = 4;
/** One that is hardly more than an ACK, which wants no answer, counts less: with a message it would call forth an ACK alone, and so on. */
const ACK_WEIGHT = 1;
const ACK_BYTES = 64;
/** Over the backlog's mark, datagrams above this size are dropped, as a full network would; smaller ones are mostly ACKs. */
const SMALL_DATAGRAM_BYTES = 200;
/** QUIC CRYPTO_ERROR with the TLS alert no_application_protocol. RFC 9001 section 8.1. */
const NO_APPLICATION_PROTOCOL = 0x178;
const CONNECTION_REFUSED = 0x2;
const PROTOCOL_VIOLATION = 0xa;
/** A timer further away than this is the idle timer: nothing is in flight. The linger bounds the wait for it. */
const QUIET_MS = 10_000;

const NO_REASON: Uint8Array = new Uint8Array(0);

/** One QUIC connection: reads its streams into frames for the node, writes what the node wrote, and keeps its timer. */
export class Session implements OutHost, Holder {
  readonly id: number;
  readonly side: ChannelSide;
  readonly connection: NativeConnection;
  /** Connection ids under which datagrams find this session. */
  readonly keys: readonly string[];
  socket: PacketSocket;
  /** True until the node has said that the peer is authenticated. */
  halfOpen = true;
  readonly #parts: SessionParts;
  readonly #alpn: readonly string[];
  readonly #local: HostPort;
  #remote: HostPort;
  readonly #former: FormerPaths = new FormerPaths();
  readonly #out: OutChannels;
  readonly #inbound: Inbound;
  readonly #withheld: Withheld;
  /** It took more memory than it may: nothing of the peer's is taken any more. */
  #isCut = false;
  /** Once the connection stands. */
  #size: PacketSize | undefined;
  #opened = false;
  #reported = false;
  #lingerUntil: MonotonicMs | undefined;
  readonly #openUntil: MonotonicMs;
  #keptAlive: MonotonicMs;
  readonly #timer: QuicTimer;
  /** Weight of the datagrams received since packets were last sent. */
  #unanswered = 0;
  /** There is more to send than an ACK. */
  hasToSend = true;
  /** What waits for company has waited long enough. */
  #isSoon = false;
  #soon: Timer | undefined;
  readonly #info: { from: HostPort; to: HostPort };
  readonly #soonIsNow: () => void = () => {
    this.#soon = undefined;
    this.#isSoon = true;
    this.#parts.wake(this);
  };
  readonly #onEnd: EndHandler = (channel, end) => {
    if (end === "finished") this.#out.peerDone(channel);
    else this.ended(channel, end);
  };

  constructor(
    parts: SessionParts,
    facts: { readonly id: number; readonly side: ChannelSide; readonly keys: readonly string[] },
    connection: NativeConnection,
    alpn: readonly string[],
    socket: PacketSocket,
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
    this.#out = new OutChannels(this);
    this.#withheld = new Withheld(parts.withheld);
    this.#timer = new QuicTimer(parts.clock, () => this.#expired());
    const now = parts.clock.now();
    this.#openUntil = addMs(now, parts.config.handshakeMs);
    this.#keptAlive = now;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get withheldBytes(): number {
    return this.#withheld.octets;
  }

  overrun(): void {
    this.#isCut = true;
    this.#close(true, CLOSE_ABRUPT);
    this.#wakeToSend();
  }

  /** A datagram for this session. QUIC decrypts in place. */
  datagram(bytes: Buffer, host: string, port: number): void {
    if (this.#isCut) return;
    if (this.#inbound.bytes > this.#parts.config.maxBacklogBytes && bytes.length > SMALL_DATAGRAM_BYTES) return;
    if (this.#info.from.port !== port || this.#info.from.host !== host) this.#info.from = { host, port };
    try {
      this.connection.recv(bytes, this.#info);
      this.#withheld.received(bytes.length);
    } catch {
      // Undecryptable datagrams are ignored; after a protocol error QUIC has a close to send.
      this.hasToSend = true;
    }
    this.#unanswered += bytes.length <= ACK_BYTES ? ACK_WEIGHT : DATAGRAM_WEIGHT;
    this.#parts.wake(this);
  }

  /** QUIC has taken the datagram that answered the dial. */
  answered(octets: number): void {
    this.#withheld.received(octets);
    this.#wakeToSend();
  }

  write(channel: number, bytes: Buffer, flush: boolean): void {
    this.#out.write(channel, bytes, flush);
    this.#wakeToSend();
  }

  finish(channel: number): void {
    this.#out.finish(channel);
    this.#wakeToSend();
  }

  reset(channel: number, code: number): void {
    if (!this.#out.cut(channel, code, isOpenedBy(this.side, channel))) this.drop(channel, code);
    this.#inbound.queue(channelHead(FROM_ENGINE.dropped, this.id, channel, 0), isUserChannel(channel));
    this.#wakeToSend();
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
    this.#wakeToSend();
  }

  destroy(): void {
    // What was flushed before had to leave.
    if (this.#opened && !this.#reported) this.#out.pump();
    if (this.#opened) this.#close(true, CLOSE_ABRUPT);
    else this.#close(false, CONNECTION_REFUSED);
    this.#wakeToSend();
  }

  /** Sends something that the peer answers. */
  poke(): void {
    this.#keptAlive = this.#parts.clock.now();
    try {
      this.connection.sendAckEliciting();
    } catch {
      // It closes.
    }
    this.#wakeToSend();
  }

  /** Once in a while: keeps the connection alive, and ends one that does not come up. */
  tend(now: MonotonicMs): void {
    this.#withheld.fade();
    if (!this.#opened && now >= this.#openUntil) this.#close(false, CONNECTION_REFUSED);
    if (this.#lingerUntil !== undefined && now >= this.#lingerUntil) this.#close(true, CLOSE_IN_ORDER);
    if (this.#opened && !this.#reported) {
      this.#inbound.lookForEnds(this.connection, this.#onEnd);
      this.#inbound.tellLife(this.connection);
    }
    if (this.#opened && now - this.#keptAlive >= this.#parts.config.keepAliveMs) this.poke();
    else this.#wakeToSend();
  }

  /** All work that has come up, in a fixed order: open, read, write, send, tell, end, timers. */
  pass(): void {
    let isMore = false;
    if (!this.#opened && this.connection.isEstablished()) this.#open();
    if (this.#opened && !this.#reported) {
      this.#readStreams();
      isMore = this.#out.pump();
      this.#out.watch();
    }
    if (this.halfOpen && !this.#isCut && this.#withheld.octets > MAX_HALF_OPEN_BYTES) this.overrun();
    if (this.#lingerUntil !== undefined) this.#finishUp();
    this.#size?.look();
    if (!this.#mayWait()) this.sendPackets();
    if (isMore) this.#wakeToSend();
    this.#reportEnd();
    // QUIC would keep what a cut one holds for a while, to close it again if the peer did not hear.
    if (this.#reported && (this.#isCut || this.connection.isClosed())) {
      this.#over();
      return;
    }
    const { pipe } = this.#parts;
    const isUntold = this.#out.tell(pipe, this.id, this.#isSoon || pipe.isGathering);
    this.#isSoon = false;
    if (isUntold || this.#unanswered > 0 || this.#out.endsWait) this.#soonAtLatest();
    this.#timer.arm(this.connection.timeout());
  }

  /** The engine itself failed on this session, or its socket did. */
  abandon(system: string): void {
    this.#report(systemEnd(system));
    this.#over();
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
    this.hasToSend = true;
    this.#size = new PacketSize(this.#parts.clock, this.connection);
    const facts = openedFacts(this.connection, this.#remote, this.#local, alpn);
    this.#inbound.queue(jsonFrame(FROM_ENGINE.opened, this.id, facts), false);
  }

  #readStreams(): void {
    this.#withheld.given(this.#inbound.readAll(this.connection, this.#onEnd));
    // Small datagrams that still come through end here: QUIC itself would go on keeping them.
    if (this.#inbound.bytes > 2 * this.#parts.config.maxBacklogBytes) this.#close(true, CLOSE_ABRUPT);
  }

  /** Nothing is to leave but the ACK of one datagram, perhaps, which may go with what the node answers. */
  #mayWait(): boolean {
    const isQuiet = !this.hasToSend && !this.#isSoon && this.#unanswered < ANSWER_AT_WEIGHT;
    return isQuiet && this.#opened && !this.#reported && this.#lingerUntil === undefined;
  }

  sendPackets(): void {
    for (let sent = 0; sent < SEND_BYTES_PER_PASS; ) {
      const datagram = UdpSocket.take(this.#size);
      const result = nextPacket(this.connection, datagram.bytes);
      if (result === null) {
        UdpSocket.giveBack(datagram);
        this.#unanswered = 0;
        this.hasToSend = false;
        return;
      }
      const [length, { to }] = result;
      if (to.port !== this.#remote.port || to.host !== this.#remote.host) this.#moved(to);
      this.#size?.sent(length);
      if (length > ACK_BYTES) this.#withheld.sent();
      this.socket.send(datagram, length, to.host, to.port);
      sent += length;
    }
    this.#wakeToSend();
  }

  #moved(to: HostPort): void {
    this.#former.left(this.#remote);
    this.#remote = { host: to.host, port: to.port };
    this.#size?.moved(to.host);
    if (this.#opened) this.#inbound.queue(jsonFrame(FROM_ENGINE.moved, this.id, this.#remote), false);
  }

  #finishUp(): void {
    if (!this.#out.idle) return;
    // What QUIC holds leaves first; then only an ACK can quiet its timer.
    this.sendPackets();
    const timeout = this.connection.timeout();
    if (timeout === null || timeout > QUIET_MS || !this.#opened) this.#close(true, CLOSE_IN_ORDER);
  }

  #reportEnd(): void {
    if (this.#reported) return;
    const { connection } = this;
    if (connection.isDraining() || connection.isClosed()) this.#report(endOf(connection));
  }

  #report(facts: ClosedFacts): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#out.clear();
    // The end is told also to a node that reads nothing more, behind everything else.
    this.#inbound.pause(false);
    this.#inbound.queue(jsonFrame(FROM_ENGINE.closed, this.id, facts), true);
  }

  #close(app: boolean, code: number): void {
    try {
      this.connection.close(app, code, NO_REASON);
    } catch {
      // Closed already.
    }
  }

  /** The peer has reset a channel, or wants no more of it. */
  ended(channel: number, code: number): void {
    this.drop(channel, code);
    const frame = channelNumberFrame(FROM_ENGINE.reset, this.id, channel, Math.min(code, MAX_ID), 6);
    this.#inbound.queue(frame, isUserChannel(channel));
    this.hasToSend = true;
  }

  /** Ends both directions of a channel with a code, as far as they are open. */
  drop(channel: number, code: number): void {
    this.#out.drop(channel);
    this.#inbound.forget(channel);
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

  #wakeToSend(): void {
    this.hasToSend = true;
    this.#parts.wake(this);
  }

  #soonAtLatest(): void {
    this.#soon ??= this.#parts.clock.at(addMs(this.#parts.clock.now(), SOON_MS), this.#soonIsNow);
  }

  #over(): void {
    this.#timer.cancel();
    this.#soon?.cancel();
    this.#withheld.clear();
    this.#parts.gone(this);
  }

  #expired(): void {
    // The timer may have been set for what was answered meanwhile.
    if (this.connection.timeout() === 0) this.#size?.expired();
    this.connection.onTimeout();
    this.#former.probe(this.connection, this.#local, this.socket, this.#remote);
    this.#wakeToSend();
  }
}
