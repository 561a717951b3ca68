import type { Term } from "../term/types.ts";
import type { InboundAtomCache } from "./atom-cache.ts";
import type { FrameStyle } from "./flags.ts";
import { misbehaved } from "./misbehaved.ts";

/** First byte of a pass-through frame (otp-distribution section 3.1). */
export const PASS_THROUGH = 0x70;
/** Version byte: before each term of a pass-through frame, and first byte of every other frame. */
export const VERSION_MAGIC = 0x83;
/** Second byte: an unfragmented message with an atom header (section 3.2). */
export const DIST_HEADER = 0x44;
/** Second byte: first fragment (section 3.3). */
export const DIST_FRAG_HEADER = 0x45;
/** Second byte: later fragment. */
export const DIST_FRAG_CONT = 0x46;

/** Bytes before the payload part of a later fragment: `131:8 tag:8 seqId:64 fragId:64`. */
export const FRAGMENT_HEAD_BYTES = 18;
const NO_ATOMS: readonly Term[] = [];

export type PacketKind = "message" | "fragment-first" | "fragment-next";

/**
 * One frame body, taken apart. The parser fills the same record again and again: read it before the next frame.
 */
export class Packet {
  kind: PacketKind = "message";
  buffer: Buffer = EMPTY;
  /** End of the frame body in `buffer`. */
  end = 0;
  /**
   * Where the control term begins (of a later fragment: its payload part). In pass-through frames this is the version
   * byte of the control term; in the others the term has none.
   */
  at = 0;
  /** Ids of a fragment, 0 for a whole message. */
  seqId = 0n;
  fragId = 0n;
  /** Atoms that the atom header names, for ATOM_CACHE_REF. A fresh array for each frame that has any. */
  atomRefs: readonly Term[] = NO_ATOMS;
}

const EMPTY: Buffer = Buffer.alloc(0);

/** Takes frame bodies apart, in the style that the working flags demand; the other style is refused. */
export class PacketParser {
  readonly style: FrameStyle;
  readonly #cache: InboundAtomCache;

  /** @param cache this connection's cache; one that is never filled costs nothing */
  constructor(style: FrameStyle, cache: InboundAtomCache) {
    this.style = style;
    this.#cache = cache;
  }

  /**
   * Parses the frame body `buffer[start..end)` into `packet`.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED PACKET_WRONG_STYLE, PACKET_TRUNCATED, ATOM_HEADER_*
   */
  parse(packet: Packet, buffer: Buffer, start: number, end: number): void {
    if (end - start < 3) throw truncated(end - start, 3);
    const first = buffer[start];
    const second = buffer[start + 1];
    // Many frames come in one chunk, and the collector notes each write of a young object to an old one.
    if (packet.buffer !== buffer) packet.buffer = buffer;
    packet.end = end;
    packet.seqId = 0n;
    packet.fragId = 0n;
    packet.atomRefs = NO_ATOMS;
    if (this.style === "pass-through") {
      if (first !== PASS_THROUGH || second !== VERSION_MAGIC) throw wrongStyle(this.style, first, second);
      packet.kind = "message";
      packet.at = start + 1;
      return;
    }
    if (first !== VERSION_MAGIC) throw wrongStyle(this.style, first, second);
    switch (second) {
      case DIST_HEADER:
        packet.kind = "message";
        this.#readAtoms(packet, buffer, start + 2, end);
        return;
      case DIST_FRAG_HEADER:
        packet.kind = "fragment-first";
        readFragmentIds(packet, buffer, start, end);
        this.#readAtoms(packet, buffer, start + FRAGMENT_HEAD_BYTES, end);
        return;
      case DIST_FRAG_CONT:
        packet.kind = "fragment-next";
        readFragmentIds(packet, buffer, start, end);
        packet.at = start + FRAGMENT_HEAD_BYTES;
        return;
      default:
        throw wrongStyle(this.style, first, second);
    }
  }

