// One QUIC connection around a native quiche object: one read per datagram, writes that can be flushed alone.
import { native } from "./quic-native.mjs";

export const PACKET_BYTES = 1452;

const NO_BYTES = Buffer.alloc(0);
const READ_BUFFER = Buffer.alloc(256 * 1024);

/**
 * @typedef {object} Handler what a connection reports; all optional
 * @property {() => void} [established] TLS is done
 * @property {(id: number, bytes: Buffer, fin: boolean) => void} [data] one read per datagram
 * @property {(id: number, code: number) => void} [reset]
 * @property {(info: {by: "peer" | "own" | "timeout", isApp: boolean, code: number}) => void} [closed]
 * @property {(what: "rebound" | "refused", detail: object) => void} [note]
 */

/** One connection: streams by id, flushed at once on request. */
export class QuicConnection {
  /** @type {Handler} */
  handler = {};
  /** Bytes given to `write`, per stream. @type {Map<number, number>} */
  written = new Map();
  lastSentAt = 0;
  #raw;
  #established = false;
  #closed = false;
  #timer;
  /** @type {Map<number, {chunks: Buffer[], fin: boolean}>} */
  #waiting = new Map();

  constructor(endpoint, raw, role, remote) {
    this.endpoint = endpoint;
    this.#raw = raw;
    this.role = role;
    this.remote = remote;
  }

  get isClosed() {
    return this.#closed;
  }

  get alpn() {
    return Buffer.from(this.#raw.applicationProto()).toString("latin1");
  }

  /** DER of the peer's leaf certificate, or undefined; a dialler shows none. @returns {Buffer | undefined} */
  peerCertificate() {
    const leaf = this.#raw.peerCertChain()?.[0];
    return leaf === undefined ? undefined : Buffer.from(leaf);
  }

  stats() {
    return { ...this.#raw.stats() };
  }

  receive(bytes, from) {
    if (this.#closed) return;
    try {
      this.#raw.recv(bytes, { from, to: this.endpoint.local });
      this.remote = from;
    } catch {
      // The engine has queued a close frame; it leaves below.
    }
    this.pump();
  }

  /** Queues bytes on a stream. Merged with other waiting bytes unless `flush` comes between. */
  write(id, bytes, fin = false) {
    if (this.#closed) return;
    this.written.set(id, (this.written.get(id) ?? 0) + bytes.length);
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      waiting.chunks.push(bytes);
      waiting.fin ||= fin;
      return;
    }
    const taken = this.#push(id, bytes, fin);
    if (taken < bytes.length) this.#waiting.set(id, { chunks: [bytes.subarray(taken)], fin });
  }

  /** Bytes that can be sent on a stream now; 0 for a stream that cannot send. */
  capacity(id) {
    try {
      return this.#raw.streamCapacity(id);
    } catch {
      return this.written.has(id) ? 0 : Number.POSITIVE_INFINITY;
    }
  }

  /** The credit the peer announced for a stream that we opened (bidi or uni). */
  announcedCredit(id) {
    const stats = this.#raw.stats();
    return (id & 2) === 0 ? stats.peerInitialMaxStreamDataBidiRemote : stats.peerInitialMaxStreamDataUni;
  }

  /** Sends what is ready as packets. */
  flush() {
    if (this.#closed) return;
    for (;;) {
      const packet = Buffer.alloc(PACKET_BYTES);
      let sent = null;
      try {
        sent = this.#raw.send(packet);
      } catch {
        // Nothing leaves any more.
      }
      if (sent === null) break;
      this.lastSentAt = performance.now();
      this.endpoint.transmit(packet.subarray(0, sent[0]), sent[1].to);
    }
  }

  resetStream(id, code) {
    this.#waiting.delete(id);
    this.#shutdown(id, native.Shutdown.Write, code);
  }

  /** STOP_SENDING. */
  stopReading(id, code) {
    this.#shutdown(id, native.Shutdown.Read, code);
  }

  ping() {
    if (this.#closed) return;
    this.#raw.sendAckEliciting();
    this.pump();
  }

  close(code, isApp = true) {
    if (this.#closed) return;
    try {
      this.#raw.close(isApp, code, NO_BYTES);
    } catch {
      // Already closing.
    }
    this.pump();
  }

  /** One pass: read streams, write streams, send, timer, end. */
  pump() {
    if (this.#closed) return;
    if (!this.#established && this.#raw.isEstablished()) {
      this.#established = true;
      this.handler.established?.();
    }
    this.#read();
    for (const id of [...this.#waiting.keys()]) this.#resume(id);
    this.flush();
    this.#arm();
    if (this.#raw.isDraining() || this.#raw.isClosed()) this.#end();
  }

  #read() {
    for (const id of this.#raw.readable()) {
      try {
        for (let read = this.#raw.streamRecv(id, READ_BUFFER); read !== null; ) {
          this.handler.data?.(id, Buffer.from(READ_BUFFER.subarray(0, read[0])), read[1]);
          read = read[1] || this.#closed ? null : this.#raw.streamRecv(id, READ_BUFFER);
        }
      } catch (error) {
        const reset = /StreamReset\((\d+)\)/.exec(String(error));
        if (reset !== null) this.handler.reset?.(id, Number(reset[1]));
        else if (!/StreamStopped|InvalidStreamState|Done/.test(String(error))) throw error;
      }
    }
  }

  #push(id, bytes, fin) {
    try {
      return this.#raw.streamSend(id, bytes, fin) ?? 0;
    } catch (error) {
      if (/StreamLimit/.test(String(error))) return 0;
      // Stopped or reset by the peer: what was to be sent is gone.
      return bytes.length;
    }
  }

  #resume(id) {
    const waiting = this.#waiting.get(id);
    while (waiting !== undefined && waiting.chunks.length > 0) {
      const [chunk] = waiting.chunks;
      const last = waiting.chunks.length === 1;
      const taken = this.#push(id, chunk, waiting.fin && last);
      if (taken < chunk.length) {
        waiting.chunks[0] = chunk.subarray(taken);
        return;
      }
      waiting.chunks.shift();
    }
    this.#waiting.delete(id);
  }

  #shutdown(id, direction, code) {
    if (this.#closed) return;
    try {
      this.#raw.streamShutdown(id, direction, code);
    } catch {
      // The stream is gone.
    }
    this.flush();
  }

  #arm() {
    clearTimeout(this.#timer);
    const ms = this.#raw.timeout();
    if (ms === null) return;
    this.#timer = setTimeout(() => {
      this.#raw.onTimeout();
      this.pump();
    }, ms + 1);
  }

  #end() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    const [peer, own] = [this.#raw.peerError(), this.#raw.localError()];
    const error = peer ?? own;
    this.endpoint.forget(this);
    this.handler.closed?.({
      by: peer !== null ? "peer" : own !== null ? "own" : "timeout",
      isApp: error?.isApp ?? false,
      code: Number(error?.errorCode ?? 0),
    });
  }
}
