// QUIC version 1 over node:dgram: an own loop around the native quiche object of the platform package.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { createRequire } from "node:module";

const native = createRequire(import.meta.url)(`@infisical/quic-${process.platform}-${process.arch}`);

const ID_BYTES = 16;
const PACKET_BYTES = 1452;
const NO_BYTES = Buffer.alloc(0);
const READ_BUFFER = Buffer.alloc(256 * 1024);
const ALGORITHMS = [
  "ecdsa_secp256r1_sha256",
  "ecdsa_secp384r1_sha384",
  "rsa_pss_rsae_sha256",
  "rsa_pss_rsae_sha384",
  "rsa_pss_rsae_sha512",
  "ed25519",
  "rsa_pkcs1_sha256",
].join(":");

/** Transport parameters of barrel-auth section 1. */
export const PARAMETERS = {
  alpn: ["erlang-dist"],
  idleMs: 300_000,
  connectionBytes: 268_435_456,
  streamBytes: 4_194_304,
  streams: 100,
};

/** @param {{certPem: string, keyPem: string} | undefined} certificate the dialler shows none */
function configure(certificate, parameters) {
  const { alpn, idleMs, connectionBytes, streamBytes, streams } = { ...PARAMETERS, ...parameters };
  const pem = (text) => (text === undefined ? null : [Buffer.from(text)]);
  const config = native.Config.withBoringSslCtx(
    false,
    true,
    null,
    pem(certificate?.keyPem),
    pem(certificate?.certPem),
    ALGORITHMS,
  );
  config.verifyPeer(false);
  config.grease(false);
  config.setApplicationProtos(alpn);
  config.setMaxIdleTimeout(idleMs);
  config.setMaxRecvUdpPayloadSize(PACKET_BYTES);
  config.setMaxSendUdpPayloadSize(PACKET_BYTES);
  config.setInitialMaxData(connectionBytes);
  config.setInitialMaxStreamDataBidiLocal(streamBytes);
  config.setInitialMaxStreamDataBidiRemote(streamBytes);
  config.setInitialMaxStreamDataUni(streamBytes);
  config.setInitialMaxStreamsBidi(streams);
  config.setInitialMaxStreamsUni(streams);
  config.setActiveConnectionIdLimit(2);
  config.setAckDelayExponent(3);
  config.setMaxAckDelay(25);
  config.setDisableActiveMigration(false);
  return config;
}

/**
 * @typedef {object} Handler what a connection reports; all optional
 * @property {() => void} [established] TLS is done
 * @property {(id: number, bytes: Buffer, fin: boolean) => void} [data] one read per datagram
 * @property {(id: number, code: number) => void} [reset]
 * @property {(info: {by: "peer" | "own" | "timeout", isApp: boolean, code: number}) => void} [closed]
 * @property {(what: "rebound" | "refused", detail: object) => void} [note]
 */

/** One UDP socket and the connections on it. */
export class Endpoint {
  /** @type {Map<string, QuicConnection>} */
  #connections = new Map();
  #accept;
  /** Datagrams handed to the system and not yet taken: the socket closes after the last. */
  #sending = 0;

  /** @param {import("node:dgram").Socket} socket @param {(connection: QuicConnection) => Handler} [accept] */
  constructor(socket, config, accept) {
    this.config = config;
    this.#accept = accept;
    this.#adopt(socket);
    /** The address quiche is told for the whole life of the endpoint. */
    this.local = hostPort(socket.address());
  }

  /** @returns {Promise<Endpoint>} */
  static async open({ host, port = 0, certificate, parameters, accept }) {
    return new Endpoint(await bound(host, port), configure(certificate, parameters), accept);
  }

  get port() {
    return this.socket.address().port;
  }

  get size() {
    return new Set(this.#connections.values()).size;
  }

  /** @param {(connection: QuicConnection) => Handler} handle */
  dial(remote, handle) {
    const id = randomBytes(ID_BYTES);
    const raw = native.Connection.connect(null, id, this.local, remote, this.config);
    const connection = new QuicConnection(this, raw, "dialer", remote);
    this.#add(id, connection);
    connection.handler = handle(connection);
    connection.pump();
    return connection;
  }

  /** Passive rebind: another UDP port, the same connection ids; quiche keeps the old local address. */
  async rebind() {
    const old = this.socket;
    this.#adopt(await bound(this.local.host, 0));
    old.close();
    for (const connection of new Set(this.#connections.values())) connection.ping();
    return this.port;
  }

  forget(connection) {
    for (const [id, known] of this.#connections) if (known === connection) this.#connections.delete(id);
  }

  /** Closes what is open, then the socket. */
  close() {
    if (this.gone) return;
    for (const connection of new Set(this.#connections.values())) connection.close(0);
    this.gone = true;
    if (this.#sending === 0) this.socket.close();
  }

  transmit(bytes, to) {
    if (this.gone && this.#sending === 0) return;
    this.#sending++;
    this.socket.send(bytes, to.port, to.host, () => {
      this.#sending--;
      if (this.gone && this.#sending === 0) this.socket.close();
    });
  }

  #adopt(socket) {
    this.socket = socket;
    socket.on("message", (bytes, from) => this.#datagram(bytes, { host: from.address, port: from.port }));
    socket.on("error", () => {});
  }

  #add(id, connection) {
    this.#connections.set(Buffer.from(id).toString("hex"), connection);
  }

  #datagram(bytes, from) {
    if (this.gone || bytes.length < 1 + ID_BYTES) return;
    if ((bytes[0] & 0x80) === 0) {
      this.#connections.get(bytes.subarray(1, 1 + ID_BYTES).toString("hex"))?.receive(bytes, from);
      return;
    }
    let header;
    try {
      header = native.Header.fromSlice(bytes, ID_BYTES);
    } catch {
      return;
    }
    const known = this.#connections.get(Buffer.from(header.dcid).toString("hex"));
    if (known !== undefined) return known.receive(bytes, from);
    if (this.#accept === undefined || header.ty !== native.Type.Initial) return undefined;
    if (!native.versionIsSupported(header.version)) {
      const answer = Buffer.alloc(PACKET_BYTES);
      const length = native.negotiateVersion(header.scid, header.dcid, answer);
      return this.transmit(answer.subarray(0, length), from);
    }
    const id = randomBytes(ID_BYTES);
    const raw = native.Connection.accept(id, null, this.local, from, this.config);
    const connection = new QuicConnection(this, raw, "listener", from);
    this.#add(id, connection);
    this.#add(header.dcid, connection);
    connection.handler = this.#accept(connection);
    return connection.receive(bytes, from);
  }
}

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

function hostPort({ address, port }) {
  return { host: address, port };
}

/** @returns {Promise<import("node:dgram").Socket>} */
function bound(host, port) {
  return new Promise((resolve, reject) => {
    const family = host.includes(":") ? 6 : 4;
    const socket = createSocket({
      type: `udp${family}`,
      lookup: (address, _options, done) => done(null, address, family),
    });
    socket.once("error", reject);
    socket.bind(port, host, () => {
      socket.off("error", reject);
      try {
        socket.setRecvBufferSize(4 * 1024 * 1024);
        socket.setSendBufferSize(4 * 1024 * 1024);
      } catch {
        // The system's limit is lower.
      }
      resolve(socket);
    });
  });
}
