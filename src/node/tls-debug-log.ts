import type { Clock } from "../base/clock.ts";
import type { TlsDebug } from "../carrier/tls-debug.ts";
import { TokenBucket } from "../guard/token-bucket.ts";

/** Handshakes that are told of in a second, at most; the others are counted. */
export const MAX_TLS_DEBUG_PER_SECOND = 50;

/** What `tls.debug` tells: handshakes as they end, within a bound, since whoever reaches the listener makes them. */
export class TlsDebugLog {
  readonly #clock: Pick<Clock, "now">;
  readonly #bucket: TokenBucket;
  readonly #tell: (handshake: TlsDebug & { readonly dropped: number }) => void;
  #dropped = 0;

  constructor(clock: Pick<Clock, "now">, tell: (handshake: TlsDebug & { readonly dropped: number }) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#bucket = new TokenBucket({ count: MAX_TLS_DEBUG_PER_SECOND, perMs: 1_000 }, clock.now());
  }

  /** Tells of a handshake, with how many before it were not told of. */
  readonly add = (handshake: TlsDebug): void => {
    if (!this.#bucket.take(1, this.#clock.now())) {
      this.#dropped++;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#tell({ ...handshake, dropped });
  };
}
