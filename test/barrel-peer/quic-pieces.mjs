// What a receiver of QUIC keeps: the packet numbers that came, and the bytes of a stream in any order.

/** Sets of packet numbers as ranges, the highest first; the lowest are forgotten. */
export class Ranges {
  /** @type {[low: number, high: number][]} */
  all = [];

  get highest() {
    return this.all[0]?.[1] ?? -1;
  }

  /** False for one that was there. */
  add(number) {
    const at = this.all.findIndex(([low]) => low <= number);
    const below = at < 0 ? undefined : this.all[at];
    if (below !== undefined && number <= below[1]) return false;
    const place = at < 0 ? this.all.length : at;
    const above = this.all[place - 1];
    const [joinsBelow, joinsAbove] = [below?.[1] === number - 1, above?.[0] === number + 1];
    if (joinsBelow && joinsAbove) this.all.splice(place - 1, 2, [below[0], above[1]]);
    else if (joinsBelow) below[1] = number;
    else if (joinsAbove) above[0] = number;
    else this.all.splice(place, 0, [number, number]);
    this.all.length = Math.min(this.all.length, 32);
    return true;
  }
}

/** Bytes of a stream, of which every piece may come late or twice. */
export class Pieces {
  #at = 0;
  #bytes = Buffer.alloc(0);
  /** @type {Map<number, Buffer>} */
  #early = new Map();

  add(offset, bytes) {
    if (offset + bytes.length > this.#end) this.#early.set(offset, bytes);
    for (let isMore = true; isMore; ) {
      isMore = false;
      for (const [from, piece] of this.#early) {
        if (from > this.#end) continue;
        this.#early.delete(from);
        const fresh = piece.subarray(Math.min(piece.length, this.#end - from));
        this.#bytes = Buffer.concat([this.#bytes, fresh]);
        isMore = true;
      }
    }
  }

  /** Bytes in order that were not taken. */
  get ready() {
    return this.#bytes.length;
  }

  peek(length) {
    return this.#bytes.subarray(0, length);
  }

  take(length) {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    this.#at += length;
    return taken;
  }

  get #end() {
    return this.#at + this.#bytes.length;
  }
}
