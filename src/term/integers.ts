/**
 * The integer of `count` little-endian bytes at `start` (SMALL_BIG_EXT, LARGE_BIG_EXT): a number when it is safe, else a
 * bigint. Zero has no sign. Linear in `count`; the caller has checked the bounds.
 */
export function integerFromBytes(buffer: Uint8Array, start: number, count: number, negative: boolean): number | bigint {
  let size = count;
  while (size > 0 && buffer[start + size - 1] === 0) size--;
  if (size <= 6) {
    let value = 0;
    for (let i = start + size - 1; i >= start; i--) value = value * 256 + (buffer[i] as number);
    return negative && value !== 0 ? -value : value;
  }
  if (size <= 8) {
    const low = u32le(buffer, start);
    let high = 0;
    for (let i = start + size - 1; i >= start + 4; i--) high = high * 256 + (buffer[i] as number);
    if (high < 0x20_0000) {
      const value = high * 0x1_0000_0000 + low;
      return negative ? -value : value;
    }
    const value = (BigInt(high) << 32n) | BigInt(low);
    return negative ? -value : value;
  }
  // Through hexadecimal text: a radix that is a power of two converts in linear time, repeated shifting does not.
  const bigEndian = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) bigEndian[i] = buffer[start + size - 1 - i] as number;
  const value = BigInt(`0x${bigEndian.toString("hex")}`);
  return negative ? -value : value;
}

/** The magnitude of `value` as little-endian bytes without redundant zeros. Linear in its length. */
export function magnitudeBytes(value: bigint): Buffer {
  const hex = (value < 0n ? -value : value).toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").reverse();
}

function u32le(b: Uint8Array, at: number): number {
  return (
    ((b[at] as number) |
      ((b[at + 1] as number) << 8) |
      ((b[at + 2] as number) << 16) |
      ((b[at + 3] as number) << 24)) >>>
    0
  );
}
