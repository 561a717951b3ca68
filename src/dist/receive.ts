import type { ByteCollector, ReleaseChunks } from "../base/byte-parts.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { AtomTable } from "../term/atom-table.ts";
import { TermDecoder } from "../term/decode.ts";
import { PidTable } from "../term/pid-table.ts";
import { skipTerm } from "../term/skip.ts";
import type { Term } from "../term/types.ts";
import { InboundAtomCache } from "../wire/atom-cache.ts";
import { ControlDecoder } from "../wire/control.ts";
import { type Control, hasPayload } from "../wire/control-types.ts";
import type { FrameStyle } from "../wire/flags.ts";
import { type Reassembled, Reassembler } from "../wire/fragments.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { FRAGMENT_HEAD_BYTES, Packet, PacketParser } from "../wire/packet.ts";
import type { DistLimits } from "./limits.ts";

/** Where whole messages go. */
export interface ReceiveSink {
  /** See DistSink.wanted. */
  wanted(control: Control): boolean;
  /** See DistSink.refused. */
  refused(control: Control, buffer: Buffer, start: number, end: number): void;
  /** See DistSink.message. */
  message(control: Control, buffer: Buffer, start: number, end: number): void;
}

/** What a receiver may rely on. */
export interface ReceiverOptions {
  /** Frees chunks that are wholly copied; see Reassembler. */
  readonly release?: ReleaseChunks;
  /**
   * The sink wants every message and keeps no view of one beyond the call. Then frames may change once they were taken, and
   * memory is used again. Default false.
   */
  readonly passesOn?: boolean;
}

interface FragmentContext {
  readonly control: Control;
  readonly atomRefs: readonly Term[];
}

/**
 * Frames of an established session to messages: packet header, fragments, control term. The payload stays bytes; the
 * owner decodes it with `terms` once it has decided that it wants to.
 */
export class Receiver {
  /** Decoder for the payload of the message being delivered, with this session's limits and caches. */
  readonly terms: TermDecoder;
  readonly #sink: ReceiveSink;
  readonly #parser: PacketParser;
  readonly #packet: Packet = new Packet();
  readonly #controls: ControlDecoder;
  readonly #fragments: Reassembler<FragmentContext>;
  readonly #maxReassemblyMs: number;
  readonly #passesOn: boolean;
  #messages = 0;
  /** `messages` when time was looked at last. */
  #messagesThen = 0;

