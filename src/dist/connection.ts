import type { NativeSink } from "../auth/native-machine.ts";
import type {
  Arbitration,
  ArbitrationQuestion,
  CommitAnswer,
  CommitRequest,
  NativeSession,
  TrustAnswer,
  TrustQuestion,
} from "../auth/native-types.ts";
import type { OtpSession } from "../auth/otp-types.ts";
import { addMs, type MonotonicMs, type Timer } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink, ChannelId } from "../carrier/carrier.ts";
import type { TermDecoder } from "../term/decode.ts";
import type { Term } from "../term/types.ts";
import type { ByteParts, ReleaseChunks } from "../wire/byte-parts.ts";
import type { Control } from "../wire/control-types.ts";
import { Deframer, type FrameSink } from "../wire/deframer.ts";
import { EXIT_PAYLOAD, FRAGMENTS, frameStyle } from "../wire/flags.ts";
import { type ByeReason, decodeLinkFrame, encodeLinkFrame, isLinkFrame, type LinkFrame } from "../wire/link-frames.ts";
import {
  closedAfterReply,
  closedDuringHandshake,
  connectionBug,
  endedByPeer,
  frameTooEarly,
  frameTooSlow,
  goodbye,
  handshakeTimeout,
  heartbeatTimeout,
  idleEnd,
  isRefusal,
  notADistPeer,
  peerSilent,
  sessionClosed,
  tlsTooOld,
  writeStalled,
} from "./connection-failures.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import type { ConnectionState, Up } from "./connection-state.ts";
import { type HandshakeSink, NATIVE_ALPN, startNativeHandshake, startOtpHandshake } from "./handshake.ts";
import { HEARTBEAT_PROFILES, HeartbeatMonitor, MAX_WAITING_FOR_PONG } from "./heartbeat.ts";
import { IdleQuestion } from "./idle-question.ts";
import { type Liveness, MAX_LOOK_MS } from "./liveness.ts";
import { Receiver } from "./receive.ts";
import { Sender, type SendOut } from "./send.ts";
import type { ClaimAnswer, DistSink, ProvenPeer, Role } from "./sink.ts";
import { TickMonitor } from "./tick.ts";

/**
 * One distribution connection: joins a carrier, the handshake, the receive and send paths and the clock. The one place
 * that catches protocol errors: each of them closes this connection and nothing else.
 *
 * Order of work for one chunk: read the clock once, take the frames, let the owner run what became ready;
 * flush once the turn is over, promises included.
 */
export class DistConnection implements CarrierSink, FrameSink, HandshakeSink, NativeSink, SendOut {
  readonly role: Role;
  readonly #parts: ConnectionParts;
  readonly #sink: DistSink;
  readonly #carrier: Carrier;
  readonly #deframer: Deframer;
  readonly #startedAt: MonotonicMs;
  readonly #flushTurn: () => void;
  readonly #release: ReleaseChunks;
  #state: ConnectionState = { kind: "securing" };
  #timer: Timer | undefined;
  /** While nothing is read. */
  #pause: Timer | undefined;
  #now: MonotonicMs;
  #inChunk = false;
  #flushAsked = false;
  #writtenBytes = 0;
  #partialSince: MonotonicMs | undefined;
  #hasWideFrames = false;
  #endWhenSent = false;
  #bye: ByeReason | undefined;
  readonly #idle: IdleQuestion = new IdleQuestion();
  #isGone = false;

  /** `makeCarrier` is called once with this connection as its sink; for accepted ones it returns the existing carrier. */
  constructor(parts: ConnectionParts, sink: DistSink, makeCarrier: (sink: CarrierSink) => Carrier) {
    this.#parts = parts;
    this.#sink = sink;
    this.role = parts.target === undefined ? "acceptor" : "initiator";
    this.#startedAt = parts.clock.now();
    this.#now = this.#startedAt;
    this.#release = (chunks): void => this.#carrier.release?.(chunks);
    const { maxHandshakeFrameBytes } = parts.limits;
    this.#deframer = new Deframer({ prefix: 4, maxFrameBytes: maxHandshakeFrameBytes, release: this.#release });
    this.#flushTurn = (): void => this.#flush();
    this.#armAt(addMs(this.#startedAt, parts.limits.maxTlsHandshakeMs));
    try {
      this.#carrier = makeCarrier(this);
    } catch (error) {
      this.#timer?.cancel();
      throw error;
    }
  }

  /** The authenticated peer, once the session is up. */
  get peer(): ProvenPeer | undefined {
    return this.#state.kind === "up" ? this.#state.peer : undefined;
  }

