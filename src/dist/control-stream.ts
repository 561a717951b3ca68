import { type NodeName, sameNode } from "../base/node-name.ts";
import { DIST_HDR_ATOM_CACHE } from "../wire/flags.ts";
import { atomCacheOffered, earlyBytes, nameNotProven } from "./barrel-link-failures.ts";
import type { Role } from "./sink.ts";
import { introductionIn, isAck, MAX_STREAM_HANDSHAKE_BYTES, StreamHandshake, TickStream } from "./stream-handshake.ts";

const PREFIX_BYTES = 4;
const TAG_REPLY = 0x72; // 'r'
const NOTHING: Buffer = Buffer.alloc(0);

/** An empty frame. */
export const TICK: Buffer = Buffer.alloc(PREFIX_BYTES);

/** Both ways out of stream 0. */
export interface ControlStreamParts {
  readonly role: Role;
  /** One handshake message without a length, alone and at once. */
  put(body: Uint8Array): void;
  /** A handshake message or an empty frame, with its length. */
  up(frame: Buffer): void;
  /** Bytes that are no ticks were dropped from a session. */
  stray(bytes: number): void;
}

/**
 * Stream 0 of one connection: Erlang's handshake without lengths, then ticks (barrel-auth section 9). The name in it must be the one
 * that was proven; the handshake machine above does not see any other.
 */
export class ControlStream {
  readonly #parts: ControlStreamParts;
  readonly #ticks: TickStream = new TickStream();
  readonly #handshake: StreamHandshake;
  /** What came before the exchange of keys was over. */
  #early: Buffer = NOTHING;
  #peer: NodeName | undefined;
  #flags: bigint | undefined;
  #repliedToChallenge = false;
  #hasSaidAll = false;
  #isUp = false;
  /** Stray bytes that were told of. */
  #told = 0;

  constructor(parts: ControlStreamParts) {
    this.#parts = parts;
    this.#handshake = new StreamHandshake(parts.role);
  }

  /** Our last handshake message has left, and the peer's has come where it is the last: what comes from above are frames. */
  get hasSaidAll(): boolean {
    return this.#hasSaidAll;
  }

  /** Dialling: our proof of the cookie is out, so the peer may hold the session for up already. */
  get repliedToChallenge(): boolean {
    return this.#repliedToChallenge;
  }

  /** What both sides offered; undefined before either did. */
  get flags(): bigint | undefined {
    return this.#flags;
  }

  /** Bytes dropped after the handshake that were no ticks. */
  get strayBytes(): number {
    return this.#ticks.strayBytes;
  }

  /** The exchange of keys is over, and proved this name: what has waited is taken. */
  start(peer: NodeName): void {
    this.#peer = peer;
    const early = this.#early;
    this.#early = NOTHING;
    if (early.length > 0) this.receive(early);
  }

  /** The session stands: ticks count as life. */
  up(): void {
    this.#isUp = true;
    this.#tellStray();
  }

  /** Lets go of what has waited. */
  close(): void {
    this.#early = NOTHING;
  }

  /** Takes bytes of the peer's. @throws {SallyportError} as `StreamHandshake.receive`, and EARLY_BYTES, PEER_NAME_MISMATCH */
  receive(chunk: Buffer): void {
    if (this.#peer === undefined) {
      // A dialler may begin before the exchange is over.
      const value = this.#early.length + chunk.length;
      if (value > MAX_STREAM_HANDSHAKE_BYTES) throw earlyBytes(value, MAX_STREAM_HANDSHAKE_BYTES);
      this.#early = Buffer.concat([this.#early, chunk]);
      return;
    }
    const ticks = this.#handshake.isOver
      ? chunk
      : this.#handshake.receive(chunk, { message: (body) => this.#take(body) });
    if (ticks.length === 0) return;
    const hasTicked = this.#ticks.receive(ticks);
    if (!this.#isUp) return;
    this.#tellStray();
    if (hasTicked) this.#parts.up(TICK);
  }

  #tellStray(): void {
    const bytes = this.strayBytes - this.#told;
    this.#told = this.strayBytes;
    if (bytes > 0) this.#parts.stray(bytes);
  }

  /** Takes one handshake message from above, with its length. @throws {SallyportError} ERR_API_MISUSE BARREL_ATOM_CACHE */
  send(framed: Uint8Array): void {
    const body = Buffer.from(framed.buffer, framed.byteOffset + PREFIX_BYTES, framed.length - PREFIX_BYTES);
    const { role } = this.#parts;
    const own = introductionIn(body, role === "initiator" ? "acceptor" : "initiator");
    if (own !== undefined) {
      if ((own.flags & DIST_HDR_ATOM_CACHE) !== 0n) throw atomCacheOffered();
      this.#seeFlags(own.flags);
    }
    if (role === "initiator") this.#repliedToChallenge ||= body[0] === TAG_REPLY;
    else if (isAck(body)) this.#hasSaidAll = true;
    this.#parts.put(body);
  }

  #take(body: Buffer): void {
    const theirs = introductionIn(body, this.#parts.role);
    if (theirs !== undefined) {
      const { name, flags } = theirs;
      // What is no name at all, the decoder says best.
      if (this.#peer !== undefined && name !== undefined && !sameNode(name, this.#peer)) {
        throw nameNotProven(this.#peer, name);
      }
      this.#seeFlags(flags);
    }
    // The acceptor's last word is the peer's last word: what the connection says next is a frame.
    if (this.#handshake.isOver && this.#parts.role === "initiator") this.#hasSaidAll = true;
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + body.length);
    framed.writeUInt32BE(body.length, 0);
    framed.set(body, PREFIX_BYTES);
    this.#parts.up(framed);
  }

  #seeFlags(flags: bigint): void {
    this.#flags = this.#flags === undefined ? flags : this.#flags & flags;
  }
}
