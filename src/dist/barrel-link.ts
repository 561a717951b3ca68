import { streamNotOpened } from "../auth/barrel-failures.ts";
import { acceptBarrel, type BarrelMachine, type BarrelSink, dialBarrel } from "../auth/barrel-machine.ts";
import {
  BARREL_AUTH_MS,
  type BarrelAttempt,
  type BarrelIdentity,
  type BarrelSession,
  type BarrelTools,
  type BarrelTrustAnswer,
  type BarrelTrustQuestion,
} from "../auth/barrel-types.ts";
import { addMs, type Clock, type MonotonicMs, type Timer } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink, ChannelId } from "../carrier/carrier.ts";
import { isUserChannel } from "../carrier/channel-ids.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";
import { alpnWrong, earlyBytes, linkHasOneStream, linkStep, streamLost } from "./barrel-link-failures.ts";
import type { BarrelLinkOwner, LinkEvent } from "./barrel-link-owner.ts";
import { CONTROL } from "./channel-ranges.ts";
import { connectionBug, handshakeTimeout, isMisbehaviour, isRefusal } from "./connection-failures.ts";
import { ControlStream, TICK } from "./control-stream.ts";
import { EarlyFrames } from "./early-frames.ts";
import { FrameLanes } from "./frame-lanes.ts";
import type { DistLimits } from "./limits.ts";
import { handshakeMs } from "./link-limits.ts";
import type { Role } from "./sink.ts";
import { UNKNOWN_TAG_CODE } from "./stream-codes.ts";
import type { UserChannels } from "./user-channels.ts";

/** ALPN of barrel_p2p. */
export const BARREL_ALPN = "erlang-dist";

export interface BarrelLinkParts {
  /** The dialled name; undefined on the accepting side. */
  readonly target: NodeName | undefined;
  /** Asked once per connection: the key may have been rotated. */
  identity(): BarrelIdentity;
  readonly tools: BarrelTools;
  readonly clock: Clock;
  readonly limits: DistLimits;
  readonly owner: BarrelLinkOwner;
  /** Undefined: every stream of the application is refused. */
  readonly users?: UserChannels | undefined;
}

/** Where a link stands. Each state begins where the one before it ends; nothing goes back. */
type State =
  | { readonly kind: "securing" }
  | { readonly kind: "authenticating"; readonly machine: BarrelMachine; readonly info: CarrierInfo }
  /** Keys are proven; Erlang's handshake, then frames. */
  | { readonly kind: "open" }
  | { readonly kind: "closed" };

/**
 * One barrel connection, seen from a `DistConnection` as a carrier of one ordered stream: runs the exchange of keys on streams 2
 * and 3, gives Erlang's handshake on stream 0 its lengths, and joins the lanes (barrel-auth sections 2, 4, 9, 10). Exactly one
 * `closed` goes up, whatever ends it.
 */
export class BarrelLink implements Carrier, ChannelledSink, BarrelSink {
  readonly #parts: BarrelLinkParts;
  readonly #role: Role;
  readonly #sink: CarrierSink;
  readonly #carrier: ChannelledCarrier;
  readonly #control: ControlStream;
  readonly #lanes: FrameLanes;
  readonly #early: EarlyFrames = new EarlyFrames();
  readonly #startedAt: MonotonicMs;
  #state: State = { kind: "securing" };
  #info: CarrierInfo | undefined;
  #deadline: Timer | undefined;
  #authOut: ChannelId | undefined;
  #isUp = false;
  #hasToldEnd = false;

