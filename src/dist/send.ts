import { ByteWriter } from "../base/byte-writer.ts";
import { SallyportError } from "../base/errors.ts";
import { RingQueue } from "../base/ring-queue.ts";
import { encodeInto, type Splice } from "../term/encode.ts";
import type { Pid, Term } from "../term/types.ts";
import { ControlEncoder } from "../wire/control-encoder.ts";
import type { Control } from "../wire/control-types.ts";
import { type ByteRange, FragmentPlan } from "../wire/fragment-plan.ts";
import { WrittenBuffers } from "./written-buffers.ts";

/** Bytes collected in one turn at which they are handed to the carrier before the turn ends. */
const FLUSH_BYTES = 64 * 1024;

/**
 * Largest payload that leaves in one frame. Half as much again as a fragment: cutting a short rest off a binary of 64 KiB
 * would cost both sides a frame, and the peer a further copy of all of it.
 */
const WHOLE_BYTES = 96 * 1024;

/** Bytes of large messages handed to the carrier ahead of what the system has taken: the most a small message waits for. */
export const FRAGMENTS_AHEAD_BYTES: number = 256 * 1024;

/** The bytes' way out. */
export interface SendOut {
  write(bytes: Uint8Array): void;
  /** Bytes written that have not left this process. */
  pendingBytes(): number;
  /** See Carrier.copiesWrites. */
  readonly copiesWrites?: boolean;
  /** Something waits to be flushed: call `flush` when this turn's work is done. */
  needFlush(): void;
}

export interface SenderOptions {
  /** `83 44 00` frames instead of `70 83 … 83 …`. */
  readonly header: boolean;
  /** Large messages may be cut. */
  readonly fragments: boolean;
  readonly exitPayload: boolean;
  readonly congestedBytes: number;
  readonly maxQueuedBytes: number;
}

/** A large message on its way, and the frames of the same sender and target that must not overtake it. */
interface Lane {
  plan: FragmentPlan;
  readonly behind: RingQueue<Waiting>;
}

type Waiting =
  | { readonly kind: "frame"; readonly bytes: Buffer }
  | { readonly kind: "plan"; readonly plan: FragmentPlan };

/**
 * Turns control messages and payloads into frames of one session. Small messages collect in one buffer that leaves once
 * a turn; large ones are cut into fragments that are taken in turn, so that a tick or a small message of another pair of
 * processes never waits for them. Order between one sender and one target address is kept.
 *
 * Binaries of 64 KiB and more are not copied: they must not change until they have left.
 */
export class Sender {
  readonly #out: SendOut;
  readonly #options: SenderOptions;
  readonly #writer: ByteWriter = new ByteWriter();
  readonly #controls: ControlEncoder;
  readonly #written: WrittenBuffers = new WrittenBuffers();
  readonly #splices: Splice[] = [];
  readonly #encodeOptions: { readonly splices: Splice[] };
  readonly #lanes = new Map<string, Lane>();
  readonly #pieces: Uint8Array[] = [];
  #laneBytes = 0;
  #nextSequence = 1n;
  /** Messages accepted since the session began, link frames and ticks not counted. */
  messages = 0;
  #congested = false;
  /** The last flush left more than `maxQueuedBytes` waiting. Turns that each send little would never be looked at else. */
  #isFull = false;
  #flushAsked = false;

