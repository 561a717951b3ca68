/** One connection, as far as its memory goes. */
export interface Holder {
  /** Octets that came from the peer and that no stream has given, about. */
  readonly withheldBytes: number;
  /** Its peer is not authenticated. */
  readonly halfOpen: boolean;
  /** Cuts it. */
  overrun(): void;
}

export interface MemoryGuardParts {
  /** Octets that this process holds outside of V8's heap and buffers: QUIC's own, mostly. */
  readonly nativeBytes: () => number;
  /** Frees what closed connections held: the binding does it when their objects are collected. */
  readonly collect: () => void;
  readonly holders: () => Iterable<Holder>;
  /** Ends the process, with every connection. */
  readonly exceeded: () => void;
}

const MIB: number = 1024 * 1024;
/** Above this mark connections that withhold much are cut, octets. */
export const HIGH_NATIVE_BYTES: number = 256 * MIB;
/** Above this one the process ends, octets. */
export const MAX_NATIVE_BYTES: number = 512 * MIB;
/** Both marks are higher by so much for each connection; an honest one takes less. */
export const NATIVE_BYTES_PER_SESSION: number = 128 * 1024;
/**
 * Above the first mark the connection that withholds most is cut, if it is so much. The nearer the second mark, the less is enough:
 * the estimate forgets, so who fills memory slowly never seems to withhold much.
 */
export const SUSPECT_BYTES: number = 4 * MIB;
/** The same for each whose peer is not authenticated. */
export const SUSPECT_HALF_OPEN_BYTES: number = 16 * 1024;
/** A connection whose peer is not authenticated is cut above this, whatever the memory. */
export const MAX_HALF_OPEN_BYTES: number = 128 * 1024;
/** More withheld in all than at the last look by so much: the next look comes before its time, octets. */
export const LOOK_AFTER_BYTES: number = MIB;

/**
 * Bounds the memory that QUIC takes for peers. A connection pays first, if it can be told which; the process, which the node starts
 * anew, pays for those that cannot be told; the node never does.
 */
export class MemoryGuard {
  readonly #parts: MemoryGuardParts;

  constructor(parts: MemoryGuardParts) {
    this.#parts = parts;
  }

  /** To be called once a second, and when much more is withheld than at the last time. */
  look(): void {
    const { nativeBytes, collect, holders, exceeded } = this.#parts;
    const all = [...holders()];
    const own = all.length * NATIVE_BYTES_PER_SESSION;
    if (nativeBytes() <= HIGH_NATIVE_BYTES + own) return;
    collect();
    const native = nativeBytes();
    if (native > MAX_NATIVE_BYTES + own) exceeded();
    else if (native > HIGH_NATIVE_BYTES + own) cutSuspects(all, suspectBytes(native - own));
  }
}

function suspectBytes(native: number): number {
  const left = (MAX_NATIVE_BYTES - native) / (MAX_NATIVE_BYTES - HIGH_NATIVE_BYTES);
  return Math.max(SUSPECT_BYTES * left, SUSPECT_HALF_OPEN_BYTES);
}

function cutSuspects(holders: readonly Holder[], least: number): void {
  let worst: Holder | undefined;
  for (const holder of holders) {
    if (holder.halfOpen) {
      if (holder.withheldBytes >= SUSPECT_HALF_OPEN_BYTES) holder.overrun();
    } else if (holder.withheldBytes > (worst?.withheldBytes ?? 0)) worst = holder;
  }
  if (worst !== undefined && worst.withheldBytes >= least) worst.overrun();
}
