/**
 * The protocol between a node and its QUIC engine process, over one local pipe. All integers big-endian.
 *
 *   length:4 type:1 session:4 body        length counts everything behind itself
 *   body of channel frames: channel:6 ...
 *
 * A session is one QUIC connection: the node numbers those it dials with even numbers, the engine those it accepts with odd
 * ones. Listeners have numbers of their own. Frames that come once per connection carry JSON; those that come with each
 * piece of data do not.
 */

/** From the node to the engine. */
export const TO_ENGINE = {
  /** JSON `EngineConfig`; the first frame. */
  config: 1,
  /** JSON `ListenOrder`; session is the listener's number. */
  listen: 2,
  unlisten: 3,
  /** JSON `DialOrder`. */
  dial: 4,
  /** channel:6 bytes */
  write: 5,
  /** The same; what was written until here leaves in packets of its own. */
  writeAndFlush: 6,
  /** channel:6 */
  finish: 7,
  /** channel:6 code:6 */
  reset: 8,
  /** Close in good order once everything has arrived. */
  end: 9,
  /** Close at once. */
  destroy: 10,
  /** count:4; the node has taken session frames of so many octets from the pipe, each with its overhead. */
  credit: 11,
  pause: 12,
  resume: 13,
  /** nonce:4 */
  ping: 14,
  /** Go on from another local UDP port. */
  rebind: 15,
  /** The engine's half-open cap counts this session no more. */
  admitted: 16,
  /** JSON `MaterialOrder`; session is the listener's number. Later connections use it. */
  material: 17,
  /** The connection that was announced by `accepted` may begin; `destroy` refuses it. */
  proceed: 18,
} as const;

/** From the engine to the node. Those marked * take credit and keep their order within a session. */
export const FROM_ENGINE = {
  ready: 64,
  /** JSON `BoundAddress`; session is the listener's number. */
  listening: 65,
  /** JSON `{ code }`. */
  listenFailed: 66,
  /** JSON `AcceptedFacts`. */
  accepted: 67,
  /** * JSON `OpenedFacts`. */
  opened: 68,
  /** * channel:6 bytes */
  data: 69,
  /** * channel:6 */
  finished: 70,
  /** * channel:6 code:6 */
  reset: 71,
  /** * JSON `ClosedFacts`; the last frame of a session. */
  closed: 72,
  /** channel:6 count:4; QUIC has taken so many octets. */
  written: 73,
  /** nonce:4 */
  pong: 74,
  /** * JSON `{ remote }`; the peer goes on from another address. */
  moved: 75,
  /** * channel:6; the node's own reset was done, nothing more comes on the channel. */
  dropped: 76,
  /** Packets came that the peer alone can have made; at most once a second. */
  heard: 77,
} as const;

export interface EngineConfig {
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxHalfOpen: number;
  readonly maxSessions: number;
  readonly maxBacklogBytes: number;
  readonly initialsPerSecond: number;
  readonly initialsBurst: number;
  readonly lingerMs: number;
  readonly handshakeMs: number;
  /** Longest silence of the node, after which the engine lets go of its connections. */
  readonly nodeDeadlineMs: number;
}

export interface ListenOrder {
  readonly host: string;
  readonly first: number;
  readonly last: number;
  readonly certPem: string;
  readonly keyPem: string;
  readonly alpn: readonly string[];
  readonly retry: boolean;
}

