import { type ChildProcess, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { addMs, type Clock, type MonotonicMs, type Timer } from "../../base/clock.ts";
import {
  CHANNEL_HEAD_BYTES,
  ENGINE_EXIT,
  type EngineConfig,
  FRAME_OVERHEAD_BYTES,
  FROM_ENGINE,
  FrameError,
  FrameReader,
  HEAD_BYTES,
  jsonFrame,
  numberFrame,
  TO_ENGINE,
} from "./engine-frames.ts";
import type { EngineLoss } from "./quic-errors.ts";
import { TurnWriter } from "./turn-writer.ts";

/** Longest time in which an engine that is let go may tell its peers, milliseconds. */
const LEAVE_MS = 1000;

/** The engine is asked for a sign of life this often, milliseconds. */
const PING_MS = 1000;
/** Session frames taken from the pipe are given back as credit in steps of this many octets. */
const CREDIT_STEP_BYTES: number = 128 * 1024;
const FIRST_COUNTED: ReadonlySet<number> = new Set<number>([
  FROM_ENGINE.opened,
  FROM_ENGINE.finished,
  FROM_ENGINE.reset,
  FROM_ENGINE.closed,
  FROM_ENGINE.moved,
  FROM_ENGINE.dropped,
]);
const WITH_BYTES: ReadonlySet<number> = new Set<number>([FROM_ENGINE.data]);

/** Hears one engine process. */
export interface EngineEar {
  /** One frame. @throws {FrameError} to have the engine killed */
  frame(type: number, id: number, body: Buffer): void;
  /** Bytes that came on a channel of a connection. @throws as `frame` */
  bytes(id: number, channel: number, bytes: Buffer): void;
  /** Exactly once; nothing follows. `no-binding`: this system cannot run it. */
  lost(loss: EngineLoss | "no-binding"): void;
}

export interface EngineProcessOptions {
  /** The engine's program. */
  readonly script: string;
  readonly config: EngineConfig;
  readonly deadlineMs: number;
}

/**
 * One engine process and the pipe to it. Its silence beyond the deadline, or a frame that does not belong there, ends it; the
 * pipe's end ends it too, so that it never outlives the node.
 */
export class EngineProcess {
  readonly #clock: Clock;
  readonly #options: EngineProcessOptions;
  readonly #ear: EngineEar;
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  readonly #writer: TurnWriter;
  #taken = 0;
  #loss: EngineLoss | undefined;
  #over = false;
  #heardAt: MonotonicMs;
  #lastTick: MonotonicMs;
  #nonce = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, options: EngineProcessOptions, ear: EngineEar) {
    this.#clock = clock;
    this.#options = options;
    this.#ear = ear;
    this.#heardAt = clock.now();
    this.#lastTick = this.#heardAt;
    // An empty environment: nothing of the node's secrets or settings gets to code that strangers can reach.
    this.#child = spawn(process.execPath, ["--expose-gc", options.script], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
      env: process.platform === "win32" ? { SystemRoot: "C:\\Windows" } : {},
      windowsHide: true,
    });
    const pipe = this.#child.stdio[3];
    if (!(pipe instanceof Duplex)) throw new TypeError("the pipe to the QUIC engine is not duplex");
    this.#pipe = pipe;
    this.#writer = new TurnWriter(pipe, clock);
    const reader = new FrameReader(
      (type, id, body) => this.#frame(type, id, body),
      WITH_BYTES,
      (_type, id, channel, bytes, isLast) => this.#bytes(id, channel, bytes, isLast),
    );
    pipe.on("data", (chunk: Buffer) => this.#chunk(reader, chunk));
    // A process without its pipe is of no use; how it ended is known when it has.
    pipe.on("error", () => this.#child.kill("SIGKILL"));
    pipe.on("close", () => this.#child.kill("SIGKILL"));
    this.#child.on("error", () => this.#finish("ended"));
    this.#child.on("exit", (code, signal) => {
      if (code === ENGINE_EXIT.noBinding) this.#finish("no-binding");
      else if (code === ENGINE_EXIT.memoryExceeded) this.#finish(this.#loss ?? "memory");
      else if (code === ENGINE_EXIT.nodeSilent) this.#finish(this.#loss ?? "stalled");
      else this.#finish(this.#loss ?? (signal === null ? "ended" : "killed"));
    });
    this.send(jsonFrame(TO_ENGINE.config, 0, options.config));
    this.#tickLater();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends bytes of frames, gathered per turn. They must not change until they have left. */
  send(bytes: Uint8Array): void {
    if (!this.#over) this.#writer.write(bytes);
  }

  /** Whether the process keeps the node's event loop alive. */
  hold(hold: boolean): void {
    const pipe = this.#pipe as Duplex & { ref?: () => void; unref?: () => void };
    if (hold) {
      this.#child.ref();
      pipe.ref?.();
    } else {
      this.#child.unref();
      pipe.unref?.();
    }
  }

  /** Has it tell the peers of its connections and end; where it does not, it is killed. */
  leave(): void {
    if (this.#over) return;
    this.#loss ??= "ended";
    this.#over = true;
    this.#timer?.cancel();
    this.hold(false);
    this.#writer.flush();
    this.#pipe.end();
    this.#clock.at(addMs(this.#clock.now(), LEAVE_MS), () => this.#child.kill("SIGKILL"), true);
    this.#ear.lost(this.#loss);
  }

  /** Ends it at once. */
  kill(loss: EngineLoss): void {
    this.#loss ??= loss;
    if (this.#over) return;
    this.#child.kill("SIGKILL");
    this.#finish(this.#loss);
  }

  #chunk(reader: FrameReader, chunk: Buffer): void {
    if (this.#over) return;
    this.#heardAt = this.#clock.now();
    try {
      reader.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.kill("protocol");
      return;
    }
    if (this.#taken >= CREDIT_STEP_BYTES) {
      this.send(numberFrame(TO_ENGINE.credit, 0, this.#taken));
      this.#taken = 0;
    }
  }

  #frame(type: number, id: number, body: Buffer): void {
    if (this.#over) return;
    if (FIRST_COUNTED.has(type)) this.#taken += HEAD_BYTES + body.length + FRAME_OVERHEAD_BYTES;
    if (type !== FROM_ENGINE.pong) this.#ear.frame(type, id, body);
  }

  #bytes(id: number, channel: number, bytes: Buffer, isLast: boolean): void {
    if (this.#over) return;
    this.#taken += isLast ? CHANNEL_HEAD_BYTES + bytes.length + FRAME_OVERHEAD_BYTES : bytes.length;
    this.#ear.bytes(id, channel, bytes);
  }

  #tickLater(): void {
    this.#timer = this.#clock.at(addMs(this.#clock.now(), PING_MS), () => this.#tick(), true);
  }

  #tick(): void {
    if (this.#over) return;
    const now = this.#clock.now();
    const onTime = now - this.#lastTick < 2 * PING_MS;
    this.#lastTick = now;
    // After a turn that took long, what the engine said meanwhile has not been read: it is judged at the next tick.
    if (!onTime) this.#heardAt = addMs(now, -Math.min(now - this.#heardAt, this.#options.deadlineMs - 2 * PING_MS));
    if (now - this.#heardAt > this.#options.deadlineMs) {
      this.kill("silent");
      return;
    }
    this.#nonce = (this.#nonce + 1) >>> 0;
    this.send(numberFrame(TO_ENGINE.ping, 0, this.#nonce));
    this.#tickLater();
  }

  #finish(loss: EngineLoss | "no-binding"): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#pipe.destroy();
    this.#ear.lost(loss);
  }
}
