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
  /** Runs something when what was collected is freed. */
  readonly later: (run: () => void) => void;
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
/**
 * What a process has had of memory stays with it, and is used again: after a cut, the next comes when it has grown by so much, octets.
 */
export const GROWTH_BYTES: number = 4 * MIB;
/** More withheld in all than at the last look by so much: the next look comes before its time, octets. */
export const LOOK_AFTER_BYTES: number = MIB;

/**
 * Bounds the memory that QUIC takes for peers. A connection pays first, if it can be told which; the process, which the node starts
 * anew, pays for those that cannot be told; the node never does.
 */
export class MemoryGuard {
  readonly #parts: MemoryGuardParts;
  /** Most connections at once so far whose peers were authenticated, and those now whose are not. */
  #most = 0;
  #halfOpen = 0;
  #isJudging = false;
  /** Measured when connections were cut; the least since. */
  #tolerated = 0;
  readonly #judge: () => void = () => {
    this.#isJudging = false;
    const native = this.#parts.nativeBytes();
    if (native > MAX_NATIVE_BYTES + this.#own) this.#parts.exceeded();
    else if (native > this.#mark && cutSuspects(this.#parts.holders(), suspectBytes(native - this.#own)))
      this.#tolerated = native;
  };

  constructor(parts: MemoryGuardParts) {
    this.#parts = parts;
  }

  /** To be called once a second, and when much more is withheld than at the last time. How many connections there are, by their peers. */
  look(authenticated: number, halfOpen: number): void {
    const { nativeBytes, collect, later } = this.#parts;
    this.#most = Math.max(this.#most, authenticated);
    this.#halfOpen = halfOpen;
    const native = nativeBytes();
    this.#tolerated = Math.min(this.#tolerated, native);
    if (this.#isJudging || native <= Math.min(this.#mark, MAX_NATIVE_BYTES + this.#own)) return;
    // What nobody holds any more is freed only after this turn.
    collect();
    this.#isJudging = true;
    later(this.#judge);
  }

  get #own(): number {
    return (this.#most + this.#halfOpen) * NATIVE_BYTES_PER_SESSION;
  }

  get #mark(): number {
    return Math.max(HIGH_NATIVE_BYTES + this.#own, this.#tolerated + GROWTH_BYTES);
  }
}

function suspectBytes(native: number): number {
  const left = (MAX_NATIVE_BYTES - native) / (MAX_NATIVE_BYTES - HIGH_NATIVE_BYTES);
  return Math.max(SUSPECT_BYTES * left, SUSPECT_HALF_OPEN_BYTES);
}

/** @returns whether there was one */
function cutSuspects(holders: Iterable<Holder>, least: number): boolean {
  let hasCut = false;
  let worst: Holder | undefined;
  for (const holder of holders) {
    if (holder.halfOpen) {
      if (holder.withheldBytes < SUSPECT_HALF_OPEN_BYTES) continue;
      holder.overrun();
      hasCut = true;
    } else if (holder.withheldBytes > (worst?.withheldBytes ?? 0)) worst = holder;
  }
  if (worst === undefined || worst.withheldBytes < least) return hasCut;
  worst.overrun();
  return true;
}
