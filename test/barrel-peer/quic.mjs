// QUIC version 1 over node:dgram: an own loop around the native quiche object of the platform package.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { PACKET_BYTES, QuicConnection } from "./quic-connection.mjs";
import { native } from "./quic-native.mjs";

const ID_BYTES = 16;
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