  /**
   * Reads the ids of a later fragment out of the first bytes of its body, `FRAGMENT_HEAD_BYTES` at least. False when they
   * begin anything else, or fragments have no place here: `parse` has to see the whole body then.
   */
  parseNextFragment(packet: Packet, head: Buffer): boolean {
    if (this.style !== "header" || head[0] !== VERSION_MAGIC || head[1] !== DIST_FRAG_CONT) return false;
    packet.kind = "fragment-next";
    readFragmentIds(packet, head, 0, head.length);
    return true;
  }

  /**
   * Reads the beginning of a first fragment that is not the only one of its message. False when `head` begins anything else,
   * or names atoms: `parse` has to see the whole body then. `at` is where the control term begins in `head`, if it does.
   */
  parseFirstFragment(packet: Packet, head: Buffer): boolean {
    const at = FRAGMENT_HEAD_BYTES;
    if (this.style !== "header" || head[0] !== VERSION_MAGIC || head[1] !== DIST_FRAG_HEADER) return false;
    if (head.length <= at || head[at] !== 0) return false;
    packet.kind = "fragment-first";
    packet.buffer = head;
    packet.end = head.length;
    packet.atomRefs = NO_ATOMS;
    readFragmentIds(packet, head, 0, head.length);
    packet.at = at + 1;
    return packet.fragId !== 1n;
  }

  #readAtoms(packet: Packet, buffer: Buffer, at: number, end: number): void {
    if (at < end && buffer[at] === 0) {
      packet.at = at + 1;
      return;
    }
    packet.atomRefs = this.#cache.readHeader(buffer, at, end);
    packet.at = this.#cache.position;
  }

  /**
   * Where the payload term begins, version byte skipped, given where the control term ended. For a first fragment it is
   * where this fragment's part of the payload begins. When no payload belongs to the message, the result is the end.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED PACKET_NO_PAYLOAD, PACKET_UNEXPECTED_PAYLOAD, PACKET_TRAILING_BYTES
   */
  payloadStart(packet: Packet, controlEnd: number, expected: boolean): number {
    if (!expected) {
      if (packet.kind !== "message") {
        throw misbehaved("PACKET_UNEXPECTED_PAYLOAD", "a control message that has no payload came in fragments");
      }
      this.payloadEnd(packet, controlEnd);
      return controlEnd;
    }
    if (packet.kind !== "message") return controlEnd;
    let at = controlEnd;
    if (this.style === "pass-through") {
      if (at < packet.end && packet.buffer[at] !== VERSION_MAGIC) {
        throw misbehaved("PACKET_NO_PAYLOAD", "the payload does not begin with the version byte 131");
      }
      at++;
    }
    if (at >= packet.end) throw misbehaved("PACKET_NO_PAYLOAD", "the message needs a payload and the frame has none");
    return at;
  }

  /**
   * Checks that the last term of a whole message ends where the frame ends: a second term hidden behind the first is
   * refused (threat-model CM-28).
   * @throws {SallyportError} ERR_PEER_MISBEHAVED PACKET_TRAILING_BYTES
   */
  payloadEnd(packet: Packet, termEnd: number): void {
    if (termEnd === packet.end) return;
    const value = packet.end - termEnd;
    throw misbehaved("PACKET_TRAILING_BYTES", `${value} bytes follow the last term of a message`, { value });
  }
}

function readFragmentIds(packet: Packet, buffer: Buffer, start: number, end: number): void {
  if (end - start < FRAGMENT_HEAD_BYTES) throw truncated(end - start, FRAGMENT_HEAD_BYTES);
  packet.seqId = buffer.readBigUInt64BE(start + 2);
  packet.fragId = buffer.readBigUInt64BE(start + 10);
}

function truncated(value: number, need: number): Error {
  return misbehaved("PACKET_TRUNCATED", `a frame of ${value} bytes; its kind needs at least ${need}`, { value, need });
}

function wrongStyle(style: FrameStyle, first: number | undefined, second: number | undefined): Error {
  return misbehaved(
    "PACKET_WRONG_STYLE",
    `a frame that begins with bytes ${first} ${second}; the flags of this connection demand ${style} frames`,
    { style, first: first ?? -1, second: second ?? -1 },
  );
}
