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
import type { OtpSession, ShownIdentity } from "../auth/otp-types.ts";
import type { ByteCollector, ReleaseChunks } from "../base/byte-parts.ts";
import { addMs, type MonotonicMs, type Timer } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink, ChannelId } from "../carrier/carrier.ts";
import type { TermDecoder } from "../term/decode.ts";
import type { Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { Deframer, type FrameSink } from "../wire/deframer.ts";
import { FRAGMENTS, frameStyle } from "../wire/flags.ts";
import { type ByeReason, decodeLinkFrame, encodeLinkFrame, isLinkFrame, type LinkFrame } from "../wire/link-frames.ts";
import {
  failureOf,
  frameTooEarly,
  frameTooSlow,
  heartbeatTimeout,
  idleEnd,
  isRefusal,
  peerSilent,
  sessionClosed,
  writeStalled,
} from "./connection-failures.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import { type ConnectionState, endedEarly, timedOut, type Up } from "./connection-state.ts";
import { type Handshake, type HandshakeSink, startHandshake } from "./handshake.ts";
import { HEARTBEAT_PROFILES, HeartbeatMonitor } from "./heartbeat.ts";
import { longestFrameMs } from "./limits.ts";
import { LinkTalk } from "./link-talk.ts";
import { type Liveness, MAX_LOOK_MS } from "./liveness.ts";
import { Reading } from "./reading.ts";
import { Receiver } from "./receive.ts";
import { endsResumption } from "./resumption.ts";
import { Sender, type SendOut } from "./send.ts";
import { senderOptions } from "./sender-options.ts";
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
  readonly #reading: Reading;
  readonly #deframer: Deframer;
  readonly #startedAt: MonotonicMs;
  readonly #flushTurn: () => void;
  readonly #release: ReleaseChunks;
  #state: ConnectionState = { kind: "securing" };
  #timer: Timer | undefined;
  #now: MonotonicMs;
  #inChunk = false;
  #flushAsked = false;
  #writtenBytes = 0;
  #hasWideFrames = false;
  #endWhenSent = false;
  #bye: ByeReason | undefined;
  readonly #links: LinkTalk = new LinkTalk();
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
    this.#reading = new Reading(this.#carrier, parts.clock);
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
    this.#reading.pauseFor(ms);
  }

  /** Reads nothing until `releaseReading`; the peer's silence meanwhile is not held against it. Idempotent. */
  holdReading(): void {
    this.#reading.hold();
  }

  releaseReading(): void {
    this.#reading.release();
  }

  /** `host:port` of the other end. */
  get remoteAddress(): string {
    return this.#carrier.info().remoteAddress;
  }

  /** Whether its TLS rests on an earlier session, or has offered one to the peer; `CarrierInfo.resumption`. */
  get resumption(): CarrierInfo["resumption"] {
    return this.#carrier.info().resumption;
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
    this.#step((machine) => machine.answerClaim(answer));
  }

  /** With `hold`, accepting side, the claim being answered: shows whom the peer has reached. */
  challenge(shown: ShownIdentity): void {
    this.#step((machine) => machine.acceptor?.challenge(shown));
  }

  /** With `hold`, dialling side: answers the status `alive`. */
  answerAlive(proceed: boolean): void {
    this.#step((machine) => machine.initiator?.answerAlive(proceed));
  }

  /** With `hold`, dialling side: answers the challenge. */
  reply(): void {
    this.#step((machine) => machine.initiator?.reply());
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

  /**
   * Lets what waits leave, large messages included, says goodbye where the protocol knows it, then closes. Idempotent.
   * `moved`: the session goes on elsewhere, and nothing is said. `cause` goes to `DistSink.down` where there were no large
   * messages to wait for.
   */
  end(reason: ByeReason | "moved" = "disconnect", cause?: SallyportError): void {
    const state = this.#state;
    if (state.kind === "up") {
      state.sender.flush();
      this.#bye = state.peer.native === undefined || reason === "moved" ? undefined : reason;
      this.#endWhenSent = state.sender.hasLargeMessages;
      if (this.#endWhenSent) return;
    }
    this.#close(state.kind === "up" && reason === "idle" ? idleEnd(state.peer.name) : cause, true);
  }

  /**
   * The session goes over to another connection: what waits leaves, then MOVED, and nothing may be sent here any more. What
   * the peer sends is read on, up to its own MOVED. With `isOver`, which says that this has come, it closes after ours.
   */
  moveAway(isOver: boolean): void {
    const state = this.#state;
    if (state.kind !== "up" || !this.#links.away.begin(isOver)) return;
    state.sender.flush();
    this.#goAway(state);
  }

  #goAway({ sender }: Up): void {
    if (this.#links.away.step(sender)) this.end("moved");
    else this.#carrier.flush(0);
  }

  /**
   * Asks the peer of a native session whether it may end as idle. Until `DistSink.idleKept` or `down` nothing may be sent.
   * False: not now, for a message is half here or an earlier question has no answer.
   */
  askIdle(): boolean {
    const state = this.#state;
    if (state.kind !== "up" || state.peer.native === undefined) return false;
    if (state.receiver.heldBytes > 0 || this.#deframer.partialBytes > 0 || !this.#links.idle.ask()) return false;
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
      // The dialling machine sends from its constructor, so the prefix must be known before.
      this.#handshakePrefix = info.transport === "tcp" ? 2 : 4;
      this.#state = { kind: "handshake", info, machine: startHandshake(this.#parts, info, this) };
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
      this.#reading.left(this.#deframer.partialBytes, this.#now);
    } catch (error) {
      this.#fail(error);
    }
    this.#sink.turnEnded();
    this.#inChunk = false;
    // Not at once: what the continuations of this turn's promises send then leaves in the same write.
    if (this.#flushAsked) this.#parts.clock.afterTurn(this.#flushTurn);
  }

  heard(): void {
    if (this.#state.kind === "up") this.#state.liveness.read(this.#parts.clock.now());
  }

  drained(): void {
    const state = this.#state;
    if (state.kind !== "up") return;
    this.#links.owed.pay(state.sender);
    if (state.sender.relieved()) this.#sink.drained();
    this.#goAway(state);
    if (this.#endWhenSent && !state.sender.hasLargeMessages) this.#close(undefined, true);
  }

  closed(cause: SallyportError | undefined): void {
    this.#isGone = true;
    if (this.#state.kind === "closed") return;
    this.#close(cause ?? endedEarly(this.#state, this.#parts.target), false);
  }

  // FrameSink

  frame(buffer: Buffer, start: number, end: number): void {
    const state = this.#state;
    this.#reading.finished();
    switch (state.kind) {
      case "up":
        if (state.peer.native !== undefined && isLinkFrame(buffer, start)) {
          this.#linkFrame(decodeLinkFrame(buffer, start, end), state);
          return;
        }
        // The peer has sent something: we know its answer, and may send again before it comes.
        if (this.#links.idle.isOpen && state.receiver.begins(buffer, start, end))
          this.#links.idle.overtaken(this.#sink);
        state.receiver.frame(buffer, start, end, this.#reading.time(this.#now));
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

  spanned(parts: ByteCollector, chunk: Buffer, start: number, end: number): boolean {
    const state = this.#state;
    // What begins a message settles an open question, which `frame` sees to.
    if (state.kind !== "up" || this.#links.idle.isOpen) return false;
    if (!state.receiver.spanned(parts, chunk, start, end, this.#reading.time(this.#now))) return false;
    this.#reading.finished();
    if (this.#hasWideFrames) this.#narrowFrames();
    return true;
  }

  #linkFrame(frame: LinkFrame, state: Up): void {
    const ends = this.#links.take(frame, state, this.#sink);
    if (ends?.kind === "agreed") this.end("idle");
    else if (ends !== undefined) this.#close(ends.cause, true);
  }

  tick(): void {
    this.#reading.finished();
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

  claimed(name: NodeName, creation: number, flags: bigint): void {
    // The machine calls from inside its own step; `info` comes with the state.
    if (this.#state.kind === "handshake") this.#sink.claimed({ name, creation, flags, info: this.#state.info });
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
    this.#step((machine) => machine.native?.trustAnswered(answer));
  }

  /** Answers `DistSink.arbitrationAsked`. */
  answerArbitration(answer: Arbitration): void {
    this.#step((machine) => machine.native?.arbitrated(answer));
  }

  /** Answers `DistSink.commitAsked`. */
  answerCommit(answer: CommitAnswer): void {
    this.#step((machine) => machine.native?.committed(answer));
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
    const sender = new Sender(this, senderOptions(peer.flags, limits));
    this.#deframer.setPrefix(4);
    // Our own nodes fragment from their first message on.
    const isNarrow = fragments && peer.native !== undefined;
    this.#deframer.setMaxFrameBytes(isNarrow ? limits.maxFrameBytes : limits.maxMessageBytes);
    this.#hasWideFrames = fragments && !isNarrow;
    this.#now = clock.now();
    const memory = { release: this.#release, passesOn: this.#parts.passesOn === true };
    if (memory.passesOn) this.#deframer.reuseMemory();
    const receiver = new Receiver(style, limits, this.#sink, memory);
    const liveness =
      peer.native === undefined ? new TickMonitor(ticks, this.#now) : new HeartbeatMonitor(heartbeat, this.#now);
    this.#state = { kind: "up", peer, receiver, sender, liveness };
    this.#armAt(this.#nextLook(liveness));
    this.#sink.up(peer);
    this.#carrier.sessionUp?.();
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
    if (state.kind !== "up") throw timedOut(state, this.#parts.limits, this.#parts.target);
    const now = this.#parts.clock.now();
    this.#now = now;
    const maxFrameMs = longestFrameMs(this.#parts.limits, (state.peer.flags & FRAGMENTS) !== 0n);
    if (this.#reading.partialMs(now) > maxFrameMs) throw frameTooSlow(maxFrameMs);
    state.receiver.expire(this.#reading.time(now));
    if (this.#deframer.partialBytes === 0) this.#deframer.trim();
    // We do not listen: it may say something, and must hear that we live. What it does not read ends it all the same.
    const { liveness, sender, peer } = state;
    if (this.#reading.isStopped) liveness.read(now);
    if (this.#reading.isStopped) this.#ping(liveness, sender);
    const pending = this.#carrier.pendingBytes();
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

  #step(run: (machine: Handshake) => void): void {
    const state = this.#state;
    if (state.kind === "handshake") this.#guard(() => run(state.machine));
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#close(failureOf(error, this.#state.kind, this.#parts.target), false);
  }

  #close(cause: SallyportError | undefined, inGoodOrder: boolean): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    if (state.kind === "up" && this.#bye !== undefined) {
      state.sender.link(encodeLinkFrame({ kind: "bye", reason: this.#bye }));
    }
    this.#state = { kind: "closed" };
    this.#timer?.cancel();
    this.#reading.stop();
    this.#deframer.stop();
    if (state.kind === "up") state.receiver.clear();
    if (state.kind === "handshake" || state.kind === "admitting") state.machine.dispose();
    if (endsResumption(state.kind, this.role, this.resumption, cause)) this.#carrier.forgetSession?.();
    if (inGoodOrder || (state.kind !== "up" && isRefusal(cause))) this.#carrier.end();
    else {
      // What the handshake has just said, such as REFUSE, leaves if it can.
      if (state.kind === "handshake") this.#carrier.flush(0);
      this.#carrier.destroy();
    }
    this.#sink.down(cause);
  }
}
