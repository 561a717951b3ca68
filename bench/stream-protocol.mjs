// What the plain TLS references speak: the first byte of a connection picks what the server does with the rest.

/** Count bytes; answer the 8-byte count when the client has ended its side. */
export const COUNT_BYTES = 1;
/** Send back every chunk as it is. */
export const ECHO_BYTES = 2;
/** Take `u32 length` frames apart and count them; an empty frame asks for the 8-byte count. */
export const COUNT_FRAMES = 3;
/** Take frames apart and send each back, all frames of one chunk in one write. */
export const ECHO_FRAMES = 4;
/** Nothing: the connection is only held. */
export const HOLD = 5;

/** The same queue bound as Sallyport's carrier, so that the references do not wait for a drain after each write. */
export const HIGH_WATER_BYTES = 256 * 1024;

/**
 * Takes `u32 length` frames out of a stream of chunks and hands each payload over in a buffer of its own, as anything
 * has to whose receiver may keep what it got.
 */
export class Frames {
  #handle;
  #header = Buffer.alloc(4);
  #headerFilled = 0;
  #payload;
  #filled = 0;

  /** `handle` gets each payload, also the empty ones. */
  constructor(handle) {
    this.#handle = handle;
  }

  take(chunk) {
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      if (this.#payload !== undefined) {
        const count = Math.min(this.#payload.length - this.#filled, end - at);
        chunk.copy(this.#payload, this.#filled, at, at + count);
        this.#filled += count;
        at += count;
        if (this.#filled < this.#payload.length) return;
        const payload = this.#payload;
        this.#payload = undefined;
        this.#handle(payload);
        continue;
      }
      let length;
      if (this.#headerFilled === 0 && end - at >= 4) {
        length = ((chunk[at] << 24) | (chunk[at + 1] << 16) | (chunk[at + 2] << 8) | chunk[at + 3]) >>> 0;
        at += 4;
      } else {
        this.#header[this.#headerFilled++] = chunk[at++];
        if (this.#headerFilled < 4) continue;
        this.#headerFilled = 0;
        length = this.#header.readUInt32BE(0);
      }
      const payload = Buffer.allocUnsafe(length);
      if (end - at >= length) {
        chunk.copy(payload, 0, at, at + length);
        at += length;
        this.#handle(payload);
      } else {
        this.#payload = payload;
        this.#filled = 0;
      }
    }
  }
}