  constructor(style: FrameStyle, limits: DistLimits, sink: ReceiveSink, options: ReceiverOptions = {}) {
    this.#sink = sink;
    this.#passesOn = options.passesOn ?? false;
    const atoms = new AtomTable();
    const { maxDepth, maxIntegerBytes, maxAtoms, maxElements, maxMessageBytes } = limits;
    const termLimits = { maxDepth, maxIntegerBytes, maxAtoms, maxElements, maxBytes: maxMessageBytes };
    this.terms = new TermDecoder({ limits: termLimits, atoms, pids: new PidTable() });
    this.#parser = new PacketParser(style, new InboundAtomCache(atoms));
    this.#controls = new ControlDecoder({ style, terms: this.terms });
    this.#fragments = new Reassembler({
      maxBytes: limits.maxReassemblyBytes,
      maxSequences: limits.maxReassemblySequences,
      release: options.release,
      reuses: this.#passesOn,
    });
    this.#maxReassemblyMs = limits.maxReassemblyMs;
  }

  /** Messages that have come, or begun to come. */
  get messages(): number {
    return this.#messages;
  }

  /** Bytes held for unfinished messages. */
  get heldBytes(): number {
    return this.#fragments.bytes;
  }

  /** Whether a frame begins a message: all but the later fragments do. */
  begins(buffer: Buffer, start: number, end: number): boolean {
    return !this.#parser.parseNextFragment(this.#packet, buffer.subarray(start, end));
  }

  /** Takes one frame body. @throws {SallyportError} which ends the connection */
  frame(buffer: Buffer, start: number, end: number, now: MonotonicMs): void {
    const packet = this.#packet;
    this.#parser.parse(packet, buffer, start, end);
    if (packet.kind === "fragment-next") {
      this.#complete(this.#fragments.next(packet.seqId, packet.fragId, buffer, packet.at, end));
      return;
    }
    this.#messages++;
    const atomRefs = packet.atomRefs;
    // A reason may stand in the control message itself.
    this.terms.watch?.reset();
    const control = this.#controls.decode(buffer, packet.at, end, atomRefs);
    const payload = this.#parser.payloadStart(packet, this.#controls.position, hasPayload(control));
    if (packet.kind === "message") {
      this.#deliver(control, atomRefs, buffer, payload, end);
      return;
    }
    const { seqId, fragId } = packet;
    const context = { control: this.#lasting(control, buffer), atomRefs };
    const whole = this.#fragments.first(seqId, fragId, context, buffer, payload, end, now);
    if (whole !== undefined) this.#complete(whole);
    else if (!this.#sink.wanted(control)) this.#refuse(seqId, control, atomRefs, buffer, payload, end);
  }

  /**
   * Takes a frame that came in several chunks, when it is a later fragment, or a first one that is wanted in any case: its
   * bytes are joined once, with those of the whole message. False: nothing was taken, the frame is to be joined and given
   * to `frame`. See FrameSink.spanned.
   * @throws {SallyportError} which ends the connection
   */
  spanned(parts: ByteCollector, chunk: Buffer, start: number, end: number, now: MonotonicMs): boolean {
    const head = parts.head(FRAGMENT_HEAD_BYTES);
    const packet = this.#packet;
    if (head === undefined) return false;
    if (!this.#parser.parseNextFragment(packet, head)) {
      return this.#passesOn && this.#firstSpanned(head, parts, chunk, start, end, now);
    }
    const { seqId, fragId } = packet;
    this.#complete(this.#fragments.nextParts(seqId, fragId, parts, FRAGMENT_HEAD_BYTES, chunk, start, end));
    return true;
  }

  #firstSpanned(
    head: Buffer,
    parts: ByteCollector,
    chunk: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): boolean {
    const packet = this.#packet;
    if (!this.#parser.parseFirstFragment(packet, head) || !isWholeIn(head, packet.at)) return false;
    this.#messages++;
    const { seqId, fragId, atomRefs } = packet;
    this.terms.watch?.reset();
    const control = this.#controls.decode(head, packet.at, head.length, atomRefs);
    const payload = this.#parser.payloadStart(packet, this.#controls.position, hasPayload(control));
    const context = { control: this.#lasting(control, head), atomRefs };
    this.#fragments.firstParts(seqId, fragId, context, parts, payload, chunk, start, end, now);
    return true;
  }

  /** The control message just decoded, for longer than the bytes stay as they are: options of a spawn may share them. */
  #lasting(control: Control, buffer: Buffer): Control {
    if (!this.#passesOn || control.kind !== "spawn-request") return control;
    const { at, atomRefs } = this.#packet;
    const end = this.#controls.position;
    return this.#controls.decode(Buffer.from(buffer.subarray(at, end)), 0, end - at, atomRefs);
  }

  /**
   * Gives up messages that stay unfinished for too long.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED FRAGMENT_EXPIRED
   */
  expire(now: MonotonicMs): void {
    if (this.#passesOn && this.#messages === this.#messagesThen) this.#fragments.trim();
    this.#messagesThen = this.#messages;
    if (this.#fragments.sequences === 0) return;
    if (this.#fragments.expire(now, this.#maxReassemblyMs).length === 0) return;
    throw misbehaved(
      "FRAGMENT_EXPIRED",
      `a message in fragments stayed unfinished for more than ${this.#maxReassemblyMs} ms`,
    );
  }

  clear(): void {
    this.#fragments.clear();
  }

  #complete(whole: Reassembled<FragmentContext> | undefined): void {
    if (whole === undefined) return;
    this.#deliver(whole.context.control, whole.context.atomRefs, whole.buffer, whole.start, whole.end);
  }

  #refuse(
    seqId: bigint,
    control: Control,
    atomRefs: readonly Term[],
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    // First of all the memory: the sink may throw, or end the connection.
    this.#fragments.abort(seqId);
    this.#begin(atomRefs);
    this.#sink.refused(control, buffer, start, end);
  }

  #deliver(control: Control, atomRefs: readonly Term[], buffer: Buffer, start: number, end: number): void {
    this.#begin(atomRefs);
    this.#sink.message(control, buffer, start, end);
  }

  /** Makes `terms` ready for the payload of another message. */
  #begin(atomRefs: readonly Term[]): void {
    this.terms.atomRefs = atomRefs.length === 0 ? undefined : atomRefs;
    this.terms.resetBudget();
  }
}

/** Whether the term at `at` ends before the buffer does. What is wrong with it otherwise is for the decoder to say. */
function isWholeIn(buffer: Buffer, at: number): boolean {
  try {
    skipTerm(buffer, at, buffer.length);
    return true;
  } catch {
    return false;
  }
}