export interface MaterialOrder {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface DialOrder {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly alpn: readonly string[];
  /** Also where the host turns out to be an address of strangers. */
  readonly allowPublic: boolean;
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

export interface AcceptedFacts {
  readonly listener: number;
  readonly remoteHost: string;
  readonly remotePort: number;
}

export interface OpenedFacts {
  readonly remoteHost: string;
  readonly remotePort: number;
  readonly localHost: string;
  readonly localPort: number;
  /** Empty when none was negotiated. */
  readonly alpn: string;
  /** Base64 of the DER; empty without. */
  readonly peerCert: string;
}

export interface ClosedFacts {
  /**
   * Who ended it: an idle or unanswered connection ends by `timeout`, one that the peer knows nothing of any more by `reset`, what the system
   * refused by `system`.
   */
  readonly by: "peer" | "local" | "timeout" | "reset" | "system";
  /** True for a code of the application, false for one of QUIC. */
  readonly app: boolean;
  readonly code: number;
  /** A system error code, or the engine's own word. */
  readonly system: string;
}

/** The engine's word for a dial that it was not allowed to make; the address follows. */
export const PUBLIC_ADDRESS = "PUBLIC_ADDRESS ";

/** How the engine ends of its own accord: the binding does not load; it held more memory than it may; the node was silent. */
export const ENGINE_EXIT = { noBinding: 78, memoryExceeded: 79, nodeSilent: 80 } as const;

/** Octets before the body. */
export const HEAD_BYTES = 9;
/** Octets before the bytes of a channel frame. */
export const CHANNEL_HEAD_BYTES = 15;
/** Largest piece of data in one frame, octets. */
export const MAX_PIECE_BYTES: number = 64 * 1024;
/** Largest `length` either side accepts, octets: the largest piece, or a JSON body, with their heads. */
export const MAX_FRAME_BYTES: number = MAX_PIECE_BYTES + CHANNEL_HEAD_BYTES;

/**
 * What a frame that waits is counted as beside its octets, in bounds and credit: a view, and its place in a queue. A peer may cut what it
 * sends into pieces of one octet.
 */
export const FRAME_OVERHEAD_BYTES = 160;

const LENGTH_BYTES = 4;
const ID_BYTES = 6;
/** Largest channel number and code on the pipe: 48 bits. */
export const MAX_ID: number = 2 ** 48 - 1;

/** A frame whose body is known. */
export function frame(type: number, session: number, body: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  writeHead(out, 0, type, session, body.length);
  out.set(body, HEAD_BYTES);
  return out;
}

/** A frame without body. */
export function bareFrame(type: number, session: number): Buffer {
  const out = Buffer.allocUnsafe(HEAD_BYTES);
  writeHead(out, 0, type, session, 0);
  return out;
}

/** A frame with a JSON body. */
export function jsonFrame(type: number, session: number, value: object): Buffer {
  return frame(type, session, Buffer.from(JSON.stringify(value)));
}

/** A frame with one 32-bit number. */
export function numberFrame(type: number, session: number, value: number): Buffer {
  const out = Buffer.allocUnsafe(HEAD_BYTES + 4);
  writeHead(out, 0, type, session, 4);
  out.writeUInt32BE(value, HEAD_BYTES);
  return out;
}

/** A channel frame up to its bytes, of which `length` follow. */
export function channelHead(type: number, session: number, channel: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(CHANNEL_HEAD_BYTES);
  writeChannelHead(out, 0, type, session, channel, length);
  return out;
}

/** A channel frame with one further number: 6 octets for `reset`, 4 for `written`. */
export function channelNumberFrame(
  type: number,
  session: number,
  channel: number,
  value: number,
  octets: 4 | 6,
): Buffer {
  const out = Buffer.allocUnsafe(CHANNEL_HEAD_BYTES + octets);
  writeChannelHead(out, 0, type, session, channel, octets);
  out.writeUIntBE(value, CHANNEL_HEAD_BYTES, octets);
  return out;
}

/** Writes the head of a channel frame into a larger buffer. */
export function writeChannelHead(
  out: Buffer,
  at: number,
  type: number,
  session: number,
  channel: number,
  length: number,
): void {
  writeHead(out, at, type, session, ID_BYTES + length);
  out.writeUIntBE(channel, at + HEAD_BYTES, ID_BYTES);
}

function writeHead(out: Buffer, at: number, type: number, session: number, bodyLength: number): void {
  out.writeUInt32BE(HEAD_BYTES - LENGTH_BYTES + bodyLength, at);
  out[at + 4] = type;
  out.writeUInt32BE(session, at + 5);
}

/** What came over the pipe is not this protocol. The one error of this file; the reader must be dropped. */
export class FrameError extends Error {
  override readonly name: "FrameError" = "FrameError";
}

/** Hears the frames of one pipe. `body` may be kept: nobody writes to it again. */
export type FrameHandler = (type: number, session: number, body: Buffer) => void;

/** Hears the bytes of channel frames; those of a long one as they come. `isLast`: the frame ends with them. They may be kept. */
export type BytesHandler = (type: number, session: number, channel: number, bytes: Buffer, isLast: boolean) => void;

/** Channel frames of this length and more are not put together. Below are messages that have to stay in one piece. */
const LONG_FRAME_BYTES: number = 16 * 1024;

const NO_TYPES: ReadonlySet<number> = new Set<number>();

/** Cuts the chunks of a pipe into frames. Keeps at most one frame, and only the octets of it that have come. */
export class FrameReader {
  readonly #handle: FrameHandler;
  readonly #bytes: BytesHandler;
  readonly #withBytes: ReadonlySet<number>;
  /** The long frame under way, and how many of its octets are to come. */
  #left = 0;
  #type = 0;
  #session = 0;
  #channel = 0;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Octets of the frame at the head of `#kept`, its length field included; 0 while that is not known. */
  #needed = 0;

