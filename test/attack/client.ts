import { connect as connectTcp, createServer, type Socket } from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TlsOptions,
} from "node:tls";
import { type Bytes, pid, read, ref, show, u32 } from "./etf.ts";
import {
  challenge,
  challengeAck,
  challengeReply,
  digest,
  FLAGS,
  FLAGS_PLAIN,
  message,
  type Style,
  sendName,
  status,
} from "./frames.ts";

/** How a TLS client connects, and from which address. */
export type TlsFrom = ConnectionOptions & { readonly localAddress?: string };

/** A socket with hostile intent: writes any bytes, reads frames, and knows when it was closed. */
export class Raw {
  readonly socket: Socket;
  closed = false;
  /** `host:port` of this end, also after the connection is gone. */
  localAddress: string;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    this.localAddress = `${socket.localAddress}:${socket.localPort}`;
    for (const event of ["connect", "secureConnect"]) {
      socket.once(event, () => {
        this.localAddress = `${socket.localAddress}:${socket.localPort}`;
      });
    }
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
    // A peer that ends its side is gone, as far as the attacks are concerned.
    socket.on("end", () => socket.end());
  }

  static async tcp(port: number, localAddress = "127.0.0.1"): Promise<Raw> {
    const socket = connectTcp({ port, host: "127.0.0.1", localAddress });
    const raw = new Raw(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.setNoDelay(true);
    return raw;
  }

  static async tls(port: number, options: TlsFrom): Promise<Raw> {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    const raw = new Raw(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed during TLS")));
    });
    socket.setNoDelay(true);
    return raw;
  }

  /** What came and was not read as a frame. */
  get rest(): Buffer {
    return this.#bytes;
  }

  /** Puts bytes back, to be read again. */
  unread(bytes: Buffer): void {
    this.#bytes = Buffer.concat([bytes, this.#bytes]);
  }

  write(bytes: Bytes): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** One frame with its length before it. */
  frame(body: Bytes, prefix: 2 | 4): void {
    const head = Buffer.alloc(prefix);
    head.writeUIntBE(body.length, 0, prefix);
    this.write(Buffer.concat([head, body]));
  }

  /** The next frame that is no tick. Rejects when the connection closes first. */
  async readFrame(prefix: 2 | 4): Promise<Buffer> {
    for (;;) {
      if (this.#bytes.length >= prefix) {
        const size = this.#bytes.readUIntBE(0, prefix);
        if (this.#bytes.length >= prefix + size) {
          const body = this.#bytes.subarray(prefix, prefix + size);
          this.#bytes = this.#bytes.subarray(prefix + size);
          if (size > 0) return body;
          continue;
        }
      }
      if (this.closed) throw new Error("closed by the victim");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  destroy(): void {
    this.socket.destroy();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Who the attacker says it is. */
export interface Claim {
  readonly name: string;
  readonly cookie: string;
  readonly flags?: bigint;
  readonly creation?: number;
}

/** What the victim sent: control term and payload, in readable form. */
export interface Heard {
  readonly control: string;
  readonly payload: string;
  readonly frame: Buffer;
}

/** An authenticated attacker: a session with the victim, over a socket it does with what it likes. */
export class Peer {
  readonly raw: Raw;
  readonly name: string;
  readonly creation: number;
  readonly style: Style;
  victimCreation = 0;
  readonly heard: Heard[] = [];
  #next = 0;

  constructor(raw: Raw, claim: Claim) {
    this.raw = raw;
    this.name = claim.name;
    this.creation = claim.creation ?? 77;
    this.style = (claim.flags ?? FLAGS) === FLAGS_PLAIN ? "plain" : "headers";
  }

  /** Dials: the whole handshake as the initiator. `prefix` is 2 on TCP and 4 on TLS. */
  static async dial(raw: Raw, prefix: 2 | 4, claim: Claim): Promise<Peer> {
    const peer = new Peer(raw, claim);
    const asked = await peer.untilChallenge(prefix, claim);
    raw.frame(challengeReply(4711, digest(claim.cookie, asked.readUInt32BE(9))), prefix);
    const ack = await raw.readFrame(prefix);
    if (ack[0] !== 0x61 || !ack.subarray(1).equals(digest(claim.cookie, 4711)))
      throw new Error("the victim's proof is wrong");
    return peer;
  }

  /** The handshake up to the victim's challenge, which it returns. */
  async untilChallenge(prefix: 2 | 4, claim: Claim): Promise<Buffer> {
    this.raw.frame(sendName(claim.name, claim.flags ?? FLAGS, claim.creation ?? 77), prefix);
    const answer = (await this.raw.readFrame(prefix)).toString("latin1");
    if (answer === "salive") this.raw.frame(status("true"), prefix);
    else if (!answer.startsWith("sok")) throw new Error(`status ${answer}`);
    const asked = await this.raw.readFrame(prefix);
    this.victimCreation = asked.readUInt32BE(13);
    return asked;
  }

  /** As `untilChallenge` on TCP, but undefined when the victim does not want the name now. */
  async untilChallengeOrStatus(): Promise<Buffer | undefined> {
    try {
      return await this.untilChallenge(2, { name: this.name, cookie: "" });
    } catch {
      return undefined;
    }
  }

  /** Answers a dial of the victim: the whole handshake as the acceptor. */
  static async answer(raw: Raw, prefix: 2 | 4, claim: Claim): Promise<Peer> {
    const peer = new Peer(raw, claim);
    const hello = await raw.readFrame(prefix);
    peer.victimCreation = hello.readUInt32BE(9);
    raw.frame(status("ok"), prefix);
    raw.frame(challenge(claim.name, 99, claim.flags ?? FLAGS, peer.creation), prefix);
    const reply = await raw.readFrame(prefix);
    raw.frame(challengeAck(digest(claim.cookie, reply.readUInt32BE(1))), prefix);
    return peer;
  }

  pid(id = 100): Bytes {
    return pid(this.name, id, 0, this.creation);
  }

  ref(): Bytes {
    return ref(this.name, this.creation, ++this.#next, 0, 7);
  }

  send(control: Bytes, payload?: Bytes): void {
    this.raw.frame(message(this.style, control, payload), 4);
  }

  /** A frame body, whatever it is. */
  frame(body: Bytes): void {
    this.raw.frame(body, 4);
  }

  tick(): void {
    this.raw.write(u32(0));
  }

  /** The next message of the victim for which `match` holds; the others are kept in `heard`. */
  async hear(match: (heard: Heard) => boolean = () => true): Promise<Heard> {
    for (;;) {
      const frame = await this.raw.readFrame(4);
      const heard = this.#parse(frame);
      this.heard.push(heard);
      if (match(heard)) return heard;
    }
  }

  #parse(frame: Buffer): Heard {
    const at = this.style === "headers" ? 3 : 2;
    const control = read(frame, at);
    const payloadAt = this.style === "headers" ? control.end : control.end + 1;
    const payload = payloadAt < frame.length ? show(read(frame, payloadAt).value) : "";
    return { control: show(control.value), payload, frame };
  }
}

/** A listener of the attacker. */
export interface Trap {
  readonly port: number;
  /** The next connection that nobody took yet. */
  next(): Promise<Raw>;
  close(): void;
}

/** Listens for dials of the victim: over TLS, whatever certificate it shows, where there are options of TLS. */
export async function trap(tls?: TlsOptions): Promise<Trap> {
  const arrived: Raw[] = [];
  let waiting: (() => void)[] = [];
  const take = (socket: Socket): void => {
    arrived.push(new Raw(socket));
    for (const resolve of waiting.splice(0)) resolve();
  };
  const server =
    tls === undefined
      ? createServer(take)
      : createTlsServer({ requestCert: true, rejectUnauthorized: false, ...tls }, take);
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    async next() {
      for (;;) {
        const raw = arrived.shift();
        if (raw !== undefined) return raw;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    close() {
      waiting = [];
      server.close();
    },
  };
}
