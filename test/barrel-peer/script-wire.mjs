// The wire of a scripted attack: frames in as promises, bytes out as the script says.
import { decodeMessage, FrameReader } from "./auth-codec.mjs";

export class ScriptWire {
  #reader = new FrameReader();
  #frames = [];
  #takers = [];
  #stream;
  #over = false;

  /** @param {import("./link.mjs").Link} link */
  constructor(link) {
    this.link = link;
    this.out = link.role === "dialer" ? 2 : 3;
  }

  /** Bytes on a stream, the own auth stream when none is named; flushed. */
  send(bytes, { stream = this.out, fin = false } = {}) {
    this.link.quic.write(stream, bytes, fin);
    this.link.quic.flush();
  }

  fin(stream = this.out) {
    this.send(Buffer.alloc(0), { stream, fin: true });
  }

  /** The next auth message of the peer, decoded, with its framed bytes; undefined when none can come. */
  frame() {
    if (this.#frames.length > 0) return Promise.resolve(this.#frames.shift());
    if (this.#over) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  data(id, bytes, fin) {
    this.#stream ??= id;
    if (id !== this.#stream) {
      this.link.saw("bytes", { stream: id, hex: bytes.toString("hex") });
      return;
    }
    this.#reader.push(bytes);
    for (let m = this.#reader.next(); m !== undefined; m = this.#reader.next()) {
      const message = { ...decodeMessage(m), bytes: Buffer.concat([Buffer.of(m.length >> 8, m.length & 255), m]) };
      const { type, name, publicKey, reason, bytes: whole } = message;
      const key = publicKey?.toString("hex");
      this.link.saw(type, { name, key, reason: reason?.toString("latin1"), hex: whole.toString("hex") });
      this.#give(message);
    }
    if (fin) this.end();
  }

  reset() {
    this.end();
  }

  end() {
    this.#over = true;
    for (const take of this.#takers.splice(0)) take(undefined);
  }

  /** The script has done an auth exchange: the link goes on with the distribution handshake. */
  proceed(result) {
    this.link.continueAfterScript(result);
  }

  #give(message) {
    const take = this.#takers.shift();
    if (take === undefined) this.#frames.push(message);
    else take(message);
  }
}