  /** @param withBytes types of the channel frames that `bytes` hears; default none */
  constructor(handle: FrameHandler, withBytes: ReadonlySet<number> = NO_TYPES, bytes: BytesHandler = () => undefined) {
    this.#handle = handle;
    this.#withBytes = withBytes;
    this.#bytes = bytes;
  }

  /** @throws {FrameError} for a length that no frame has */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        at = this.#goOn(chunk, at);
        continue;
      }
      if (this.#keptBytes === 0) {
        const end = at + frameBytes(chunk, at);
        if (end > chunk.length && this.#beginLong(chunk, at, end)) {
          at += CHANNEL_HEAD_BYTES;
          continue;
        }
        if (end > at && end <= chunk.length) {
          this.#deliver(chunk, at, end);
          at = end;
          continue;
        }
      }
      at = this.#keep(chunk, at);
    }
  }

  /** Keeps what belongs to the frame that is under way; hands it up when it is whole. Gives where the next one begins. */
  #keep(chunk: Buffer, at: number): number {
    const wanted = (this.#needed === 0 ? LENGTH_BYTES : this.#needed) - this.#keptBytes;
    const end = Math.min(chunk.length, at + wanted);
    this.#kept.push(chunk.subarray(at, end));
    this.#keptBytes += end - at;
    if (end - at < wanted) return end;
    const whole = this.#kept.length === 1 ? (this.#kept[0] ?? chunk) : Buffer.concat(this.#kept, this.#keptBytes);
    if (this.#needed === 0) {
      this.#needed = frameBytes(whole, 0);
      this.#kept = [whole];
      return end;
    }
    this.#kept = [];
    this.#keptBytes = 0;
    this.#needed = 0;
    this.#deliver(whole, 0, whole.length);
    return end;
  }

  /** Begins with a frame of which only the first part has come. */
  #beginLong(chunk: Buffer, at: number, end: number): boolean {
    if (end - at < LONG_FRAME_BYTES || chunk.length - at < CHANNEL_HEAD_BYTES) return false;
    const type = chunk[at + 4] ?? 0;
    if (!this.#withBytes.has(type)) return false;
    this.#type = type;
    this.#session = chunk.readUInt32BE(at + 5);
    this.#channel = chunk.readUIntBE(at + HEAD_BYTES, ID_BYTES);
    this.#left = end - at - CHANNEL_HEAD_BYTES;
    return true;
  }

  #goOn(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    this.#bytes(this.#type, this.#session, this.#channel, chunk.subarray(at, end), this.#left === 0);
    return end;
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 4] ?? 0;
    const session = bytes.readUInt32BE(at + 5);
    const body = bytes.subarray(at + HEAD_BYTES, end);
    if (this.#withBytes.has(type)) this.#bytes(type, session, channelOf(body), bytesOf(body), true);
    else this.#handle(type, session, body);
  }
}

/** Octets of the frame that begins at `at`; 0 when its length is not all there. */
function frameBytes(bytes: Buffer, at: number): number {
  if (bytes.length - at < LENGTH_BYTES) return 0;
  const length = bytes.readUInt32BE(at);
  if (length < HEAD_BYTES - LENGTH_BYTES || length > MAX_FRAME_BYTES) {
    throw new FrameError(`a frame of ${length} octets, where 5 to ${MAX_FRAME_BYTES} are allowed`);
  }
  return LENGTH_BYTES + length;
}

/** The channel of a channel frame's body. @throws {FrameError} when the body is too short */
export function channelOf(body: Buffer): number {
  if (body.length < ID_BYTES) throw new FrameError(`a channel frame of ${body.length} octets`);
  return body.readUIntBE(0, ID_BYTES);
}

/** The bytes of a channel frame's body. */
export function bytesOf(body: Buffer): Buffer {
  return body.subarray(ID_BYTES);
}

/** The number behind the channel of a body. @throws {FrameError} when it does not have that many octets */
export function channelNumberOf(body: Buffer, octets: 4 | 6): number {
  if (body.length !== ID_BYTES + octets) throw new FrameError(`a channel frame of ${body.length} octets`);
  return body.readUIntBE(ID_BYTES, octets);
}

/** The number of a body that is one. @throws {FrameError} when it is not */
export function numberOf(body: Buffer): number {
  if (body.length !== 4) throw new FrameError(`a number of ${body.length} octets`);
  return body.readUInt32BE(0);
}
