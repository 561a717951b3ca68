/** Length of the connection ids this node gives out, octets. */
export const OWN_ID_BYTES = 16;
/** Longest connection id of QUIC version 1. RFC 9000 section 17.2. */
const MAX_ID_BYTES = 20;
const LONG_FORM = 0x80;
const FIXED_BIT = 0x40;
/** Octets before the destination id of a long header: first byte, version, length. */
const LONG_ID_AT = 6;

/** The destination connection id as a table key, read without asking QUIC; undefined for what is no QUIC packet. */
export function destinationKey(datagram: Buffer): string | undefined {
  const first = datagram[0];
  if (first === undefined) return undefined;
  if ((first & LONG_FORM) === 0) return slice(datagram, 1, OWN_ID_BYTES);
  const length = datagram[LONG_ID_AT - 1] ?? 0;
  return length > MAX_ID_BYTES ? undefined : slice(datagram, LONG_ID_AT, length);
}

/** The id of ours that a packet with a short header is for; undefined for any other, and for one that is too short. */
export function shortPacketId(datagram: Buffer): Buffer | undefined {
  const isShort = datagram.length > OWN_ID_BYTES && ((datagram[0] ?? 0) & (LONG_FORM | FIXED_BIT)) === FIXED_BIT;
  return isShort ? datagram.subarray(1, 1 + OWN_ID_BYTES) : undefined;
}

/** True for a packet that may begin a connection. */
export function isLongHeader(datagram: Buffer): boolean {
  return ((datagram[0] ?? 0) & LONG_FORM) !== 0;
}

/** A connection id as a table key. */
export function idKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}

function slice(datagram: Buffer, at: number, length: number): string | undefined {
  return datagram.length < at + length ? undefined : datagram.toString("latin1", at, at + length);
}
