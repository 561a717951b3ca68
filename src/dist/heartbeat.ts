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

/** While bytes wait it is looked so many times within both times together whether they move. */
const LOOKS_AT_WAITING = 16;

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
  #isAnswered = true;
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

  wrote(now: MonotonicMs): boolean {
    if (!this.#isWriterIdle) return false;
    this.#isWriterIdle = false;
    this.#lastProgress = now;
    return true;
  }

  /** Token of the latest PING, from 1. */
  get token(): bigint {
    return this.#asked;
  }

  /** Whether a PONG answers the latest question, for the first time. One that does not is bytes like any others. */
  answers(token: bigint): boolean {
    if (this.#isAnswered || token !== this.#asked) return false;
    this.#isAnswered = true;
    return true;
  }

  check(now: MonotonicMs, pendingBytes: number, sentBytes: number): LivenessVerdict {
    if (pendingBytes === 0 || sentBytes > this.#lastSentBytes) this.#lastProgress = now;
    if (pendingBytes === 0) this.#isWriterIdle = true;
    this.#lastSentBytes = sentBytes;
    if (this.#askedAt !== undefined && this.#lastRead >= this.#askedAt) this.#askedAt = undefined;
    const isSilent = this.#askedAt !== undefined && now - this.#askedAt >= this.#timeoutMs;
    const isStalled = now - this.#lastProgress >= this.#intervalMs + this.#timeoutMs;
    if ((isSilent || isStalled) && now - this.#due > LATE_LOOK_MS && !this.#isSecondLook) {
      this.#isSecondLook = true;
      return "nothing";
    }
    this.#isSecondLook = false;
    if (isSilent) return "peer-silent";
    if (isStalled) return "write-stalled";
    if (this.#askedAt !== undefined || now - this.#lastRead < this.#intervalMs) return "nothing";
    this.#askedAt = now;
    this.#asked++;
    this.#isAnswered = false;
    return "send-ping";
  }

  nextCheck(now: MonotonicMs): MonotonicMs {
    this.#due = this.#isSecondLook ? addMs(now, SECOND_LOOK_MS) : this.#nextDeadline(now);
    return this.#due;
  }

  #nextDeadline(now: MonotonicMs): MonotonicMs {
    const asked = this.#askedAt;
    // An answer that came right after the question must be seen when the next one is due.
    const silence =
      asked === undefined
        ? addMs(this.#lastRead, this.#intervalMs)
        : addMs(asked, Math.min(this.#timeoutMs, now - asked + this.#intervalMs));
    if (this.#isWriterIdle) return silence;
    const bothMs = this.#intervalMs + this.#timeoutMs;
    const stall = Math.min(this.#lastProgress + bothMs, now + bothMs / LOOKS_AT_WAITING);
    return Math.min(stall, silence) as MonotonicMs;
  }
}
