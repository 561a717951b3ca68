import type { MonotonicMs } from "../base/clock.ts";

/** Between two looks at a session, milliseconds: so late are frames and messages noticed that take too long. */
export const MAX_LOOK_MS = 7_500;

/** What the owner must do after `check`. */
export type LivenessVerdict = "nothing" | "send-tick" | "send-ping" | "peer-silent" | "write-stalled";

/** Says whether the other end of a session lives: pure, told of bytes and of the time. */
export interface Liveness {
  /** Any bytes from the peer count as life, also a part of a frame. */
  read(now: MonotonicMs): void;
  /** Bytes of ours were handed to the transport. True: it wants to be asked sooner, see `nextCheck`. */
  wrote(now: MonotonicMs): boolean;
  /** `pendingBytes` wait to leave this machine; `sentBytes` have left it since the session began. */
  check(now: MonotonicMs, pendingBytes: number, sentBytes: number): LivenessVerdict;
  /** When `check` should be called next. */
  nextCheck(now: MonotonicMs): MonotonicMs;
}
