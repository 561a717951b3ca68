import { addMs, type MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Liveness, LivenessVerdict } from "./liveness.ts";

/** How liveness of native sessions is kept; each side judges by its own figures. */
export interface HeartbeatOptions {
  /** A PING is sent when no byte came for so long, milliseconds. */
  readonly intervalMs: number;
  /** A peer is dead when nothing came for so long after the PING, milliseconds. */
  readonly timeoutMs: number;
}

/** `lan`: networks that nobody pays for by the packet (the default). `wan`: links that cost or are slow. */
export type HeartbeatProfile = "lan" | "wan";

export const HEARTBEAT_PROFILES: Readonly<Record<HeartbeatProfile, HeartbeatOptions>> = {
  lan: { intervalMs: 15_000, timeoutMs: 10_000 },
  wan: { intervalMs: 60_000, timeoutMs: 15_000 },
};

/** Below it a busy processor looks like a dead peer; milliseconds. */
export const MIN_HEARTBEAT_MS = 20;

/** Above it a dead peer is not found on the day it died; milliseconds. */
export const MAX_HEARTBEAT_MS = 3_600_000;

/** A look that comes so much later than it was due says more about this process than about the peer; milliseconds. */
const LATE_LOOK_MS = 250;

/** What arrived while this process did not run is read before the peer is called dead; milliseconds. */
const SECOND_LOOK_MS = 50;

/**
 * The figures of a profile, or of the values given in its place.
 * @throws {SallyportError} ERR_CONFIG HEARTBEAT_INVALID
 */
export function heartbeatOf(
  options: Partial<HeartbeatOptions> & { readonly profile?: HeartbeatProfile },
): HeartbeatOptions {
  const { profile = "lan", ...given } = options;
  if (!Object.hasOwn(HEARTBEAT_PROFILES, profile)) {
    throw invalid(`profile "${profile}" of heartbeat is unknown`, Object.keys(HEARTBEAT_PROFILES).join(" or "));
  }
  const heartbeat = { ...HEARTBEAT_PROFILES[profile], ...given };
  for (const key of ["intervalMs", "timeoutMs"] as const) {
    const value: unknown = heartbeat[key];
    const fits = Number.isInteger(value) && Number(value) >= MIN_HEARTBEAT_MS && Number(value) <= MAX_HEARTBEAT_MS;
    if (fits) continue;
    const range = `a whole number from ${MIN_HEARTBEAT_MS} to ${MAX_HEARTBEAT_MS}`;
    throw invalid(`${key} ${String(value)} of heartbeat is not ${range}`, range);
  }
  return heartbeat;
}

function invalid(what: string, allowed: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "HEARTBEAT_INVALID", what, {
    stage: "session",
    advice: `give ${allowed}`,
  });
}

/**
 * Liveness of one native session: pure, told of bytes and of the time. After `intervalMs` without a byte the peer is asked
 * once; the age of that question decides, whatever else is sent meanwhile. Every byte answers it. Bytes of ours that
 * wait while none leaves for `intervalMs + timeoutMs` end the connection too: a peer that talks and never reads.
 */
export class HeartbeatMonitor implements Liveness {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #lastRead: MonotonicMs;
  #lastProgress: MonotonicMs;
  #lastSentBytes = 0;
  /** Nothing waited to leave at the last look, and nothing was written since. */
  #isWriterIdle = true;
  /** When the open question was asked. */
  #askedAt: MonotonicMs | undefined;
  #asked = 0n;
  #due: MonotonicMs;
  #isSecondLook = false;

  constructor(options: HeartbeatOptions, now: MonotonicMs) {
    this.#intervalMs = options.intervalMs;
    this.#timeoutMs = options.timeoutMs;
    this.#lastRead = now;
    this.#lastProgress = now;
    this.#due = now;
  }

  read(now: MonotonicMs): void {
    this.#lastRead = now;
  }

  wrote(now: MonotonicMs): void {
    if (!this.#isWriterIdle) return;
    this.#isWriterIdle = false;
    this.#lastProgress = now;
  }

  /** Token of the latest PING, from 1. */
  get token(): bigint {
    return this.#asked;
  }

  /** Whether a PONG answers a question that was asked. One that does not is bytes like any others, and is counted. */
  knows(token: bigint): boolean {
    return token >= 1n && token <= this.#asked;
  }

  check(now: MonotonicMs, pendingBytes: number, sentBytes: number): LivenessVerdict {
    if (pendingBytes === 0 || sentBytes > this.#lastSentBytes) this.#lastProgress = now;
    if (pendingBytes === 0) this.#isWriterIdle = true;
    this.#lastSentBytes = sentBytes;
    if (this.#askedAt !== undefined && this.#lastRead >= this.#askedAt) this.#askedAt = undefined;
    const isDead = this.#askedAt !== undefined && now - this.#askedAt >= this.#timeoutMs;
    if (isDead && now - this.#due > LATE_LOOK_MS && !this.#isSecondLook) {
      this.#isSecondLook = true;
      return "nothing";
    }
    this.#isSecondLook = false;
    if (isDead) return "peer-silent";
    if (now - this.#lastProgress >= this.#intervalMs + this.#timeoutMs) return "write-stalled";
    if (this.#askedAt !== undefined || now - this.#lastRead < this.#intervalMs) return "nothing";
    this.#askedAt = now;
    this.#asked++;
    return "send-ping";
  }

  nextCheck(now: MonotonicMs): MonotonicMs {
    this.#due = this.#isSecondLook ? addMs(now, SECOND_LOOK_MS) : this.#nextDeadline();
    return this.#due;
  }

  #nextDeadline(): MonotonicMs {
    const silence =
      this.#askedAt === undefined ? addMs(this.#lastRead, this.#intervalMs) : addMs(this.#askedAt, this.#timeoutMs);
    if (this.#isWriterIdle) return silence;
    const stall = addMs(this.#lastProgress, this.#intervalMs + this.#timeoutMs);
    return Math.min(stall, silence) as MonotonicMs;
  }
}
