import { MAX_NODE_NAME_BYTES, type NodeName, tryNodeName } from "../base/node-name.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import type { Role } from "./sink.ts";

// Erlang's handshake where messages have no length before them (barrel-auth section 9): cut by structure.

const TICK_BYTES = 4;
const TAG_NAME = 0x4e; // 'N'
const TAG_OLD_NAME = 0x6e; // 'n'
const TAG_STATUS = 0x73; // 's'
const TAG_REPLY = 0x72; // 'r'
const TAG_ACK = 0x61; // 'a'

/** tag:8 flags:64 creation:32, then the length of the name */
const NAME_LENGTH_AT = 13;
/** tag:8 flags:64 challenge:32 creation:32, then the length of the name */
const CHALLENGE_NAME_LENGTH_AT = 17;
const REPLY_BYTES = 21;
const ACK_BYTES = 17;
const NAMED = "named:";

const FROM_ACCEPTOR: readonly string[] = ["ok_simultaneous", "nok", "not_allowed", "alive", NAMED];
const FROM_INITIATOR: readonly string[] = ["true", "false"];
const LONGEST_STATUS = "ok_simultaneous".length;

/** Longest message that is cut: a name for one who asks for none, with 255 bytes. In bytes. */
export const MAX_STREAM_HANDSHAKE_BYTES: number = CHALLENGE_NAME_LENGTH_AT + 2 + MAX_NODE_NAME_BYTES;

/** What a cutter finds. */
export interface StreamHandshakeSink {
  /** One message, as the handshake machines take it. The buffer is the receiver's. */
  message(body: Buffer): void;
}

/**
 * Cuts the handshake of one side out of stream 0: every size is known from the bytes before it. Ticks may lie anywhere between two messages
 * and are left out. The status `ok` is whole when anything but `_` follows: the challenge always does.
 */
export class StreamHandshake {
  readonly #role: Role;
  #held: Buffer = Buffer.alloc(0);
  #isOver = false;

  /** @param role ours; the messages are the other side's */
  constructor(role: Role) {
    this.#role = role;
  }

  /** The peer's last message was cut: what follows on the stream are ticks. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes of a message that is not whole. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /**
   * Takes the next bytes; returns those behind the last message once it was cut, else none.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED HANDSHAKE_UNKNOWN_MESSAGE, HANDSHAKE_BAD_STATUS, HANDSHAKE_BAD_NAME
   */
  receive(chunk: Buffer, sink: StreamHandshakeSink): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      const size = this.#sizeOf(bytes, at);
      if (size === 0 || bytes.length - at < size) break;
      const isTick = bytes[at] === 0;
      const isLast = bytes[at] === (this.#role === "initiator" ? TAG_ACK : TAG_REPLY);
      const body = Buffer.from(bytes.subarray(at, at + size));
      at += size;
      if (isLast) this.#isOver = true;
      // The state stands before the message is told: it may end everything.
      this.#held = NOTHING;
      if (!isTick) sink.message(body);
    }
    if (this.#isOver) return bytes.subarray(at);
    this.#held = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at));
    return NOTHING;
  }

  /** Bytes of the message or tick at `at`; 0 when they cannot be told yet. Never more than `MAX_STREAM_HANDSHAKE_BYTES`. */
  #sizeOf(bytes: Buffer, at: number): number {
    const fromAcceptor = this.#role === "initiator";
    const tag = bytes[at] as number;
    switch (tag) {
      case 0:
        for (let i = at; i < Math.min(bytes.length, at + TICK_BYTES); i++) {
          if (bytes[i] !== 0) throw unknownTag(0);
        }
        return TICK_BYTES;
      case TAG_NAME:
        return namedSize(bytes, at, fromAcceptor ? CHALLENGE_NAME_LENGTH_AT : NAME_LENGTH_AT, 0);
      case TAG_STATUS:
        return statusSize(bytes, at, fromAcceptor);
      case TAG_OLD_NAME:
        // The decoder says best what is wrong with it.
        if (!fromAcceptor) return 1;
        break;
      case TAG_REPLY:
        if (!fromAcceptor) return REPLY_BYTES;
        break;
      case TAG_ACK:
        if (fromAcceptor) return ACK_BYTES;
        break;
      default:
    }
    throw unknownTag(tag);
  }
}

/** The name in a message of the peer's that carries one, and its flags; undefined for other messages. */
export function introductionIn(
  body: Buffer,
  role: Role,
): { readonly name: NodeName | undefined; readonly flags: bigint } | undefined {
  if (body[0] !== TAG_NAME) return undefined;
  const lengthAt = role === "initiator" ? CHALLENGE_NAME_LENGTH_AT : NAME_LENGTH_AT;
  if (body.length < lengthAt + 2) return undefined;
  return { name: tryNodeName(body.toString("latin1", lengthAt + 2)), flags: body.readBigUInt64BE(1) };
}

/** True for the message with which the accepting side ends its handshake. */
export function isAck(body: Uint8Array): boolean {
  return body[0] === TAG_ACK;
}

function namedSize(bytes: Buffer, at: number, lengthAt: number, behind: number): number {
  if (bytes.length - at < lengthAt + 2) return 0;
  const nameBytes = bytes.readUInt16BE(at + lengthAt);
  if (nameBytes > MAX_NODE_NAME_BYTES) {
    throw misbehaved("HANDSHAKE_BAD_NAME", `the peer gave a name of ${nameBytes} bytes`, {
      value: nameBytes,
      limit: MAX_NODE_NAME_BYTES,
    });
  }
  return lengthAt + 2 + nameBytes + behind;
}

function statusSize(bytes: Buffer, at: number, fromAcceptor: boolean): number {
  const text = bytes.toString("latin1", at + 1, Math.min(bytes.length, at + 1 + LONGEST_STATUS));
  for (const word of fromAcceptor ? FROM_ACCEPTOR : FROM_INITIATOR) {
    if (text.startsWith(word)) return word === NAMED ? namedSize(bytes, at, 1 + NAMED.length, 4) : 1 + word.length;
    if (word.startsWith(text)) return 0;
  }
  if (fromAcceptor && text.startsWith("ok") && text[2] !== "_") return 3;
  throw misbehaved("HANDSHAKE_BAD_STATUS", "the status is none of those the protocol knows");
}

function unknownTag(tag: number): Error {
  return misbehaved("HANDSHAKE_UNKNOWN_MESSAGE", `a handshake message with the unknown first byte ${tag}`, { tag });
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Stream 0 after the handshake: ticks, and nothing else (barrel-auth section 10). */
export class TickStream {
  /** Bytes dropped that were no ticks. */
  strayBytes = 0;
  #zeros = 0;

  /** Takes bytes in; true when at least one tick is whole. */
  receive(chunk: Buffer): boolean {
    let hasTicked = false;
    for (let i = 0; i < chunk.length; i++) {
      if (chunk[i] !== 0) {
        this.strayBytes += this.#zeros + 1;
        this.#zeros = 0;
      } else if (++this.#zeros === TICK_BYTES) {
        this.#zeros = 0;
        hasTicked = true;
      }
    }
    return hasTicked;
  }
}