  constructor(out: SendOut, options: SenderOptions) {
    this.#out = out;
    this.#options = options;
    this.#controls = new ControlEncoder({
      style: options.header ? "header" : "pass-through",
      exitPayload: options.exitPayload,
    });
    this.#encodeOptions = { splices: this.#splices };
  }

  /** Bytes accepted that have not left this process. */
  get waitingBytes(): number {
    return this.#writer.length + this.#laneBytes + this.#out.pendingBytes();
  }

  /** Fragments are still to be handed to the carrier. */
  get hasLargeMessages(): boolean {
    return this.#lanes.size > 0;
  }

  /** True from passing `congestedBytes` until `relieved` finds the session below it. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Sends a control message that has no payload. False means congested. */
  signal(control: Control): boolean {
    const start = this.#begin(control);
    return this.#finish(control, start, this.#writer.length);
  }

  /**
   * Sends a control message and its payload. False means congested.
   * @throws {SallyportError} ERR_API_MISUSE TERM_UNENCODABLE; ERR_LIMIT SEND_QUEUE_FULL
   */
  message(control: Control, payload: Term): boolean {
    const writer = this.#writer;
    const start = this.#begin(control);
    if (!this.#options.header) writer.u8(131);
    const payloadAt = writer.length;
    try {
      encodeInto(writer, payload, this.#encodeOptions);
    } catch (error) {
      writer.length = start;
      this.#splices.length = 0;
      throw error;
    }
    return this.#finish(control, start, payloadAt);
  }

  /** Like `message`, with the payload term already encoded (without version byte); the bytes are copied. */
  encoded(control: Control, buffer: Uint8Array, from: number, to: number): boolean {
    const writer = this.#writer;
    const start = this.#begin(control);
    if (!this.#options.header) writer.u8(131);
    const payloadAt = writer.length;
    writer.bytes(buffer, from, to);
    return this.#finish(control, start, payloadAt);
  }

  /** Sends a link frame of a native session at once, ahead of large messages. */
  link(frame: Uint8Array): void {
    this.#writer.u32(frame.length);
    this.#writer.bytes(frame);
    this.flush();
  }

  /** Sends an empty frame. */
  tick(): void {
    this.#writer.u32(0);
    this.flush();
    this.trim();
  }

  /** For the quiet: a thousand idle sessions should not each hold the buffer of their last burst. */
  trim(): void {
    this.#writer.trim();
    this.#written.trim(this.#out.pendingBytes());
  }

  /** Hands everything small to the carrier, then fragments as far as there is room. */
  flush(): void {
    this.#flushAsked = false;
    if (this.#writer.length > 0) this.#writeCollected();
    if (this.#lanes.size > 0) this.#pump();
    const waiting = this.waitingBytes;
    if (waiting > this.#options.congestedBytes) this.#congested = true;
    if (waiting > this.#options.maxQueuedBytes) this.#isFull = true;
  }

  #writeCollected(): void {
    const writer = this.#writer;
    if (writer.copiesOnTake || this.#out.copiesWrites !== true) {
      this.#write(writer.take());
      this.#written.shrink();
      return;
    }
    const { buffer } = writer;
    this.#write(writer.take(this.#written.take(this.#out.pendingBytes())));
    this.#written.lend(buffer);
  }

  #write(bytes: Uint8Array): void {
    this.#out.write(bytes);
    // Not before: bytes that the carrier threw back never wait, and would let those before them pass for gone.
    this.#written.wrote(bytes.length);
  }

  /** To be called when the carrier has room again. True when the session just stopped being congested. */
  relieved(): boolean {
    // Small messages first: one of them may come before a large one of the same pair.
    if (this.#lanes.size > 0) this.flush();
    if (!this.#congested || this.waitingBytes > this.#options.congestedBytes) return false;
    this.#congested = false;
    return true;
  }

  /** Starts a frame with its control message; returns where its length stands. An error leaves no trace. */
  #begin(control: Control): number {
    const writer = this.#writer;
    if (writer.length >= FLUSH_BYTES) this.flush();
    if (this.#isFull) {
      const waiting = this.waitingBytes;
      if (waiting > this.#options.maxQueuedBytes) throw queueFull(waiting, this.#options.maxQueuedBytes);
      this.#isFull = false;
    }
    const start = writer.length;
    writer.ensure(4);
    writer.length = start + 4;
    try {
      this.#controls.encodeInto(writer, control);
    } catch (error) {
      writer.length = start;
      throw error;
    }
    return start;
  }

  #finish(control: Control, start: number, payloadAt: number): boolean {
    const writer = this.#writer;
    const splices = this.#splices;
    let size = writer.length - start - 4;
    for (let i = 0; i < splices.length; i++) size += (splices[i] as Splice).bytes.length;
    const isLarge = this.#options.fragments && size - (payloadAt - start - 4) > WHOLE_BYTES;
    if (isLarge || splices.length > 0 || this.#lanes.size > 0) {
      this.#finishSlow(control, start, payloadAt, size, isLarge);
      if (!this.#congested && this.waitingBytes > this.#options.congestedBytes) this.#congested = true;
    } else {
      writer.patchU32(start, size);
    }
    this.messages++;
    if (!this.#flushAsked) {
      this.#flushAsked = true;
      this.#out.needFlush();
    }
    return !this.#congested;
  }

  #finishSlow(control: Control, start: number, payloadAt: number, size: number, isLarge: boolean): void {
    const writer = this.#writer;
    if (isLarge) {
      this.#checkRoom(start, size);
      const plan = this.#planOf(start, payloadAt);
      writer.length = start;
      this.#laneBytes += size;
      const lane = this.#laneAhead(control);
      if (lane === undefined) this.#lanes.set(pairKey(control), { plan, behind: new RingQueue() });
      else lane.behind.push({ kind: "plan", plan });
      return;
    }
    writer.patchU32(start, size);
    const lane = this.#laneAhead(control);
    if (lane !== undefined) {
      this.#checkRoom(start, size);
      const bytes = Buffer.concat(this.#takePieces(start));
      this.#laneBytes += bytes.length;
      lane.behind.push({ kind: "frame", bytes });
      return;
    }
    if (this.#splices.length === 0) return;
    // A frame with large binaries in it: everything before goes out first, then its pieces in order.
    for (const piece of this.#takePieces(0)) this.#write(piece);
  }

  /** Cuts what was written from `start` on at the splices, and takes it out of the writer. */
  #takePieces(start: number): Uint8Array[] {
    const writer = this.#writer;
    const written = Buffer.from(writer.buffer.subarray(start, writer.length));
    const pieces: Uint8Array[] = [];
    let at = 0;
    for (const splice of this.#splices) {
      pieces.push(written.subarray(at, splice.at - start), splice.bytes);
      at = splice.at - start;
    }
    if (at < written.length) pieces.push(written.subarray(at));
    writer.length = start;
    this.#splices.length = 0;
    return pieces;
  }

  #planOf(start: number, payloadAt: number): FragmentPlan {
    const writer = this.#writer;
    // 4 bytes length, 83 44 00, then the control term: the fragment header brings its own.
    const control = Buffer.from(writer.buffer.subarray(start + 7, payloadAt));
    const written = Buffer.from(writer.buffer.subarray(payloadAt, writer.length));
    const segments: ByteRange[] = [];
    let at = 0;
    for (const splice of this.#splices) {
      segments.push({ buffer: written, start: at, end: splice.at - payloadAt });
      segments.push({ buffer: splice.bytes, start: 0, end: splice.bytes.length });
      at = splice.at - payloadAt;
    }
    segments.push({ buffer: written, start: at, end: written.length });
    this.#splices.length = 0;
    return new FragmentPlan(this.#nextSequence++, control, segments);
  }

  /** The lane this message must not overtake. */
  #laneAhead(control: Control): Lane | undefined {
    if (this.#lanes.size === 0) return undefined;
    const lane = this.#lanes.get(pairKey(control));
    if (lane !== undefined || control.kind !== "monitor-exit" || typeof control.target === "string") return lane;
    // The end of a process comes after what it sent to the pid of its watcher, too.
    return this.#lanes.get(`${pidKey(control.target)}>${pidKey(control.to)}`);
  }

  /** One fragment of each lane in turn, while the carrier is not too far behind. */
  #pump(): void {
    while (this.#lanes.size > 0) {
      for (const [key, lane] of this.#lanes) {
        if (this.#out.pendingBytes() > FRAGMENTS_AHEAD_BYTES) return;
        this.#writeFragment(lane);
        if (lane.plan.fragmentsLeft === 0 && !this.#advance(lane)) this.#lanes.delete(key);
      }
    }
    this.#laneBytes = 0;
  }

  #writeFragment(lane: Lane): void {
    this.#pieces.length = 0;
    lane.plan.writeNext(this.#pieces);
    for (const piece of this.#pieces) {
      this.#laneBytes -= piece.length;
      this.#write(piece);
    }
    this.#pieces.length = 0;
  }

  /** Writes what waited behind the finished message, up to the next large one. False when nothing is left. */
  #advance(lane: Lane): boolean {
    for (let next = lane.behind.shift(); next !== undefined; next = lane.behind.shift()) {
      if (next.kind === "plan") {
        lane.plan = next.plan;
        return true;
      }
      this.#laneBytes -= next.bytes.length;
      this.#write(next.bytes);
    }
    return false;
  }

  /** Refuses a large message, taken back from `start` on, that would fill the queue beyond its bound. */
  #checkRoom(start: number, size: number): void {
    const waiting = this.waitingBytes + size;
    if (waiting <= this.#options.maxQueuedBytes) return;
    this.#writer.length = start;
    this.#splices.length = 0;
    throw queueFull(waiting, this.#options.maxQueuedBytes);
  }
}

function queueFull(waiting: number, maxQueuedBytes: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "SEND_QUEUE_FULL",
    `${waiting} bytes wait to be sent, more than maxQueuedBytes ${maxQueuedBytes}`,
    {
      detail: { waiting, maxQueuedBytes },
      advice: "wait for drained(node) when send or cast answers false, or raise maxQueuedBytes",
    },
  );
}

/**
 * Sender and target address: what has the same key leaves in order. An answer by alias and the DOWN of the monitor that
 * goes with it have the same reference, and so the same key, though only one of them names its sender.
 */
function pairKey(control: Control): string {
  switch (control.kind) {
    case "reg-send":
      return `${pidKey(control.from)}>${control.name}`;
    case "alias-send":
      return `#${control.alias.words.join(".")}`;
    case "send":
    case "link":
    case "unlink":
    case "unlink-id":
    case "unlink-id-ack":
    case "exit":
    case "exit2":
      return `${pidKey(control.from)}>${pidKey(control.to)}`;
    case "monitor":
    case "demonitor":
      return `${pidKey(control.from)}>${targetKey(control.target)}`;
    case "monitor-exit":
      return `#${control.ref.words.join(".")}`;
    case "spawn-request":
      return `${pidKey(control.from)}!`;
    case "spawn-reply":
    case "group-leader":
      return "!";
  }
}

function pidKey(pid: Pid | undefined): string {
  return pid === undefined ? "" : `${pid.id}.${pid.serial}`;
}

function targetKey(target: Pid | string): string {
  return typeof target === "string" ? target : pidKey(target);
}
