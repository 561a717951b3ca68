// Tagged application streams (barrel-auth section 11), with the quirks of the original.

const REFUSED = 0x100;
const MAX_WAITING_TAGS = 64;

/** User streams of one connection. */
export class UserStreams {
  accepting = false;
  /** @type {Map<number, {tag: string, state: "open" | "refused"}>} */
  #streams = new Map();
  #own;

  /**
   * @param {object} options
   * @param {import("./quic-connection.mjs").QuicConnection} options.quic
   * @param {"dialer" | "listener"} options.role
   * @param {string} options.peer name: waiting tag bytes are kept by name and stream, beyond the connection
   * @param {Map<string, Buffer>} options.waiting shared by all connections of the node
   * @param {string[]} options.tags tags with an acceptor: `echo` answers, others only take
   * @param {(event: object) => void} options.emit
   */
  constructor(options) {
    Object.assign(this, options);
    this.#own = options.role === "dialer" ? { bidi: 68, uni: 70 } : { bidi: 65, uni: 67 };
  }

  /** Opens a stream and sends its tag in one piece. @returns {number} the id */
  open(tag, uni = false) {
    const kind = uni ? "uni" : "bidi";
    const id = this.#own[kind];
    this.#own[kind] += 4;
    this.#streams.set(id, { tag, state: "open" });
    const text = Buffer.from(tag);
    this.write(id, Buffer.concat([Buffer.of(text.length), text]), false);
    return id;
  }

  write(id, bytes, fin) {
    this.quic.write(id, bytes, fin);
    this.quic.flush();
  }

  data(id, bytes, fin) {
    const stream = this.#streams.get(id);
    if (stream?.state === "open") return this.#take(id, stream.tag, bytes, fin);
    const key = `${this.peer}/${id}`;
    if (stream?.state === "refused") {
      // The original keeps these bytes: they poison the same id on the next connection of this name.
      this.waiting.set(key, Buffer.concat([this.waiting.get(key) ?? Buffer.alloc(0), bytes]));
      return this.emit({ what: "held", id, length: bytes.length });
    }
    if (!this.accepting) return this.#refuse(id, "no_acceptor");
    if (!this.waiting.has(key) && this.waiting.size >= MAX_WAITING_TAGS) {
      this.#streams.set(id, { tag: "", state: "refused" });
      this.write(id, Buffer.alloc(0), true);
      return this.emit({ what: "dropped", id });
    }
    const held = Buffer.concat([this.waiting.get(key) ?? Buffer.alloc(0), bytes]);
    this.waiting.set(key, held);
    if (held.length === 0 || held.length < 1 + held[0]) return undefined;
    this.waiting.delete(key);
    const tag = held.subarray(1, 1 + held[0]).toString("latin1");
    if (!this.tags.includes(tag)) return this.#refuse(id, "unknown_tag");
    this.#streams.set(id, { tag, state: "open" });
    this.emit({ what: "open", id, tag });
    const rest = held.subarray(1 + held[0]);
    return rest.length > 0 || fin ? this.#take(id, tag, rest, fin) : undefined;
  }

  reset(id, code) {
    this.#streams.delete(id);
    this.emit({ what: "reset", id, code });
  }

  #take(id, tag, bytes, fin) {
    const shown = bytes.length <= 1024 ? { hex: bytes.toString("hex") } : {};
    this.emit({ what: "data", id, tag, length: bytes.length, fin, ...shown });
    const incoming = id % 2 !== this.#own.bidi % 2;
    if (tag !== "echo" || !incoming) return;
    if ((id & 2) !== 0) this.emit({ what: "reply_failed", id, tag });
    else this.write(id, bytes, fin);
  }

  #refuse(id, why) {
    this.#streams.set(id, { tag: "", state: "refused" });
    this.emit({ what: "refused", id, why });
    if ((id & 2) === 0) this.quic.resetStream(id, REFUSED);
    else this.quic.stopReading(id, REFUSED);
  }
}