  /** `makeCarrier` is called once, as that of `DistConnection`. @param sink the connection above */
  constructor(parts: BarrelLinkParts, sink: CarrierSink, makeCarrier: (sink: ChannelledSink) => ChannelledCarrier) {
    this.#parts = parts;
    this.#sink = sink;
    this.#role = parts.target === undefined ? "acceptor" : "initiator";
    this.#startedAt = parts.clock.now();
    this.#carrier = makeCarrier(this);
    this.#control = new ControlStream({
      role: this.#role,
      put: (body) => this.#putControl(body),
      up: (frame) => this.#handUp(frame),
      stray: (bytes) => this.#notice({ kind: "stray", bytes, isFirst: bytes === this.strayControlBytes }),
    });
    this.#lanes = new FrameLanes({
      carrier: this.#carrier,
      clock: parts.clock,
      limits: parts.limits,
      up: (frames) => this.#handUp(frames),
      fail: (error) => this.#fail(error),
      tick: () => this.#putControl(TICK),
    });
    const { maxTlsHandshakeMs } = parts.limits;
    this.#arm(addMs(this.#startedAt, maxTlsHandshakeMs), () => {
      throw handshakeTimeout(true, parts.limits, parts.target);
    });
  }

  /** Bytes on stream 0 after the handshake that were no ticks. */
  get strayControlBytes(): number {
    return this.#control.strayBytes;
  }

  /** Where it stands, for logs and tests. */
  get stateKind(): State["kind"] {
    return this.#state.kind;
  }

  /** Answers `BarrelLinkOwner.barrelTrustAsked`. */
  answerTrust(answer: BarrelTrustAnswer): void {
    const state = this.#state;
    if (state.kind !== "authenticating") return;
    this.#guard(() => state.machine.trustAnswered(answer, this.#parts.clock.now()));
  }

  // Carrier, for the connection above

  open(): ChannelId {
    throw linkHasOneStream();
  }

  write(_channel: ChannelId, bytes: Uint8Array): boolean {
    if (this.#state.kind !== "open") return false;
    if (this.#control.hasSaidAll) return this.#lanes.write(bytes);
    this.#control.send(bytes);
    return true;
  }

  flush(): void {
    if (this.#state.kind === "open") this.#lanes.flush();
  }

  reset(): void {
    this.destroy();
  }

  info(): CarrierInfo {
    return this.#info ?? this.#carrier.info();
  }

  pendingBytes(): number {
    return this.#lanes.pendingBytes() + this.#carrier.pendingOn(CONTROL);
  }

  /** Streams of the application wait as well. */
  pause(): void {
    this.#lanes.paused();
    this.#carrier.pause();
  }

  resume(): void {
    this.#lanes.resumed();
    this.#carrier.resume();
  }

  end(): void {
    if (this.#shut(undefined)) this.#carrier.end();
  }

  destroy(): void {
    if (this.#shut(undefined)) this.#carrier.destroy();
  }

  readonly sessionUp = (): void => {
    if (this.#state.kind === "closed") return;
    this.#isUp = true;
    this.#control.up();
    this.#lanes.hasFragments(this.#control.flags);
    this.#parts.users?.up(this.#carrier);
    // Not at once: the connection is inside the call that brought its last message.
    this.#parts.clock.afterTurn(() => this.#guard(() => this.#takeEarly()));
  };

  // ChannelledSink, for the carrier below

  opened(info: CarrierInfo): void {
    if (this.#state.kind !== "securing") return;
    this.#guard(() => {
      if (info.alpn !== BARREL_ALPN) throw alpnWrong(info.alpn);
      const { target, clock, limits } = this.#parts;
      // Ten seconds in all from the first byte, not from the end of TLS (rulings C14).
      const isDialler = target !== undefined;
      const leftMs = this.#startedAt + handshakeMs(limits, this.#role) - clock.now();
      const maxAuthMs = Math.max(Math.floor(Math.min(leftMs, this.#parts.tools.maxAuthMs ?? BARREL_AUTH_MS)), 1);
      const tools = { ...this.#parts.tools, maxAuthMs };
      const channel = {
        listenerCertificate: isDialler ? info.peerCertDer : info.ownCertDer,
        now: clock.now(),
        wallMs: clock.wallMs(),
      };
      this.#info = info;
      this.#parts.owner.barrelSecured(info);
      const identity = this.#parts.identity();
      // A dialler says HELLO from its constructor, so the state comes right after it.
      const machine = isDialler
        ? dialBarrel(identity, target, channel, tools, this)
        : acceptBarrel(identity, channel, tools, this);
      this.#state = { kind: "authenticating", machine, info };
      const { deadline } = machine;
      if (deadline !== undefined) this.#arm(deadline, () => machine.expire(clock.now()));
    });
  }

  bytes(channel: ChannelId, chunk: Buffer): void {
    if (this.#state.kind === "closed") return;
    this.#guard(() => this.#take(channel, chunk));
  }

  drained(channel: ChannelId): void {
    if (this.#state.kind === "closed") return;
    if (isUserChannel(channel)) this.#parts.users?.drained(channel);
    else this.#sink.drained(0);
  }

  /** Erlang sends no tick where QUIC has sent a packet (barrel-auth section 10): its packets are its life. */
  heard(): void {
    if (this.#state.kind === "open" && this.#isUp) this.#sink.heard?.();
  }

  channelEnded(channel: ChannelId): void {
    if (this.#state.kind === "closed") return;
    this.#guard(() => {
      if (channel === this.#authIn) this.#machine?.ended(this.#parts.clock.now());
      else if (isUserChannel(channel)) this.#parts.users?.ended(channel);
      // Who ends the control stream is leaving.
      else if (channel === CONTROL) this.#end(undefined, true);
      else if (this.#lanes.partialOn(channel) > 0)
        throw streamLost(channel, undefined, linkStep(this.#state.kind, this.#isUp));
    });
  }

  channelReset(channel: ChannelId, code: number): void {
    if (this.#state.kind === "closed") return;
    this.#guard(() => {
      if (isUserChannel(channel)) this.#parts.users?.reset(channel, code);
      else if (channel === this.#authIn) this.#machine?.reset(code, this.#parts.clock.now());
      else if (channel === this.#authOut) this.#machine?.stopped(code, this.#parts.clock.now());
      else throw streamLost(channel, code, linkStep(this.#state.kind, this.#isUp));
    });
  }

  peerMoved({ remoteAddress }: CarrierInfo): void {
    if (this.#info === undefined || this.#state.kind === "closed") return;
    this.#info = { ...this.#info, remoteAddress };
    this.#notice({ kind: "moved" });
  }

  closed(cause: SallyportError | undefined): void {
    const state = this.#state;
    const error = state.kind === "authenticating" ? state.machine.lost(cause, this.#parts.clock.now()) : cause;
    this.#shut(error);
    this.#tellEnd(error);
  }

  // BarrelSink, for the machine

  send(bytes: Buffer): void {
    try {
      this.#authOut ??= this.#carrier.open("auth");
    } catch (error) {
      throw streamNotOpened(error);
    }
    this.#carrier.write(this.#authOut, bytes);
    this.#carrier.flush(this.#authOut);
  }

  finish(): void {
    if (this.#authOut !== undefined) this.#carrier.finish(this.#authOut);
  }

  askTrust(question: BarrelTrustQuestion): void {
    if (this.#info !== undefined) this.#parts.owner.barrelTrustAsked(question, this.#info);
  }

  attempted(attempt: BarrelAttempt): void {
    this.#parts.owner.barrelAttempted(attempt);
  }

  authenticated({ peer, publicKey, assurance }: BarrelSession): void {
    if (this.#info === undefined) return;
    this.#deadline?.cancel();
    const info = { ...this.#info, proven: { protocol: "barrel" as const, name: peer, publicKey, assurance } };
    this.#info = info;
    this.#state = { kind: "open" };
    if (this.#role === "initiator") this.#carrier.open("control");
    // The dialling side's name leaves from inside.
    this.#sink.opened(info);
    this.#control.start(peer);
  }

  get #machine(): BarrelMachine | undefined {
    return this.#state.kind === "authenticating" ? this.#state.machine : undefined;
  }

  get #authIn(): ChannelId {
    return this.#role === "initiator" ? 3 : 2;
  }

  #take(channel: ChannelId, chunk: Buffer): void {
    if (channel === this.#authIn) {
      // After the exchange there is nothing more to say there; barrel itself would take it for frames (section 14, finding 10).
      if (this.#machine === undefined) throw earlyBytes(chunk.length, 0);
      this.#machine.receive(chunk, this.#parts.clock.now());
    } else if (channel === CONTROL) this.#control.receive(chunk);
    else if (isUserChannel(channel)) this.#takeUser(channel, chunk);
    else this.#takeLane(channel, chunk);
  }

  #takeLane(channel: ChannelId, chunk: Buffer): void {
    if (this.#isUp && this.#early.isEmpty) this.#lanes.receive(channel, chunk);
    else this.#early.add(channel, chunk, this.#control.repliedToChallenge);
  }

  #takeEarly(): void {
    for (const [channel, chunk] of this.#early.take()) {
      if (this.#state.kind === "closed") return;
      this.#lanes.receive(channel, chunk);
    }
  }

  #takeUser(channel: ChannelId, chunk: Buffer): void {
    const { users } = this.#parts;
    if (this.#isUp && users !== undefined) users.bytes(channel, chunk);
    else {
      users?.tooEarly();
      this.#carrier.reset(channel, UNKNOWN_TAG_CODE);
    }
  }

  #notice(event: LinkEvent): void {
    const peer = this.#info?.proven?.name;
    if (peer !== undefined) this.#parts.owner.barrelNoticed({ ...event, peer });
  }

  /** At once: the Erlang side takes all that one read brings for one message (section 9). */
  #putControl(bytes: Uint8Array): void {
    this.#carrier.write(CONTROL, bytes);
    this.#carrier.flush(CONTROL);
  }

  #handUp(frames: Buffer): void {
    if (this.#state.kind !== "closed") this.#sink.bytes(0, frames);
  }

  #arm(at: MonotonicMs, run: () => void): void {
    this.#deadline?.cancel();
    this.#deadline = this.#parts.clock.at(at, () => this.#guard(run), true);
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(isSallyportError(error) ? error : connectionBug(error));
    }
  }

  #fail(error: SallyportError): void {
    const { kind } = this.#state;
    // What is no message of the exchange is a failure of the exchange: our FIN, then code 0, as barrel does.
    const isBadMessage = kind === "authenticating" && this.#machine?.deadline === undefined && isMisbehaviour(error);
    this.#end(error, isBadMessage || isRefusal(error));
  }

  #end(error: SallyportError | undefined, inGoodOrder: boolean): void {
    if (!this.#shut(error)) return;
    if (inGoodOrder) this.#carrier.end();
    else this.#carrier.destroy();
    this.#tellEnd(error);
  }

  #tellEnd(error: SallyportError | undefined): void {
    if (this.#hasToldEnd) return;
    this.#hasToldEnd = true;
    this.#sink.closed(error);
  }

  /** Lets go of everything; false when that was done before. */
  #shut(cause: SallyportError | undefined): boolean {
    const state = this.#state;
    if (state.kind === "closed") return false;
    this.#state = { kind: "closed" };
    this.#deadline?.cancel();
    if (state.kind === "authenticating") state.machine.dispose(this.#parts.clock.now());
    this.#lanes.close();
    this.#early.clear();
    this.#control.close();
    this.#parts.users?.closed(cause);
    return true;
  }
}
