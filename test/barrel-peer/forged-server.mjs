// The relay's position of barrel-auth section 14.1: a QUIC server that shows a certificate without having its key. It
// plays the handshake of TLS 1.3 (RFC 8446, RFC 9001) by hand up to its Finished, and tells what the dialler answers:
// the original goes on, a stack that checks CertificateVerify closes with alert 51 (QUIC 0x133).
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createSocket } from "node:dgram";
import { cryptoFrame, keysOf, LEVEL, open, parameter, seal, varint, walk } from "./quic-packets.mjs";
import {
  extension,
  finishedMac,
  handshakeSecrets,
  initialSecrets,
  makeShare,
  message,
  sha256,
  sized,
  uint16,
  X25519,
} from "./tls13.mjs";

/**
 * @param {object} options
 * @param {string} options.certPem shown to diallers
 * @param {string} [options.keyPem] the right key, for a control run; default is a key made here
 * @param {(event: object) => void} options.emit
 */
export async function openForgedServer({ host, port, certPem, keyPem, emit }) {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.bind(port, host, resolve));
  const der = Buffer.from(certPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const key =
    keyPem === undefined ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey : createPrivateKey(keyPem);
  /** @type {Map<string, Session>} */
  const sessions = new Map();
  socket.on("message", (datagram, from) => {
    const name = `${from.address}:${from.port}`;
    let session = sessions.get(name);
    if (session === undefined) {
      session = new Session(der, key, (bytes) => socket.send(bytes, from.port, from.address), emit);
      sessions.set(name, session);
    }
    session.receive(datagram);
  });
  return { port: socket.address().port, close: () => socket.close() };
}

class Session {
  #id = randomBytes(8);
  #keys = {};
  #hello = Buffer.alloc(0);
  #answered = false;
  #told = false;

  constructor(der, key, send, emit) {
    Object.assign(this, { der, key, send, emit });
  }

  receive(datagram) {
    for (const packet of walk(datagram)) {
      if (this.#keys.initial === undefined && packet.level === LEVEL.initial) this.#begin(packet);
      const keys = packet.level === LEVEL.initial ? this.#keys.initial : this.#keys.handshake;
      const opened = keys === undefined ? undefined : open(datagram, packet, keys.client);
      for (const frame of opened?.frames ?? []) this.#frame(packet, frame);
    }
  }

  #begin(packet) {
    this.original = packet.to;
    this.client = packet.from;
    const { client, server } = initialSecrets(packet.to);
    this.#keys.initial = { client: keysOf(client), server: keysOf(server) };
  }

  #frame(packet, frame) {
    if (frame.type === "close") return this.#tell({ outcome: "refused", code: frame.code, isApp: frame.isApp });
    if (frame.type !== "crypto") return undefined;
    if (packet.level === LEVEL.handshake) return this.#tell({ outcome: "accepted" });
    if (frame.offset === this.#hello.length) this.#hello = Buffer.concat([this.#hello, frame.bytes]);
    const whole = this.#hello.length >= 4 && this.#hello.length >= 4 + this.#hello.readUIntBE(1, 3);
    if (whole && !this.#answered) this.#answer();
    return undefined;
  }

  #tell(result) {
    if (this.#told) return;
    this.#told = true;
    this.emit({ event: "forged", ...result });
  }

  /** ServerHello in an Initial packet, everything else of the flight in one Handshake packet. */
  #answer() {
    this.#answered = true;
    const { share, secretWith } = makeShare();
    const hello = message(
      2,
      Buffer.of(3, 3),
      randomBytes(32),
      sized(1, sessionIdOf(this.#hello)),
      Buffer.of(0x13, 0x01, 0),
      sized(2, extension(43, Buffer.of(3, 4)), extension(51, uint16(X25519), sized(2, share))),
    );
    const shared = secretWith(keyShareOf(this.#hello));
    const secrets = handshakeSecrets(shared, sha256(this.#hello, hello));
    this.#keys.handshake = { client: keysOf(secrets.client), server: keysOf(secrets.server) };
    const extensions = message(8, sized(2, this.#alpn(), extension(57, this.#parameters())));
    const certificate = message(11, Buffer.of(0), sized(3, sized(3, this.der), Buffer.of(0, 0)));
    const proved = sha256(this.#hello, hello, extensions, certificate);
    const context = Buffer.concat([Buffer.alloc(64, 0x20), Buffer.from("TLS 1.3, server CertificateVerify\0"), proved]);
    const verify = message(15, uint16(0x0403), sized(2, sign("sha256", context, this.key)));
    const transcript = sha256(this.#hello, hello, extensions, certificate, verify);
    const finished = message(20, finishedMac(secrets.server, transcript));
    const ids = { to: this.client, from: this.#id };
    this.send(seal(LEVEL.initial, ids, this.#keys.initial.server, cryptoFrame(0, hello), 1200));
    const flight = Buffer.concat([extensions, certificate, verify, finished]);
    this.send(seal(LEVEL.handshake, ids, this.#keys.handshake.server, cryptoFrame(0, flight), 0));
  }

  #alpn() {
    return extension(16, sized(2, sized(1, Buffer.from("erlang-dist"))));
  }

  #parameters() {
    return Buffer.concat([
      parameter(0x00, this.original),
      parameter(0x0f, this.#id),
      parameter(0x04, varint(1_048_576)),
      parameter(0x08, varint(100)),
      parameter(0x09, varint(100)),
    ]);
  }
}

function sessionIdOf(hello) {
  return hello.subarray(39, 39 + hello[38]);
}

/** The x25519 share of a ClientHello. */
function keyShareOf(hello) {
  let at = 39 + hello[38];
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello[at];
  const end = at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) !== 51) continue;
    const last = at + 4 + hello.readUInt16BE(at + 2);
    for (let share = at + 6; share < last; share += 4 + hello.readUInt16BE(share + 2)) {
      if (hello.readUInt16BE(share) === X25519) return hello.subarray(share + 4, share + 36);
    }
  }
  throw new Error("the dialler offers no x25519 share");
}