  get isUp(): boolean {
    return this.#state.kind === "up";
  }

  /** Reads nothing for `ms` milliseconds: what the peer sends meanwhile waits with it. */
  pauseReading(ms: number): void {
    if (this.#state.kind === "closed" || this.#pause !== undefined) return;
    this.#carrier.pause();
    const { clock } = this.#parts;
    this.#pause = clock.at(addMs(clock.now(), ms), () => {
      this.#pause = undefined;
      if (this.#state.kind !== "closed") this.#carrier.resume();
    });
  }

  /** `host:port` of the other end. */
  get remoteAddress(): string {
    return this.#carrier.info().remoteAddress;
  }

  /** Dialling side: our proof is out, so the peer may have let us in already, though we do not know yet. */
  get repliedToChallenge(): boolean {
    return this.#state.kind === "handshake" && this.#state.machine.repliedToChallenge;
  }

  get isClosed(): boolean {
    return this.#state.kind === "closed";
  }

  /** Not even the socket is there any more: what was sent before the end has left, or never will. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Messages that went either way since the session began; link frames and ticks are none. */
  get messages(): number {
    return this.#state.kind === "up" ? this.#state.sender.messages + this.#state.receiver.messages : 0;
  }

  /** Decoder for the payload handed to `DistSink.message`; only during that call. */
  get terms(): TermDecoder {
    if (this.#state.kind !== "up") throw sessionClosed();
    return this.#state.receiver.terms;
  }

  get congested(): boolean {
    return this.#state.kind === "up" && this.#state.sender.congested;
  }

  /** Bytes accepted from us that have not left this process. */
  get waitingBytes(): number {
    return this.#state.kind === "up" ? this.#state.sender.waitingBytes : 0;
  }

  /** Sends a control message without payload; false means congested. @throws {SallyportError} ERR_CLOSED SESSION_CLOSED */
  signal(control: Control): boolean {
    if (this.#state.kind !== "up") throw sessionClosed();
    return this.#state.sender.signal(control);
  }

  /** Sends a control message and its payload; see Sender.message. */
  message(control: Control, payload: Term): boolean {
    if (this.#state.kind !== "up") throw sessionClosed();
    return this.#state.sender.message(control, payload);
  }

  /** Sends a control message and an already encoded payload term; see Sender.encoded. */
  encoded(control: Control, buffer: Uint8Array, start: number, end: number): boolean {
    if (this.#state.kind !== "up") throw sessionClosed();
    return this.#state.sender.encoded(control, buffer, start, end);
  }

  /** Answers `DistSink.claimed`. */
  answerClaim(answer: ClaimAnswer): void {
    const state = this.#state;
    if (state.kind !== "handshake") return;
    this.#guard(() => state.machine.answerClaim(answer));
  }

  /** Answers `DistSink.claimed` with `not_allowed` and closes with the error that says why. */
  refuseClaim(error: unknown): void {
    const state = this.#state;
    if (state.kind !== "handshake") return;
    try {
      state.machine.answerClaim("not_allowed");
    } catch {
      // The machine reports the refusal by throwing; the caller's error says more.
    }
    this.#fail(error);
  }

  /** Answers `DistSink.proven`: the session stands when this returns. */
  admit(): void {
    const state = this.#state;
    if (state.kind !== "admitting") return;
    this.#guard(() => {
      state.machine.admit();
      this.#goUp(state.peer);
    });
  }

  /** Lets what waits leave, large messages included, says goodbye where the protocol knows it, then closes. Idempotent. */
  end(reason: ByeReason = "disconnect"): void {
    const state = this.#state;
    if (state.kind === "up") {
      state.sender.flush();
      this.#bye = state.peer.native === undefined ? undefined : reason;
      this.#endWhenSent = state.sender.hasLargeMessages;
      if (this.#endWhenSent) return;
    }
    this.#close(state.kind === "up" && reason === "idle" ? idleEnd(state.peer.name) : undefined, true);
  }

  /**
   * Asks the peer of a native session whether it may end as idle. Until `DistSink.idleKept` or `down` nothing may be sent.
   * False: not now, for a message is half here or an earlier question has no answer.
   */
  askIdle(): boolean {
    const state = this.#state;
    if (state.kind !== "up" || state.peer.native === undefined) return false;
    if (state.receiver.heldBytes > 0 || this.#deframer.partialBytes > 0 || !this.#idle.ask()) return false;
    state.sender.link(encodeLinkFrame({ kind: "idle", received: BigInt(state.receiver.messages) }));
    this.#carrier.flush(0);
    return true;
  }

  /** Closes at once. Idempotent. */
  destroy(cause: SallyportError): void {
    this.#close(cause, false);
  }

  // CarrierSink

  opened(info: CarrierInfo): void {
    if (this.#state.kind !== "securing") return;
    this.#guard(() => {
      this.#sink.secured(info);
      if (this.#state.kind !== "securing") return;
      this.#deframer.setPrefix(info.transport === "tcp" ? 2 : 4);
      this.#armAt(addMs(this.#startedAt, this.#parts.limits.maxHandshakeMs));
      const { own, target, tools } = this.#parts;
      // The dialling machine sends from its constructor, so the prefix must be known before.
      this.#handshakePrefix = info.transport === "tcp" ? 2 : 4;
      const { native } = this.#parts;
      const isNative = info.alpn === NATIVE_ALPN && native !== undefined;
      // An old TLS has no exporter worth the name (rulings C22).
      if (isNative && info.tlsVersion !== "TLSv1.3") throw tlsTooOld(info.tlsVersion);
      const machine = isNative
        ? startNativeHandshake(native, target, info, this)
        : startOtpHandshake(own, target, tools, this);
      this.#state = { kind: "handshake", info, machine };
    });
  }

  bytes(_channel: ChannelId, chunk: Buffer): void {
    if (this.#state.kind === "closed") return;
    this.#now = this.#parts.clock.now();
    this.#inChunk = true;
    this.#sink.turnStarted();
    try {
      if (this.#state.kind === "up") this.#state.liveness.read(this.#now);
      this.#deframer.receive(chunk, this);
      this.#partialSince = this.#deframer.partialBytes === 0 ? undefined : (this.#partialSince ?? this.#now);
    } catch (error) {
      this.#fail(error);
    }
    this.#sink.turnEnded();
    this.#inChunk = false;
    // Not at once: what the continuations of this turn's promises send then leaves in the same write.
    if (this.#flushAsked) this.#parts.clock.afterTurn(this.#flushTurn);
  }

  drained(): void {
    const state = this.#state;
    if (state.kind !== "up") return;
    if (state.sender.relieved()) this.#sink.drained();
    if (this.#endWhenSent && !state.sender.hasLargeMessages) this.#close(undefined, true);
  }

  closed(cause: SallyportError | undefined): void {
    this.#isGone = true;
    if (this.#state.kind === "closed") return;
    this.#close(cause ?? this.#earlyEnd(), false);
  }

  // FrameSink

  frame(buffer: Buffer, start: number, end: number): void {
    const state = this.#state;
    this.#partialSince = undefined;
    switch (state.kind) {
      case "up":
        if (state.peer.native !== undefined && isLinkFrame(buffer, start)) {
          this.#linkFrame(decodeLinkFrame(buffer, start, end), state);
          return;
        }
        // The peer has sent something: we know its answer, and may send again before it comes.
        if (this.#idle.isOpen && state.receiver.begins(buffer, start, end)) this.#idle.overtaken(this.#sink);
        state.receiver.frame(buffer, start, end, this.#now);
        if (this.#hasWideFrames && state.receiver.heldBytes > 0) this.#narrowFrames();
        return;
      case "handshake":
        state.machine.receive(buffer, start, end);
        return;
      case "admitting":
      case "securing":
        throw frameTooEarly("a frame before its turn");
      case "closed":
        return;
    }
  }

  spanned(parts: ByteParts, chunk: Buffer, start: number, end: number): boolean {
    const state = this.#state;
    if (state.kind !== "up" || !state.receiver.spanned(parts, chunk, start, end)) return false;
    this.#partialSince = undefined;
    if (this.#hasWideFrames) this.#narrowFrames();
    return true;
  }

  #linkFrame(frame: LinkFrame, { peer, sender, liveness }: Up): void {
    switch (frame.kind) {
      case "ping":
        // Who asks without reading the answers has no need of more: what waits for it is life enough.
        if (sender.waitingBytes > MAX_WAITING_FOR_PONG) return;
        sender.link(encodeLinkFrame({ kind: "pong", token: frame.token }));
        sender.trim();
        return;
      case "pong":
        // Life itself: every byte counts as such already.
        if (!(liveness instanceof HeartbeatMonitor) || !liveness.answers(frame.token)) this.#sink.strayPong();
        return;
      case "bye":
        this.#close(goodbye(peer.name, frame.reason, this.#idle.isOpen), true);
        return;
      case "idle":
        // What is still on its way to the peer would be lost.
        if (frame.received === BigInt(sender.messages) && this.#sink.idleAsked()) this.end("idle");
        else sender.link(encodeLinkFrame({ kind: "keep" }));
        return;
      case "keep":
        this.#idle.kept(this.#sink);
        return;
      case "refuse":
        throw endedByPeer(peer.name, frame.reason);
    }
  }

  tick(): void {
    this.#partialSince = undefined;
    if (this.#hasWideFrames) this.#narrowFrames();
    if (this.#state.kind === "up" || this.#state.kind === "closed") return;
    throw frameTooEarly("an empty frame in the handshake");
  }

  // HandshakeSink

  #handshakePrefix: 2 | 4 = 4;

  send(body: Buffer): void {
    const prefix = this.#handshakePrefix;
    const frame = Buffer.allocUnsafe(prefix + body.length);
    frame.writeUIntBE(body.length, 0, prefix);
    frame.set(body, prefix);
    // Messages of one step leave together, after the turn.
    this.#carrier.write(0, frame);
  }

  claimed(name: NodeName, creation: number): void {
    // The machine calls from inside its own step; `info` comes with the state.
    if (this.#state.kind === "handshake") this.#sink.claimed({ name, creation, info: this.#state.info });
  }

  proven(session: OtpSession): void {
    if (this.#state.kind !== "handshake") return;
    const { info, machine } = this.#state;
    const { peer: name, peerCreation: creation, flags } = session;
    const peer: ProvenPeer = { name, creation, flags, info, role: this.role, native: undefined };
    this.#state = { kind: "admitting", peer, machine };
    this.#sink.proven(peer);
  }

  // NativeSink

  askTrust(question: TrustQuestion): void {
    this.#sink.trustAsked(question);
  }

  arbitrate(question: ArbitrationQuestion): void {
    this.#sink.arbitrationAsked(question);
  }

  commit(request: CommitRequest): void {
    this.#sink.commitAsked(request);
  }

  up(session: NativeSession): void {
    if (this.#state.kind !== "handshake") return;
    const { info } = this.#state;
    const { peer: name, peerCreation: creation, flags } = session;
    this.#goUp({ name, creation, flags, info, role: this.role, native: session });
  }

  /** Answers `DistSink.trustAsked`. */
  answerTrust(answer: TrustAnswer): void {
    const state = this.#state;
    if (state.kind === "handshake") this.#guard(() => state.machine.native?.trustAnswered(answer));
  }

  /** Answers `DistSink.arbitrationAsked`. */
  answerArbitration(answer: Arbitration): void {
    const state = this.#state;
    if (state.kind === "handshake") this.#guard(() => state.machine.native?.arbitrated(answer));
  }

  /** Answers `DistSink.commitAsked`. */
  answerCommit(answer: CommitAnswer): void {
    const state = this.#state;
    if (state.kind === "handshake") this.#guard(() => state.machine.native?.committed(answer));
  }

  // SendOut

  write(bytes: Uint8Array): void {
    if (this.#state.kind !== "up") return;
    const { liveness } = this.#state;
    if (liveness.wrote(this.#now)) this.#armAt(this.#nextLook(liveness));
    this.#writtenBytes += bytes.length;
    this.#carrier.write(0, bytes);
  }

  get copiesWrites(): boolean {
    return this.#carrier.copiesWrites === true;
  }

  pendingBytes(): number {
    return this.#carrier.pendingBytes();
  }

  needFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    if (!this.#inChunk) this.#parts.clock.afterTurn(this.#flushTurn);
  }

  #flush(): void {
    this.#flushAsked = false;
    if (this.#state.kind !== "up") return;
    if (!this.#inChunk) this.#now = this.#parts.clock.now();
    const { sender } = this.#state;
    sender.flush();
    this.#carrier.flush(0);
    // The carrier says `drained` only after it was full; a turn's large messages can fit into what it has room for.
    if (sender.congested && sender.relieved()) this.#sink.drained();
  }

  #goUp(peer: ProvenPeer): void {
    // The peer's side stands with our last message: it leaves before anybody hears that ours does.
    this.#carrier.flush(0);
    const { limits, ticks, clock, heartbeat = HEARTBEAT_PROFILES.lan } = this.#parts;
    const style = frameStyle(peer.flags);
    const fragments = (peer.flags & FRAGMENTS) !== 0n;
    const sender = new Sender(this, {
      header: style === "header",
      fragments,
      exitPayload: (peer.flags & EXIT_PAYLOAD) !== 0n,
      congestedBytes: limits.congestedBytes,
      maxQueuedBytes: limits.maxQueuedBytes,
    });
    this.#deframer.setPrefix(4);
    // Our own nodes fragment from their first message on.
    const isNarrow = fragments && peer.native !== undefined;
    this.#deframer.setMaxFrameBytes(isNarrow ? limits.maxFrameBytes : limits.maxMessageBytes);
    this.#hasWideFrames = fragments && !isNarrow;
    this.#now = clock.now();
    const receiver = new Receiver(style, limits, this.#sink, this.#release);
    const liveness =
      peer.native === undefined ? new TickMonitor(ticks, this.#now) : new HeartbeatMonitor(heartbeat, this.#now);
    this.#state = { kind: "up", peer, receiver, sender, liveness };
    this.#armAt(this.#nextLook(liveness));
    this.#sink.up(peer);
  }

  /**
   * A BEAM does not fragment what was sent while it was connecting, so a session starts with frames as large as a message.
   * A tick or a held fragment shows that those are through: from then on `maxFrameBytes` holds, and a large frame and
   * reassembly never use up their bounds together.
   */
  #narrowFrames(): void {
    this.#hasWideFrames = false;
    this.#deframer.setMaxFrameBytes(this.#parts.limits.maxFrameBytes);
  }

  #nextLook(liveness: Liveness): MonotonicMs {
    return Math.min(liveness.nextCheck(this.#now), this.#now + MAX_LOOK_MS) as MonotonicMs;
  }

  #armAt(at: MonotonicMs): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.at(at, () => this.#guard(() => this.#timeout()), true);
  }

  #timeout(): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    if (state.kind !== "up") throw handshakeTimeout(state.kind === "securing", this.#parts.limits, this.#parts.target);
    const now = this.#parts.clock.now();
    this.#now = now;
    this.#checkPartialFrame(now, (state.peer.flags & FRAGMENTS) !== 0n);
    state.receiver.expire(now);
    const pending = this.#carrier.pendingBytes();
    const { liveness, sender, peer } = state;
    // What is not read cannot show that the peer lives.
    if (this.#pause !== undefined) liveness.read(now);
    switch (liveness.check(now, pending, this.#writtenBytes - pending)) {
      case "send-tick":
        sender.tick();
        this.#carrier.flush(0);
        break;
      case "send-ping":
        this.#ping(liveness, sender);
        break;
      case "peer-silent":
        throw peer.native === undefined ? peerSilent(peer.name) : heartbeatTimeout(peer.name);
      case "write-stalled":
        throw writeStalled(peer.name, pending);
      case "nothing":
        break;
    }
    this.#armAt(this.#nextLook(liveness));
  }

  /** Goes ahead of all that is not with the transport yet; the age of the question counts from now, sent or not. */
  #ping(liveness: Liveness, sender: Sender): void {
    if (!(liveness instanceof HeartbeatMonitor)) return;
    sender.link(encodeLinkFrame({ kind: "ping", token: liveness.token }));
    sender.trim();
    this.#carrier.flush(0);
  }

  #checkPartialFrame(now: MonotonicMs, fragments: boolean): void {
    const since = this.#partialSince;
    const maxMs = fragments ? this.#parts.limits.maxFrameMs : this.#parts.limits.maxFrameMs * 10;
    if (since === undefined || now - since <= maxMs) return;
    throw frameTooSlow(maxMs);
  }

  /** The carrier ended in good order, but before the session stood. */
  #earlyEnd(): SallyportError | undefined {
    const state = this.#state;
    if (state.kind === "up" || state.kind === "closed") return undefined;
    const { target } = this.#parts;
    if (state.kind === "handshake" && state.machine.repliedToChallenge) return closedAfterReply(target);
    return closedDuringHandshake(state.kind === "securing", target);
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const known = isSallyportError(error) ? error : connectionBug(error);
    // Text, a TLS alert or a web request, read as a length: no handshake message is that long.
    const isForeign = this.#state.kind === "handshake" && known.reason === "FRAME_TOO_LARGE";
    this.#close(isForeign ? notADistPeer(this.#parts.target, known) : known, false);
  }

  #close(cause: SallyportError | undefined, inGoodOrder: boolean): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    if (state.kind === "up" && this.#bye !== undefined) {
      state.sender.link(encodeLinkFrame({ kind: "bye", reason: this.#bye }));
    }
    this.#state = { kind: "closed" };
    this.#timer?.cancel();
    this.#deframer.stop();
    if (state.kind === "up") state.receiver.clear();
    if (state.kind === "handshake" || state.kind === "admitting") state.machine.dispose();
    if (inGoodOrder || (state.kind !== "up" && isRefusal(cause))) this.#carrier.end();
    else {
      // What the handshake has just said, such as REFUSE, leaves if it can.
      if (state.kind === "handshake") this.#carrier.flush(0);
      this.#carrier.destroy();
    }
    this.#sink.down(cause);
  }
}
