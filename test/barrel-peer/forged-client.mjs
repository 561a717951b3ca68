// A QUIC client by hand that sends whatever frames it likes: TLS 1.3 (RFC 8446, RFC 9001) with x25519 and AES-128-GCM, packets
// with numbers of its own, ACKs as far as the server needs them, and barrel's auth and Erlang's handshake where it is to be known.
// It checks nothing of what the server proves.
import { randomBytes, randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { DialerAuth } from "./auth.mjs";
import { bindingOf } from "./auth-codec.mjs";
import { DialerHandshake, FLAGS } from "./handshake.mjs";
import {
  ackFrame,
  cryptoFrame,
  keysOf,
  LEVEL,
  open,
  parameter,
  seal,
  sealShort,
  shortOverhead,
  streamFrame,
  varint,
  walk,
} from "./quic-packets.mjs";
import { Pieces, Ranges } from "./quic-pieces.mjs";
import {
  applicationSecrets,
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

const ID_BYTES = 8;
const LEAST_INITIAL_BYTES = 1200;
/** What was not acknowledged after so long is sent again. */
const RESEND_MS = 300;
/** A server that has not answered by then does not want this client. */
const CONNECT_MS = 8_000;
const NOTHING = Buffer.alloc(0);
const SILENT = { refusal: () => undefined, record: () => undefined };

/** One packet number space. */
class Space {
  constructor(level) {
    this.level = level;
    this.next = 0;
    this.seen = new Ranges();
    this.owesAck = false;
    this.crypto = new Pieces();
    this.cryptoSent = 0;
    /** Packets whose frames have to arrive. @type {Map<number, {frames: Buffer, at: number}>} */
    this.unacked = new Map();
  }
}

export class ForgedClient {
  #spaces = { initial: new Space(LEVEL.initial), handshake: new Space(LEVEL.handshake), short: new Space(LEVEL.short) };
  #ids = { to: randomBytes(ID_BYTES), from: randomBytes(ID_BYTES) };
  #hasTheirId = false;
  #share = makeShare();
  #transcript = [];
  #asksForCertificate = false;
  /** What came on streams 0 and 3. */
  #streams = new Map([0, 3].map((id) => [id, new Pieces()]));
  #written = new Map();
  #timer;
  #wakers = new Set();
  isEstablished = false;
  /** How the server closed, or undefined. @type {{code: number, isApp: boolean} | undefined} */
  closed;
  /** Why auth or the handshake failed. */
  failed;
  isUp = false;
  /** Of what the server sends from here on: at once, along with the packets of a flood, or never. @type {"own" | "along" | "never"} */
  acks = "own";
  /** From the number of a packet of a flood to the next: with gaps between them the server's ACKs grow long. */
  step = 1;
  /** Octets in datagrams and datagrams, both ways. */
  sent = { bytes: 0, datagrams: 0 };
  heard = { datagrams: 0, at: performance.now() };

  /** @param {{host: string, port: number, from?: string, firstIdBytes?: number}} address `firstIdBytes`: of the id that its first packet is for */
  static async connect({ host, port, from, firstIdBytes = ID_BYTES }) {
    const socket = createSocket("udp4");
    socket.bind(0, from);
    await once(socket, "listening");
    const client = new ForgedClient(socket, host, port);
    client.#ids.to = randomBytes(firstIdBytes);
    client.#begin();
    const patience = setTimeout(() => client.#fail("no answer"), CONNECT_MS);
    await client
      .until(() => client.isEstablished)
      .catch((error) => {
        client.end();
        throw error;
      });
    clearTimeout(patience);
    return client;
  }

  constructor(socket, host, port) {
    Object.assign(this, { socket, host, port });
    socket.on("message", (bytes) => this.#receive(bytes));
    socket.on("error", () => {});
    this.#timer = setInterval(() => this.#resend(), RESEND_MS);
  }

  /** Resolves when it is so; rejects when the connection is over first. */
  until(isSo) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (isSo()) resolve();
        else if (this.closed !== undefined) reject(new Error(`closed with ${this.closed.code}`));
        else if (this.failed !== undefined) reject(new Error(this.failed));
        else return;
        this.#wakers.delete(look);
      };
      this.#wakers.add(look);
      look();
    });
  }

  /**
   * barrel's auth, and then Erlang's handshake.
   * @param {{name: string, keys: object, cookie: Buffer, target: string}} as
   */
  async authenticate({ name, keys, cookie, target }) {
    const wire = { open() {}, send: (frame) => this.write(2, frame), fin: () => this.write(2, NOTHING, true) };
    const proven = new Promise((resolve) => {
      this.auth = new DialerAuth({
        ...{ name, keys, target, wire, binding: bindingOf(this.certificate), trust: SILENT, random: randomBytes },
        ...{ wallMs: Date.now, monotonicMs: () => performance.now() },
        done: resolve,
      });
    });
    this.auth.start();
    void proven.then(({ outcome, error }) => {
      if (outcome === "fail") return this.#fail(`auth: ${error}`);
      this.handshake = new DialerHandshake({
        ...{
          name,
          cookie,
          target,
          flags: FLAGS.hidden,
          creation: randomInt(1, 2 ** 32),
          challenge: () => randomInt(2 ** 32),
        },
        send: (bytes) => this.write(0, bytes),
        done: (result) => {
          if (result.outcome === "fail") return this.#fail(`handshake: ${result.error}`);
          this.isUp = true;
          return this.#wake();
        },
      });
      return this.handshake.start();
    });
    await this.until(() => this.isUp);
  }

  /** Bytes that have to arrive, in packets of their own. */
  write(stream, bytes, fin = false) {
    const offset = this.#written.get(stream) ?? 0;
    this.#written.set(stream, offset + bytes.length);
    this.#sendSurely(this.#spaces.short, streamFrame(stream, offset, bytes, fin));
  }

  /** One packet of any frames, which may get lost. @returns {number} its octets */
  packet(frames) {
    const space = this.#spaces.short;
    const ack = this.acks === "along" && space.owesAck ? ackFrame(space.seen.all.slice(0, 1)) : NOTHING;
    space.owesAck = false;
    const all = ack.length === 0 ? frames : Buffer.concat([ack, frames]);
    const bytes = sealShort(this.#ids.to, space.own, all, space.next);
    space.next += this.step;
    this.#transmit(bytes);
    return bytes.length;
  }

  /** Room for frames in a datagram of so many octets. */
  room(bytes) {
    return bytes - shortOverhead(this.#ids.to);
  }

  /** Milliseconds since something came from the server. */
  get silentMs() {
    return performance.now() - this.heard.at;
  }

  end() {
    clearInterval(this.#timer);
    this.socket.close();
  }

  // --- TLS

  #begin() {
    const { client, server } = initialSecrets(this.#ids.to);
    Object.assign(this.#spaces.initial, { own: keysOf(client), theirs: keysOf(server) });
    const hello = message(
      1,
      Buffer.of(3, 3),
      randomBytes(32),
      Buffer.of(0),
      sized(2, uint16(0x1301)),
      Buffer.of(1, 0),
      sized(
        2,
        extension(43, sized(1, uint16(0x0304))),
        extension(10, sized(2, uint16(X25519))),
        extension(13, sized(2, ...[0x0403, 0x0503, 0x0804, 0x0805, 0x0807].map(uint16))),
        extension(51, sized(2, uint16(X25519), sized(2, this.#share.share))),
        extension(16, sized(2, sized(1, Buffer.from("erlang-dist")))),
        extension(57, this.#parameters()),
      ),
    );
    this.#transcript.push(hello);
    this.#sendCrypto(this.#spaces.initial, hello);
  }

  #parameters() {
    const windows = [4, 5, 6, 7].map((id) => parameter(id, varint(2 ** 40)));
    const streams = [8, 9].map((id) => parameter(id, varint(100)));
    return Buffer.concat([...windows, ...streams, parameter(0x01, varint(300_000)), parameter(0x0f, this.#ids.from)]);
  }

  #cryptoCame(space) {
    for (let m = nextMessage(space.crypto); m !== undefined; m = nextMessage(space.crypto)) {
      if (space === this.#spaces.short) continue;
      this.#transcript.push(m);
      if (m[0] === 2) this.#serverHello(m);
      else if (m[0] === 11) this.certificate = m.subarray(11, 11 + m.readUIntBE(8, 3));
      else if (m[0] === 13) this.#asksForCertificate = true;
      else if (m[0] === 20) this.#finish();
    }
  }

  #serverHello(hello) {
    const shared = this.#share.secretWith(keyShareOf(hello));
    this.secrets = handshakeSecrets(shared, sha256(...this.#transcript));
    const { client, server } = this.secrets;
    Object.assign(this.#spaces.handshake, { own: keysOf(client), theirs: keysOf(server) });
  }

  #finish() {
    const { client, server } = applicationSecrets(this.secrets.secret, sha256(...this.#transcript));
    Object.assign(this.#spaces.short, { own: keysOf(client), theirs: keysOf(server) });
    const flight = this.#asksForCertificate ? [message(11, Buffer.alloc(4))] : [];
    this.#transcript.push(...flight);
    flight.push(message(20, finishedMac(this.secrets.client, sha256(...this.#transcript))));
    this.#sendCrypto(this.#spaces.handshake, Buffer.concat(flight));
    this.isEstablished = true;
    this.#wake();
  }

  // --- packets in

  #receive(datagram) {
    this.heard.datagrams++;
    this.heard.at = performance.now();
    for (const packet of walk(datagram, ID_BYTES)) {
      const space = Object.values(this.#spaces).find(({ level }) => level === packet.level);
      if (space?.theirs === undefined) continue;
      const opened = open(datagram, packet, space.theirs, space.seen.highest + 1);
      if (opened === undefined) continue;
      if (!this.#hasTheirId && packet.level === LEVEL.initial) this.#ids.to = Buffer.from(packet.from);
      this.#hasTheirId = true;
      if (opened.frames.some(({ type }) => type !== "ack" && type !== "close")) space.owesAck = true;
      if (space.seen.add(opened.number)) for (const frame of opened.frames) this.#frame(space, frame);
    }
    for (const space of Object.values(this.#spaces)) {
      if (this.acks === "own" && space.owesAck && space.own !== undefined && this.closed === undefined)
        this.#send(space, NOTHING);
    }
  }

  #frame(space, frame) {
    switch (frame.type) {
      case "close":
        this.closed = { code: frame.code, isApp: frame.isApp };
        return this.#wake();
      case "ack":
        for (const number of space.unacked.keys()) {
          if (frame.ranges.some(([low, high]) => number >= low && number <= high)) space.unacked.delete(number);
        }
        return undefined;
      case "crypto":
        space.crypto.add(frame.offset, frame.bytes);
        return this.#cryptoCame(space);
      case "stream":
        return this.#stream(frame);
      default:
        return undefined;
    }
  }

  #stream({ stream, offset, bytes }) {
    const pieces = this.#streams.get(stream);
    if (pieces === undefined) return;
    pieces.add(offset, bytes);
    const came = pieces.take(pieces.ready);
    if (came.length === 0) return;
    if (stream === 3) this.auth?.bytes(came);
    else this.handshake?.chunk(came);
  }

  // --- packets out

  #sendCrypto(space, bytes) {
    const offset = space.cryptoSent;
    space.cryptoSent += bytes.length;
    this.#sendSurely(space, cryptoFrame(offset, bytes));
  }

  #sendSurely(space, frames) {
    space.unacked.set(space.next, { frames, at: performance.now() });
    this.#send(space, frames);
  }

  #send(space, frames) {
    const ack = space.owesAck ? ackFrame(space.seen.all) : NOTHING;
    space.owesAck = false;
    const all = Buffer.concat([ack, frames]);
    const number = space.next++;
    if (space.level === LEVEL.short) return this.#transmit(sealShort(this.#ids.to, space.own, all, number));
    const least = space.level === LEVEL.initial ? LEAST_INITIAL_BYTES : 0;
    return this.#transmit(seal(space.level, this.#ids, space.own, all, least, number));
  }

  #resend() {
    const now = performance.now();
    for (const space of Object.values(this.#spaces)) {
      // The handshake confirms what was said before it.
      if (this.isUp && space !== this.#spaces.short) space.unacked.clear();
      for (const [number, { frames, at }] of [...space.unacked]) {
        if (now - at < RESEND_MS || this.closed !== undefined) continue;
        space.unacked.delete(number);
        this.#sendSurely(space, frames);
      }
    }
  }

  #transmit(bytes) {
    this.sent.bytes += bytes.length;
    this.sent.datagrams++;
    this.socket.send(bytes, this.port, this.host, ignored);
  }

  #fail(why) {
    this.failed = why;
    this.#wake();
  }

  #wake() {
    for (const look of [...this.#wakers]) look();
  }
}

function ignored() {}

/** The next whole handshake message. */
function nextMessage(pieces) {
  const head = pieces.peek(4);
  if (head.length < 4) return undefined;
  const length = 4 + head.readUIntBE(1, 3);
  return pieces.ready < length ? undefined : pieces.take(length);
}

/** The share in a ServerHello. */
function keyShareOf(hello) {
  let at = 39 + hello[38] + 3;
  const end = at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) === 51) return hello.subarray(at + 8, at + 40);
  }
  throw new Error("the server has no x25519 share");
}
